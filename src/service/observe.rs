//! What is seen of a task's cascade: counts and confidences for the metrics, and a line in the log when the share of escalated
//! texts leaves the calibrated range, or comes back.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::cascade::{Stands, Tandem};
use super::drift::EscalationWindow;
use super::tier::Answers;
use super::types::Decision;
use crate::model::Tier;
use crate::telemetry::cascade::CascadeMetrics;

/// What both tiers said in one request, beyond its answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The confidence of every fast answer.
    pub fast_confidences: Vec<f32>,
    /// How many texts were not left to the fast model.
    pub wanted: usize,
    /// How many texts got the same label from both tiers.
    pub agree: usize,
    /// How many got different ones.
    pub differ: usize,
}

/// The state that is kept of one task.
#[derive(Debug, Default)]
pub struct CascadeWatch {
    window: Mutex<EscalationWindow>,
}

/// Records a request that two tiers shared.
pub fn record(tandem: &Tandem, answers: &Answers, metrics: &CascadeMetrics, now: Instant) {
    let (task, observed) = (tandem.task.as_str(), &answers.observed);
    let (route, cascades) = match tandem.stands {
        Stands::None => ("deep", false),
        Stands::From(_) => ("cascade", true),
    };
    for decision in Decision::ALL {
        let texts = answers
            .answers
            .iter()
            .filter(|answer| answer.decision == decision)
            .count();
        if texts > 0 {
            metrics.decided(task, route, decision.name(), texts);
        }
    }
    metrics.compared(task, observed.agree, observed.differ);
    metrics.confident(task, Tier::Fast.name(), observed.fast_confidences.iter().copied());
    let deep = answers
        .answers
        .iter()
        .filter(|answer| answer.model.tier() == Tier::Deep);
    metrics.confident(task, Tier::Deep.name(), deep.map(|answer| answer.answer.confidence()));
    // A request with a threshold of its own says nothing of the task's.
    if cascades && tandem.own_threshold {
        share(tandem, observed, metrics, now);
    }
}

fn share(tandem: &Tandem, observed: &Observed, metrics: &CascadeMetrics, now: Instant) {
    let range = tandem.setup.escalation;
    let state = {
        // Counting can't leave the window half changed.
        let mut window = tandem.watch.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.record(observed.fast_confidences.len(), observed.wanted, range, now)
    };
    metrics.share(
        &tandem.task,
        state.share,
        range.map(|range| (range.low, range.high)),
        state.outside,
    );
    if let (true, Some(range)) = (state.changed, range) {
        let (task, share, low, high) = (&tandem.task, state.share, range.low, range.high);
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
