//! Health: what the versions add up to, whether the server drains, and those who watch it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::model_version::{ModelState, ModelVersion};
use super::store::CatalogStore;
use super::versions::Versions;

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

    /// The state of a version by its load alone, whatever it did since.
    pub fn by_load(version: &ModelVersion) -> Self {
        match &*version.state() {
            ModelState::Loading => ServingState::Loading,
            ModelState::Serving(_) => ServingState::Serving,
            ModelState::Failed(_) => ServingState::Failed,
        }
    }
}

/// The health of the server; cheap to clone.
#[derive(Clone)]
pub struct Health {
    catalog: CatalogStore,
    board: Arc<Board>,
}

struct Board {
    /// Whether the server drains. Sent anew whenever anything changed that a watcher may want to know.
    draining: watch::Sender<bool>,
    /// Whether a door that waits for the models is still closed.
    closed: AtomicBool,
    /// Told when an examination of a version is due.
    suspected: Notify,
}

impl Health {
    /// The health of what a catalog holds.
    pub fn new(catalog: CatalogStore) -> Self {
        let board = Board {
            draining: watch::Sender::new(false),
            closed: AtomicBool::new(false),
            suspected: Notify::new(),
        };
        Self {
            catalog,
            board: Arc::new(board),
        }
    }

    /// Whether the server is finishing what it has.
    pub fn is_draining(&self) -> bool {
        *self.board.draining.borrow()
    }

    /// From now on every state reads as draining, and those who watch hear it.
    pub fn start_draining(&self) {
        self.board.draining.send_replace(true);
    }

    /// Waits until the server drains.
    pub async fn until_draining(&self) {
        // The board outlives the wait.
        let _ = self.watch().wait_for(|draining| *draining).await;
    }

    /// From now on the server reads as loading until [`Self::open`]: a door takes no calls yet, which waits for the models.
    pub fn close(&self) {
        self.board.closed.store(true, Ordering::Relaxed);
    }

    /// Every door takes calls: the server serves once its models do, and those who watch hear it.
    pub fn open(&self) {
        self.board.closed.store(false, Ordering::Relaxed);
        self.tell();
    }

    /// Lets those who watch look again.
    pub fn tell(&self) {
        self.board.draining.send_modify(|_| ());
    }

    /// Hears of every change; the value says whether the server is draining.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.board.draining.subscribe()
    }

    /// Waits until the start has loaded every model.
    pub async fn until_loaded(&self) {
        let mut changes = self.watch();
        let loading = |versions: &Versions| matches!(*versions.stable.state(), ModelState::Loading);
        while self.catalog.load().models().values().any(loading) {
            // The board outlives the wait.
            let _ = changes.changed().await;
        }
    }

    /// Takes note of a request that a version failed on. After a burst an examination is due.
    pub fn failed(&self, version: &ModelVersion, now: Instant) {
        if version.breaker.failed(now) {
            self.board.suspected.notify_one();
        }
    }

    /// Waits until an examination may be due. For one who waits.
    pub async fn suspected(&self) {
        self.board.suspected.notified().await;
    }

    /// When a model that was turned out for its failures is back, the first of them.
    pub fn next_recovery(&self, now: Instant) -> Option<Instant> {
        let catalog = self.catalog.load();
        catalog
            .versions()
            .filter_map(|version| version.breaker.back_at(now))
            .min()
    }

    /// The state of a version, with its failures and the end of the server.
    pub fn state_of(&self, version: &ModelVersion) -> ServingState {
        if self.is_draining() {
            ServingState::Draining
        } else {
            before_the_end(version)
        }
    }

    /// The state of the server: serving once every door takes calls and the stable version of every model serves.
    pub fn state(&self) -> ServingState {
        if self.is_draining() {
            return ServingState::Draining;
        }
        let catalog = self.catalog.load();
        let stable = catalog.models().values().map(|versions| &versions.stable);
        let states: Vec<ServingState> = stable.map(|version| before_the_end(version)).collect();
        let any = |state| states.contains(&state);
        if any(ServingState::Failed) {
            ServingState::Failed
        } else if any(ServingState::Loading) || self.board.closed.load(Ordering::Relaxed) {
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
        let stable = self.catalog.load().stable(name)?;
        Some(self.state_of(&stable))
    }
}

/// The state of a version while the server does not drain.
fn before_the_end(version: &ModelVersion) -> ServingState {
    let state = ServingState::by_load(version);
    if state == ServingState::Serving && version.breaker.back_at(Instant::now()).is_some() {
        return ServingState::Failed;
    }
    state
}
