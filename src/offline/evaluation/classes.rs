//! The figures of each class, and which classes are taken for which. Pure.

use std::collections::HashMap;

use serde::Serialize;

use super::answer::{Answer, Known};
use super::interval::{Interval, equal_weights};
use super::tally::Labels;

/// With fewer texts than this, the figures of a class are not reliable.
pub const RELIABLE: usize = 10;

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// How many texts have the label.
    pub texts: usize,
    /// How many texts were given it.
    pub given: usize,
    /// The share of the texts that were given the label that have it; `None` if none was given it.
    pub precision: Option<Interval>,
    /// The share of the texts with the label that were given it; `None` if no text has it.
    pub recall: Option<Interval>,
    /// The harmonic mean of both, 0 where nothing is right; `None` if no text has the label.
    pub f1: Option<f64>,
}

impl Class {
    /// Whether the class has texts, but too few to trust its figures.
    pub fn is_unreliable(&self) -> bool {
        (1..RELIABLE).contains(&self.texts)
    }
}

/// The texts of a group: their number, the sums of their weights and of the squares, and the weight of the right ones.
#[derive(Clone, Copy, Default)]
struct Group {
    texts: usize,
    weight: f64,
    squares: f64,
    right: f64,
}

impl Group {
    fn add(&mut self, weight: f64, right: bool) {
        self.texts += 1;
        self.weight += weight;
        self.squares += weight * weight;
        self.right += if right { weight } else { 0.0 };
    }

    fn share(&self) -> Option<Interval> {
        Interval::of_share(self.right, self.weight, equal_weights(self.weight, self.squares))
    }
}

/// The figures of each label, with Wilson's intervals.
pub fn classes(labels: usize, texts: &[Known], answers: &[Answer]) -> Vec<Class> {
    // By label: the texts that have it, those that were given it.
    let mut groups = vec![[Group::default(); 2]; labels];
    for (Known { truth, weight }, Answer { given, .. }) in texts.iter().zip(answers) {
        for &label in truth.places() {
            groups[label as usize][0].add(*weight, given.has(label));
        }
        for &label in given.places() {
            groups[label as usize][1].add(*weight, truth.has(label));
        }
    }
    let class = |[truth, given]: [Group; 2]| Class {
        texts: truth.texts,
        given: given.texts,
        precision: given.share(),
        recall: truth.share(),
        f1: (truth.texts > 0).then(|| 2.0 * truth.right / (truth.weight + given.weight)),
    };
    groups.into_iter().map(class).collect()
}

/// Texts of one label that were given another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confused {
    pub truth: u32,
    pub given: u32,
    pub texts: usize,
}

/// Which labels are taken for which, the most frequent pair first. Of single-label texts only.
pub fn confusions(texts: &[Known], answers: &[Answer]) -> Vec<Confused> {
    let mut pairs: HashMap<(u32, u32), usize> = HashMap::new();
    for (known, answer) in texts.iter().zip(answers) {
        if let (Labels::One(truth), Labels::One(given)) = (&known.truth, &answer.given)
            && truth != given
        {
            *pairs.entry((*truth, *given)).or_default() += 1;
        }
    }
    let confused = pairs
        .into_iter()
        .map(|((truth, given), texts)| Confused { truth, given, texts });
    let mut confused: Vec<Confused> = confused.collect();
    confused.sort_by_key(|pair| (std::cmp::Reverse(pair.texts), pair.truth, pair.given));
    confused
}
