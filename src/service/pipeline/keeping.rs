//! Keeping: which texts of a request are worth labelling by their answers: those whose answer is withheld, those that the audit
//! found otherwise, and some drawn at random. A text that is kept for several of these is kept once, with what was answered.

use super::answer::Answers;
use super::route::Plan;
use super::validate::Target;
use crate::service::catalog::Catalog;
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::kept::text::{KeepReason, KeptAnswer, Reasons, SeenText};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::Decision;

/// Keeps what is worth it of a request's texts. `otherwise` has the positions of those of which the deep model by itself says
/// another label, and the label.
pub fn keep(kept: &KeptTexts, task: &str, texts: &TextSubset, answers: &Answers, otherwise: &[(usize, usize)]) {
    for (at, answer) in answers.texts.iter().enumerate() {
        let withheld = answer.decision == Decision::Abstained;
        let mut reasons = Reasons::default();
        if withheld {
            reasons.add(KeepReason::Abstained);
        }
        let deep = otherwise.iter().find(|(place, _)| *place == at);
        if deep.is_some() {
            reasons.add(KeepReason::Differed);
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
            let label = |label: usize| vec![answer.model.manifest.labels[label].clone()];
            let deep = deep.map(|(_, deep)| label(*deep));
            (KeptAnswer::of(&answer.model, &answer.answer, withheld), deep)
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
