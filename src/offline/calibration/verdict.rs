//! An answer to a text whose labels are known: what it gives, and how sure it is. Pure.

use crate::offline::evaluation::tally::{Bin, Labels, Reliability};

/// An answer to one text.
#[derive(Clone)]
pub struct Verdict {
    /// The label that it gives, or the labels, in the deep model's order.
    pub given: Labels,
    /// How sure it is, 0 to 1: what is compared with the threshold.
    pub confidence: f64,
    /// Where each label is given by itself, the probabilities of all of them, in bins; empty for one label.
    pub rates: Vec<(usize, Bin)>,
}

impl Verdict {
    /// An answer of one label, or of several without their probabilities.
    pub fn new(given: Labels, confidence: f64) -> Self {
        Self {
            given,
            confidence,
            rates: Vec::new(),
        }
    }

    /// The likeliest label, the first of equals, by the logarithms of the probabilities.
    pub fn likeliest(logs: &[f64]) -> Self {
        let mut label = 0;
        for (at, value) in logs.iter().enumerate() {
            if *value > logs[label] {
                label = at;
            }
        }
        Self::new(Labels::One(label as u32), logs[label].exp())
    }

    /// Adds its confidence, or the probability of each label.
    pub fn rate(&self, reliability: &mut Reliability, right: bool, weight: f64) {
        if self.rates.is_empty() {
            reliability.add(self.confidence, right, weight);
        }
        for (place, bin) in &self.rates {
            reliability.bins[*place].add(bin, weight);
        }
    }
}
