//! Owner: everything that the lifecycle's thread works with. No other thread has it, and no other changes the catalog.

use std::sync::Arc;

use super::load::{Loader, Shared};
use super::reload::seen::Seen;
use super::retire::Retirement;
use super::unfollowed::Unfollowed;
use crate::config::Settings;
use crate::model::store::ModelStore;
use crate::service::catalog::Catalog;
use crate::service::catalog::audit_queue::AuditQueue;
use crate::service::catalog::health::Health;
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::pin_book::PinBook;
use crate::service::catalog::pins::ModelPins;
use crate::service::catalog::refusal::RefusedVersions;
use crate::service::catalog::store::CatalogStore;
use crate::telemetry::metrics::Metrics;

use super::commands::Warning;

/// What the lifecycle's thread shares with others; cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub catalog: CatalogStore,
    pub health: Health,
    pub metrics: Metrics,
    pub audits: AuditQueue,
    /// The texts that are kept; absent where none are.
    pub kept: Option<Arc<KeptTexts>>,
    /// Where the models were fetched from; absent if they are in a folder.
    pub store: Option<ModelStore>,
}

/// Everything that the lifecycle's thread works with.
pub struct Owner {
    /// With the repository of the last reload.
    pub settings: Arc<Settings>,
    /// Where the models were fetched from; absent if they are in a folder.
    pub fetched: Option<ModelStore>,
    pub store: CatalogStore,
    pub health: Health,
    pub metrics: Metrics,
    pub pins: PinBook,
    /// What other servers were told and this one could not do.
    pub unfollowed: Unfollowed,
    /// Whether it does what another server was told, whose pins are in the file already.
    pub follows: bool,
    /// The newest versions that were refused.
    pub refused: RefusedVersions,
    pub loader: Loader,
    /// Versions that are being retired.
    pub retirement: Retirement,
    /// What reloads saw in which folder.
    pub seen: Seen,
    /// Runs futures that this thread blocks on.
    pub runtime: Arc<tokio::runtime::Runtime>,
}

impl Owner {
    /// An owner at the start, before any reload.
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
            audits: _,
            kept: _,
            store: fetched,
        } = handles;
        Self {
            loader: Loader::new(Arc::clone(&settings), health.clone(), metrics.clone(), shared),
            retirement: Retirement::new(catalog.clone(), metrics.clone()),
            settings,
            fetched,
            store: catalog,
            health,
            metrics,
            pins,
            unfollowed: Unfollowed::default(),
            follows: false,
            refused,
            seen: Seen::default(),
            runtime: Arc::new(runtime),
        }
    }

    /// Takes the repository that was fetched last for the one to read; whether it is another one.
    pub fn follow_store(&mut self) -> bool {
        let Some(folder) = self.fetched.as_ref().map(ModelStore::folder) else {
            return false;
        };
        let is_new = self.settings.models != folder;
        if is_new {
            let settings = Settings {
                models: folder,
                ..(*self.settings).clone()
            };
            self.settings = Arc::new(settings);
        }
        is_new
    }

    /// Lets go of what was fetched earlier and none of whose versions is in the catalog.
    pub fn let_go(&self) {
        let Some(store) = &self.fetched else { return };
        let catalog = self.catalog();
        store.keep_only(&|folder| {
            let mut versions = catalog.versions();
            versions.any(|version| version.verified.folder.starts_with(folder))
        });
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        self.store.load()
    }

    /// Whether the server is about to end, so that nothing new should begin.
    pub fn is_stopping(&self) -> bool {
        self.loader.is_stopping()
    }

    /// Changes a model's pins. If they can't be written, logs it and returns the warning.
    pub fn pin(&self, model: &str, change: impl Fn(&mut ModelPins) + Send + Sync + 'static) -> Warning {
        if self.follows {
            return None;
        }
        let changed = self.pins.change(model, change);
        self.health.tell();
        if changed { self.pins.write().err() } else { None }
    }
}
