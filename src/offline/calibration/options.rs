//! What a calibration is asked for, and how it may go about it.

use serde::Serialize;

use super::each::Each;
use super::target::Wanted;

/// What a text's right label is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// Labels that people gave.
    Labels,
    /// The deep model's answers: "right" means that the cascade agrees with the deep model.
    Deep,
}

/// What texts are given to the deep model by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Deferral {
    /// The fast model's confidence
    Confidence,
    /// A forecast of how much likelier the deep model is right
    Gain,
    /// The one that is better at equal cost
    Auto,
}

/// How to calibrate.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pub wanted: &'a Wanted,
    /// The labels, in the deep model's order.
    pub labels: &'a [String],
    /// How sure a certificate is: above 0 and below 1.
    pub confidence: f64,
    /// What the split into halves and the intervals are drawn with.
    pub seed: u64,
    pub reference: Reference,
    /// The temperature of the deep model in its manifest. It is fitted anew where there are labels to fit to.
    pub deep_temperature: f64,
    /// The share of all texts on which is certified.
    pub certifying: f64,
    /// For models that give each label by itself: nothing is fitted to them.
    pub each: Option<&'a Each>,
    /// By what texts are given to the deep model.
    pub deferral: Deferral,
}

/// The share of labelled texts on which is measured and certified: they are split into halves.
pub const CERTIFYING: f64 = 0.5;

/// How many texts there must be in all for so many to be a share of them, in round numbers.
pub fn in_all(texts: f64, share: f64) -> u64 {
    ((texts / share / 100.0).ceil() * 100.0) as u64
}
