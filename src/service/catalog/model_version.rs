//! One version of a model: its files, its state, and its circuit breaker.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::circuit_breaker::CircuitBreaker;
use crate::model::loaded::Model;
use crate::model::repository::VerifiedModel;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::messages::ModelRef;

pub struct ModelVersion {
    /// The files and the manifest, verified.
    pub verified: VerifiedModel,
    pub breaker: CircuitBreaker,
    model_ref: ModelRef,
    state: ArcSwap<ModelState>,
}

/// The state of a version.
pub enum ModelState {
    /// Being loaded, verified or warmed up.
    Loading,
    /// Taking requests.
    Serving(Arc<LoadedModel>),
    /// Could not be loaded. Holds the reason, for people.
    Failed(String),
}

impl ModelVersion {
    /// A version that is still to be loaded.
    pub fn new(verified: VerifiedModel) -> Self {
        let manifest = &verified.manifest;
        let model_ref = ModelRef {
            name: manifest.name.as_str().into(),
            version: manifest.version.as_str().into(),
            fingerprint: verified.fingerprint.as_str().into(),
            tier: manifest.tier,
        };
        Self {
            model_ref,
            verified,
            breaker: CircuitBreaker::default(),
            state: ArcSwap::from_pointee(ModelState::Loading),
        }
    }

    pub fn name(&self) -> &str {
        &self.verified.manifest.name
    }

    pub fn version(&self) -> &str {
        &self.verified.manifest.version
    }

    pub fn state(&self) -> Arc<ModelState> {
        self.state.load_full()
    }

    /// The loaded model, while the version takes requests.
    pub fn loaded(&self) -> Option<Arc<LoadedModel>> {
        match &**self.state.load() {
            ModelState::Serving(loaded) => Some(Arc::clone(loaded)),
            ModelState::Loading | ModelState::Failed(_) => None,
        }
    }

    /// The model without its queue, while the version takes requests.
    pub fn model(&self) -> Option<Arc<Model>> {
        self.loaded().map(|loaded| Arc::clone(&loaded.model))
    }

    /// Changes the state. The caller tells those who watch.
    pub fn set_state(&self, state: ModelState) {
        self.state.store(Arc::new(state));
    }

    pub fn model_ref(&self) -> ModelRef {
        self.model_ref.clone()
    }
}
