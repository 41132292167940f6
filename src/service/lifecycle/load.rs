//! Loading one version: its read and verified files become a model that takes requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::loaded_line::tell_loaded;
use crate::batching::shares::Amount;
use crate::batching::workers::{Workers, WorkersSettings};
use crate::config::Settings;
use crate::cores;
use crate::low_priority::LowPriority;
use crate::model::ModelError;
use crate::model::limited::{self, CallOff, LOAD_LIMIT, Stopped};
use crate::model::loading::{
    Around, Effort, Initialized, InstanceSettings, LoadOptions, SHORTEST_LIMIT, initialize_in,
};
use crate::model::memory::{self, Expected, Usage};
use crate::service::catalog::health::{Health, ServingState};
use crate::service::catalog::model_version::{ModelState, ModelVersion};
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::inference::answer_cache::AnswerCache;
use crate::service::inference::core_share::CoreShare;
use crate::service::inference::loaded_model::{LoadedModel, Surroundings};
use crate::service::inference::memory_budget::{Load, LoadedBytes, Loads, MemoryBudget};
use crate::telemetry::metrics::Metrics;

/// The longest that preprocessing one text may take; after that the model has failed. A sound tokenizer takes some
/// milliseconds for any text that a model reads.
const LONGEST_TEXT: Duration = Duration::from_secs(5);

/// The threads that preprocess, shared by all models. They start with the first model. Cheap to clone.
#[derive(Clone, Default)]
pub struct SharedWorkers(Arc<Mutex<Option<Workers>>>);

impl SharedWorkers {
    /// Returns the threads, and starts them first if need be.
    fn get(&self) -> std::io::Result<Workers> {
        let mut there = self.0.lock();
        if let Some(workers) = &*there {
            return Ok(workers.clone());
        }
        let workers = Workers::start(WorkersSettings {
            threads: workers_on(cores::usable()),
            patience: LONGEST_TEXT,
        })?;
        *there = Some(workers.clone());
        Ok(workers)
    }

    /// Lets as many of the threads work at once as there are cores for.
    pub fn follow_cores(&self, cores: usize) {
        if let Some(workers) = &*self.0.lock() {
            workers.set_at_once(workers_on(cores));
        }
    }

    /// Tells the threads to end, without waiting for them.
    pub fn close(&self) {
        if let Some(workers) = &*self.0.lock() {
            workers.close();
        }
    }
}

/// How many threads preprocess on so many cores: more would only take turns. At least two, since a text that never ends
/// would block the only one.
fn workers_on(cores: usize) -> usize {
    cores.max(2)
}

/// What all loads share.
pub struct Shared {
    /// The answer cache; absent where it is off.
    pub cache: Option<Arc<AnswerCache>>,
    pub workers: SharedWorkers,
    /// Cancelled when the lifecycle ends.
    pub stop: CancellationToken,
}

pub struct Loader {
    settings: Arc<Settings>,
    health: Health,
    metrics: Metrics,
    shared: Shared,
    budget: MemoryBudget,
    loads: Loads,
    asking: Mutex<()>,
}

impl Loader {
    /// A loader that has loaded nothing yet.
    pub fn new(settings: Arc<Settings>, health: Health, metrics: Metrics, shared: Shared) -> Self {
        Self {
            settings,
            health,
            metrics,
            shared,
            budget: MemoryBudget::default(),
            loads: Loads::default(),
            asking: Mutex::default(),
        }
    }

    /// Whether the server is about to end, so that nothing new should begin.
    pub fn is_stopping(&self) -> bool {
        self.health.is_draining() || self.shared.stop.is_cancelled()
    }

    /// Waits until the server is about to end.
    pub async fn until_stopping(&self) {
        tokio::select! {
            () = self.health.until_draining() => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Loads a version during a start, and lets it serve. Blocks.
    pub fn load_first(&self, version: &ModelVersion) -> Result<(), ModelError> {
        self.set_state(version, ModelState::Loading);
        let loaded = self.load(version, Around::Quiet);
        let loaded = loaded.map_err(|refusal| refusal.into_model_error(&version.verified.folder));
        let loaded = loaded.inspect_err(|error| {
            self.set_state(version, ModelState::Failed(error.problem.clone()));
        })?;
        self.set_state(version, ModelState::Serving(Arc::new(loaded)));
        Ok(())
    }

    /// Loads a version while others serve, at low priority. No catalog has the version yet. Blocks.
    pub fn load_beside(&self, version: &ModelVersion) -> Result<(), Refusal> {
        if self.is_stopping() {
            return Err(Refusal::new(Stage::Stopping, "the server is stopping"));
        }
        self.set_state(version, ModelState::Loading);
        let loaded = self.load(version, Around::Busy)?;
        version.set_state(ModelState::Serving(Arc::new(loaded)));
        Ok(())
    }

    /// Loads a version and starts its queue and threads. Leaves the version's state as it is.
    fn load(&self, version: &ModelVersion, around: Around) -> Result<LoadedModel, Refusal> {
        let manifest = &version.verified.manifest;
        let share = CoreShare::at_load(manifest.tier, &self.settings, cores::usable());
        let instances = share.instances;
        let expected = Expected::of(&version.verified, instances);
        let (counted, _load) = self.take_memory(expected)?;
        let started = Instant::now();
        let initialized = self.initialize(version, instances, around)?;
        let (took, max_tokens) = (started.elapsed(), self.settings.configured_max_tokens());
        tell_loaded(version, &initialized, took, around, max_tokens);
        let no_threads =
            |error: std::io::Error| Refusal::new(Stage::Load, format!("its threads can't be started: {error}"));
        let model = Arc::clone(&initialized.model);
        let surroundings = Surroundings {
            workers: self.shared.workers.get().map_err(no_threads)?,
            share,
            room: Amount {
                rows: self.settings.max_queue_texts,
                bytes: self.settings.max_queue_bytes,
            },
            metrics: self.metrics.for_model(&manifest.name, manifest.tier.name()),
            cache: self.shared.cache.clone(),
            counted,
        };
        let loaded = LoadedModel::start(initialized, surroundings).map_err(no_threads);
        let versions = self.metrics.versions();
        versions.open(version.name());
        versions.set_memory(version.name(), version.version(), Some(expected.bytes()));
        versions.set_providers(version.name(), version.version(), Some(&model.assigned));
        versions.set_device_memory(version.name(), version.version(), Some(model.device_memory.clone()));
        // What the load needed besides, and has freed.
        memory::give_back();
        loaded
    }

    /// Initializes the model on a thread of its own, which is abandoned if it takes too long or the server stops.
    fn initialize(
        &self,
        version: &ModelVersion,
        instances: InstanceSettings,
        around: Around,
    ) -> Result<Initialized, Refusal> {
        let verified = version.verified.clone();
        let run = self.settings.max_timeout.0.max(SHORTEST_LIMIT);
        let count_by_processors = CoreShare::is_count_free(verified.manifest.tier, &self.settings);
        let priority = match around {
            Around::Quiet => None,
            // Threads of ONNX Runtime and of other providers keep the priority that they were started with.
            Around::Busy if instances.intra_threads > 1 || !verified.providers.is_cpu() => Some(LowPriority::Runs),
            Around::Busy => Some(LowPriority::Loading),
        };
        let load = move |off: &CallOff| {
            if let Some(priority) = priority {
                priority.enter();
            }
            let off = off.clone();
            let effort = match around {
                Around::Quiet => Effort::Short,
                Around::Busy => Effort::Full,
            };
            let options = LoadOptions {
                run,
                off,
                effort,
                count_by_processors,
                measure_golden: false,
            };
            initialize_in(&verified, instances, around, &options)
        };
        let loaded = limited::run("model-load", LOAD_LIMIT, &|| self.is_stopping(), load);
        let initialized = loaded.map_err(|stopped| match stopped {
            Stopped::CalledOff => Refusal::new(Stage::Stopping, "the server is stopping"),
            stopped => Refusal::new(Stage::Load, format!("loading it: {stopped}")),
        })?;
        initialized.map_err(|error| Refusal::load(&error, &version.verified.folder))
    }

    /// Counts a version from now on, and its load, or refuses one that would not fit into RAM next to what is loaded and
    /// what is being loaded. The refusal says how it would fit.
    fn take_memory(&self, expected: Expected) -> Result<(LoadedBytes, Load), Refusal> {
        // Two loads may ask at once.
        let _one = self.asking.lock();
        let configured = (self.settings.max_model_memory > 0).then(|| Usage {
            used: self.budget.expected_bytes(),
            limit: self.settings.max_model_memory,
        });
        let of_group = memory::of_cgroup();
        let after_others = of_group.map(|usage| Usage {
            used: self.loads.used_after(usage.used),
            ..usage
        });
        let problem = configured
            .and_then(|usage| expected.too_much(usage, "max_model_memory's"))
            .or_else(|| expected.too_much(after_others?, "the control group's"));
        if let Some(problem) = problem {
            return Err(Refusal::new(Stage::Memory, problem));
        }
        let load = self
            .loads
            .begin(expected.bytes(), of_group.map_or(0, |usage| usage.used));
        Ok((self.budget.count(expected.bytes()), load))
    }

    /// Sets the state of a version, also in the metrics, and wakes those who watch.
    fn set_state(&self, version: &ModelVersion, state: ModelState) {
        version.set_state(state);
        self.tell_state(version);
    }

    /// Sets the metrics of a version to its state, and wakes those who watch.
    pub fn tell_state(&self, version: &ModelVersion) {
        let model = version.model_ref();
        let names = [&*model.name, &*model.version, &*model.fingerprint];
        let state = ServingState::by_load(version).name();
        let versions = self.metrics.versions();
        versions.set_state(names, state, &ServingState::NAMES);
        versions.set_verified(&model.name, &model.version, Some(version.verified.verified));
        self.health.tell();
    }
}
