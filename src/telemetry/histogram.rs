//! Histograms that share their buckets and differ in their labels.

use std::time::{Duration, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};

use super::spans::SpanRef;

/// The bounds of the buckets of durations, in seconds: from 50 µs (a fast answer) to a minute, more of them where
/// deadlines are.
pub(super) const DURATION_BUCKETS: Buckets = Buckets {
    bounds: &[
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.6, 1.0, 1.5,
        2.5, 4.0, 6.0, 10.0, 15.0, 30.0, 60.0,
    ],
    native: true,
};

/// The factor from one native bucket to the next; chosen by the library from what the format has, so 2^(1/8) = 1.09.
const NATIVE_FACTOR: f64 = 1.1;
/// The most native buckets of a histogram: of them 160 reach over six powers of ten.
const MOST_NATIVE_BUCKETS: usize = 160;

/// The buckets of a histogram.
#[derive(Clone)]
pub(super) struct Buckets {
    /// The upper bounds, ascending; a bucket without one follows the last.
    pub(super) bounds: &'static [f64],
    /// Whether the histogram is also kept as a native one, which has its buckets from what it sees. Only Prometheus's
    /// protobuf format tells them.
    pub(super) native: bool,
}

impl Buckets {
    pub(super) const fn classic(bounds: &'static [f64]) -> Self {
        Self { bounds, native: false }
    }
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        let bounds = self.bounds.iter().copied();
        if self.native {
            let native = NativeHistogramConfig::new(NATIVE_FACTOR).max_buckets(MOST_NATIVE_BUCKETS);
            return Histogram::new_classic_and_native(bounds, native);
        }
        Histogram::new(bounds)
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

// The library has none that are native too.
impl MetricConstructor<HistogramWithExemplars<TraceLabels>> for Buckets {
    fn new_metric(&self) -> HistogramWithExemplars<TraceLabels> {
        HistogramWithExemplars::new(self.bounds.iter().copied())
    }
}

/// Adds a duration; the span of a sampled call becomes the exemplar of its bucket.
pub(super) fn observe(histogram: &HistogramWithExemplars<TraceLabels>, took: Duration, span: Option<SpanRef>) {
    let now = span.map(|_| SystemTime::now());
    histogram.observe(took.as_secs_f64(), span.map(TraceLabels::of), now);
}

/// A histogram for each set of labels, whose buckets point at the last sampled call in them.
pub(super) type ExemplarFamily<L> = Family<L, HistogramWithExemplars<TraceLabels>, Buckets>;
