//! Cascade metrics: counts and confidences of a task's cascade, and a log line when the share of escalated texts leaves
//! the calibrated range or returns to it.

use std::time::Instant;

use super::answer::{Answers, CascadeCounts};
use super::cascade::{CascadePlan, Threshold};
use crate::model::{Tier, agreement};
use crate::service::catalog::escalation_drift::Expected;
use crate::service::catalog::gears::Gear;
use crate::service::messages::Decision;
use crate::telemetry::cascade::CascadeMetrics;

/// Records a request that both tiers shared.
pub fn record(plan: &CascadePlan, answers: &Answers, metrics: &CascadeMetrics, now: Instant) {
    let (task, counts) = (plan.task.as_str(), &answers.counts);
    let (route, cascades) = match plan.threshold {
        Threshold::None => ("deep", false),
        Threshold::From(_) => ("cascade", true),
    };
    for decision in Decision::ALL {
        let texts = answers
            .texts
            .iter()
            .filter(|answer| answer.decision == decision)
            .count();
        if texts > 0 {
            metrics.decided(task, route, decision.name(), texts);
        }
    }
    metrics.compared(task, counts.agree, counts.differ);
    metrics.confident(task, Tier::Fast.name(), counts.fast_confidences.iter().copied());
    let deep = answers.texts.iter().filter(|answer| answer.model.tier() == Tier::Deep);
    let sure = deep.map(|answer| agreement::sureness(&answer.answer, answer.model.thresholds()));
    metrics.confident(task, Tier::Deep.name(), sure);
    if plan.audit_share.is_some() {
        let found = plan.watch.audit.findings().unwrap_or_default();
        metrics.audit_state(task, found.evidence.unwrap_or(1.0), found.alarm);
    }
    if let Some(gear) = plan.gear {
        in_gear(task, gear, metrics);
    }
    // A request with a threshold of its own says nothing about the task's threshold.
    if cascades && plan.own_threshold {
        share(plan, counts, metrics, now);
    }
}

/// Tells the threshold that the load chose, and when the task leaves its own one or comes back to it.
fn in_gear(task: &str, gear: Gear, metrics: &CascadeMetrics) {
    metrics.in_gear(task, gear.threshold, gear.changed);
    let min_confidence = gear.threshold;
    match (gear.changed, gear.number) {
        (true, 0) => tracing::info!(task, min_confidence, "the cascade has its own threshold again"),
        (true, 1) => tracing::warn!(
            task,
            min_confidence,
            "the deep model's queue is long: more fast answers stand, down to the floor of cascade.gears"
        ),
        _ => {}
    }
}

fn share(plan: &CascadePlan, counts: &CascadeCounts, metrics: &CascadeMetrics, now: Instant) {
    let range = plan.setup.escalation;
    let state = {
        let mut window = plan.watch.window.lock();
        let curve = plan.setup.measured.as_ref().map_or(&[][..], |measured| &measured.curve);
        window.record(&counts.fast_confidences, counts.wanted, Expected { range, curve }, now)
    };
    if let Some(distance) = state.distance {
        metrics.distance(&plan.task, distance);
    }
    metrics.share(
        &plan.task,
        state.share,
        range.map(|range| (range.low, range.high)),
        state.outside,
    );
    if let (true, Some(range)) = (state.changed, range) {
        let (task, share, low, high) = (&plan.task, state.share, range.low, range.high);
        if state.outside {
            tracing::warn!(
                task,
                share,
                low,
                high,
                "the share of escalated texts left the calibrated range: texts may have changed, calibrate anew"
            );
        } else {
            tracing::info!(
                task,
                share,
                low,
                high,
                "the share of escalated texts is in the calibrated range again"
            );
        }
    }
}
