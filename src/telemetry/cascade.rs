//! The metrics of cascades and fallback, by task.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::{Buckets, HistogramFamily};

/// The bounds of the buckets of confidences. With two labels a confidence is at least one half; with more it may be
/// lower.
const CONFIDENCE_BUCKETS: Buckets = Buckets::classic(&[
    0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0,
]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    task: String,
    route: &'static str,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgreementLabels {
    task: String,
    agree: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConfidenceLabels {
    task: String,
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabels {
    task: String,
    bound: &'static str,
}

type Share<L> = Family<L, Gauge<f64, AtomicU64>>;

/// The metrics of every task's cascade; cheap to clone.
#[derive(Clone)]
pub struct CascadeMetrics {
    decisions: Family<DecisionLabels, Counter>,
    agreement: Family<AgreementLabels, Counter>,
    confidence: HistogramFamily<ConfidenceLabels>,
    share: Share<TaskLabels>,
    range: Share<BoundLabels>,
    outside: Family<TaskLabels, Gauge>,
    distance: Share<TaskLabels>,
    threshold: Share<TaskLabels>,
    shifts: Family<TaskLabels, Counter>,
    audited: Family<AgreementLabels, Counter>,
    audit_dropped: Family<TaskLabels, Counter>,
    evidence: Share<TaskLabels>,
    alarm: Family<TaskLabels, Gauge>,
}

impl CascadeMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            decisions: Family::default(),
            agreement: Family::default(),
            confidence: Family::new_with_constructor(CONFIDENCE_BUCKETS),
            share: Family::default(),
            range: Family::default(),
            outside: Family::default(),
            distance: Family::default(),
            threshold: Family::default(),
            shifts: Family::default(),
            audited: Family::default(),
            audit_dropped: Family::default(),
            evidence: Family::default(),
            alarm: Family::default(),
        };
        registry.register(
            "cascade_texts",
            "Texts answered by the cascade, or by the deep route with fallback, by what was decided",
            metrics.decisions.clone(),
        );
        registry.register(
            "cascade_agreement",
            "Texts that both tiers answered, by whether both give exactly the same labels",
            metrics.agreement.clone(),
        );
        registry.register(
            "cascade_confidence",
            "How sure the fast answers are, and the answers that the deep model took part in",
            metrics.confidence.clone(),
        );
        registry.register(
            "cascade_escalated_share",
            "Share of texts below the task's threshold, of the last hour",
            metrics.share.clone(),
        );
        registry.register(
            "cascade_expected_share",
            "The range that the calibration expects the share in",
            metrics.range.clone(),
        );
        registry.register(
            "cascade_out_of_range",
            "1 while the share of the last hour is outside the range",
            metrics.outside.clone(),
        );
        registry.register(
            "cascade_confidence_distance",
            "How far the fast model's confidences of the last hour are from those of the calibration, from 0 to 1",
            metrics.distance.clone(),
        );
        metrics.register_while_serving(registry);
        metrics
    }

    /// What follows the load and the audit.
    fn register_while_serving(&self, registry: &mut Registry) {
        registry.register(
            "cascade_min_confidence",
            "The threshold that the load chose for the last request, where cascade.gears is set",
            self.threshold.clone(),
        );
        registry.register(
            "cascade_gear_shifts",
            "How often the load changed the threshold",
            self.shifts.clone(),
        );
        registry.register(
            "cascade_audited_texts",
            "Texts that the audit looked at once more, by whether the answer was the deep model's",
            self.audited.clone(),
        );
        registry.register(
            "cascade_audit_dropped_texts",
            "Texts that the audit drew and had no room or no time for",
            self.audit_dropped.clone(),
        );
        registry.register(
            "cascade_audit_evidence",
            "How strongly the audit speaks against the certified agreement: the alarm is raised at 1 / (1 - confidence)",
            self.evidence.clone(),
        );
        registry.register(
            "cascade_audit_alarm",
            "1 once the audit found that the certified agreement no longer holds",
            self.alarm.clone(),
        );
    }

    /// Counts audited texts, those that differ first, and tells what they say about the certificate.
    pub fn audited(&self, task: &str, [differ, agree]: [usize; 2], evidence: Option<f64>, alarm: bool) {
        for (name, texts) in [("yes", agree), ("no", differ)] {
            let labels = AgreementLabels {
                task: task.to_owned(),
                agree: name,
            };
            self.audited.get_or_create(&labels).inc_by(texts as u64);
        }
        self.audit_state(task, evidence.unwrap_or(1.0), alarm);
    }

    /// Tells what the audit says about the certificate.
    pub fn audit_state(&self, task: &str, evidence: f64, alarm: bool) {
        let labels = TaskLabels { task: task.to_owned() };
        self.evidence.get_or_create(&labels).set(evidence);
        self.alarm.get_or_create(&labels).set(i64::from(alarm));
    }

    /// Counts texts that the audit drew and dropped.
    pub fn audit_dropped(&self, task: &str, texts: usize) {
        let labels = TaskLabels { task: task.to_owned() };
        self.audit_dropped.get_or_create(&labels).inc_by(texts as u64);
    }

    /// Tells the threshold that the load chose, and whether it has just changed.
    pub fn in_gear(&self, task: &str, threshold: f32, changed: bool) {
        let labels = TaskLabels { task: task.to_owned() };
        self.threshold.get_or_create(&labels).set(f64::from(threshold));
        self.shifts.get_or_create(&labels).inc_by(u64::from(changed));
    }

    /// Counts texts by the cascade's decision. All names are the server's own, so the labels stay bounded.
    pub fn decided(&self, task: &str, route: &'static str, decision: &'static str, texts: usize) {
        let labels = DecisionLabels {
            task: task.to_owned(),
            route,
            decision,
        };
        self.decisions.get_or_create(&labels).inc_by(texts as u64);
    }

    /// Counts the texts that both tiers answered, by whether they agree.
    pub fn compared(&self, task: &str, agree: usize, differ: usize) {
        for (name, texts) in [("yes", agree), ("no", differ)] {
            let labels = AgreementLabels {
                task: task.to_owned(),
                agree: name,
            };
            self.agreement.get_or_create(&labels).inc_by(texts as u64);
        }
    }

    /// Adds confidences to the histogram.
    pub fn confident(&self, task: &str, tier: &'static str, confidences: impl Iterator<Item = f32>) {
        let labels = ConfidenceLabels {
            task: task.to_owned(),
            tier,
        };
        let histogram = self.confidence.get_or_create_owned(&labels);
        confidences.for_each(|confidence| histogram.observe(f64::from(confidence)));
    }

    /// Sets how far confidences are from those of the calibration.
    pub fn distance(&self, task: &str, distance: f64) {
        let labels = TaskLabels { task: task.to_owned() };
        self.distance.get_or_create(&labels).set(distance);
    }

    /// Sets the share of texts that were escalated in the last hour, and the range that it should be in.
    pub fn share(&self, task: &str, share: f64, range: Option<(f64, f64)>, outside: bool) {
        let labels = TaskLabels { task: task.to_owned() };
        self.share.get_or_create(&labels).set(share);
        self.outside.get_or_create(&labels).set(i64::from(outside));
        let bounds = range.map(|(low, high)| [("low", low), ("high", high)]);
        for (bound, value) in bounds.into_iter().flatten() {
            let labels = BoundLabels {
                task: task.to_owned(),
                bound,
            };
            self.range.get_or_create(&labels).set(value);
        }
    }
}
