//! The metrics of what texts are like, by model: to see when they change. They are of a sample of requests, so their ratios
//! count.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::histogram::{Buckets, HistogramFamily};

const SIZE_BUCKETS: Buckets = Buckets::classic(&[
    16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0,
]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InputLabels {
    model: String,
    tier: &'static str,
}

/// The metrics of every model's texts; cheap to clone.
#[derive(Clone)]
pub struct InputFamilies {
    sizes: HistogramFamily<InputLabels>,
    tokens: Family<InputLabels, Counter>,
    unknown: Family<InputLabels, Counter>,
}

impl InputFamilies {
    pub fn register(registry: &mut Registry) -> Self {
        let families = Self {
            sizes: Family::new_with_constructor(SIZE_BUCKETS),
            tokens: Family::default(),
            unknown: Family::default(),
        };
        registry.register(
            "sampled_text_size_bytes",
            "Sizes of texts, of a sample of requests",
            families.sizes.clone(),
        );
        registry.register(
            "sampled_tokens",
            "Tokens or features that the model read, of a sample of requests",
            families.tokens.clone(),
        );
        registry.register(
            "sampled_unknown_tokens",
            "Tokens or features that the model does not know, of a sample of requests",
            families.unknown.clone(),
        );
        families
    }

    pub fn for_model(&self, name: &str, tier: &'static str) -> InputMetrics {
        let labels = InputLabels {
            model: name.to_owned(),
            tier,
        };
        InputMetrics {
            sizes: self.sizes.get_or_create_owned(&labels),
            tokens: self.tokens.get_or_create_owned(&labels),
            unknown: self.unknown.get_or_create_owned(&labels),
        }
    }
}

/// The metrics of one model's texts.
pub struct InputMetrics {
    sizes: Histogram,
    tokens: Counter,
    unknown: Counter,
}

impl InputMetrics {
    /// Adds the size of a text, in bytes.
    pub fn sized(&self, bytes: usize) {
        self.sizes.observe(bytes as f64);
    }

    /// Counts the tokens or features of a text, and those that the model does not know.
    pub fn read(&self, tokens: usize, unknown: usize) {
        self.tokens.inc_by(tokens as u64);
        self.unknown.inc_by(unknown as u64);
    }
}
