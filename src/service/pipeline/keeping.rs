//! Keeping: which texts of a request are worth labelling by their answers: those whose answer is withheld, and some drawn at
//! random. What the deep model says otherwise is found by the audit.

use super::answer::Answers;
use super::route::Plan;
use super::validate::Target;
use crate::service::catalog::Catalog;
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::kept::text::{KeepReason, KeptAnswer, Reasons, SeenText};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::Decision;

/// Keeps what is worth it of a request's texts.
pub fn keep(kept: &KeptTexts, task: &str, texts: &TextSubset, answers: &Answers) {
    for (at, answer) in answers.texts.iter().enumerate() {
        let withheld = answer.decision == Decision::Abstained;
        let mut reasons = Reasons::default();
        if withheld {
            reasons.add(KeepReason::Abstained);
        }
        if kept.draws() {
            reasons.add(KeepReason::Random);
        }
        if reasons.is_empty() {
            continue;
        }
        let seen = SeenText {
            task,
            text: &texts.texts[at],
            pair: texts.pair(at),
        };
        kept.keep(seen, reasons, || {
            (KeptAnswer::of(&answer.model, &answer.answer, withheld), None)
        });
    }
}

/// The task that a request's texts belong to: the one that it names, or means by naming none; for a model by its name, the
/// first that it serves. Empty if that serves none.
pub fn task_of<'a>(named: &'a str, target: &Target, plan: &Plan, catalog: &'a Catalog) -> &'a str {
    let found = match (target, plan) {
        (Target::Model { .. }, Plan::Single(target)) if named.is_empty() => {
            catalog.tasks_of(&target.version).first().copied()
        }
        _ => catalog.task_name(named),
    };
    found.unwrap_or_default()
}
