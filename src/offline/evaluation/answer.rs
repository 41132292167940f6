//! Texts whose labels are known, and what a contender says of them. Pure.

use super::tally::{Labels, Reliability};
use crate::model::agreement;

/// A text whose labels are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub truth: Labels,
    /// How much it counts: above 0, usually 1.
    pub weight: f64,
}

/// What a contender says of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The labels that it gives.
    pub given: Labels,
    /// How sure it is, from 0 to 1, as a cascade asks before it takes an answer: the probability of the label that it gives;
    /// for multi-label, by [`agreement::sureness_of_each`].
    pub confidence: f64,
    /// How unlikely it holds the truth: −ln of the probability of the right label; for multi-label, the mean over the
    /// labels of −ln of the probability that each has the side it has.
    pub loss: f64,
    /// For multi-label, the probability of each label; empty for single-label.
    pub probabilities: Vec<f32>,
}

impl Answer {
    /// An answer by the probabilities of all labels, from 0 to 1, in their order. For multi-label, each label is given from
    /// its threshold on, which is 0.5 if none are told.
    pub fn new(given: Labels, probabilities: &[f64], truth: &Labels, thresholds: &[f32]) -> Self {
        let probability = |label: u32| probabilities.get(label as usize).copied().unwrap_or(0.0);
        match (&given, truth) {
            (Labels::One(label), Labels::One(truth)) => Self {
                confidence: probability(*label).clamp(0.0, 1.0),
                loss: surprise(probability(*truth)),
                probabilities: Vec::new(),
                given,
            },
            _ => {
                let side = |(label, probability): (usize, &f64)| {
                    if truth.has(label as u32) {
                        *probability
                    } else {
                        1.0 - probability
                    }
                };
                let surprises: f64 = probabilities.iter().enumerate().map(side).map(surprise).sum();
                let loss = surprises / probabilities.len().max(1) as f64;
                let probabilities: Vec<f32> = probabilities.iter().map(|&value| value as f32).collect();
                Self {
                    given,
                    confidence: f64::from(agreement::sureness_of_each(&probabilities, thresholds)),
                    loss,
                    probabilities,
                }
            }
        }
    }

    /// Adds its confidence, or, for multi-label, the probability of each label.
    pub fn rate(&self, reliability: &mut Reliability, truth: &Labels, right: bool, weight: f64) {
        if self.probabilities.is_empty() {
            reliability.add(self.confidence, right, weight);
        }
        for (label, &probability) in self.probabilities.iter().enumerate() {
            reliability.add(f64::from(probability), truth.has(label as u32), weight);
        }
    }
}

/// −ln of a probability, which is held above 0 by the precision of 64 bits, as scikit-learn does.
fn surprise(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0).ln()
}
