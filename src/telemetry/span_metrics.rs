//! The metrics of spans: how many were sent to the collector, and how many were lost on the way.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LostLabels {
    why: &'static str,
}

/// What became of spans; cheap to clone.
#[derive(Clone, Default)]
pub struct SpanMetrics {
    sent: Counter,
    lost: Family<LostLabels, Counter>,
}

impl SpanMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "spans_sent",
            "Spans that an OpenTelemetry collector took",
            metrics.sent.clone(),
        );
        registry.register(
            "spans_lost",
            "Spans that no collector took: for want of room in the queue, or since none could be reached or took them",
            metrics.lost.clone(),
        );
        metrics
    }

    /// Counts spans that a collector took.
    pub fn sent(&self, spans: usize) {
        self.sent.inc_by(spans as u64);
    }

    /// Counts spans that were lost. `why` is one of the server's own words.
    pub fn lost(&self, why: &'static str, spans: usize) {
        self.lost.get_or_create(&LostLabels { why }).inc_by(spans as u64);
    }
}
