//! Histograms that share their buckets and differ in their labels.

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};

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
