//! Scores: the score of every label of an answer, in the orders that protocols of others give them in.

use std::collections::HashMap;

use crate::error::{Error, Reason};
use crate::service::messages::LabelScore;

/// The `top_k` that asks for every label.
pub const EVERY_LABEL: i32 = i32::MAX;

/// The scores from the highest to the lowest. The service puts a winner that the model names itself first, whatever its
/// score.
pub fn best_first(mut scores: Vec<LabelScore>) -> Vec<LabelScore> {
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    scores
}

/// The order of a model's labels.
pub struct LabelOrder<'a>(HashMap<&'a str, usize>);

impl<'a> LabelOrder<'a> {
    pub fn new(labels: &'a [String]) -> Self {
        Self(
            labels
                .iter()
                .enumerate()
                .map(|(at, label)| (label.as_str(), at))
                .collect(),
        )
    }

    /// The scores of every label in this order. An error where the labels are others: versions were exchanged between
    /// the look at the labels and the answer.
    pub fn sort(&self, scores: &[LabelScore]) -> Result<Vec<f32>, Error> {
        let changed = || {
            Error::new(
                Reason::ModelLoading,
                "the model's labels changed within the call; ask again",
            )
        };
        let mut sorted = vec![f32::NAN; self.0.len()];
        for LabelScore { label, score, .. } in scores {
            let at = self.0.get(label.as_str()).ok_or_else(changed)?;
            sorted[*at] = *score;
        }
        if sorted.iter().any(|score| score.is_nan()) {
            return Err(changed());
        }
        Ok(sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(given: &[(&str, f32)]) -> Vec<LabelScore> {
        let score = |&(label, score): &(&str, f32)| LabelScore {
            label: label.to_owned(),
            score,
            selected: false,
        };
        given.iter().map(score).collect()
    }

    #[test]
    fn scores_are_sorted_by_value_or_by_label() {
        let given = scores(&[("b", 0.2), ("c", 0.7), ("a", 0.1)]);
        let best: Vec<f32> = best_first(given.clone()).iter().map(|score| score.score).collect();
        assert_eq!(best, [0.7, 0.2, 0.1]);
        let labels = ["a", "b", "c"].map(str::to_owned);
        let order = LabelOrder::new(&labels);
        assert_eq!(order.sort(&given).expect("the same labels"), [0.1, 0.2, 0.7]);
        for other in [&[("a", 0.1), ("b", 0.2)][..], &[("a", 0.1), ("b", 0.2), ("d", 0.7)]] {
            let refused = order.sort(&scores(other)).expect_err("other labels");
            assert_eq!(refused.reason, Reason::ModelLoading);
        }
    }
}
