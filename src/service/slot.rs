//! One version of a model: its files, its state, and how it has done of late.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::cache::AnswerCache;
use super::examine::Finding;
use super::failures::Failures;
use super::preparing::Preparation;
use super::reload::LoadedBytes;
use super::reload::beside::Tap;
use super::types::ModelRef;
use crate::batching::Scheduler;
use crate::model::loaded::Model;
use crate::model::repository::VerifiedModel;
use crate::telemetry::metrics::ModelMetrics;

/// The place of one model in one version.
pub struct Slot {
    /// The files, checked.
    pub verified: VerifiedModel,
    state: ArcSwap<ModelState>,
    failures: Mutex<Option<Failures>>,
    /// Whether a failure is remembered, for the many answers that need not look.
    remembers: AtomicBool,
}

/// The state of a model.
pub enum ModelState {
    /// Being loaded, verified or warmed up.
    Loading,
    /// Taking requests.
    Serving(Serving),
    /// Could not be loaded; why, for people.
    Failed(String),
}

/// A model that takes requests.
#[derive(Clone)]
pub struct Serving {
    /// Its pre- and postprocessing.
    pub model: Arc<Model>,
    /// Where its texts become inputs.
    pub preparation: Preparation,
    /// Its queue and instances.
    pub scheduler: Scheduler,
    /// Its metrics.
    pub metrics: ModelMetrics,
    /// Where its answers are kept; none if they are not.
    pub cache: Option<Arc<AnswerCache>>,
    /// The size of a batch, in cells, from which on more threads run what is alone; nothing if they do not pay.
    pub idle_from_cells: Option<usize>,
    /// Where copies of its requests go while another version is tried.
    pub tap: Tap,
    /// Its part of the memory that loaded models are expected to take.
    pub(super) _counted: Arc<LoadedBytes>,
}

impl Slot {
    /// A place for a model that is not loaded yet.
    pub fn new(verified: VerifiedModel) -> Self {
        Self {
            verified,
            state: ArcSwap::from_pointee(ModelState::Loading),
            failures: Mutex::default(),
            remembers: AtomicBool::new(false),
        }
    }

    /// The model's version.
    pub fn version(&self) -> &str {
        &self.verified.manifest.version
    }

    /// The state that the model is in.
    pub fn state(&self) -> Arc<ModelState> {
        self.state.load_full()
    }

    /// The model, where it is loaded.
    pub fn loaded(&self) -> Option<Arc<Model>> {
        match &*self.state() {
            ModelState::Serving(serving) => Some(Arc::clone(&serving.model)),
            ModelState::Loading | ModelState::Failed(_) => None,
        }
    }

    /// Changes the state; `Service::set_model_state` tells those who watch.
    pub(super) fn set_state(&self, state: ModelState) {
        self.state.store(Arc::new(state));
    }

    /// The model's name, version and fingerprint.
    pub fn model_ref(&self) -> ModelRef {
        let manifest = &self.verified.manifest;
        ModelRef {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            fingerprint: self.verified.fingerprint.clone(),
            tier: manifest.tier,
        }
    }

    /// Takes note of a request that was answered.
    pub(super) fn answered(&self, now: Instant) {
        if !self.remembers() {
            return;
        }
        let mut failures = self.failures();
        if let Some(known) = &mut *failures {
            known.answered(now);
            if known.forgotten(now) {
                *failures = None;
            }
        }
        self.remembers.store(failures.is_some(), Ordering::Relaxed);
    }

    /// Takes note of a request that the model failed on; says whether it is to be examined.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut failures = self.failures();
        self.remembers.store(true, Ordering::Relaxed);
        failures.get_or_insert_with(|| Failures::new(now)).failed(now)
    }

    /// Takes note of what an examination found; says for how long the model is turned out, if it is.
    pub(super) fn found(&self, finding: Finding, now: Instant) -> Option<Duration> {
        let mut failures = self.failures();
        failures.get_or_insert_with(|| Failures::new(now)).found(finding, now)
    }

    /// When the model is back after too many failures; nothing if it is not out.
    pub fn back_at(&self, now: Instant) -> Option<Instant> {
        if !self.remembers() {
            return None;
        }
        self.failures().as_ref()?.back_at(now)
    }

    /// Whether a failure is remembered.
    pub(super) fn remembers(&self) -> bool {
        self.remembers.load(Ordering::Relaxed)
    }

    fn failures(&self) -> MutexGuard<'_, Option<Failures>> {
        // Counters are whole after every step: a panic elsewhere with this lock would not make them wrong.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
