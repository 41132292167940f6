//! Auditing: which texts of a request go to the deep model afterwards, to see whether what was certified still holds.
//!
//! Each text of a cascade at its own threshold is drawn with the same chance, whichever tier answered, so that the drawn
//! ones are like all of them. What the deep model could not answer, by a fallback or a failure, counts as its answer:
//! were it left out, the fast model's answers would weigh more while there is too much load, and raise a false alarm.
//!
//! Not drawn are windows of long texts, of which nothing is certified and which are alike within a text, and texts that
//! were drawn lately: certificates count equal texts once.
//!
//! Texts of which the deep model says something else are kept to be labelled, if any are: those that it answered here, the
//! others once it ran them (`lifecycle/audit.rs`).

use std::sync::Arc;

use super::answer::{Answers, TextAnswer};
use super::cascade::CascadePlan;
use crate::service::catalog::audit_queue::{AuditQueue, Audited};
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::kept::text::{KeepReason, KeptAnswer, SeenText};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::Decision;
use crate::telemetry::cascade::CascadeMetrics;

/// Draws texts and hands them over; what finds no room is counted and dropped.
pub fn audit(
    plan: &CascadePlan,
    texts: &TextSubset,
    answers: &Answers,
    (queue, kept): (&AuditQueue, Option<&KeptTexts>),
    metrics: &CascadeMetrics,
) {
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
            Decision::Escalated => {
                let mut not_as_deep = answers.counts.not_as_deep.iter();
                let deep = not_as_deep.find(|(place, _)| *place == at);
                if let (Some(kept), Some((_, label))) = (kept, deep) {
                    keep(kept, plan, texts, (at, answer), *label);
                }
                differs.push(Some(deep.is_some()));
            }
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
        fast: Arc::clone(&plan.fast.head),
        deep: Arc::clone(&plan.deep.loaded),
        differs,
        texts: texts.copy_of(&places),
        says,
    });
    if !handed_over {
        metrics.audit_dropped(&plan.task, drawn);
    }
}

/// Keeps a text of which the deep model by itself says this label, which is not the answer's.
fn keep(kept: &KeptTexts, plan: &CascadePlan, texts: &TextSubset, (at, answer): (usize, &TextAnswer), label: usize) {
    let seen = SeenText {
        task: &plan.task,
        text: &texts.texts[at],
        pair: texts.pair(at),
    };
    kept.keep(seen, KeepReason::Differed.into(), || {
        let deep = answer.model.manifest.labels[label].clone();
        (KeptAnswer::of(&answer.model, &answer.answer, false), Some(vec![deep]))
    });
}
