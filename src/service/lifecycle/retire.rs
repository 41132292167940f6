//! Letting a version go: it finishes what it accepted, its threads end, its memory is given back.
//!
//! Nothing is closed here: a version ends when the last request that has it is answered, so that none is ever turned away.

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

/// How long whoever lets versions go waits for their end; they end in any case.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often their threads are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Versions on their way out.
pub struct Retirement {
    catalog: CatalogStore,
    metrics: Metrics,
    leaving: Vec<Leaving>,
}

/// A version on its way out.
struct Leaving {
    model: ModelRef,
    threads: Vec<JoinHandle<()>>,
    since: Instant,
}

impl Retirement {
    /// No version leaves yet.
    pub fn new(catalog: CatalogStore, metrics: Metrics) -> Self {
        Self {
            catalog,
            metrics,
            leaving: Vec::new(),
        }
    }

    /// Lets versions go that no new request gets, and waits a while for their end. Requests that have one keep it: its queue closes,
    /// its threads end and its memory is given back when the last of them is answered; each has a deadline.
    pub fn retire(&mut self, versions: Vec<Arc<ModelVersion>>) {
        let since = Instant::now();
        for version in versions {
            let model = version.model_ref();
            let labels = [model.name.as_str(), &model.version, &model.fingerprint];
            self.metrics.versions().forget(labels, &ServingState::NAMES);
            // The same version may be here with other files.
            if self.catalog.load().version(&model.name, &model.version).is_none() {
                self.metrics.versions().set_verified(&model.name, &model.version, None);
            }
            if let Some(serving) = version.serving() {
                let threads = serving.scheduler.take_threads();
                self.leaving.push(Leaving { model, threads, since });
            }
        }
        self.wait(since + LONGEST_WAIT);
    }

    /// Whether a version is on its way out.
    pub fn is_under_way(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Waits until all are gone, or until `until`.
    pub fn wait(&mut self, until: Instant) {
        self.look();
        while self.is_under_way() && Instant::now() < until {
            std::thread::sleep(LOOK);
            self.look();
        }
    }

    /// Looks which ones are gone.
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
            tracing::info!(model = name, version, took_ms, "a version is gone");
        }
    }
}
