//! Auditing: which texts of a request go to the deep model afterwards, to see whether what was certified still holds.
//!
//! Each text of a cascade at its own threshold is drawn with the same chance, whichever tier answered, so that the drawn
//! ones are like all of them. What the deep model could not answer, by a fallback or a failure, counts as its answer:
//! were it left out, the fast model's answers would weigh more while there is too much load, and raise a false alarm.
//!
//! Not drawn are windows of long texts, of which nothing is certified and which are alike within a text, and texts that
//! were drawn lately: certificates count equal texts once.
//!
//! Texts of which the deep model says something else are kept to be labelled, if any are: those that it answered here by
//! `keeping.rs`, the others once it ran them (`lifecycle/audit.rs`).

use std::sync::Arc;

use super::answer::Answers;
use super::cascade::CascadePlan;
use crate::service::catalog::audit_queue::{AuditQueue, Audited};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::Decision;
use crate::telemetry::cascade::CascadeMetrics;

/// Draws texts and hands them over; what finds no room is counted and dropped. Gives the positions of those drawn ones of which
/// the deep model, which took part, says by itself another label, and the label.
pub fn audit(
    plan: &CascadePlan,
    texts: &TextSubset,
    answers: &Answers,
    queue: &AuditQueue,
    metrics: &CascadeMetrics,
) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let Some(share) = plan.audit_share.filter(|_| plan.own_threshold) else {
        return found;
    };
    let (mut places, mut says, mut differs) = (Vec::new(), Vec::new(), Vec::new());
    for (at, answer) in answers.texts.iter().enumerate() {
        if fastrand::f64() >= share || plan.watch.audit.was_seen(&texts.texts[at], texts.pair(at)) {
            continue;
        }
        match answer.decision {
            Decision::Confident => {
                places.push(at);
                says.push(answer.answer.clone());
                differs.push(None);
            }
            Decision::Escalated => {
                let mut not_as_deep = answers.counts.not_as_deep.iter();
                let deep = not_as_deep.find(|(place, _)| *place == at);
                found.extend(deep.copied());
                differs.push(Some(deep.is_some()));
            }
            _ => differs.push(Some(false)),
        }
    }
    let drawn = differs.len();
    if drawn == 0 {
        return found;
    }
    let handed_over = queue.offer(Audited {
        task: plan.task.clone(),
        watch: Arc::clone(&plan.watch),
        setup: Arc::clone(&plan.setup),
        fast: Arc::clone(&plan.fast.head),
        deep: Arc::clone(&plan.deep.loaded),
        differs,
        texts: texts.copy_of(&places),
        says,
    });
    if !handed_over {
        metrics.audit_dropped(&plan.task, drawn);
    }
    found
}
