//! Postprocessing: how a row of a model's raw outputs becomes an answer.
//!
//! Pure arithmetic on one row. Refuses rows that are not finite: a NaN never becomes an answer.

use super::manifest::OutputKind;

/// The answer to one text, by label index.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The index of the winning label.
    pub winner: usize,
    /// Calibrated probabilities, by label index; they sum to one.
    pub probabilities: Vec<f32>,
    /// Raw outputs before softmax, uncalibrated, by label index.
    pub logits: Vec<f32>,
}

impl Classification {
    /// The calibrated probability of the winning label.
    pub fn confidence(&self) -> f32 {
        self.probabilities[self.winner]
    }

    /// Label indices, best first; ties in the order of the labels.
    pub fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]));
        order
    }
}

/// A model gave something that is not a number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's output is not finite")]
pub struct NotFinite;

/// How raw outputs become probabilities.
#[derive(Clone, Copy, Debug)]
pub struct Postprocessor {
    /// What the model's output is.
    pub output_kind: OutputKind,
    /// Logits are divided by this before softmax.
    pub temperature: f32,
}

impl Postprocessor {
    /// Classifies one row of the model's output.
    pub fn classify(&self, row: &[f32]) -> Result<Classification, NotFinite> {
        if row.is_empty() || row.iter().any(|value| !value.is_finite()) {
            return Err(NotFinite);
        }
        let logits: Vec<f32> = match self.output_kind {
            OutputKind::Logits => row.to_vec(),
            OutputKind::Probabilities => row.iter().map(|&value| value.max(f32::MIN_POSITIVE).ln()).collect(),
        };
        let probabilities = softmax(&logits, self.temperature);
        let mut winner = 0;
        for (at, value) in logits.iter().enumerate() {
            if *value > logits[winner] {
                winner = at;
            }
        }
        Ok(Classification {
            winner,
            probabilities,
            logits,
        })
    }
}

fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|value| ((value - top) / temperature).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Postprocessor = Postprocessor {
        output_kind: OutputKind::Logits,
        temperature: 1.0,
    };

    #[test]
    fn a_row_becomes_probabilities_that_sum_to_one() {
        let answer = PLAIN.classify(&[1.0, 3.0, 2.0]).expect("finite");
        assert_eq!(answer.winner, 1);
        assert_eq!(answer.ranking(), [1, 2, 0]);
        assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((answer.confidence() - 0.665_240_9).abs() < 1e-6);
    }

    #[test]
    fn the_temperature_changes_confidence_and_not_the_winner() {
        let soft = Postprocessor {
            temperature: 4.0,
            ..PLAIN
        }
        .classify(&[0.0, 4.0])
        .expect("finite");
        assert_eq!(soft.winner, 1);
        assert!((soft.confidence() - 0.731_058_6).abs() < 1e-6);
        assert_eq!(soft.logits, [0.0, 4.0]);
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let answer = PLAIN.classify(&[-3.0e38, 3.0e38]).expect("finite");
        assert_eq!(answer.probabilities, [0.0, 1.0]);
    }

    #[test]
    fn what_is_not_a_number_is_no_answer() {
        assert_eq!(PLAIN.classify(&[f32::NAN, 0.0]), Err(NotFinite));
        assert_eq!(PLAIN.classify(&[f32::INFINITY, 0.0]), Err(NotFinite));
        assert_eq!(PLAIN.classify(&[]), Err(NotFinite));
    }

    #[test]
    fn probabilities_pass_through() {
        let post = Postprocessor {
            output_kind: OutputKind::Probabilities,
            temperature: 1.0,
        };
        let answer = post.classify(&[0.25, 0.75]).expect("finite");
        assert!((answer.confidence() - 0.75).abs() < 1e-6);
        assert_eq!(post.classify(&[0.0, 1.0]).expect("finite").winner, 1);
    }
}
