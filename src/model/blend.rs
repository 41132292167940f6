//! How the answers of two models become one.

use super::postprocess::{Classification, Selection};

/// How two models' calibrated log-probabilities become one answer: `score = fast × ln p_fast + deep × ln p_deep + bias`
/// for each label, then softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    pub fast: f64,
    pub deep: f64,
    /// The amount added to each label's score, in the deep model's order of labels.
    pub bias: Vec<f64>,
}

impl Blend {
    /// The blend that answers as the deep model alone does.
    pub fn deep_alone(labels: usize) -> Self {
        Self {
            fast: 0.0,
            deep: 1.0,
            bias: vec![0.0; labels],
        }
    }

    /// Blends both answers: log-probabilities by label, both in the deep model's order, as [`log_softmax`] gives them.
    pub fn classify(&self, fast: &[f64], deep: &[f64]) -> Classification {
        let scores: Vec<f64> = (0..deep.len())
            .map(|label| self.fast * fast[label] + self.deep * deep[label] + self.bias[label])
            .collect();
        let logs = log_softmax(&scores, 1.0);
        let mut winner = 0;
        for (at, value) in logs.iter().enumerate() {
            if *value > logs[winner] {
                winner = at;
            }
        }
        Classification {
            winner,
            probabilities: logs.iter().map(|value| value.exp() as f32).collect(),
            // The logarithm of a very small probability may be beyond the range of 32 bits.
            logits: logs.iter().map(|&value| (value as f32).max(f32::MIN)).collect(),
            selection: Selection::Winner,
        }
    }
}

/// The logarithms of softmax(values / temperature); finite for finite values.
pub fn log_softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|value| ((value - top) / temperature).exp()).sum();
    values
        .iter()
        .map(|value| (value - top) / temperature - sum.ln())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_that_both_models_rule_out_stays_out_in_finite_numbers() {
        let masked = log_softmax(&[f64::from(f32::MIN), 0.0, 1.0], 0.05);
        let blend = Blend {
            fast: 3.0,
            deep: 1.0,
            bias: vec![0.0; 3],
        };
        let answer = blend.classify(&masked, &masked);
        assert_eq!(
            (answer.winner, answer.probabilities[0], answer.logits[0]),
            (2, 0.0, f32::MIN)
        );
        assert!(answer.probabilities.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn deep_alone_is_the_deep_models_answer() {
        let deep = log_softmax(&[0.3, -1.2, 2.0], 1.0);
        let answer = Blend::deep_alone(3).classify(&log_softmax(&[9.0, 0.0, 0.0], 1.0), &deep);
        assert_eq!(answer.winner, 2);
        for (found, expected) in answer.probabilities.iter().zip(&deep) {
            assert!((f64::from(*found) - expected.exp()).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn a_blend_is_a_distribution_and_the_order_of_labels_does_not_matter(
            logits in prop::collection::vec((-50.0_f64..50.0, -50.0_f64..50.0, -1.0_f64..1.0), 2..6),
            fast in 0.0_f64..2.0,
            deep in 0.0_f64..2.0,
        ) {
            let classify = |rows: &[(f64, f64, f64)]| {
                let part = |pick: fn(&(f64, f64, f64)) -> f64| rows.iter().map(pick).collect::<Vec<_>>();
                let blend = Blend { fast, deep, bias: part(|row| row.2) };
                blend.classify(&log_softmax(&part(|row| row.0), 0.7), &log_softmax(&part(|row| row.1), 1.3))
            };
            let answer = classify(&logits);
            prop_assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(answer.probabilities.iter().all(|&value| value <= answer.confidence()));
            prop_assert!(answer.logits.iter().all(|value| value.is_finite()));
            let mut reversed = logits.clone();
            reversed.reverse();
            let other = classify(&reversed);
            for (a, b) in answer.probabilities.iter().zip(other.probabilities.iter().rev()) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
