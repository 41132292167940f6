//! Calibrating a cascade: both models over labelled texts, fits on one half of them, figures on the other.
//!
//! Knows no server: models run in this process. In reading order: [`crate::offline::labelled`] (the texts) → [`measure`] (what both
//! models say, and what it costs) → [`fit`] (temperatures, blend) → [`curve`] (figures with their intervals), [`recall`] (of each label) → [`target`]
//! (the point that is wanted) → [`plot`] (the curve as SVG).

pub mod curve;
pub mod fit;
pub mod interval;
pub mod measure;
pub mod plot;
pub mod recall;
pub mod target;

/// How many times the costs are measured. Odd, so that one of them is the middle one.
pub const ROUNDS: usize = 5;

/// What both models said of one labelled text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The right label, in the deep model's order.
    pub truth: usize,
    /// The fast model's logits, in the deep model's order.
    pub fast: Vec<f64>,
    /// The deep model's logits.
    pub deep: Vec<f64>,
    /// What fast and deep took for it, in seconds, in the rounds that it was a part of.
    pub costs: [Option<[f64; 2]>; ROUNDS],
}
