//! Counts of right and wrong answers, by label and by confidence, and the figures that follow from them. Rows have
//! weights, so that a draw of the bootstrap is the same rows with other weights. Pure.

use serde::Serialize;

use crate::offline::dataset::{Dataset, Target};

/// The number of bins of the calibration error.
pub const BINS: usize = 15;

/// The labels that a text has, or is given, by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Single-label.
    One(u32),
    /// Multi-label: ascending; may be empty.
    Many(Vec<u32>),
}

impl Labels {
    /// The labels that a target says a text has: `each` if each of them is right or not by itself; `None` if nobody knows.
    pub fn of(target: &Target, each: bool) -> Option<Self> {
        if !each {
            return target.top().map(|label| Self::One(label as u32));
        }
        target.over(&[]).map(Self::Many)
    }

    /// The places of the labels.
    pub fn places(&self) -> &[u32] {
        match self {
            Self::One(label) => std::slice::from_ref(label),
            Self::Many(labels) => labels,
        }
    }

    /// The names of the labels of a dataset, on one line, with what stands between labels in its file.
    pub fn names(&self, of: &Dataset) -> String {
        let names = self.places().iter().map(|&label| of.labels[label as usize].as_str());
        names.collect::<Vec<_>>().join(&of.label_separator)
    }

    /// Whether a label is among them.
    pub fn has(&self, label: u32) -> bool {
        self.places().contains(&label)
    }
}

/// What became of one label: sums of weights of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// The texts that have the label and were given it.
    pub right: f64,
    /// The texts that were given it.
    pub given: f64,
    /// The texts that have it.
    pub truth: f64,
}

impl Count {
    /// The share of the texts with the label that were given it; `None` if no text has it.
    pub fn recall(&self) -> Option<f64> {
        (self.truth > 0.0).then(|| self.right / self.truth)
    }

    /// The share of the texts that were given the label that have it; `None` if none was given it.
    pub fn precision(&self) -> Option<f64> {
        (self.given > 0.0).then(|| self.right / self.given)
    }

    /// The harmonic mean of precision and recall, 0 where nothing is right; `None` if no text has the label.
    pub fn f1(&self) -> Option<f64> {
        (self.truth > 0.0).then(|| 2.0 * self.right / (self.given + self.truth))
    }
}

/// A bin of answers of like confidence: sums of weights. A multi-label text counts once for each label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// The texts.
    pub texts: f64,
    /// Their confidences, each times its weight.
    pub confidence: f64,
    /// The texts whose answer is right.
    pub right: f64,
}

impl Bin {
    /// Adds what another bin holds, so many times.
    pub fn add(&mut self, other: &Self, times: f64) {
        self.texts += times * other.texts;
        self.confidence += times * other.confidence;
        self.right += times * other.right;
    }
}

/// Answers by their confidence, in 15 bins of equal width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Reliability {
    pub bins: [Bin; BINS],
}

impl Reliability {
    /// Adds an answer with its confidence from 0 to 1.
    pub fn add(&mut self, confidence: f64, right: bool, weight: f64) {
        let bin = &mut self.bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.texts += weight;
        bin.confidence += weight * confidence;
        bin.right += if right { weight } else { 0.0 };
    }

    /// The expected calibration error: how far confidence and share of right answers are apart, on average (M. Pakdaman
    /// Naeini, G. Cooper, M. Hauskrecht, 2015). 0 without answers.
    pub fn expected_error(&self) -> f64 {
        let all: f64 = self.bins.iter().map(|bin| bin.texts).sum();
        let apart: f64 = self.bins.iter().map(|bin| (bin.confidence - bin.right).abs()).sum();
        if all > 0.0 { apart / all } else { 0.0 }
    }
}

/// The answers of one contender to some texts, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// By label.
    pub counts: Vec<Count>,
    /// Confidences; for multi-label, those of all decisions about a label.
    pub reliability: Reliability,
    /// The weight of the texts.
    pub texts: f64,
    /// The weight of the texts that were given exactly the labels that they have.
    pub exact: f64,
}

impl Tally {
    /// Nothing yet, for so many labels.
    pub fn new(labels: usize) -> Self {
        Self {
            counts: vec![Count::default(); labels],
            reliability: Reliability::default(),
            texts: 0.0,
            exact: 0.0,
        }
    }

    /// Adds an answer to all but the reliability, and says whether it is right.
    pub fn add(&mut self, truth: &Labels, given: &Labels, weight: f64) -> bool {
        for &label in truth.places() {
            let count = &mut self.counts[label as usize];
            count.truth += weight;
            count.right += if given.has(label) { weight } else { 0.0 };
        }
        for &label in given.places() {
            self.counts[label as usize].given += weight;
        }
        let right = truth == given;
        self.texts += weight;
        self.exact += if right { weight } else { 0.0 };
        right
    }

    /// The share of texts that were given exactly the labels that they have: for multi-label, the exact match. 0 without
    /// texts.
    pub fn accuracy(&self) -> f64 {
        if self.texts > 0.0 { self.exact / self.texts } else { 0.0 }
    }

    /// The mean F1 of the labels that some text has. Labels without texts are left out, since nothing can be said of them.
    pub fn macro_f1(&self) -> f64 {
        let (labels, sum) =
            (self.counts.iter().filter_map(Count::f1)).fold((0.0, 0.0), |(n, sum), f1| (n + 1.0, sum + f1));
        if labels > 0.0 { sum / labels } else { 0.0 }
    }

    /// The F1 of all decisions about labels taken together; for single-label texts it is the accuracy.
    pub fn micro_f1(&self) -> f64 {
        let sum = |of: fn(&Count) -> f64| self.counts.iter().map(of).sum::<f64>();
        let both = sum(|count| count.given + count.truth);
        if both > 0.0 {
            2.0 * sum(|count| count.right) / both
        } else {
            0.0
        }
    }
}
