//! Letting a version go: it finishes what it accepted, its threads end, its memory is given back.
//!
//! Nothing is closed here: a version ends when the last request that has it is answered, so that none is ever turned away.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::locked;
use crate::model::memory::give_back;
use crate::service::Service;
use crate::service::catalog::ModelState;
use crate::service::health::ServingState;
use crate::service::slot::Slot;
use crate::service::types::ModelRef;
use crate::telemetry::logs::millis;

/// How long a reload waits for the end of the versions that it replaced; they end in any case.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Service {
    /// Lets versions go that no new request gets. Requests that have one keep it: its queue closes, its threads end and its
    /// memory is given back when the last of them is answered.
    pub(in crate::service) fn retire(&self, slots: Vec<Arc<Slot>>) {
        let started = Instant::now();
        let mut threads = Vec::new();
        let mut models = Vec::new();
        for slot in slots {
            let model = slot.model_ref();
            let labels = [model.name.as_str(), &model.version, &model.fingerprint];
            self.metrics().versions().forget(labels, &ServingState::NAMES);
            // The same version may be here with other files.
            if self.catalog().version(&model.name, &model.version).is_none() {
                self.metrics()
                    .versions()
                    .set_verified(&model.name, &model.version, None);
            }
            if let ModelState::Serving(serving) = &*slot.state() {
                threads.extend(serving.scheduler.take_threads());
                models.push(model);
            }
        }
        if models.is_empty() {
            return;
        }
        let (gone, wait) = mpsc::channel::<()>();
        // It ends with the last request that has one of the versions; each has a deadline. `Reloads::stop` waits for it.
        let retiring = std::thread::Builder::new().name("model-retire".into()).spawn(move || {
            for thread in threads {
                let _ = thread.join();
            }
            give_back();
            for ModelRef { name, version, .. } in models {
                let took_ms = millis(started.elapsed());
                tracing::info!(model = name, version, took_ms, "a version is gone");
            }
            drop(gone);
        });
        if let Ok(thread) = retiring {
            let mut retiring = locked(&self.inner.reloads.retiring);
            retiring.retain(|thread| !thread.is_finished());
            retiring.push(thread);
        }
        let _ = wait.recv_timeout(LONGEST_WAIT);
    }
}
