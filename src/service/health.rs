//! Health: what the server tells of itself and of each model, and those who watch it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::Service;
use super::catalog::{ModelState, Slot};
use super::failures::Failures;
use super::types::{ModelRef, PredictOutput};
use crate::error::{Error, MODEL_FACT, Reason};

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
    /// By model; there is an entry only while a failure is remembered.
    failures: Mutex<HashMap<String, Failures>>,
    /// Whether there is an entry, for the many answers that need not look.
    remembers: AtomicBool,
}

impl HealthBoard {
    /// A board on which nothing has changed yet.
    pub fn new() -> Self {
        Self {
            draining: watch::Sender::new(false),
            failures: Mutex::default(),
            remembers: AtomicBool::new(false),
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        // Counters are whole after every step: a panic elsewhere with this lock would not make them wrong.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a model that failed too often is back; nothing if it is not out.
    fn back_at(&self, model: &str, now: Instant) -> Option<Instant> {
        if !self.remembers.load(Ordering::Relaxed) {
            return None;
        }
        self.failures().get(model)?.back_at(now)
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

    /// Takes note of how a request ended: a model that fails too often turns NOT_SERVING for a while.
    pub fn observe(&self, outcome: Result<&PredictOutput, &Error>, now: Instant) {
        let board = &self.inner.health;
        match outcome {
            Ok(output) => {
                if !board.remembers.load(Ordering::Relaxed) {
                    return;
                }
                let mut failures = board.failures();
                for model in &output.models {
                    if let Some(failures) = failures.get_mut(&model.name) {
                        failures.answered(now);
                    }
                }
                failures.retain(|_, failures| !failures.forgotten(now));
                board.remembers.store(!failures.is_empty(), Ordering::Relaxed);
            }
            Err(error) if error.reason == Reason::InferenceFailed => {
                // Only names of the catalog get in here, so that the map is bounded.
                let Some(slot) = error.fact(MODEL_FACT).and_then(|model| self.catalog().slot(model)) else {
                    return;
                };
                let model = slot.model_ref().name;
                let turned_out = {
                    let mut failures = board.failures();
                    board.remembers.store(true, Ordering::Relaxed);
                    let failures = failures.entry(model.clone());
                    failures.or_insert_with(|| Failures::new(now)).failed(now)
                };
                if let Some(pause) = turned_out {
                    tracing::error!(model, ?pause, "the model fails too often, health says NOT_SERVING");
                    board.draining.send_modify(|_| ());
                }
            }
            Err(_) => {}
        }
    }

    /// When a model that was turned out for its failures is back, the first of them.
    pub fn next_recovery(&self, now: Instant) -> Option<Instant> {
        let board = &self.inner.health;
        if !board.remembers.load(Ordering::Relaxed) {
            return None;
        }
        let failures = board.failures();
        failures.values().filter_map(|failures| failures.back_at(now)).min()
    }

    /// The state of a model, its failures included.
    fn state_of(&self, slot: &Slot) -> ServingState {
        let state = loaded_state(slot);
        let out = || self.inner.health.back_at(&slot.verified.manifest.name, Instant::now());
        if state == ServingState::Serving && out().is_some() {
            return ServingState::Failed;
        }
        state
    }

    /// Changes the state of a model and tells those who watch.
    pub(super) fn set_model_state(&self, slot: &Slot, state: ModelState) {
        slot.set_state(state);
        let model = slot.model_ref();
        let labels = [model.name.as_str(), &model.version, &model.fingerprint];
        self.metrics()
            .set_model_state(labels, loaded_state(slot).name(), &ServingState::NAMES);
        self.inner.health.draining.send_modify(|_| ());
    }

    /// The state of the server: serving when every model of every task is.
    pub fn state(&self) -> ServingState {
        if self.is_draining() {
            return ServingState::Draining;
        }
        let states: Vec<ServingState> = self.catalog().slots().map(|slot| self.state_of(slot)).collect();
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
            self.state_of(slot)
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
            self.state_of(slot)
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

fn loaded_state(slot: &Slot) -> ServingState {
    match &*slot.state() {
        ModelState::Loading => ServingState::Loading,
        ModelState::Serving(_) => ServingState::Serving,
        ModelState::Failed(_) => ServingState::Failed,
    }
}
