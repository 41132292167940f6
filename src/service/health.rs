//! Health: what the server tells of itself and of each model, and those who watch it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::Service;
use super::catalog::{Catalog, ModelState, Versions};
use super::reload::RefusedVersion;
use super::rollout::labels::RolledBack;
use super::slot::Slot;
use super::types::ModelRef;
use crate::error::{Error, MODEL_FACT, MODEL_VERSION_FACT, Reason};

/// The names of the services that `grpc.health.v1` knows, besides `""` and the models.
pub const SERVICES: [&str; 2] = ["tandem.v1.PredictionService", "tandem.v1.ModelService"];

/// Whether something takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingState {
    /// Being loaded, verified or warmed up.
    Loading,
    /// Taking requests.
    Serving,
    /// Finishing what it has.
    Draining,
    /// Could not be loaded, or failed since.
    Failed,
}

impl ServingState {
    /// The names in metrics.
    pub const NAMES: [&'static str; 4] = ["loading", "serving", "draining", "failed"];

    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            ServingState::Loading => "loading",
            ServingState::Serving => "serving",
            ServingState::Draining => "draining",
            ServingState::Failed => "failed",
        }
    }
}

/// Tells those who watch that something changed.
pub struct HealthBoard {
    draining: watch::Sender<bool>,
    /// Whether a door that waits for the models is still closed.
    closed: AtomicBool,
    /// Whether any model remembers a failure, for the many answers that need not look.
    remembers: AtomicBool,
}

impl HealthBoard {
    /// A board on which nothing has changed yet.
    pub fn new() -> Self {
        Self {
            draining: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            remembers: AtomicBool::new(false),
        }
    }
}

impl Default for HealthBoard {
    fn default() -> Self {
        Self::new()
    }
}

/// What is told of one model.
#[derive(Clone, Debug)]
pub struct ModelReport {
    /// Which model.
    pub model: ModelRef,
    /// Whether it is the version that requests get which name none.
    pub stable: bool,
    /// Its state.
    pub state: ServingState,
    /// Why it is not serving, or what should be known of it.
    pub message: String,
    /// Texts that wait for it now.
    pub queued_texts: usize,
    /// Its labels.
    pub labels: Vec<String>,
    /// The most tokens or features that it reads.
    pub max_token_count: usize,
    /// The tasks that it serves.
    pub tasks: Vec<String>,
    /// Whether golden examples of the training framework say how it should answer.
    pub verified: bool,
}

impl Service {
    /// Whether the server is finishing what it has.
    pub fn is_draining(&self) -> bool {
        *self.inner.health.draining.borrow()
    }

    /// From now on every state reads as draining, and those who watch hear it.
    pub fn start_draining(&self) {
        self.inner.health.draining.send_replace(true);
    }

    /// From now on the server reads as loading until [`Self::open`]: a door takes no calls yet, which waits for the models.
    pub fn close(&self) {
        self.inner.health.closed.store(true, Ordering::Relaxed);
    }

    /// Every door takes calls: the server serves once its models do, and those who watch hear it.
    pub fn open(&self) {
        self.inner.health.closed.store(false, Ordering::Relaxed);
        self.tell_health();
    }

    /// Hears of every change of state; the value says whether the server is draining.
    pub fn watch_health(&self) -> watch::Receiver<bool> {
        self.inner.health.draining.subscribe()
    }

    /// Waits until the start has loaded every model.
    pub async fn until_loaded(&self) {
        let mut changes = self.watch_health();
        let loading = |versions: &Versions| matches!(*versions.stable.state(), ModelState::Loading);
        while self.catalog().models().values().any(loading) {
            // The board lives as long as the service.
            let _ = changes.changed().await;
        }
    }

    /// Takes note of how a request ended: a model that fails too often is examined, and turns NOT_SERVING for a while if it is
    /// broken. Within tokio's runtime.
    pub fn observe(&self, outcome: Result<&[ModelRef], &Error>, now: Instant) {
        let remembers = &self.inner.health.remembers;
        match outcome {
            Ok(models) => {
                if !remembers.load(Ordering::Relaxed) {
                    return;
                }
                let catalog = self.catalog();
                for slot in models.iter().filter_map(|model| catalog.slot_of(model)) {
                    slot.answered(now);
                }
                remembers.store(catalog.slots().any(|slot| slot.remembers()), Ordering::Relaxed);
            }
            Err(error) if error.reason == Reason::InferenceFailed => {
                let Some(slot) = blamed(error, &self.catalog()) else {
                    return;
                };
                let examine = slot.failed(now);
                remembers.store(true, Ordering::Relaxed);
                if examine {
                    self.examine(slot);
                }
            }
            Err(_) => {}
        }
    }

    /// When a model that was turned out for its failures is back, the first of them.
    pub fn next_recovery(&self, now: Instant) -> Option<Instant> {
        if !self.inner.health.remembers.load(Ordering::Relaxed) {
            return None;
        }
        self.catalog().slots().filter_map(|slot| slot.back_at(now)).min()
    }

    /// The state of a model, its failures included.
    fn state_of(&self, slot: &Slot) -> ServingState {
        let state = loaded_state(slot);
        if state == ServingState::Serving && slot.back_at(Instant::now()).is_some() {
            return ServingState::Failed;
        }
        state
    }

    /// Lets those who watch look again.
    pub(super) fn tell_health(&self) {
        self.inner.health.draining.send_modify(|_| ());
    }

    /// Changes the state of a model and tells those who watch.
    pub(super) fn set_model_state(&self, slot: &Slot, state: ModelState) {
        slot.set_state(state);
        self.tell_model_state(slot);
    }

    /// Tells those who watch the state of a model.
    pub(super) fn tell_model_state(&self, slot: &Slot) {
        let model = slot.model_ref();
        let labels = [model.name.as_str(), &model.version, &model.fingerprint];
        let state = loaded_state(slot).name();
        let versions = self.metrics().versions();
        versions.set_state(labels, state, &ServingState::NAMES);
        versions.set_verified(&model.name, &model.version, Some(slot.verified.verified));
        self.tell_health();
    }

    /// The state of the server: serving when every door takes calls and every model of every task serves, in its stable version.
    pub fn state(&self) -> ServingState {
        if self.is_draining() {
            return ServingState::Draining;
        }
        let catalog = self.catalog();
        let stable = catalog.models().values().map(|versions| &versions.stable);
        let states: Vec<ServingState> = stable.map(|slot| self.state_of(slot)).collect();
        let any = |state| states.contains(&state);
        if any(ServingState::Failed) {
            ServingState::Failed
        } else if any(ServingState::Loading) || self.inner.health.closed.load(Ordering::Relaxed) {
            ServingState::Loading
        } else {
            ServingState::Serving
        }
    }

    /// The state of what `grpc.health.v1` calls a service: the server for `""`, one of [`SERVICES`], or a model.
    pub fn state_of_service(&self, name: &str) -> Option<ServingState> {
        if name.is_empty() || SERVICES.contains(&name) {
            return Some(self.state());
        }
        let slot = self.catalog().slot(name)?;
        Some(if self.is_draining() {
            ServingState::Draining
        } else {
            self.state_of(&slot)
        })
    }

    /// What is told of every loaded version of each model, by name, the stable one first.
    pub fn model_reports(&self) -> Vec<ModelReport> {
        let catalog = self.catalog();
        catalog.slots().map(|slot| self.report(slot, &catalog)).collect()
    }

    pub(super) fn report(&self, slot: &Slot, catalog: &Catalog) -> ModelReport {
        let manifest = &slot.verified.manifest;
        let state = if self.is_draining() {
            ServingState::Draining
        } else {
            self.state_of(slot)
        };
        let in_force = slot.loaded();
        let (message, queued_texts) = match &*slot.state() {
            ModelState::Serving(serving) => (self.remark(slot, catalog), serving.scheduler.queued_rows()),
            ModelState::Loading => ("being loaded".to_owned(), 0),
            ModelState::Failed(reason) => (reason.clone(), 0),
        };
        ModelReport {
            model: slot.model_ref(),
            stable: catalog.is_stable(slot),
            state,
            message,
            queued_texts,
            labels: manifest.labels.clone(),
            max_token_count: in_force
                .map_or_else(|| manifest.max_token_count(), |model| model.manifest.max_token_count()),
            tasks: catalog.tasks_of(slot).into_iter().map(str::to_owned).collect(),
            verified: slot.verified.verified,
        }
    }
}

impl Service {
    /// What should be known of a version that serves: most of all what does not.
    fn remark(&self, slot: &Slot, catalog: &Catalog) -> String {
        let manifest = &slot.verified.manifest;
        let name = &manifest.name;
        let versions = catalog.models().get(name);
        let stable = catalog.is_stable(slot);
        if let Some(RefusedVersion { version, refusal }) = self.refused_versions().get(name).filter(|_| stable) {
            return format!("version `{version}` was refused ({}): {refusal}", refusal.stage.name());
        }
        if let Some(canary) = versions.and_then(Versions::live_canary) {
            let (version, percent) = (canary.slot.version(), 100.0 * canary.share);
            return match (stable, std::ptr::eq(&*canary.slot, slot)) {
                (true, _) => format!("version `{version}` is the canary, for {percent}% of the clients"),
                (false, true) => format!("the canary, for {percent}% of the clients"),
                (false, false) => String::new(),
            };
        }
        if let Some(RolledBack { version, reason }) = self.inner.rollouts.labels.of(name).rolled_back.filter(|_| stable)
        {
            return format!("version `{version}` was rolled back: {reason}");
        }
        let remarks = slot.loaded().map(|model| model.remarks()).unwrap_or_default();
        let known = match () {
            () if manifest.stand_in => "a stand-in: a placeholder for a model still to come".to_owned(),
            () if !slot.verified.verified => {
                let unverified = "not verified: nobody compared its answers with those of its training framework";
                let assumed = slot.verified.assumed();
                match assumed.is_empty() {
                    true => unverified.to_owned(),
                    false => format!("{assumed}; {unverified}"),
                }
            }
            () => String::new(),
        };
        match known.is_empty() || remarks.is_empty() {
            true => known + &remarks,
            false => format!("{known}; {remarks}"),
        }
    }
}

/// The model that an error names, if it is still here.
fn blamed(error: &Error, catalog: &Catalog) -> Option<Arc<Slot>> {
    let model = error.fact(MODEL_FACT)?;
    match error.fact(MODEL_VERSION_FACT) {
        Some(version) => catalog.version(model, version),
        None => catalog.slot(model),
    }
}

fn loaded_state(slot: &Slot) -> ServingState {
    match &*slot.state() {
        ModelState::Loading => ServingState::Loading,
        ModelState::Serving(_) => ServingState::Serving,
        ModelState::Failed(_) => ServingState::Failed,
    }
}
