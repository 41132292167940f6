//! How the runs of a request went: for the circuit breaker of the version that ran, and for its canary. Recorded where a model ran, and
//! nowhere else.

use std::time::Instant;

use parking_lot::Mutex;

use crate::error::{Error, Reason};
use crate::service::catalog::canary::Arm;
use crate::service::catalog::health::Health;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::messages::ClientKey;
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::metrics::Metrics;

/// Records how runs went, for circuit breakers and canaries.
pub struct RunRecorder<'a> {
    health: &'a Health,
    metrics: &'a Metrics,
    caller: ClientKey,
    /// Notes what is done for the request, if it is sampled.
    span: CallSpan,
    /// The versions that failed in this request, by name and version: several tasks may run the same texts on one.
    failed: Mutex<Vec<(String, String)>>,
}

impl<'a> RunRecorder<'a> {
    /// A recorder for one caller's requests.
    pub fn new(health: &'a Health, metrics: &'a Metrics, caller: ClientKey, span: CallSpan) -> Self {
        Self {
            health,
            metrics,
            caller,
            span,
            failed: Mutex::default(),
        }
    }

    pub fn span(&self) -> &CallSpan {
        &self.span
    }

    pub fn metrics(&self) -> &Metrics {
        self.metrics
    }

    fn is_first_failure(&self, version: &ModelVersion) -> bool {
        let of = (version.name().to_owned(), version.version().to_owned());
        let mut failed = self.failed.lock();
        let is_first = !failed.contains(&of);
        if is_first {
            failed.push(of);
        }
        is_first
    }

    /// Records how a run on a model went, a failure of a version once. An error that is the caller's fault, or for want of time or room, does not
    /// count against the model.
    pub fn record<T>(&self, version: &ModelVersion, arm: Option<&Arm>, outcome: &Result<T, Error>) {
        let failed = match outcome {
            Ok(_) => false,
            Err(error) if error.reason == Reason::InferenceFailed => true,
            Err(_) => return,
        };
        if failed && !self.is_first_failure(version) {
            return;
        }
        let now = Instant::now();
        if failed {
            self.health.failed(version, now);
        } else {
            version.breaker.answered(now);
        }
        if let Some(Arm { watch, canary }) = arm.filter(|arm| !arm.watch.ended()) {
            self.metrics.versions().canary_request(&watch.model, *canary, failed);
            watch.requested(*canary, failed, self.caller);
        }
    }
}
