//! Coverage at a precision: how many of the texts could be answered by a contender alone, if only answers from some
//! confidence on were taken, so that this share of them is right (R. El-Yaniv, Y. Wiener, On the Foundations of
//! Noise-free Selective Classification, 2010). Pure.

use serde::Serialize;

use super::answer::{Answer, Known};
use super::interval::{Interval, equal_weights};

/// What is covered at a precision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The share of right answers that was asked for.
    pub wanted: f64,
    /// The confidence from which answers are taken; `None` if no confidence gives that precision.
    pub min_confidence: Option<f64>,
    /// The share of texts whose answers are taken.
    pub covered: f64,
    /// The share of right ones among them, with Wilson's interval.
    pub precision: Option<Interval>,
}

/// The most that is covered at each precision.
pub fn coverages(wanted: &[f64], texts: &[Known], answers: &[Answer]) -> Vec<Coverage> {
    let mut rows: Vec<(f64, f64, bool)> = texts
        .iter()
        .zip(answers)
        .map(|(known, answer)| (answer.confidence, known.weight, known.truth == answer.given))
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all: f64 = rows.iter().map(|row| row.1).sum();
    let mut coverages: Vec<Coverage> = wanted
        .iter()
        .map(|&wanted| Coverage {
            wanted,
            min_confidence: None,
            covered: 0.0,
            precision: None,
        })
        .collect();
    let (mut taken, mut squares, mut right) = (0.0, 0.0, 0.0);
    for (at, &(confidence, weight, is_right)) in rows.iter().enumerate() {
        taken += weight;
        squares += weight * weight;
        right += if is_right { weight } else { 0.0 };
        // Answers of one confidence are taken together.
        if rows.get(at + 1).is_some_and(|next| next.0 == confidence) {
            continue;
        }
        for coverage in &mut coverages {
            // A small tolerance for rounding errors.
            if right / taken >= coverage.wanted - 1e-9 {
                coverage.min_confidence = Some(confidence);
                coverage.covered = taken / all;
                coverage.precision = Interval::of_share(right, taken, equal_weights(taken, squares));
            }
        }
    }
    coverages
}
