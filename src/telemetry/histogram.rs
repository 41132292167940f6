//! Histograms that share their buckets and differ in their labels.

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;

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
