//! What is seen of a task's cascade: counts and confidences for the metrics, and a line in the log when the share of escalated
//! texts leaves the calibrated range, or comes back.

use std::time::Instant;

use super::answer::{Answers, Observed};
use super::cascade::{CascadePlan, Threshold};
use crate::model::Tier;
use crate::service::messages::Decision;
use crate::telemetry::cascade::CascadeMetrics;

/// Records a request that two tiers shared.
pub fn record(plan: &CascadePlan, answers: &Answers, metrics: &CascadeMetrics, now: Instant) {
    let (task, observed) = (plan.task.as_str(), &answers.observed);
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
    metrics.compared(task, observed.agree, observed.differ);
    metrics.confident(task, Tier::Fast.name(), observed.fast_confidences.iter().copied());
    let deep = answers.texts.iter().filter(|answer| answer.model.tier() == Tier::Deep);
    metrics.confident(task, Tier::Deep.name(), deep.map(|answer| answer.answer.confidence()));
    // A request with a threshold of its own says nothing of the task's.
    if cascades && plan.own_threshold {
        share(plan, observed, metrics, now);
    }
}

fn share(plan: &CascadePlan, observed: &Observed, metrics: &CascadeMetrics, now: Instant) {
    let range = plan.setup.escalation;
    let state = {
        let mut window = plan.watch.window.lock();
        window.record(observed.fast_confidences.len(), observed.wanted, range, now)
    };
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
