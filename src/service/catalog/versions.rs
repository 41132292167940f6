//! The versions of one model: the stable one, the canary, and those that only requests get which name them.

use std::sync::Arc;

use super::canary::CanaryWatch;
use super::model_version::ModelVersion;

/// What there is of one model.
#[derive(Clone)]
pub struct Versions {
    /// The version that tasks use, and that requests get which name none.
    pub stable: Arc<ModelVersion>,
    /// The version that a share of the clients gets.
    pub canary: Option<Canary>,
    /// Further versions that are loaded; only requests that name them get them.
    pub others: Vec<Arc<ModelVersion>>,
}

/// A version that a share of the clients gets, until its watch has ended.
#[derive(Clone)]
pub struct Canary {
    /// The version.
    pub version: Arc<ModelVersion>,
    /// The share.
    pub share: f64,
    /// How it does.
    pub watch: Arc<CanaryWatch>,
}

impl Versions {
    /// One version alone.
    pub fn only(stable: Arc<ModelVersion>) -> Self {
        Self {
            stable,
            canary: None,
            others: Vec::new(),
        }
    }

    /// All of them, the stable one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ModelVersion>> {
        let canary = self.canary.as_ref().map(|canary| &canary.version);
        std::iter::once(&self.stable).chain(canary).chain(&self.others)
    }

    /// The canary, unless it has ended.
    pub fn live_canary(&self) -> Option<&Canary> {
        self.canary.as_ref().filter(|canary| !canary.watch.ended())
    }

    /// Puts a version in the place of the stable one; others of the same name go.
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

    /// Makes a version the canary, or none; the one before stays loaded.
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
