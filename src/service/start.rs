//! Starting and stopping the models of a service. Loading blocks: it has a thread of its own.

use std::time::Instant;

use super::Service;
use super::catalog::{Catalog, ModelState, Serving};
use super::slot::Slot;
use crate::batching::shares::Amount;
use crate::batching::{BatchLimits, Scheduler, SchedulerSettings};
use crate::config::Settings;
use crate::model::load::{Initialized, InstanceSettings, initialize};
use crate::model::{ModelError, Tier, repository};
use crate::telemetry::logs::millis;

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
    let models = repository::open(&settings.models)?;
    Catalog::new(models, settings).map_err(StartError::Catalog)
}

impl Service {
    /// Loads every model, one after the other, and lets each serve as soon as it passed its checks. Blocks; ends at the
    /// first failure, or when told to stop.
    pub fn load_models(&self, settings: &Settings) -> Result<(), ModelError> {
        for slot in self.catalog().slots() {
            if self.is_draining() {
                return Ok(());
            }
            self.load_model(slot, settings)?;
        }
        Ok(())
    }

    /// Loads one model and lets it serve. Blocks.
    pub fn load_model(&self, slot: &Slot, settings: &Settings) -> Result<(), ModelError> {
        self.try_load(slot, settings).inspect_err(|error| {
            self.set_model_state(slot, ModelState::Failed(error.problem.clone()));
        })
    }

    fn try_load(&self, slot: &Slot, settings: &Settings) -> Result<(), ModelError> {
        self.set_model_state(slot, ModelState::Loading);
        let started = Instant::now();
        let manifest = &slot.verified.manifest;
        let instances = instances(manifest.tier, settings);
        let Initialized {
            model,
            runners,
            costs,
            golden,
            idle_from_cells,
            times,
        } = initialize(&slot.verified, instances)?;
        let metrics = self.metrics().for_model(&manifest.name, manifest.tier.name());
        let scheduler_settings = SchedulerSettings {
            room: Amount {
                rows: settings.max_queue_texts,
                bytes: settings.max_queue_bytes,
            },
            batch: BatchLimits {
                max_rows: manifest.limits.max_batch_size,
                max_cells: max_cells(manifest.tier),
            },
        };
        let scheduler = Scheduler::start(&manifest.name, runners, &costs, scheduler_settings, metrics.clone())
            .map_err(|error| ModelError::new(&slot.verified.folder, format!("can't start its threads: {error}")))?;
        tracing::info!(
            model = manifest.name,
            version = manifest.version,
            fingerprint = slot.verified.fingerprint,
            tier = manifest.tier.name(),
            instances = instances.count,
            idle_from_cells,
            golden_examples = golden.examples,
            largest_logit_difference = golden.largest_difference,
            largest_batched_logit_difference = golden.largest_batched_difference,
            load_ms = millis(started.elapsed()),
            preprocessor_ms = millis(times.preprocessor),
            sessions_ms = millis(times.sessions),
            warm_up_ms = millis(times.warm_up),
            measuring_ms = millis(times.measuring),
            golden_ms = millis(times.golden),
            "model serves"
        );
        if manifest.stand_in {
            tracing::warn!(
                model = manifest.name,
                "this model is a stand-in: its answers are not meant for use"
            );
        }
        self.set_model_state(
            slot,
            ModelState::Serving(Serving {
                model,
                scheduler,
                metrics,
                cache: self.cache(),
            }),
        );
        Ok(())
    }

    /// Lets every model finish what it accepted and waits until its threads have ended. Blocks.
    pub fn stop_models(&self) {
        for slot in self.catalog().slots() {
            if let ModelState::Serving(serving) = &*slot.state() {
                serving.scheduler.close();
                serving.scheduler.join();
            }
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
