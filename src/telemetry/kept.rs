//! The metrics of texts that are kept to be labelled.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeptLabels {
    task: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DroppedLabels {
    cause: &'static str,
}

/// Why a text is not kept that should have been, or not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is larger than the room for its reason.
    TooLarge,
    /// Too many wait to be written.
    FileBusy,
    /// The file has the size that it may have.
    FileFull,
    /// The file can't be written.
    FileFailed,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::TooLarge => "too_large",
            Cause::FileBusy => "file_busy",
            Cause::FileFull => "file_full",
            Cause::FileFailed => "file_failed",
        }
    }
}

/// Counts of kept texts; cheap to clone.
#[derive(Clone)]
pub struct KeptMetrics {
    kept: Family<KeptLabels, Counter>,
    dropped: Family<DroppedLabels, Counter>,
}

impl KeptMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            kept: Family::default(),
            dropped: Family::default(),
        };
        registry.register(
            "kept_texts",
            "Texts that were kept to be labelled, by reason",
            metrics.kept.clone(),
        );
        registry.register(
            "kept_dropped_texts",
            "Texts that were not kept, or not written to keep_file, by cause",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// Counts a text that is kept for a reason. Tasks and reasons are the server's own names, so the labels stay bounded.
    pub fn kept(&self, task: &str, reason: &'static str) {
        let labels = KeptLabels {
            task: task.to_owned(),
            reason,
        };
        self.kept.get_or_create(&labels).inc();
    }

    /// Counts a text that was dropped.
    pub fn dropped(&self, cause: Cause) {
        let labels = DroppedLabels { cause: cause.name() };
        self.dropped.get_or_create(&labels).inc();
    }
}
