//! The loaded versions of one model: the stable version, the canary, and those that serve only requests that name them.

use std::sync::Arc;

use super::canary::CanaryWatch;
use super::model_version::ModelVersion;

/// The loaded versions of one model.
#[derive(Clone)]
pub struct Versions {
    /// The version that tasks use, and that serves requests that name no version.
    pub stable: Arc<ModelVersion>,
    /// The version that a share of the clients gets.
    pub canary: Option<Canary>,
    /// Further versions, for requests that name them.
    pub others: Vec<Arc<ModelVersion>>,
}

/// The canary of a model. Once its watch has ended, it serves only requests that name it.
#[derive(Clone)]
pub struct Canary {
    pub version: Arc<ModelVersion>,
    /// The share of the clients, above 0 and at most 1.
    pub share: f64,
    /// How it does.
    pub watch: Arc<CanaryWatch>,
}

impl Versions {
    /// A model with one version.
    pub fn only(stable: Arc<ModelVersion>) -> Self {
        Self {
            stable,
            canary: None,
            others: Vec::new(),
        }
    }

    /// Every version, the stable one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ModelVersion>> {
        let canary = self.canary.as_ref().map(|canary| &canary.version);
        std::iter::once(&self.stable).chain(canary).chain(&self.others)
    }

    /// The canary, unless it has ended.
    pub fn live_canary(&self) -> Option<&Canary> {
        self.canary.as_ref().filter(|canary| !canary.watch.ended())
    }

    /// Makes a version stable. The one before it leaves, and so does any other of the same number.
    pub fn exchange(&mut self, stable: Arc<ModelVersion>) {
        self.others.retain(|other| other.version() != stable.version());
        if let Some(canary) = self
            .canary
            .take_if(|canary| canary.version.version() == stable.version())
        {
            canary.watch.end();
        }
        self.stable = stable;
    }

    /// Makes a version the canary, or none. The canary before it stays loaded.
    pub fn set_canary(&mut self, canary: Option<Canary>) {
        if let Some(Canary { version, watch, .. }) = self.canary.take() {
            if canary.as_ref().is_none_or(|canary| !Arc::ptr_eq(&canary.watch, &watch)) {
                watch.end();
            }
            self.others.push(version);
        }
        if let Some(canary) = &canary {
            self.others.retain(|other| !Arc::ptr_eq(other, &canary.version));
        }
        self.canary = canary;
    }
}
