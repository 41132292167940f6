//! The steps of one reload: look → check → fit → load → try → exchange → retire the old version. All of them block.

use std::path::PathBuf;
use std::sync::Arc;

use super::seen::Content;
use super::shadow;
use crate::model::repository::signature::Signature;
use crate::service::catalog::Catalog;
use crate::service::catalog::refusal::{Refusal, RefusedVersion, Stage};
use crate::service::catalog::sources;
use crate::service::lifecycle::candidate::{self, Candidate};
use crate::service::lifecycle::owner::Owner;
use crate::service::lifecycle::report::{Outcome, ReloadReport, Verdict};
use crate::service::lifecycle::swap::gone;

pub struct Pass<'a> {
    owner: &'a mut Owner,
    /// The signature of everything that the reload reads.
    everything: Signature,
    report: ReloadReport,
}

impl<'a> Pass<'a> {
    /// A reload of what has this signature.
    pub fn new(owner: &'a mut Owner, everything: Signature) -> Self {
        Self {
            owner,
            everything,
            report: ReloadReport::default(),
        }
    }

    /// Runs all steps with the newest version of each model.
    pub fn run(mut self, folders: &[PathBuf]) -> ReloadReport {
        let candidates = self.find(folders);
        for group in candidate::groups(candidates, &self.owner.catalog(), &self.owner.settings) {
            self.exchange(group);
        }
        self.recalibrate();
        self.report
    }

    /// The newest version of each model, unless it serves already or was refused before.
    fn find(&mut self, folders: &[PathBuf]) -> Vec<Candidate> {
        let catalog = self.owner.catalog();
        let settings = Arc::clone(&self.owner.settings);
        let mut candidates = Vec::new();
        let mut found = Vec::new();
        let pins = self.owner.pins.all();
        for newest in folders {
            // Where the pins say which version is stable, that one.
            let folder = &sources::pinned(&settings, &pins, newest);
            let (name, version) = sources::name_and_version(&settings, folder);
            found.push(name.clone());
            let Owner { seen, loader, .. } = &mut *self.owner;
            let content = seen.look_into(folder, self.everything, &settings, &|| loader.is_stopping());
            let verdict = match content {
                Content::Refused(refusal) => Verdict::Refused(refusal),
                Content::RefusedBefore(refusal) => Verdict::RefusedBefore(refusal),
                Content::Model(model) => {
                    let serving = catalog.stable(&name);
                    if serving.is_none_or(|stable| stable.verified.fingerprint != model.fingerprint) {
                        candidates.push(Candidate::new(*model, &catalog));
                        continue;
                    }
                    if folder == newest {
                        Verdict::Unchanged
                    } else {
                        Verdict::Held {
                            newest: sources::name_and_version(&settings, newest).1,
                        }
                    }
                }
            };
            self.settle(&name, &version, verdict);
        }
        for (name, versions) in catalog.models().iter().filter(|(name, _)| !found.contains(name)) {
            let version = versions.stable.version();
            tracing::warn!(
                model = name,
                version,
                "no version of the model is in the repository, it serves on"
            );
            self.settle(name, version, Verdict::Gone);
        }
        candidates
    }

    /// Exchanges those candidates of a group that pass every step, all at once.
    fn exchange(&mut self, group: Vec<Candidate>) {
        let mut group = self.keep(group, |_, candidate| candidate.agrees());
        group = self.keep_fitting(group);
        group = self.keep(group, |owner, candidate| owner.loader.load_beside(&candidate.version));
        group = self.keep_fitting(group);
        group = self.keep(group, shadow::try_beside);
        group = self.keep_fitting(group);
        if group.is_empty() {
            return;
        }
        // Don't keep the serving catalog: it holds the versions that are about to be retired.
        let next = candidate::next(&self.owner.catalog(), &group, &self.owner.settings);
        match next {
            Ok(next) => self.switch(next, group),
            // It fitted a moment ago, but a calibration may have changed since.
            Err(refusal) => {
                for candidate in group {
                    self.refuse(candidate, refusal.clone());
                }
            }
        }
    }

    /// The candidates that pass a step. The others are refused.
    fn keep(
        &mut self,
        group: Vec<Candidate>,
        step: impl Fn(&mut Owner, &Candidate) -> Result<(), Refusal>,
    ) -> Vec<Candidate> {
        let mut kept = Vec::new();
        for candidate in group {
            match step(self.owner, &candidate) {
                Ok(()) => kept.push(candidate),
                Err(refusal) => self.refuse(candidate, refusal),
            }
        }
        kept
    }

    fn keep_fitting(&mut self, group: Vec<Candidate>) -> Vec<Candidate> {
        let (kept, refused) = candidate::fitting(&self.owner.catalog(), group, &self.owner.settings);
        for (candidate, refusal) in refused {
            self.refuse(candidate, refusal);
        }
        kept
    }

    /// Exchanges the catalog, then retires the old versions.
    fn switch(&mut self, next: Catalog, group: Vec<Candidate>) {
        if self.owner.is_stopping() {
            for candidate in group {
                self.refuse(candidate, Refusal::new(Stage::Stopping, "the server is stopping"));
            }
            return;
        }
        next.tell_unused_calibrations();
        let next = Arc::new(next);
        let leaving = gone(&self.owner.store.swap(Arc::clone(&next)), &next);
        drop(next);
        for Candidate {
            name,
            version,
            replaces,
            ..
        } in group
        {
            self.owner.loader.tell_state(&version);
            let from = replaces.as_ref().map(|replaced| replaced.version().to_owned());
            let fingerprint = &version.verified.fingerprint;
            tracing::info!(
                model = name,
                version = version.version(),
                from,
                fingerprint,
                "a new version serves"
            );
            self.settle(&name, version.version(), Verdict::Exchanged { from });
        }
        self.owner.retirement.retire(leaving);
    }

    /// Puts new calibrations into use for the models that serve. Where a calibration is gone or is for other models,
    /// the one before stays in use: the models that the file is for may be on their way.
    fn recalibrate(&mut self) {
        let current = self.owner.catalog();
        let next = match candidate::next(&current, &[], &self.owner.settings) {
            Ok(next) => next,
            Err(refusal) => {
                tracing::error!(
                    problem = refusal.problem,
                    "tasks can't be set up anew, they stay as they were"
                );
                self.report.problem = Some(refusal.problem);
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
                self.report.recalibrated.push(name.clone());
            }
        }
        if !self.report.recalibrated.is_empty() {
            drop(self.owner.store.swap(Arc::new(next)));
        }
    }

    fn refuse(&mut self, candidate: Candidate, refusal: Refusal) {
        self.owner.seen.refuse(&candidate.folder, &refusal, self.everything);
        let Candidate { name, version, .. } = candidate;
        self.settle(&name, version.version(), Verdict::Refused(refusal));
        self.owner.retirement.retire(vec![version]);
    }

    /// Reports what became of a model: to the log, to the metrics, and to those who wait for the reload.
    fn settle(&mut self, name: &str, version: &str, verdict: Verdict) {
        let refused = match &verdict {
            Verdict::Refused(refusal) | Verdict::RefusedBefore(refusal) => Some(refusal.clone()),
            Verdict::Unchanged | Verdict::Held { .. } | Verdict::Exchanged { .. } | Verdict::Gone => None,
        };
        let metrics = self.owner.metrics.versions();
        match &verdict {
            Verdict::Refused(Refusal { stage, problem }) => {
                metrics.reloaded(name, stage.name());
                let stage = stage.name();
                tracing::error!(
                    model = name,
                    version,
                    stage,
                    problem,
                    "a version was refused, what served before does"
                );
            }
            Verdict::Exchanged { .. } => metrics.reloaded(name, "exchanged"),
            Verdict::Unchanged | Verdict::Held { .. } | Verdict::RefusedBefore(_) | Verdict::Gone => {}
        }
        let version = version.to_owned();
        let refused = refused.map(|refusal| RefusedVersion {
            version: version.clone(),
            refusal,
        });
        self.owner.refused.set(name, refused);
        self.owner.health.tell();
        self.report.outcomes.push(Outcome {
            model: name.to_owned(),
            version,
            verdict,
        });
    }
}
