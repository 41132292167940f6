//! Abstention: which answers a task withholds because they are not sure enough.
//!
//! Either the operator names a confidence, which then holds for every route, or it comes from the calibration, for the
//! cascade at its own threshold: from a share of right answers that the operator or a request wants, by the curve of what
//! is right among the answers that are given.

use super::cascade_calibration::{AnsweredPoint, Calibration, CascadeSetup};
use crate::config::settings::AbstainSettings;

/// From which confidence on a task gives its answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Abstention {
    /// For whatever route, as the operator said.
    set: Option<f32>,
    /// For the cascade at its own threshold, by its calibration.
    calibrated: Option<f32>,
    /// The precisions that were asked for and certified, with the confidence that each takes.
    certified: Vec<(f32, f32)>,
    /// What is right among the answers that are this sure or surer; by ascending confidence.
    answered: Vec<AnsweredPoint>,
    has_cascade: bool,
    has_calibration: bool,
}

/// The precisions of all answers together that are certified, with the confidence that each takes.
fn certified(calibration: &Calibration) -> Vec<(f32, f32)> {
    let of_all = calibration
        .certificates
        .iter()
        .filter(|one| one.of == "precision" && one.label.is_none());
    of_all
        .filter_map(|one| Some((one.at_least as f32, one.answers_from?)))
        .collect()
}

impl Abstention {
    /// Of what the operator says and what was measured. The error begins with the setting's key.
    pub fn new(set: Option<&AbstainSettings>, cascade: Option<&CascadeSetup>) -> Result<Self, String> {
        let measured = cascade.and_then(CascadeSetup::as_measured);
        let mut answered = measured.map_or_else(Vec::new, |calibration| calibration.answered.clone());
        answered.sort_by(|a, b| a.min_confidence.total_cmp(&b.min_confidence));
        let held = measured.and_then(|calibration| calibration.abstain.as_ref());
        let mut abstention = Self {
            set: set.and_then(|set| set.min_confidence),
            calibrated: held.map(|held| held.min_confidence),
            certified: measured.map_or_else(Vec::new, certified),
            answered,
            has_cascade: cascade.is_some(),
            has_calibration: cascade.is_some_and(|setup| setup.measured.is_some()),
        };
        if let Some(precision) = set.and_then(|set| set.min_precision) {
            let confidence = abstention.by_precision(precision);
            abstention.calibrated = Some(confidence.map_err(|problem| format!("min_precision: {problem}"))?);
        }
        Ok(abstention)
    }

    /// Whether a threshold of the calibration is in force.
    pub fn is_calibrated(&self) -> bool {
        self.set.is_none() && self.calibrated.is_some()
    }

    /// The confidence below which an answer is withheld, by whatever route it came.
    pub fn of_any_route(&self) -> Option<f32> {
        self.set
    }

    /// The confidence below which an answer of the cascade at its own threshold is withheld.
    pub fn of_cascade(&self) -> Option<f32> {
        self.set.or(self.calibrated)
    }

    /// The least confidence from which on so large a share of the given answers is right, as sure as the calibration was
    /// made to be. The error is a sentence without the field's name.
    ///
    /// Confidences are looked at from the strictest on, up to the first that does not keep the promise. Their order does
    /// not depend on the texts that were counted, so the chance that the one chosen breaks the promise is no more than
    /// that of a single one (fixed-sequence testing, as in `offline/calibration/certificate.rs`).
    pub fn by_precision(&self, least: f32) -> Result<f32, String> {
        // What was asked for when it was calibrated was tested by itself, from the safest threshold on.
        let asked_for = self.certified.iter().filter(|(at_least, _)| *at_least >= least);
        if let Some((_, confidence)) = asked_for.min_by(|a, b| a.1.total_cmp(&b.1)) {
            return Ok(*confidence);
        }
        // The point that it gave was chosen by the texts that are to vouch, unlike all others.
        let chosen = |point: &&AnsweredPoint| self.certified.iter().all(|(_, from)| *from != point.min_confidence);
        let strictest_first = self.answered.iter().rev().filter(chosen);
        // As the caller's number is: 0.97 of 32 bits is a little more than 0.97.
        let kept = strictest_first
            .take_while(|point| point.precision_low as f32 >= least)
            .last();
        kept.map(|point| point.min_confidence).ok_or_else(|| {
            let none = match (self.has_cascade, self.has_calibration) {
                (false, _) => Some("the task has one tier only, and no cascade"),
                (_, false) => Some("the cascade is not calibrated; run `tandem calibrate` on labelled texts"),
                _ if self.answered.is_empty() => Some(
                    "the calibration does not tell what is right among sure answers at the threshold in force; run \
                     `tandem calibrate` anew on labelled texts",
                ),
                _ => None,
            };
            if let Some(none) = none {
                return none.to_owned();
            }
            let most = self.answered.last().map_or(0.0, |point| point.precision_low);
            // Down: no more than was certified.
            format!(
                "the calibration certifies no more than {} of the answers of which the cascade is surest",
                (most * 1e4).floor() / 1e4
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(min_confidence: f32, precision_low: f64) -> AnsweredPoint {
        AnsweredPoint {
            min_confidence,
            coverage: 0.5,
            precision: precision_low + 0.01,
            precision_low,
        }
    }

    fn abstention() -> Abstention {
        Abstention {
            answered: [(0.0, 0.89), (0.6, 0.92), (0.7, 0.91), (0.8, 0.95), (0.9, 0.97)]
                .map(|(confidence, low)| point(confidence, low))
                .to_vec(),
            has_cascade: true,
            has_calibration: true,
            ..Abstention::default()
        }
    }

    #[test]
    fn the_least_confidence_of_an_unbroken_row_from_the_strictest_on_is_taken() {
        for (least, confidence) in [(0.97, 0.9), (0.95, 0.8), (0.94, 0.8), (0.91, 0.6), (0.8, 0.0)] {
            assert_eq!(abstention().by_precision(least), Ok(confidence), "{least}");
        }
        // At 0.6 it would hold, but 0.7 did not.
        assert_eq!(abstention().by_precision(0.915), Ok(0.8));
    }

    #[test]
    fn what_was_asked_for_is_taken_before_the_curve_and_its_own_point_is_passed_over() {
        let asked = Abstention {
            certified: vec![(0.96, 0.7)],
            ..abstention()
        };
        assert_eq!(asked.by_precision(0.96), Ok(0.7));
        assert_eq!(asked.by_precision(0.95), Ok(0.7));
        // More than was asked for: by the curve. Its point at 0.7 was chosen by the texts that vouch.
        assert_eq!(asked.by_precision(0.97), Ok(0.9));
    }

    #[test]
    fn what_is_not_certified_is_refused_with_what_is() {
        let problem = abstention().by_precision(0.98).expect_err("too much");
        assert!(problem.contains("no more than 0.97"), "{problem}");
        let unmeasured = Abstention {
            answered: Vec::new(),
            ..abstention()
        };
        let problem = unmeasured.by_precision(0.5).expect_err("nothing measured");
        assert!(problem.contains("tandem calibrate"), "{problem}");
        let problem = Abstention::default().by_precision(0.5).expect_err("no cascade");
        assert!(problem.contains("one tier only"), "{problem}");
        let set = AbstainSettings {
            min_precision: Some(0.9),
            ..AbstainSettings::default()
        };
        let problem = Abstention::new(Some(&set), None).expect_err("nothing measured");
        assert!(problem.starts_with("min_precision: "), "{problem}");
    }

    #[test]
    fn a_confidence_that_was_set_holds_for_every_route() {
        let set = AbstainSettings {
            min_confidence: Some(0.7),
            ..AbstainSettings::default()
        };
        let abstention = Abstention::new(Some(&set), None).expect("sound");
        assert_eq!(abstention.of_any_route(), Some(0.7));
        assert_eq!(abstention.of_cascade(), Some(0.7));
        let calibrated = Abstention {
            calibrated: Some(0.8),
            ..Abstention::default()
        };
        assert_eq!((calibrated.of_any_route(), calibrated.of_cascade()), (None, Some(0.8)));
    }
}
