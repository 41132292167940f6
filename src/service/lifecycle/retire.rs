//! Retiring a version: it finishes what it accepted, its threads end, its RAM is freed.
//!
//! Nothing is closed by force: a version ends when the last request that holds it is answered, so no request is turned
//! away.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::model::memory::give_back;
use crate::service::catalog::health::ServingState;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::store::CatalogStore;
use crate::service::messages::ModelRef;
use crate::telemetry::logs::millis;
use crate::telemetry::metrics::Metrics;

/// How long to wait for retired versions; they end even if it takes longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often to look meanwhile whether their threads have ended.
const LOOK: Duration = Duration::from_millis(5);

/// The versions that are being retired.
pub struct Retirement {
    catalog: CatalogStore,
    metrics: Metrics,
    leaving: Vec<Leaving>,
}

/// A version that is being retired.
struct Leaving {
    model: ModelRef,
    threads: Vec<JoinHandle<()>>,
    since: Instant,
}

impl Retirement {
    /// No version is being retired yet.
    pub fn new(catalog: CatalogStore, metrics: Metrics) -> Self {
        Self {
            catalog,
            metrics,
            leaving: Vec::new(),
        }
    }

    /// Begins to retire versions that no new request gets, and waits a while for their end. Requests that hold one keep
    /// it: when the last of them is answered, its queue closes, its threads end and its RAM is freed. Each request has
    /// a deadline.
    pub fn retire(&mut self, versions: Vec<Arc<ModelVersion>>) {
        let since = Instant::now();
        for version in versions {
            let model = version.model_ref();
            let names = [&*model.name, &*model.version, &*model.fingerprint];
            self.metrics.versions().forget(names, &ServingState::NAMES);
            // The catalog may have the same version again, with other files.
            if self.catalog.load().version(&model.name, &model.version).is_none() {
                self.metrics.versions().set_verified(&model.name, &model.version, None);
                self.metrics.versions().set_memory(&model.name, &model.version, None);
                self.metrics.versions().set_providers(&model.name, &model.version, None);
                self.metrics
                    .versions()
                    .set_device_memory(&model.name, &model.version, None);
            }
            if let Some(loaded) = version.loaded() {
                let threads = loaded.scheduler.take_threads();
                self.leaving.push(Leaving { model, threads, since });
            }
        }
        self.wait(since + LONGEST_WAIT);
    }

    /// Whether any version is being retired.
    pub fn is_under_way(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Waits until all are gone, at most until `until`.
    pub fn wait(&mut self, until: Instant) {
        self.look();
        while self.is_under_way() && Instant::now() < until {
            std::thread::sleep(LOOK);
            self.look();
        }
    }

    /// Drops those that are gone.
    pub fn look(&mut self) {
        let is_gone = |leaving: &mut Leaving| leaving.threads.iter().all(JoinHandle::is_finished);
        let gone: Vec<Leaving> = self.leaving.extract_if(.., is_gone).collect();
        if gone.is_empty() {
            return;
        }
        give_back();
        for Leaving { model, threads, since } in gone {
            for thread in threads {
                let _ = thread.join();
            }
            let (ModelRef { name, version, .. }, took_ms) = (model, millis(since.elapsed()));
            tracing::info!(model = &*name, version = &*version, took_ms, "a version is gone");
        }
    }
}
