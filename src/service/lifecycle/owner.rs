//! What the lifecycle's thread works with. It is the only one that has it, and the only one that changes the catalog.

use std::sync::Arc;

use super::load::{Loader, Shared};
use super::reload::seen::Seen;
use super::retire::Retirement;
use crate::config::Settings;
use crate::service::catalog::Catalog;
use crate::service::catalog::health::Health;
use crate::service::catalog::pins::{ModelPins, PinBook};
use crate::service::catalog::refusal::RefusedVersions;
use crate::service::catalog::store::CatalogStore;
use crate::telemetry::metrics::Metrics;

use super::commands::Warning;

/// What others have too; cheap to clone.
#[derive(Clone)]
pub struct Handles {
    /// The models and tasks that serve.
    pub catalog: CatalogStore,
    /// What that adds up to.
    pub health: Health,
    /// The metrics.
    pub metrics: Metrics,
}

/// What the lifecycle's thread works with.
pub struct Owner {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The models and tasks that serve.
    pub store: CatalogStore,
    /// What that adds up to.
    pub health: Health,
    /// The metrics.
    pub metrics: Metrics,
    /// What operators said of versions.
    pub pins: PinBook,
    /// The newest versions that do not serve.
    pub refused: RefusedVersions,
    /// Loads versions.
    pub loader: Loader,
    /// Lets versions go.
    pub retirement: Retirement,
    /// What reloads saw in which folder.
    pub seen: Seen,
    /// Runs what waits, while this thread waits for it.
    pub runtime: Arc<tokio::runtime::Runtime>,
}

impl Owner {
    /// An owner that has seen nothing yet.
    pub fn new(
        settings: Arc<Settings>,
        handles: Handles,
        pins: PinBook,
        refused: RefusedVersions,
        shared: Shared,
        runtime: tokio::runtime::Runtime,
    ) -> Self {
        let Handles {
            catalog,
            health,
            metrics,
        } = handles;
        Self {
            loader: Loader::new(Arc::clone(&settings), health.clone(), metrics.clone(), shared),
            retirement: Retirement::new(catalog.clone(), metrics.clone()),
            settings,
            store: catalog,
            health,
            metrics,
            pins,
            refused,
            seen: Seen::default(),
            runtime: Arc::new(runtime),
        }
    }

    /// The models and tasks of this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.store.load()
    }

    /// Whether nothing new should begin.
    pub fn is_stopping(&self) -> bool {
        self.loader.is_stopping()
    }

    /// Changes what is said of a model; what could not be written is told.
    pub fn pin(&self, model: &str, change: impl FnOnce(&mut ModelPins)) -> Warning {
        let changed = self.pins.change(model, change);
        self.health.tell();
        changed.err()
    }
}
