//! One version of a model: its files, its state, and its circuit breaker.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::circuit_breaker::CircuitBreaker;
use crate::model::loaded::Model;
use crate::model::repository::VerifiedModel;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::messages::ModelRef;

/// One version of a model.
pub struct ModelVersion {
    /// The files, checked.
    pub verified: VerifiedModel,
    /// How it has done of late.
    pub breaker: CircuitBreaker,
    state: ArcSwap<ModelState>,
}

/// The state of a version.
pub enum ModelState {
    /// Being loaded, verified or warmed up.
    Loading,
    /// Taking requests.
    Serving(Arc<LoadedModel>),
    /// Could not be loaded; why, for people.
    Failed(String),
}

impl ModelVersion {
    /// A version that is not loaded yet.
    pub fn new(verified: VerifiedModel) -> Self {
        Self {
            verified,
            breaker: CircuitBreaker::default(),
            state: ArcSwap::from_pointee(ModelState::Loading),
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.verified.manifest.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.verified.manifest.version
    }

    /// The state that it is in.
    pub fn state(&self) -> Arc<ModelState> {
        self.state.load_full()
    }

    /// What runs it, while it takes requests.
    pub fn serving(&self) -> Option<Arc<LoadedModel>> {
        match &**self.state.load() {
            ModelState::Serving(loaded) => Some(Arc::clone(loaded)),
            ModelState::Loading | ModelState::Failed(_) => None,
        }
    }

    /// The model, where it is loaded.
    pub fn model(&self) -> Option<Arc<Model>> {
        self.serving().map(|loaded| Arc::clone(&loaded.model))
    }

    /// Changes the state; telling those who watch is for whoever does.
    pub fn set_state(&self, state: ModelState) {
        self.state.store(Arc::new(state));
    }

    /// The model's name, version, fingerprint and tier.
    pub fn model_ref(&self) -> ModelRef {
        let manifest = &self.verified.manifest;
        ModelRef {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            fingerprint: self.verified.fingerprint.clone(),
            tier: manifest.tier,
        }
    }
}
