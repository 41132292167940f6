//! Pipeline: answers requests. It reads what serves and counts how that went; it changes nothing else.
//!
//! In reading order: [`validate`] (what a request must satisfy whatever models there are) → [`route`] (which model
//! answers) → [`predict`] (the flow of one request) → [`target`] (one model's part in it) → [`cascade`] (both models'
//! parts) → [`escalation`] (which texts go to the deep model; pure) → [`answer`] (the answers) → [`cascade_metrics`]
//! (their counts) and [`auditing`] (which of them are looked at once more). Besides: [`windows`] (long texts in parts, each of
//! which goes that way), [`explain`].

pub mod answer;
pub mod auditing;
pub mod cascade;
pub mod cascade_metrics;
pub mod escalation;
pub mod explain;
pub mod predict;
pub mod route;
pub mod run_recorder;
pub mod target;
pub mod validate;
pub mod windows;

use super::catalog::audit_queue::AuditQueue;
use super::catalog::health::Health;
use super::catalog::store::CatalogStore;
use super::limits::{RequestLimits, WindowLimits};
use super::messages::{CallTimes, ExplainInput, ExplainOutput, PredictInput, PredictOutput};
use crate::error::Error;
use crate::telemetry::metrics::Metrics;

pub struct Pipeline {
    catalog: CatalogStore,
    health: Health,
    limits: RequestLimits,
    windows: WindowLimits,
    metrics: Metrics,
    audits: AuditQueue,
}

impl Pipeline {
    /// A pipeline over the models in a catalog.
    pub fn new(
        catalog: CatalogStore,
        health: Health,
        (limits, windows): (RequestLimits, WindowLimits),
        metrics: Metrics,
        audits: AuditQueue,
    ) -> Self {
        Self {
            catalog,
            health,
            limits,
            windows,
            metrics,
            audits,
        }
    }

    pub async fn predict(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let recorder = run_recorder::RunRecorder::new(&self.health, &self.metrics, times.caller);
        let limits = (self.limits, self.windows);
        predict::predict(input, times, &self.catalog.load(), limits, &recorder, &self.audits).await
    }

    pub async fn explain(&self, input: ExplainInput, times: CallTimes) -> Result<ExplainOutput, Error> {
        let recorder = run_recorder::RunRecorder::new(&self.health, &self.metrics, times.caller);
        explain::explain(input, times, &self.catalog.load(), self.limits, &recorder).await
    }
}
