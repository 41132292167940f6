//! Calibrating a cascade: runs both models on labelled texts, fits on one half of them, and measures on the other.
//!
//! Knows no server: models run in this process. In reading order: [`crate::offline::dataset`] (the texts) →
//! [`measure`] (what both models answer, and what it costs) → [`fit`] (temperatures, blend), or [`each`] where each label is
//! given by itself → [`deferral`] (by what texts are escalated) → [`verdict`] (an answer) → [`curve`] (figures with an interval each, by [`crate::offline::evaluation`]),
//! [`recall`] (of each label) → [`target`] (the threshold that the operator wants), [`certificate`] (what can be promised of
//! it), [`promises`] (the threshold of the cascade), [`abstention`] (which answers are given) → [`cascade`] (all of that in
//! turn). [`crate::offline::report`] shows it.

pub mod abstention;
pub mod cascade;
pub mod certificate;
pub mod curve;
pub mod deferral;
pub mod each;
pub mod fit;
pub mod measure;
pub mod options;
pub mod promises;
pub mod recall;
pub mod simulation;
pub mod target;
pub mod verdict;

use crate::model::gain::TextSize;
use crate::offline::evaluation::tally::Labels;

/// How many times the costs are measured; odd, so that one round is the middle one.
pub const ROUNDS: usize = 5;

/// The answers of both models to one labelled text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The right label, or labels, in the deep model's order; where nobody labelled the text, the deep model's answer.
    pub truth: Labels,
    /// The same number for equal texts, and for no others.
    pub group: u64,
    /// The fast model's logits, in the deep model's order.
    pub fast: Vec<f64>,
    /// The deep model's logits.
    pub deep: Vec<f64>,
    /// Seconds that fast and deep took for it, in the rounds in which it was run.
    pub costs: [Option<[f64; 2]>; ROUNDS],
    /// How large the text is, for a forecast of the gain.
    pub size: TextSize,
}

impl Sample {
    /// A text without a label: the deep model's answer stands for it. Of models that give one label of all.
    pub fn unlabelled(group: u64, fast: Vec<f64>, deep: Vec<f64>, costs: [Option<[f64; 2]>; ROUNDS]) -> Self {
        let pairs = deep.iter().enumerate();
        let top = pairs.reduce(|best, other| if other.1 > best.1 { other } else { best });
        Self {
            truth: Labels::One(top.map_or(0, |(label, _)| label as u32)),
            group,
            fast,
            deep,
            costs,
            size: TextSize::default(),
        }
    }

    /// The right label, where one of all is.
    pub fn label(&self) -> usize {
        self.truth.places().first().map_or(0, |&label| label as usize)
    }
}
