//! Histograms that share their buckets and differ in their labels.

use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;

use super::spans::SpanRef;

/// The upper bounds of a histogram's buckets, ascending; one without a bound follows the last.
#[derive(Clone)]
pub(super) struct Buckets(pub(super) &'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// A histogram for each set of labels.
pub(super) type HistogramFamily<L> = Family<L, Histogram, Buckets>;

/// What an exemplar points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TraceLabels {
    trace_id: String,
    span_id: String,
}

impl TraceLabels {
    fn of(span: SpanRef) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
        }
    }
}

impl MetricConstructor<HistogramWithExemplars<TraceLabels>> for Buckets {
    fn new_metric(&self) -> HistogramWithExemplars<TraceLabels> {
        HistogramWithExemplars::new(self.0.iter().copied())
    }
}

/// Adds a duration; the span of a sampled call becomes the exemplar of its bucket.
pub(super) fn observe(histogram: &HistogramWithExemplars<TraceLabels>, took: Duration, span: Option<SpanRef>) {
    let now = span.map(|_| SystemTime::now());
    histogram.observe(took.as_secs_f64(), span.map(TraceLabels::of), now);
}

/// A histogram for each set of labels, whose buckets point at the last sampled call in them.
pub(super) type ExemplarFamily<L> = Family<L, HistogramWithExemplars<TraceLabels>, Buckets>;
