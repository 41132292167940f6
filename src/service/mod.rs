//! The service: what all doors call. No tonic, no axum, no ort in here.
//!
//! The [`pipeline`] answers requests and only counts; the [`lifecycle`] changes what serves. Neither imports the other.
//! Both know the [`catalog`] (which versions there are, and how each does) and [`inference`] (one loaded model).
//! [`status`] reports on the models. [`messages`] holds what goes in and comes out, [`limits`] the limits on one
//! request.

pub mod catalog;
pub mod inference;
pub mod lifecycle;
pub mod limits;
pub mod messages;
pub mod pipeline;
pub mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::error::{Error, Reason};
use crate::model::ModelError;
use crate::model::manifest::is_name;
use crate::telemetry::metrics::Metrics;
use catalog::Catalog;
use catalog::audit_queue::AuditQueue;
use catalog::fetched;
use catalog::health::{Health, ServingState};
use catalog::kept::KeptTexts;
use catalog::kept::page::{KeptPage, KeptQuery};
use catalog::model_version::ModelVersion;
use catalog::refusal::RefusedVersion;
use catalog::store::CatalogStore;
use inference::answer_cache::AnswerCache;
use lifecycle::Lifecycle;
use lifecycle::commands::{Operation, Warning};
use lifecycle::kept_file;
use lifecycle::owner::Handles;
use lifecycle::report::ReloadReport;
use lifecycle::start::{OpenedCatalog, StartError};
use limits::{RequestLimits, WindowLimits};
use messages::{CallTimes, ExplainInput, ExplainOutput, PredictInput, PredictOutput, TaskOutput};
use pipeline::{Pipeline, named_tasks};
use status::Status;
use status::model_info::{ModelDetails, ModelPage, ModelVersions, TaskDetails};
use status::model_report::ModelReport;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    parts: Arc<Parts>,
}

struct Parts {
    pipeline: Pipeline,
    lifecycle: Arc<Lifecycle>,
    status: Status,
    catalog: CatalogStore,
    health: Health,
    limits: RequestLimits,
    cache: Option<Arc<AnswerCache>>,
    /// The texts that are kept; absent where none are.
    kept: Option<Arc<KeptTexts>>,
    settings: Arc<Settings>,
    metrics: Metrics,
    started_at: Instant,
}

impl Service {
    /// A service over the models that a start opened. None of them is loaded yet. An error means that the system gives
    /// no thread, or that the file for kept texts can't be written.
    pub fn new(settings: &Settings, opened: OpenedCatalog, metrics: Metrics) -> Result<Self, StartError> {
        let settings = Arc::new(fetched::local(settings, opened.store.as_ref()));
        let limits = RequestLimits {
            max_texts: settings.max_texts,
            max_text_bytes: settings.max_text_bytes,
        };
        let windows = WindowLimits {
            of_text: settings.max_windows.min(settings.max_queue_texts),
            of_request: settings.max_queue_texts,
            bytes: settings.max_queue_bytes,
        };
        let OpenedCatalog {
            catalog,
            pins,
            refused,
            store,
        } = opened;
        let catalog = CatalogStore::new(catalog);
        let health = Health::new(catalog.clone());
        let cache = AnswerCache::new(settings.cache_bytes);
        let audits = AuditQueue::default();
        let kept = kept_file::start(&settings, metrics.kept())?;
        let handles = Handles {
            catalog: catalog.clone(),
            health: health.clone(),
            metrics: metrics.clone(),
            audits: audits.clone(),
            kept: kept.clone(),
            store,
        };
        let lifecycle = Arc::new(Lifecycle::start(
            Arc::clone(&settings),
            pins,
            refused,
            cache.clone(),
            handles.clone(),
        )?);
        let parts = Parts {
            pipeline: Pipeline::new(
                catalog.clone(),
                health.clone(),
                (limits, windows),
                metrics.clone(),
                (audits, kept.clone()),
            ),
            status: Status::new(&handles, Arc::clone(&lifecycle), Arc::clone(&settings)),
            lifecycle,
            catalog,
            health,
            limits,
            cache,
            kept,
            settings,
            metrics,
            started_at: Instant::now(),
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// Answers one request, and records how it ended.
    pub async fn answer(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        self.parts.pipeline.predict(input, times).await
    }

    /// Answers a request for several tasks, and records how that ended.
    pub async fn answer_tasks(&self, input: PredictInput, times: CallTimes) -> Result<Vec<TaskOutput>, Error> {
        self.parts.pipeline.predict_tasks(input, times).await
    }

    /// How many tasks the field `tasks` of a request asks for.
    pub fn task_count(&self, tasks: &[String]) -> usize {
        named_tasks::count(tasks, &self.catalog())
    }

    /// Explains the answers to texts, and records how that ended.
    pub async fn explain(&self, input: ExplainInput, times: CallTimes) -> Result<ExplainOutput, Error> {
        self.parts.pipeline.explain(input, times).await
    }

    /// The models and tasks of this moment. Take one snapshot for all that belongs together: the next call may return
    /// another.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.parts.catalog.load()
    }

    /// The health of the server and of each model.
    pub fn health(&self) -> &Health {
        &self.parts.health
    }

    /// The settings that the server was started with.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    pub fn limits(&self) -> RequestLimits {
        self.parts.limits
    }

    /// Returns freed RAM from the allocator to the system. May take some milliseconds.
    pub fn give_memory_back() {
        crate::model::memory::give_back();
    }

    /// The answer cache; `None` where it is off.
    pub fn cache(&self) -> Option<Arc<AnswerCache>> {
        self.parts.cache.clone()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// The time since the service was made.
    pub fn uptime(&self) -> Duration {
        self.parts.started_at.elapsed()
    }
}

/// Health.
impl Service {
    /// Whether the server drains: it finishes open requests and takes no new ones.
    pub fn is_draining(&self) -> bool {
        self.parts.health.is_draining()
    }

    /// Turns every state to draining, for good, and tells those who watch.
    pub fn start_draining(&self) {
        self.parts.health.start_draining();
    }

    /// Makes the server read as loading until [`Self::open`]. For a port that opens only once the models are loaded.
    pub fn close(&self) {
        self.parts.health.close();
    }

    /// Undoes [`Self::close`] once every port takes calls, and tells those who watch.
    pub fn open(&self) {
        self.parts.health.open();
    }

    /// A channel that hears of every change; its value says whether the server drains.
    pub fn watch_health(&self) -> watch::Receiver<bool> {
        self.parts.health.watch()
    }

    /// Waits until no model of the start is loading any more.
    pub async fn until_loaded(&self) {
        self.parts.health.until_loaded().await;
    }

    /// The earliest moment at which a version that its circuit breaker took out serves again.
    pub fn next_recovery(&self, now: Instant) -> Option<Instant> {
        self.parts.health.next_recovery(now)
    }

    pub fn state(&self) -> ServingState {
        self.parts.health.state()
    }

    /// The state of a service of `grpc.health.v1`: the server for `""`, one of [`catalog::health::SERVICES`], or a
    /// model. `None` for any other name.
    pub fn state_of_service(&self, name: &str) -> Option<ServingState> {
        self.parts.health.state_of_service(name)
    }

    /// What [`Self::state_of_service`] answers for every name that it knows.
    pub fn states_of_services(&self) -> Vec<(String, ServingState)> {
        self.parts.health.states_of_services()
    }
}

/// Reports on the models.
impl Service {
    /// A report on every loaded version, by model name, the stable version first.
    pub fn model_reports(&self) -> Vec<ModelReport> {
        self.parts.status.reports()
    }

    /// A page of all loaded versions, by name, then version.
    pub fn list_models(&self, page_size: i32, page_token: &str) -> Result<ModelPage, Error> {
        self.parts.status.list(page_size, page_token)
    }

    /// The tasks, by name.
    pub fn task_details(&self) -> Vec<TaskDetails> {
        self.parts.status.tasks()
    }

    /// One version of a model, by `name` or `name@version`, all loaded versions of that model, and the tasks that it serves.
    pub fn get_model(&self, name: &str) -> Result<(ModelDetails, ModelVersions, Vec<TaskDetails>), Error> {
        self.parts.status.get(name)
    }

    /// A page of the texts that are kept to be labelled.
    pub fn export_texts(&self, query: KeptQuery<'_>) -> Result<KeptPage, Error> {
        let not_kept = || Error::new(Reason::TextsNotKept, "this server keeps no texts: set keep_texts");
        let kept = self.parts.kept.as_ref().ok_or_else(not_kept)?;
        if !query.task.is_empty() && self.catalog().task(query.task).is_none() {
            optional_name("task", query.task)?;
            let problem = format!("task: there is no task `{}`", query.task);
            return Err(Error::new(Reason::TaskNotFound, problem));
        }
        kept.page(query)
    }

    /// The newest versions that were refused, by model, and why.
    pub fn refused_versions(&self) -> BTreeMap<String, RefusedVersion> {
        self.parts.lifecycle.refused().all()
    }
}

/// Changes to what serves.
impl Service {
    /// Loads every model, one after the other, and lets each serve as soon as it passed its checks. Blocks; ends at the first
    /// failure, or when told to stop.
    pub fn load_models(&self) -> Result<(), ModelError> {
        self.parts.lifecycle.load_models()
    }

    /// Loads one version where the start has no older one to serve. Blocks.
    pub fn load_model(&self, version: &Arc<ModelVersion>) -> Result<(), ModelError> {
        self.parts.lifecycle.load_version_alone(version)
    }

    /// Watches the cores, canaries and failing versions until `end`. Its tasks have ended when this returns.
    pub async fn supervise(&self, end: CancellationToken) {
        self.parts.lifecycle.supervise(end).await;
    }

    /// Looks for new versions and exchanges those that pass every check. Reports what became of each.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        self.parts.lifecycle.reload().await
    }

    /// Reloads if files have changed and been quiet since the last look. Waits for what is fetched, not for the reload.
    pub async fn look_for_versions(&self) {
        self.parts.lifecycle.look_for_versions().await;
    }

    /// Makes a version stable and pins it. With an empty `version`, makes the newest stable, now and from then on.
    pub async fn promote(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let operation = match optional_name("version", version)? {
            Some(version) => Operation::MakeStable { version },
            None => Operation::FollowNewest,
        };
        let follows = operation == Operation::FollowNewest;
        let warning = self.operate(name, operation).await?;
        if follows {
            self.reload().await;
        }
        Ok(warning)
    }

    /// Rolls back `version`. Where it is empty: the canary, or else the stable version.
    pub async fn roll_back(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let version = optional_name("version", version)?;
        self.operate(name, Operation::RollBack { version }).await
    }

    /// Makes a version the canary for `share` of the clients, from 0 to 1. 0 ends the canary.
    pub async fn set_canary(&self, name: &str, version: &str, share: f64) -> Result<Warning, Error> {
        name_in("name", name)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::invalid_field("share", "must be from 0 to 1"));
        }
        let operation = if share == 0.0 {
            let version = version.to_owned();
            Operation::EndCanary { version }
        } else {
            let version = name_in("version", version)?;
            Operation::SetCanary { version, share }
        };
        self.operate(name, operation).await
    }

    /// Loads a version beside the stable one, for requests that name it.
    pub async fn load_version(&self, name: &str, version: &str) -> Result<Warning, Error> {
        name_in("name", name)?;
        let version = name_in("version", version)?;
        self.operate(name, Operation::LoadBeside { version }).await
    }

    /// Unloads a version that is not stable.
    pub async fn unload_version(&self, name: &str, version: &str) -> Result<Warning, Error> {
        name_in("name", name)?;
        let version = name_in("version", version)?;
        self.operate(name, Operation::Unload { version }).await
    }

    async fn operate(&self, name: &str, operation: Operation) -> Result<Warning, Error> {
        let name = name_in("name", name)?;
        self.parts.lifecycle.operate(name, operation).await
    }

    /// Stops the lifecycle, then lets every model finish what it accepted and waits until its threads have ended. Waits
    /// for each at most a few seconds. What was kept for the file is written by then. Blocks.
    pub fn stop_models(&self) {
        self.parts.lifecycle.stop();
        if let Some(kept) = &self.parts.kept {
            kept.close();
        }
    }
}

/// The value of a field that must be a name.
fn name_in(field: &str, value: &str) -> Result<String, Error> {
    if is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(Error::invalid_field(field, "must match [a-z0-9][a-z0-9_-]{0,62}"))
    }
}

/// The same for a field that may be empty.
fn optional_name(field: &str, value: &str) -> Result<Option<String>, Error> {
    if value.is_empty() {
        return Ok(None);
    }
    name_in(field, value).map(Some)
}
