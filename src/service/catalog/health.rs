//! Health: the state of the server and of each model, whether the server drains, and who watches that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::model_version::{ModelState, ModelVersion};
use super::store::CatalogStore;
use super::versions::Versions;

/// The services that `grpc.health.v1` knows, besides `""` and the models.
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
    /// Could not be loaded, or its circuit breaker took it out.
    Failed,
}

impl ServingState {
    /// Every value of [`Self::name`].
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

    /// The state of a version by its load alone, whatever its circuit breaker says.
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
    /// Whether the server drains. Sent again whenever something changed that a watcher may want to know.
    draining: watch::Sender<bool>,
    /// Whether a port that waits for the models is still closed.
    closed: AtomicBool,
    /// Wakes whoever starts examinations, when one is due.
    suspected: Notify,
}

impl Health {
    /// The health of the versions in the catalog.
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

    /// Whether the server drains: it finishes open requests and takes no new ones.
    pub fn is_draining(&self) -> bool {
        *self.board.draining.borrow()
    }

    /// Turns every state to draining, for good, and tells those who watch.
    pub fn start_draining(&self) {
        self.board.draining.send_replace(true);
    }

    /// Waits until the server drains.
    pub async fn until_draining(&self) {
        // No error: this health, and with it the sender, outlives the wait.
        let _ = self.watch().wait_for(|draining| *draining).await;
    }

    /// Makes the server read as loading until [`Self::open`]. For a port that opens only once the models are loaded.
    pub fn close(&self) {
        self.board.closed.store(true, Ordering::Relaxed);
    }

    /// Undoes [`Self::close`] once every port takes calls, and tells those who watch.
    pub fn open(&self) {
        self.board.closed.store(false, Ordering::Relaxed);
        self.tell();
    }

    /// Wakes those who watch, so that they look again.
    pub fn tell(&self) {
        self.board.draining.send_modify(|_| ());
    }

    /// A channel that hears of every change; its value says whether the server drains.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.board.draining.subscribe()
    }

    /// Waits until no model of the start is loading any more.
    pub async fn until_loaded(&self) {
        let mut changes = self.watch();
        let loading = |versions: &Versions| matches!(*versions.stable.state(), ModelState::Loading);
        while self.catalog.load().models().values().any(loading) {
            // No error: this health, and with it the sender, outlives the wait.
            let _ = changes.changed().await;
        }
    }

    /// Counts a request that a version failed on. After a burst of them an examination is due.
    pub fn failed(&self, version: &ModelVersion, now: Instant) {
        if version.breaker.failed(now) {
            self.board.suspected.notify_one();
        }
    }

    /// Waits until an examination may be due. For one waiting task only.
    pub async fn suspected(&self) {
        self.board.suspected.notified().await;
    }

    /// The earliest moment at which a version that its circuit breaker took out serves again.
    pub fn next_recovery(&self, now: Instant) -> Option<Instant> {
        let catalog = self.catalog.load();
        catalog
            .versions()
            .filter_map(|version| version.breaker.back_at(now))
            .min()
    }

    /// The state of a version: draining, or else by its load and its circuit breaker.
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

    /// What [`Self::state_of_service`] answers for every name that it knows.
    pub fn states_of_services(&self) -> Vec<(String, ServingState)> {
        let server = self.state();
        let services = [""].into_iter().chain(SERVICES);
        let services = services.map(|name| (name.to_owned(), server));
        let catalog = self.catalog.load();
        let models = catalog.models().iter();
        let models = models.map(|(name, versions)| (name.clone(), self.state_of(&versions.stable)));
        services.chain(models).collect()
    }

    /// The state of a service of `grpc.health.v1`: the server for `""`, one of [`SERVICES`], or a model. `None` for any
    /// other name.
    pub fn state_of_service(&self, name: &str) -> Option<ServingState> {
        if name.is_empty() || SERVICES.contains(&name) {
            return Some(self.state());
        }
        let stable = self.catalog.load().stable(name)?;
        Some(self.state_of(&stable))
    }
}

/// The state of a version, by its load and its circuit breaker.
fn before_the_end(version: &ModelVersion) -> ServingState {
    let state = ServingState::by_load(version);
    if state == ServingState::Serving && version.breaker.back_at(Instant::now()).is_some() {
        return ServingState::Failed;
    }
    state
}
