//! One text with its answer, and what is said of it in words.

use crate::api::pb;
use crate::offline::reader::Fields;

/// One text with its answer.
pub struct Answered {
    /// The line on which it began, for texts from a file or a stream.
    pub line: Option<u64>,
    /// The text; empty if the row could not be read.
    pub fields: Fields,
    /// The task, where there are several.
    pub task: Option<String>,
    /// The answer, or why there is none.
    pub outcome: Result<pb::Prediction, String>,
}

/// Whether the answer is a number.
pub fn has_value(answer: &Answered) -> bool {
    matches!(&answer.outcome, Ok(answer) if answer.value.is_some())
}

/// The labels that are part of the answer.
pub fn selected(prediction: &pb::Prediction) -> Vec<&str> {
    let selected = prediction.scores.iter().filter(|score| score.selected);
    selected.map(|score| score.label.as_str()).collect()
}

/// These labels on one line.
pub fn label(prediction: &pb::Prediction) -> String {
    match selected(prediction).as_slice() {
        [] if prediction.label.is_empty() => "(none)".to_owned(),
        [] => prediction.label.clone(),
        labels => labels.join(", "),
    }
}

/// The name of a tier.
pub fn tier(tier: pb::Tier) -> &'static str {
    match tier {
        pb::Tier::Fast => "fast",
        pb::Tier::Deep => "deep",
        pb::Tier::Unspecified => "",
    }
}

/// The name in the API, in lower case and without its prefix.
pub fn decision(decision: pb::Decision) -> &'static str {
    match decision {
        pb::Decision::Unspecified => "",
        pb::Decision::Requested => "requested",
        pb::Decision::Confident => "confident",
        pb::Decision::Escalated => "escalated",
        pb::Decision::FallbackDeadline => "fallback_deadline",
        pb::Decision::FallbackOverload => "fallback_overload",
        pb::Decision::Abstained => "abstained",
    }
}
