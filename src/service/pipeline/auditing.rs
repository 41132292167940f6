//! Auditing: which texts of a request go to the deep model afterwards, to see whether what was certified still holds.
//!
//! Each text of a cascade at its own threshold is drawn with the same chance, whichever tier answered, so that the drawn
//! ones are like all of them. What the deep model could not answer, by a fallback or a failure, counts as its answer:
//! were it left out, the fast model's answers would weigh more while there is too much load, and raise a false alarm.
//!
//! Not drawn are windows of long texts, of which nothing is certified and which are alike within a text, and texts that
//! were drawn lately: certificates count equal texts once.

use std::sync::Arc;

use super::answer::Answers;
use super::cascade::CascadePlan;
use crate::service::catalog::audit_queue::{AuditQueue, Audited};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::Decision;
use crate::telemetry::cascade::CascadeMetrics;

/// Draws texts and hands them over; what finds no room is counted and dropped.
pub fn audit(plan: &CascadePlan, texts: &TextSubset, answers: &Answers, queue: &AuditQueue, metrics: &CascadeMetrics) {
    let Some(share) = plan.audit_share.filter(|_| plan.own_threshold) else {
        return;
    };
    let (mut places, mut says, mut differs) = (Vec::new(), Vec::new(), Vec::new());
    for (at, answer) in answers.texts.iter().enumerate() {
        if fastrand::f64() >= share {
            continue;
        }
        match answer.decision {
            Decision::Confident => {
                if plan.watch.audit.was_seen(&texts.texts[at], texts.pair(at)) {
                    continue;
                }
                places.push(at);
                says.push(answer.answer.clone());
                differs.push(None);
            }
            Decision::Escalated => differs.push(Some(answers.counts.not_as_deep.contains(&at))),
            _ => differs.push(Some(false)),
        }
    }
    let drawn = differs.len();
    if drawn == 0 {
        return;
    }
    let handed_over = queue.offer(Audited {
        task: plan.task.clone(),
        watch: Arc::clone(&plan.watch),
        setup: Arc::clone(&plan.setup),
        deep: Arc::clone(&plan.deep.loaded),
        differs,
        texts: texts.copy_of(&places),
        says,
    });
    if !handed_over {
        metrics.audit_dropped(&plan.task, drawn);
    }
}
