//! The steps of one reload: look → check → fit → load → try → exchange → let the old version go.
//!
//! Blocks; runs on the loader's thread, which alone changes the catalog.

use std::sync::Arc;

use super::background::in_background;
use super::fit::{self, Candidate};
use super::memory::{Content, Memory};
use super::outcome::{Outcome, Refusal, ReloadReport, Stage, Verdict};
use super::{RefusedVersion, locked};
use crate::config::Settings;
use crate::model::load::Around;
use crate::model::signature::{self, Signature};
use crate::service::Service;
use crate::service::catalog::{Catalog, ModelState};
use crate::service::rollout::change::gone;
use crate::service::sources;

/// One reload.
struct Pass<'a> {
    settings: &'a Settings,
    runtime: &'a tokio::runtime::Handle,
    memory: &'a mut Memory,
    whole: Signature,
    report: ReloadReport,
}

impl Service {
    /// Does one reload. One that nobody asked for does nothing unless files changed and have been quiet since the last look.
    pub(super) fn reload_once(&self, asked: bool, runtime: &tokio::runtime::Handle) -> ReloadReport {
        let settings = self.settings();
        let mut memory = self.inner.reloads.loader();
        let whole = look(settings);
        let due = asked || memory.settled(whole);
        if !due || self.is_draining() {
            return ReloadReport::default();
        }
        memory.act_on(whole);
        let mut pass = Pass {
            settings,
            runtime,
            memory: &mut memory,
            whole,
            report: ReloadReport::default(),
        };
        match sources::folders(settings) {
            Ok(folders) => {
                let candidates = self.find(&folders, &mut pass);
                let groups = fit::groups(candidates, &self.catalog(), settings);
                for group in groups {
                    self.exchange(group, &mut pass);
                }
                self.recalibrate(&mut pass);
            }
            Err(error) => {
                tracing::error!(%error, "the model repository can't be read, what serves goes on");
                pass.report.problem = Some(error.problem);
            }
        }
        let mut report = pass.report;
        report.outcomes.sort_by(|a, b| a.model.cmp(&b.model));
        report
    }

    /// The newest version of each model, where it is not the one that serves and was not refused before.
    fn find(&self, folders: &[std::path::PathBuf], pass: &mut Pass<'_>) -> Vec<Candidate> {
        let catalog = self.catalog();
        let mut candidates = Vec::new();
        let mut found = Vec::new();
        let labels = self.inner.rollouts.labels.all();
        for newest in folders {
            // Where an operator said which version is stable, that one is looked at.
            let folder = &labels.chosen(pass.settings, newest);
            let (name, version) = sources::name_and_version(pass.settings, folder);
            found.push(name.clone());
            let content = in_background(false, || {
                pass.memory
                    .look_into(folder, pass.whole, pass.settings, &|| self.is_draining())
            });
            let verdict = match content.unwrap_or_else(Content::Refused) {
                Content::Refused(refusal) => Verdict::Refused(refusal),
                Content::RefusedBefore(refusal) => Verdict::RefusedBefore(refusal),
                Content::Model(model) => {
                    let serving = catalog.slot(&name);
                    if serving.is_none_or(|slot| slot.verified.fingerprint != model.fingerprint) {
                        candidates.push(Candidate::new(*model, &catalog));
                        continue;
                    }
                    match folder == newest {
                        true => Verdict::Unchanged,
                        false => Verdict::Held {
                            newest: sources::name_and_version(pass.settings, newest).1,
                        },
                    }
                }
            };
            self.settle(&name, &version, verdict, pass);
        }
        for (name, versions) in catalog.models().iter().filter(|(name, _)| !found.contains(name)) {
            let version = versions.stable.version();
            tracing::warn!(
                model = name,
                version,
                "no version of the model is in the repository, it serves on"
            );
            self.settle(name, version, Verdict::Gone, pass);
        }
        candidates
    }

    /// Exchanges the candidates that pass every step, all at once.
    fn exchange(&self, group: Vec<Candidate>, pass: &mut Pass<'_>) {
        let mut group = self.keep(group, pass, |_, candidate| candidate.agrees());
        group = self.keep_fitting(group, pass);
        group = self.keep(group, pass, |service, candidate| service.load_candidate(candidate));
        group = self.keep_fitting(group, pass);
        let (settings, runtime) = (pass.settings, pass.runtime);
        group = self.keep(group, pass, |service, candidate| {
            service.try_beside(candidate, settings, runtime)
        });
        group = self.keep_fitting(group, pass);
        if group.is_empty() {
            return;
        }
        // The catalog that serves must not be held on to: its versions are to go.
        let next = fit::next(&self.catalog(), &group, pass.settings);
        match next {
            Ok(next) => self.switch(next, group, pass),
            // It was tried a moment ago; a calibration may have changed since.
            Err(refusal) => {
                for candidate in group {
                    self.refuse(candidate, refusal.clone(), pass);
                }
            }
        }
    }

    /// Those that pass a step; the others are refused.
    fn keep(
        &self,
        group: Vec<Candidate>,
        pass: &mut Pass<'_>,
        mut step: impl FnMut(&Self, &Candidate) -> Result<(), Refusal>,
    ) -> Vec<Candidate> {
        let mut kept = Vec::new();
        for candidate in group {
            match step(self, &candidate) {
                Ok(()) => kept.push(candidate),
                Err(refusal) => self.refuse(candidate, refusal, pass),
            }
        }
        kept
    }

    fn keep_fitting(&self, group: Vec<Candidate>, pass: &mut Pass<'_>) -> Vec<Candidate> {
        let (kept, refused) = fit::fitting(&self.catalog(), group, pass.settings);
        for (candidate, refusal) in refused {
            self.refuse(candidate, refusal, pass);
        }
        kept
    }

    /// Loads a candidate at low priority. It takes no requests yet.
    pub(in crate::service) fn load_candidate(&self, candidate: &Candidate) -> Result<(), Refusal> {
        if self.is_draining() {
            return Err(Refusal::new(Stage::Stopping, "the server is stopping"));
        }
        let before = candidate.replaces.as_ref().map(|slot| slot.state());
        let idle_from_cells = match before.as_deref() {
            Some(ModelState::Serving(serving)) => serving.idle_from_cells,
            _ => None,
        };
        self.set_model_state(&candidate.slot, ModelState::Loading);
        let serving = self.load_slot(&candidate.slot, self.settings(), Around::Busy { idle_from_cells })?;
        candidate.slot.set_state(ModelState::Serving(serving));
        Ok(())
    }

    /// Puts the next catalog in the place of the one that serves, then lets the old versions go.
    fn switch(&self, next: Catalog, group: Vec<Candidate>, pass: &mut Pass<'_>) {
        if self.is_draining() {
            for candidate in group {
                self.refuse(candidate, Refusal::new(Stage::Stopping, "the server is stopping"), pass);
            }
            return;
        }
        next.tell_unused_calibrations();
        let next = Arc::new(next);
        let leaving = gone(&self.inner.catalog.swap(Arc::clone(&next)), &next);
        drop(next);
        for Candidate {
            name, slot, replaces, ..
        } in group
        {
            self.tell_model_state(&slot);
            let from = replaces.as_ref().map(|slot| slot.version().to_owned());
            let fingerprint = &slot.verified.fingerprint;
            tracing::info!(
                model = name,
                version = slot.version(),
                from,
                fingerprint,
                "a new version serves"
            );
            self.settle(&name, slot.version(), Verdict::Exchanged { from }, pass);
        }
        self.retire(leaving);
    }

    /// Takes a new calibration into use, for the models that serve. One that is gone, or is for other models, leaves the one
    /// before in use: the models that it is for may be on their way.
    fn recalibrate(&self, pass: &mut Pass<'_>) {
        let current = self.catalog();
        let next = match fit::next(&current, &[], pass.settings) {
            Ok(next) => next,
            Err(refusal) => {
                tracing::error!(
                    problem = refusal.problem,
                    "tasks can't be set up anew, they stay as they were"
                );
                pass.report.problem = Some(refusal.problem);
                return;
            }
        };
        for (name, task) in current.tasks() {
            let (old, new) = (
                &task.cascade,
                next.tasks().get(name).and_then(|task| task.cascade.as_ref()),
            );
            let (Some(old), Some(new)) = (old, new) else { continue };
            if old.calibrated && !new.calibrated {
                let why = new.unused.as_deref().unwrap_or("there is none any more");
                tracing::warn!(task = name, why, "the calibration in use stays");
                return;
            }
            if **old != **new {
                tracing::info!(task = name, "a new calibration is in use");
                pass.report.recalibrated.push(name.clone());
            }
        }
        if !pass.report.recalibrated.is_empty() {
            drop(self.inner.catalog.swap(Arc::new(next)));
        }
    }

    fn refuse(&self, candidate: Candidate, refusal: Refusal, pass: &mut Pass<'_>) {
        pass.memory.refuse(&candidate.folder, &refusal, pass.whole);
        let Candidate { name, slot, .. } = candidate;
        self.settle(&name, slot.version(), Verdict::Refused(refusal), pass);
        self.retire(vec![slot]);
    }

    /// Tells what became of a model: to the log, the metrics, and those who ask.
    fn settle(&self, name: &str, version: &str, verdict: Verdict, pass: &mut Pass<'_>) {
        let refused = match &verdict {
            Verdict::Refused(refusal) | Verdict::RefusedBefore(refusal) => Some(refusal.clone()),
            Verdict::Unchanged | Verdict::Held { .. } | Verdict::Exchanged { .. } | Verdict::Gone => None,
        };
        match &verdict {
            Verdict::Refused(Refusal { stage, problem }) => {
                self.metrics().versions().reloaded(name, stage.name());
                let stage = stage.name();
                tracing::error!(
                    model = name,
                    version,
                    stage,
                    problem,
                    "a version was refused, what served before does"
                );
            }
            Verdict::Exchanged { .. } => self.metrics().versions().reloaded(name, "exchanged"),
            Verdict::Unchanged | Verdict::Held { .. } | Verdict::RefusedBefore(_) | Verdict::Gone => {}
        }
        self.metrics().versions().set_refused(name, refused.is_some());
        {
            let mut board = locked(&self.inner.reloads.refused);
            let version = version.to_owned();
            match refused {
                Some(refusal) => drop(board.insert(name.to_owned(), RefusedVersion { version, refusal })),
                None => drop(board.remove(name)),
            }
        }
        self.tell_health();
        pass.report.outcomes.push(Outcome {
            model: name.to_owned(),
            version: version.to_owned(),
            verdict,
        });
    }
}

/// What everything that a reload reads looks like: the repository, and the calibrations that lie elsewhere.
fn look(settings: &Settings) -> Signature {
    let tasks = settings.tasks.values();
    let elsewhere = tasks.filter_map(|task| task.cascade.calibration.as_deref());
    signature::of(sources::roots(settings).into_iter().chain(elsewhere))
}
