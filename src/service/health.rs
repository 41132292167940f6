//! Health: what the server tells of itself and of each model, and those who watch it.

use tokio::sync::watch;

use super::Service;
use super::catalog::{ModelState, Slot};
use super::types::ModelRef;

/// The names of the services that `grpc.health.v1` knows, besides `""` and the models.
pub const SERVICES: [&str; 1] = ["tandem.v1.PredictionService"];

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
}

impl HealthBoard {
    /// A board on which nothing has changed yet.
    pub fn new() -> Self {
        Self {
            draining: watch::Sender::new(false),
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

    /// Hears of every change of state; the value says whether the server is draining.
    pub fn watch_health(&self) -> watch::Receiver<bool> {
        self.inner.health.draining.subscribe()
    }

    /// Changes the state of a model and tells those who watch.
    pub(super) fn set_model_state(&self, slot: &Slot, state: ModelState) {
        slot.set_state(state);
        let model = slot.model_ref();
        let labels = [model.name.as_str(), &model.version, &model.fingerprint];
        self.metrics()
            .set_model_state(labels, state_of(slot).name(), &ServingState::NAMES);
        self.inner.health.draining.send_modify(|_| ());
    }

    /// The state of the server: serving when every model of every task is.
    pub fn state(&self) -> ServingState {
        if self.is_draining() {
            return ServingState::Draining;
        }
        let states: Vec<ServingState> = self.catalog().slots().map(|slot| state_of(slot)).collect();
        let any = |state| states.contains(&state);
        if any(ServingState::Failed) {
            ServingState::Failed
        } else if any(ServingState::Loading) {
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
            state_of(slot)
        })
    }

    /// What is told of each model, by name.
    pub fn model_reports(&self) -> Vec<ModelReport> {
        self.catalog().slots().map(|slot| self.report(slot)).collect()
    }

    fn report(&self, slot: &Slot) -> ModelReport {
        let manifest = &slot.verified.manifest;
        let state = if self.is_draining() {
            ServingState::Draining
        } else {
            state_of(slot)
        };
        let (message, queued_texts) = match &*slot.state() {
            ModelState::Serving(serving) => {
                let message = if manifest.stand_in {
                    "a stand-in: a placeholder for a model still to come"
                } else {
                    ""
                };
                (message.to_owned(), serving.scheduler.queued_rows())
            }
            ModelState::Loading => ("being loaded".to_owned(), 0),
            ModelState::Failed(reason) => (reason.clone(), 0),
        };
        ModelReport {
            model: slot.model_ref(),
            state,
            message,
            queued_texts,
            labels: manifest.labels.clone(),
            max_token_count: manifest.max_token_count(),
            tasks: self.catalog().tasks_of(slot).into_iter().map(str::to_owned).collect(),
        }
    }
}

fn state_of(slot: &Slot) -> ServingState {
    match &*slot.state() {
        ModelState::Loading => ServingState::Loading,
        ModelState::Serving(_) => ServingState::Serving,
        ModelState::Failed(_) => ServingState::Failed,
    }
}
