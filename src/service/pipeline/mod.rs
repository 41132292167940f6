//! Pipeline: answers requests. It reads what serves and counts how that went; it changes nothing else.
//!
//! In reading order: [`validate`] (what a request must satisfy whatever models there are) → [`route`] (which model
//! answers) → [`predict`] (the flow of one request) → [`target`] (one model's part in it) → [`cascade`] (both models'
//! parts) → [`escalation`] (which texts go to the deep model; pure) → [`answer`] (the answers) → [`cascade_metrics`]
//! (their counts), [`auditing`] (which of them are looked at once more) and [`keeping`] (which texts are worth labelling).
//! Besides: [`several_tasks`] (one request, several tasks, by [`named_tasks`], each of which goes that way), [`windows`] (long
//! texts in parts, each of which goes that way), [`explain`].

pub mod answer;
pub mod auditing;
pub mod cascade;
pub mod cascade_metrics;
pub mod escalation;
pub mod explain;
pub mod keeping;
pub mod named_tasks;
pub mod predict;
pub mod route;
pub mod run_recorder;
pub mod several_tasks;
pub mod target;
pub mod validate;
pub mod windows;

use std::sync::Arc;

use super::catalog::audit_queue::AuditQueue;
use super::catalog::health::Health;
use super::catalog::kept::KeptTexts;
use super::catalog::store::CatalogStore;
use super::limits::{RequestLimits, WindowLimits};
use super::messages::{CallTimes, ExplainInput, ExplainOutput, PredictInput, PredictOutput, TaskOutput};
use crate::error::Error;
use crate::service::catalog::Catalog;
use crate::telemetry::metrics::Metrics;
use predict::Serving;
use run_recorder::RunRecorder;

pub struct Pipeline {
    catalog: CatalogStore,
    health: Health,
    limits: RequestLimits,
    windows: WindowLimits,
    metrics: Metrics,
    audits: AuditQueue,
    /// The texts that are kept; absent where none are.
    kept: Option<Arc<KeptTexts>>,
}

impl Pipeline {
    /// A pipeline over the models in a catalog.
    pub fn new(
        catalog: CatalogStore,
        health: Health,
        (limits, windows): (RequestLimits, WindowLimits),
        metrics: Metrics,
        (audits, kept): (AuditQueue, Option<Arc<KeptTexts>>),
    ) -> Self {
        Self {
            catalog,
            health,
            limits,
            windows,
            metrics,
            audits,
            kept,
        }
    }

    pub async fn predict(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let (catalog, recorder) = (self.catalog.load(), self.recorder(&times));
        predict::predict(input, times, &self.serving(&catalog, &recorder)).await
    }

    pub async fn predict_tasks(&self, input: PredictInput, times: CallTimes) -> Result<Vec<TaskOutput>, Error> {
        let (catalog, recorder) = (self.catalog.load(), self.recorder(&times));
        several_tasks::predict(input, times, &self.serving(&catalog, &recorder)).await
    }

    fn recorder(&self, times: &CallTimes) -> RunRecorder<'_> {
        RunRecorder::new(&self.health, &self.metrics, times.caller, times.span.clone())
    }

    fn serving<'a>(&'a self, catalog: &'a Catalog, recorder: &'a RunRecorder<'a>) -> Serving<'a> {
        Serving {
            catalog,
            limits: self.limits,
            windows: self.windows,
            recorder,
            audits: &self.audits,
            kept: self.kept.as_deref(),
        }
    }

    pub async fn explain(&self, input: ExplainInput, times: CallTimes) -> Result<ExplainOutput, Error> {
        let recorder = self.recorder(&times);
        explain::explain(input, times, &self.catalog.load(), self.limits, &recorder).await
    }
}
