//! Calibrating a cascade: runs both models on labelled texts, fits on one half of them, and measures on the other.
//!
//! Knows no server: models run in this process. In reading order: [`crate::offline::dataset`] (the texts) →
//! [`measure`] (what both models answer, and what it costs) → [`fit`] (temperatures, blend) → [`curve`] (figures with
//! an interval each, by [`crate::offline::evaluation`]), [`recall`] (of each label) → [`target`] (the threshold that the operator wants) → [`plot`]
//! (the curve as SVG).

pub mod curve;
pub mod fit;
pub mod measure;
pub mod plot;
pub mod recall;
pub mod target;

/// How many times the costs are measured; odd, so that one round is the middle one.
pub const ROUNDS: usize = 5;

/// The answers of both models to one labelled text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The right label, in the deep model's order.
    pub truth: usize,
    /// The fast model's logits, in the deep model's order.
    pub fast: Vec<f64>,
    /// The deep model's logits.
    pub deep: Vec<f64>,
    /// Seconds that fast and deep took for it, in the rounds in which it was run.
    pub costs: [Option<[f64; 2]>; ROUNDS],
}
