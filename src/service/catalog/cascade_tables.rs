//! The tables of a cascade's calibration file that tell what was measured, and what follows from it for answers that are
//! not sure enough.

use serde::{Deserialize, Serialize};

use crate::model::gain::{COUNT, Gain, NAMES, Term};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// The labelled file's name, without its folder.
    pub file: String,
    /// The number of texts that temperatures, weights and threshold were fitted to.
    pub fitted_on: usize,
    /// The number of other texts, which the curve was measured on.
    pub measured_on: usize,
    /// The seed of the random split of the texts.
    pub seed: u64,
    /// Whether the deep model's answers stood for labels: what is called accuracy is then agreement with them. Older
    /// files lack it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub against_deep: bool,
    /// When it was measured, in UTC, as in `2026-11-29T17:08:29Z`. Older files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
}

/// A share of texts on which the cascade does well, with a bound on the chance that it is less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedShare {
    /// What doing well is: `agreement` with the deep model, `accuracy`, or `precision`, which is the accuracy of those
    /// answers that are at least `answers_from` sure.
    pub of: String,
    /// The label that the answers of a precision give; absent for all answers, and in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The least share.
    pub at_least: f64,
    /// One minus the greatest chance that the share is less.
    pub confidence: f64,
    /// The threshold that it is for.
    pub min_confidence: f32,
    /// For a precision, how sure a final answer is at least that is given and not withheld; absent for the others, and in
    /// older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_from: Option<f32>,
    /// Whether `min_confidence` is a score of `[gain]`, and not a confidence. Older files lack it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_gain: bool,
    /// The number of held-out texts that vouch for it, each counted once: for a precision, those that are answered.
    pub texts: usize,
    /// How many of them did not do well.
    pub errors: usize,
}

/// One point of the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    pub min_confidence: f32,
    /// The share of texts that it escalates.
    pub escalated: f64,
    /// The cost relative to the deep model alone, which is 1.
    pub cost: f64,
    /// The lowest cost of the measured rounds; `cost` is their median. Older files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_low: Option<f64>,
    /// The highest cost of the measured rounds. Older files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_high: Option<f64>,
    /// The share of right answers.
    pub accuracy: f64,
    /// The lower end of its 95% interval.
    pub accuracy_low: f64,
    /// The upper end.
    pub accuracy_high: f64,
    /// Macro-F1.
    pub macro_f1: f64,
    /// Expected calibration error, 15 bins.
    pub ece: f64,
}

/// From which confidence on a final answer is given at all: where a precision is certified.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbstainRule {
    /// A final answer that is less sure is withheld, from 0 to 1.
    pub min_confidence: f32,
}

/// How many texts are answered, and how many of these rightly, if less sure answers are withheld: one point of a curve,
/// at the file's own threshold of the cascade.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredPoint {
    /// Final answers that are less sure are withheld, from 0 to 1.
    pub min_confidence: f32,
    /// The share of texts that are answered.
    pub coverage: f64,
    /// The share of these whose answer is right.
    pub precision: f64,
    /// Its exact lower bound, for this point alone, at the confidence of the certificates.
    pub precision_low: f64,
}

/// A forecast of the gain: what the task's own threshold is compared with in place of confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainRule {
    /// The score, from 0 to 1, from which on the fast answer is final.
    pub min_score: f32,
    pub intercept: f64,
    /// The part of each fact, in any order: weight × (fact − mean) / scale.
    pub terms: Vec<GainTerm>,
}

/// The part of one fact in a forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GainTerm {
    /// `log_odds`, `margin`, `entropy`, `text_length` or `feature_count`.
    pub of: String,
    pub weight: f64,
    pub mean: f64,
    /// Above 0.
    pub scale: f64,
}

impl GainRule {
    /// As the file holds it.
    pub fn of(gain: &Gain, min_score: f32) -> Self {
        let terms = NAMES.into_iter().zip(gain.terms);
        let term = |(name, term): (&str, Term)| GainTerm {
            of: name.to_owned(),
            weight: term.weight,
            mean: term.mean,
            scale: term.scale,
        };
        Self {
            min_score,
            intercept: gain.intercept,
            terms: terms.map(term).collect(),
        }
    }

    /// The forecast. The error is one line that names the key.
    pub fn gain(&self) -> Result<Gain, String> {
        if !(0.0..=1.0).contains(&self.min_score) {
            return Err("gain.min_score must be from 0 to 1".into());
        }
        let mut terms = [None; COUNT];
        for GainTerm {
            of,
            weight,
            mean,
            scale,
        } in &self.terms
        {
            let place = NAMES.iter().position(|name| name == of);
            let place = place.filter(|&place| terms[place].is_none());
            let place = place.ok_or_else(|| format!("gain.terms: each `of` once: {}", NAMES.join(", ")))?;
            if ![weight, mean, scale].into_iter().all(|value| value.is_finite()) || *scale <= 0.0 {
                return Err("gain.terms must hold numbers, and a scale above 0".into());
            }
            terms[place] = Some(Term {
                weight: *weight,
                mean: *mean,
                scale: *scale,
            });
        }
        if terms.contains(&None) || !self.intercept.is_finite() {
            return Err(format!(
                "gain must hold an intercept and one of gain.terms for each of {}",
                NAMES.join(", ")
            ));
        }
        Ok(Gain {
            intercept: self.intercept,
            terms: terms.map(Option::unwrap_or_default),
        })
    }
}

/// Whether both tables hold shares. The error is one line that names the key.
pub fn check(abstain: Option<&AbstainRule>, answered: &[AnsweredPoint]) -> Result<(), String> {
    let is_share = |value: f64| (0.0..=1.0).contains(&value);
    if abstain.is_some_and(|rule| !is_share(f64::from(rule.min_confidence))) {
        return Err("abstain.min_confidence must be from 0 to 1".into());
    }
    let shares = |point: &AnsweredPoint| {
        let confidence = f64::from(point.min_confidence);
        [confidence, point.coverage, point.precision, point.precision_low]
    };
    if !answered.iter().flat_map(shares).all(is_share) {
        return Err("answered must hold numbers from 0 to 1".into());
    }
    Ok(())
}
