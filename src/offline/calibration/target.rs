//! What an operator wants of a cascade, and the threshold that gives it. Pure.

use std::str::FromStr;

use super::curve::Plain;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The cheapest point with at least this accuracy.
    Accuracy(AccuracyTarget),
    /// The most expensive point that costs at most this, where the deep model alone costs 1.
    Cost(f64),
    /// This threshold.
    Confidence(f32),
}

/// An accuracy, absolute or relative to the deep model's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccuracyTarget {
    relative: bool,
    value: f64,
}

impl FromStr for AccuracyTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write an accuracy (0.895, 89.5%) or one against the deep model's (deep, deep-0.2pt)".to_owned();
        let relative = text.strip_prefix("deep");
        let value = match relative {
            Some("") => 0.0,
            Some(points) => {
                points
                    .strip_suffix("pt")
                    .ok_or_else(wrong)?
                    .parse::<f64>()
                    .map_err(|_| wrong())?
                    / 100.0
            }
            None => match text.strip_suffix('%') {
                Some(percent) => percent.parse::<f64>().map_err(|_| wrong())? / 100.0,
                None => text.parse::<f64>().map_err(|_| wrong())?,
            },
        };
        let allowed = if relative.is_some() { -1.0..=1.0 } else { 0.0..=1.0 };
        if !allowed.contains(&value) {
            return Err(wrong());
        }
        Ok(Self {
            relative: relative.is_some(),
            value,
        })
    }
}

/// The threshold for a target, on a curve that begins with fast alone. The error says what the curve reaches.
pub fn choose(target: Target, curve: &[Plain], deep_accuracy: f64) -> Result<f32, String> {
    match target {
        Target::Confidence(confidence) => Ok(confidence),
        Target::Cost(most) => {
            let affordable = curve.iter().rev().find(|point| point.cost <= most);
            affordable.map(|point| point.min_confidence).ok_or_else(|| {
                let least = curve.first().map_or(0.0, |point| point.cost);
                format!("no point costs at most {most}: the fast model alone costs {least:.4}")
            })
        }
        Target::Accuracy(wanted) => {
            let base = if wanted.relative { deep_accuracy } else { 0.0 };
            let least = base + wanted.value;
            // A small tolerance for rounding errors.
            let enough = curve.iter().find(|point| point.accuracy >= least - 1e-9);
            enough.map(|point| point.min_confidence).ok_or_else(|| {
                let best = curve.iter().map(|point| point.accuracy).fold(0.0, f64::max);
                format!(
                    "no point reaches an accuracy of {least:.4} on the texts that were fitted on: the best has {best:.4}, the \
                     deep model alone {deep_accuracy:.4}"
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> Vec<Plain> {
        let point = |(min_confidence, escalated, accuracy)| Plain {
            min_confidence,
            escalated,
            cost: escalated + 0.01,
            accuracy,
        };
        [(0.0, 0.0, 0.88), (0.7, 0.2, 0.89), (0.8, 0.3, 0.895), (1.0, 1.0, 0.896)]
            .map(point)
            .to_vec()
    }

    fn accuracy(text: &str) -> Result<f32, String> {
        choose(Target::Accuracy(text.parse()?), &curve(), 0.896)
    }

    #[test]
    fn the_cheapest_point_that_is_good_enough_is_taken() {
        assert_eq!(accuracy("deep"), Ok(1.0));
        assert_eq!(accuracy("deep-0.2pt"), Ok(0.8));
        assert_eq!(accuracy("deep-1pt"), Ok(0.7));
        assert_eq!(accuracy("89%"), Ok(0.7));
        assert_eq!(accuracy("0.5"), Ok(0.0));
        assert!(
            accuracy("deep+0.1pt")
                .expect_err("too good")
                .contains("the best has 0.8960")
        );
    }

    #[test]
    fn the_dearest_point_that_can_be_paid_is_taken() {
        assert_eq!(choose(Target::Cost(0.31), &curve(), 0.896), Ok(0.8));
        assert_eq!(choose(Target::Cost(0.3), &curve(), 0.896), Ok(0.7));
        assert!(choose(Target::Cost(0.001), &curve(), 0.896).is_err());
        assert_eq!(choose(Target::Confidence(0.77), &curve(), 0.896), Ok(0.77));
    }

    #[test]
    fn what_is_no_accuracy_is_refused() {
        for text in ["", "deep-0.2", "deep0.2%", "1.2", "-0.1", "much", "NaN"] {
            assert!(text.parse::<AccuracyTarget>().is_err(), "{text}");
        }
    }
}
