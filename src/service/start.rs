//! Starting and stopping the models of a service. Loading blocks: it has a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Service;
use super::catalog::{Canary, Catalog, ModelState, Serving};
use super::loaded_line::tell_loaded;
use super::preparing::Preparation;
use super::reload::background::in_background;
use super::reload::beside::Tap;
use super::reload::outcome::{Refusal, Stage};
use super::rollout::judge::Bounds;
use super::rollout::labels::{CanaryLabel, Labels};
use super::rollout::watch::CanaryWatch;
use super::slot::Slot;
use super::sources::{self, Opened};
use crate::batching::shares::Amount;
use crate::batching::workers::{Workers, WorkersSettings};
use crate::batching::{BatchLimits, Scheduler, SchedulerSettings};
use crate::config::Settings;
use crate::model::limited::{self, CallOff, LOAD_LIMIT, Stopped};
use crate::model::load::{Around, Initialized, InstanceSettings, Limits, SHORTEST_LIMIT, initialize_in};
use crate::model::manifest::Batch;
use crate::model::memory::{self, Expected, Usage};
use crate::model::{ModelError, Tier, repository};

/// How long preprocessing one text may take before it counts as the model's failure. No text that a model reads takes a
/// sound tokenizer more than some milliseconds.
const LONGEST_TEXT: Duration = Duration::from_secs(5);
/// How long the end of a model's threads is waited for, before its runs are ended and after.
const LONGEST_END: Duration = Duration::from_secs(2);

/// A failure to start, before or after ports are open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The repository or a manifest can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Models and configuration do not fit.
    #[error("configuration: {0}")]
    Catalog(String),
}

/// Reads and verifies the repository: manifests, checksums, tasks. Nothing is loaded.
pub fn open_catalog(settings: &Settings) -> Result<Catalog, StartError> {
    let labels = Labels::read(settings).map_err(StartError::Catalog)?;
    let Opened { models, refused } = sources::read_all(settings, &labels)?;
    let catalog = Catalog::new(models, settings).map_err(StartError::Catalog)?;
    let mut catalog = with_canaries(catalog, &labels, settings);
    catalog.refused = refused;
    catalog.tell_unused_calibrations();
    Ok(catalog)
}

/// Adds the canaries that the labels name. One that can't be used is left out, and the server starts without it.
fn with_canaries(mut catalog: Catalog, labels: &Labels, settings: &Settings) -> Catalog {
    let Some(repository) = sources::repository(settings) else {
        return catalog;
    };
    for (model, labels) in &labels.models {
        let (Some(canary), Some(versions)) = (&labels.canary, catalog.models().get(model)) else {
            continue;
        };
        let CanaryLabel { version, share } = canary;
        let same = versions.stable.version() == version;
        let verified = sources::read(settings, &repository.join(model).join(version), &|| false);
        let added = verified.map_err(|error| error.problem).and_then(|verified| {
            let mut models = catalog.models().clone();
            let (slot, watch) = (
                Arc::new(Slot::new(verified)),
                CanaryWatch::new(model, version, Bounds::from(settings)),
            );
            let canary = Canary {
                slot,
                share: *share,
                watch: Arc::new(watch),
            };
            if let Some(versions) = models.get_mut(model).filter(|_| !same) {
                versions.set_canary(Some(canary));
            }
            Catalog::over(models, settings)
        });
        match added {
            Ok(next) => catalog = next,
            Err(problem) => tracing::error!(
                model,
                version,
                problem,
                "the canary can't be used, the stable version serves alone"
            ),
        }
    }
    catalog
}

impl Service {
    /// Loads every model, one after the other, and lets each serve as soon as it passed its checks. Blocks; ends at the
    /// first failure, or when told to stop. A reload waits for it.
    pub fn load_models(&self, settings: &Settings) -> Result<(), ModelError> {
        let _loader = self.inner.reloads.loader();
        for slot in self.catalog().slots() {
            if self.is_draining() {
                return Ok(());
            }
            let loaded = self.load_model(slot, settings);
            match self.canary_of(slot) {
                // A canary is not worth a start.
                Some(canary) => {
                    if let Err(error) = loaded {
                        canary.watch.end();
                        let (model, version) = (&canary.watch.model, &canary.watch.version);
                        tracing::error!(model, version, %error, "the canary could not be loaded, the stable version serves alone");
                    }
                }
                None => {
                    if let Err(error) = loaded {
                        self.fall_back(slot, error, settings)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets an older version serve where the newest could not be loaded, as at a reload; the error again where there is none. What
    /// an operator named serves or nothing does.
    fn fall_back(&self, slot: &Arc<Slot>, error: ModelError, settings: &Settings) -> Result<(), ModelError> {
        let (name, version) = (&slot.verified.manifest.name, slot.version());
        let pinned = self.inner.rollouts.labels.of(name).stable.is_some();
        if pinned || sources::repository(settings).is_none() || self.is_draining() {
            return Err(error);
        }
        for folder in repository::older_than(&slot.verified.folder) {
            let Ok(verified) = sources::read(settings, &folder, &|| self.is_draining()) else {
                continue;
            };
            let older = Arc::new(Slot::new(verified));
            let mut models = self.catalog().models().clone();
            if let Some(versions) = models.get_mut(name) {
                versions.exchange(Arc::clone(&older));
            }
            let Ok(next) = Catalog::over(models, settings) else {
                continue;
            };
            if self.load_model(&older, settings).is_err() {
                continue;
            }
            self.inner.catalog.store(Arc::new(next));
            let refusal = Refusal::load(&error, &slot.verified.folder);
            self.inner.reloads.refuse_at_start(name, version, refusal);
            self.metrics().versions().set_refused(name, true);
            let serving = older.version();
            tracing::error!(model = name, version, serving, %error, "the newest version can't be loaded, the one before it serves");
            self.retire(vec![Arc::clone(slot)]);
            self.tell_health();
            return Ok(());
        }
        Err(error)
    }

    /// The canary whose version this is.
    fn canary_of(&self, slot: &Arc<Slot>) -> Option<Canary> {
        let catalog = self.catalog();
        let canary = catalog.models().get(&slot.verified.manifest.name)?.canary.clone();
        canary.filter(|canary| Arc::ptr_eq(&canary.slot, slot))
    }

    /// Loads one model and lets it serve. Blocks.
    pub fn load_model(&self, slot: &Slot, settings: &Settings) -> Result<(), ModelError> {
        self.set_model_state(slot, ModelState::Loading);
        let loaded = self.load_slot(slot, settings, Around::Quiet);
        let loaded = loaded.map_err(|refusal| refusal.into_model_error(slot));
        let serving = loaded.inspect_err(|error| {
            self.set_model_state(slot, ModelState::Failed(error.problem.clone()));
        })?;
        self.set_model_state(slot, ModelState::Serving(serving));
        Ok(())
    }

    /// Loads one model, with its queue and threads; its state is as before. Blocks.
    pub(super) fn load_slot(&self, slot: &Slot, settings: &Settings, around: Around) -> Result<Serving, Refusal> {
        let manifest = &slot.verified.manifest;
        let instances = instances(manifest.tier, settings);
        let expected = Expected::of(&slot.verified, instances);
        self.check_memory(expected, settings)?;
        let started = Instant::now();
        let verified = slot.verified.clone();
        let longest_run = settings.max_timeout.0.max(SHORTEST_LIMIT);
        let load = move |off: &CallOff| {
            let limits = Limits {
                run: longest_run,
                off: off.clone(),
            };
            let initialize = || initialize_in(&verified, instances, around, &limits);
            match around {
                Around::Quiet => Ok(initialize()),
                Around::Busy { .. } => in_background(instances.intra_threads > 1, initialize),
            }
        };
        let loaded = limited::run("model-load", LOAD_LIMIT, &|| self.is_draining(), load);
        let initialized = loaded.map_err(|stopped| match stopped {
            Stopped::CalledOff => Refusal::new(Stage::Stopping, "the server is stopping"),
            stopped => Refusal::new(Stage::Load, format!("loading it: {stopped}")),
        })??;
        let initialized = initialized.map_err(|error| Refusal::load(&error, &slot.verified.folder))?;
        let (took, asked) = (started.elapsed(), settings.asked_tokens());
        tell_loaded(slot, instances, &initialized, took, around, asked);
        let metrics = self.metrics().for_model(&manifest.name, manifest.tier.name());
        let scheduler_settings = SchedulerSettings {
            room: Amount {
                rows: settings.max_queue_texts,
                bytes: settings.max_queue_bytes,
            },
            batch: BatchLimits {
                max_rows: initialized.model.manifest.limits.max_batch_size,
                max_cells: max_cells(manifest.tier),
                same_width: initialized.model.manifest.limits.batch == Some(Batch::SameLength),
            },
            max_width: initialized.model.manifest.max_token_count(),
        };
        let Initialized {
            model, runners, costs, ..
        } = initialized;
        let no_threads =
            |error: std::io::Error| Refusal::new(Stage::Load, format!("its threads can't be started: {error}"));
        let preparation = Preparation::new(Arc::clone(&model), self.workers().map_err(no_threads)?);
        let scheduler = Scheduler::start(&manifest.name, runners, &costs, scheduler_settings, metrics.clone());
        Ok(Serving {
            model,
            preparation,
            scheduler: scheduler.map_err(no_threads)?,
            metrics,
            cache: self.cache(),
            idle_from_cells: initialized.idle_from_cells,
            tap: Tap::default(),
            _counted: Arc::new(self.inner.reloads.count(expected.bytes())),
        })
    }

    /// The threads that preprocess, for all models together: started when they are first asked for. Only one thread loads at
    /// a time.
    fn workers(&self) -> std::io::Result<Workers> {
        if let Some(workers) = self.inner.workers.get() {
            return Ok(workers.clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Workers::start(WorkersSettings {
            // More threads than cores would only take turns; with one alone, a text that never ends would be the last.
            threads: cores.max(2),
            patience: LONGEST_TEXT,
        })?;
        Ok(self.inner.workers.get_or_init(|| workers).clone())
    }

    /// Refuses what would not fit beside what is loaded, and says how it would.
    fn check_memory(&self, expected: Expected, settings: &Settings) -> Result<(), Refusal> {
        let configured = (settings.max_model_memory > 0).then(|| Usage {
            used: self.inner.reloads.expected_bytes(),
            limit: settings.max_model_memory,
        });
        let problem = configured
            .and_then(|usage| expected.too_much(usage, "max_model_memory's"))
            .or_else(|| expected.too_much(memory::of_cgroup()?, "the control group's"));
        problem.map_or(Ok(()), |problem| Err(Refusal::new(Stage::Memory, problem)))
    }

    /// Lets every model finish what it accepted and waits until its threads have ended; a reload that is under way is called
    /// off first. Waits for nobody longer than a few seconds. Blocks.
    pub fn stop_models(&self) {
        // Whoever loads or exchanges a version is done with it after this; the next one sees that the server stops.
        self.inner.reloads.wait_for_loader(LONGEST_END);
        self.inner.reloads.stop(LONGEST_END);
        for slot in self.catalog().slots() {
            if let ModelState::Serving(serving) = &*slot.state() {
                serving.scheduler.close();
                // What runs on is ended, and what can't be is left to the end of the process.
                if !serving.scheduler.join(LONGEST_END) {
                    serving.model.end_runs();
                    if !serving.scheduler.join(LONGEST_END) {
                        let model = &slot.verified.manifest.name;
                        tracing::error!(model, "an instance does not end, it is left behind");
                    }
                }
            }
        }
        // Nobody waits for these threads: a tokenizer may never come to an end.
        if let Some(workers) = self.inner.workers.get() {
            workers.close();
        }
    }
}

/// Sessions of one thread each: on a full server they do more than fewer sessions of more threads.
fn instances(tier: Tier, settings: &Settings) -> InstanceSettings {
    const MOST_BY_DEFAULT: usize = 8;
    // The standard library counts the processors of the affinity mask (cpusets too) and takes the quota of cgroup v2 or v1,
    // rounded down to at least one, if that is less.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = match tier {
        Tier::Fast => settings.fast_instances,
        Tier::Deep => settings.deep_instances,
    };
    let chosen = match tier {
        Tier::Fast => 1,
        Tier::Deep => (cores / settings.intra_threads).clamp(1, MOST_BY_DEFAULT),
    };
    InstanceSettings {
        count: if asked == 0 { chosen } else { asked },
        intra_threads: settings.intra_threads,
        idle_threads: match tier {
            // A run of a fast model is over before another thread wakes up.
            Tier::Fast => 1,
            Tier::Deep if settings.idle_threads == 0 => cores,
            Tier::Deep => settings.idle_threads,
        },
        max_cells: max_cells(tier),
    }
}

/// The padded size of a batch at which a bigger one stops paying: tokens for a transformer, features for a sum.
pub fn max_cells(tier: Tier) -> usize {
    match tier {
        Tier::Fast => 32_768,
        Tier::Deep => 256,
    }
}
