//! The names of figures that can be asked for: `accuracy`, `macro-f1`, `recall:LABEL`, `precision:LABEL`. Pure.

use std::fmt;
use std::str::FromStr;

use super::tally::{Count, Tally};

/// How many labels one message names.
const NAMED: usize = 16;

/// A figure of the answers, from 0 to 1; more is better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quality {
    /// The share of right answers; for multi-label, of exact ones.
    Accuracy,
    /// The mean F1 of the labels.
    MacroF1,
    /// The share of the texts with a label that get it.
    Recall(String),
    /// The share of the texts which get a label that have it.
    Precision(String),
}

impl FromStr for Quality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "accuracy" => Ok(Self::Accuracy),
            None if text == "macro-f1" => Ok(Self::MacroF1),
            Some(("recall", label)) if !label.is_empty() => Ok(Self::Recall(label.to_owned())),
            Some(("precision", label)) if !label.is_empty() => Ok(Self::Precision(label.to_owned())),
            _ => Err(format!(
                "`{text}` is none of accuracy, macro-f1, recall:LABEL, precision:LABEL"
            )),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => write!(f, "accuracy"),
            Self::MacroF1 => write!(f, "macro-f1"),
            Self::Recall(label) => write!(f, "recall:{label}"),
            Self::Precision(label) => write!(f, "precision:{label}"),
        }
    }
}

impl Quality {
    /// The label that it is about, if it is about one.
    fn label(&self) -> Option<&str> {
        match self {
            Self::Accuracy | Self::MacroF1 => None,
            Self::Recall(label) | Self::Precision(label) => Some(label),
        }
    }

    /// Fails if it is about a label that is none of these.
    pub fn check(&self, labels: &[String]) -> Result<(), String> {
        let Some(wanted) = self.label() else { return Ok(()) };
        if labels.iter().any(|label| label == wanted) {
            return Ok(());
        }
        let named = labels.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = labels.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Err(format!("{self}: no such label; there are: {named}{more}"))
    }

    /// The figure; `None` where it is not defined: the recall of a label that no text has, the precision of one that no
    /// text was given.
    pub fn of(&self, tally: &Tally, labels: &[String]) -> Option<f64> {
        let count = |wanted: &str| {
            let place = labels.iter().position(|label| label == wanted);
            place.and_then(|place| tally.counts.get(place))
        };
        match self {
            Self::Accuracy => (tally.texts > 0.0).then(|| tally.accuracy()),
            Self::MacroF1 => (tally.texts > 0.0).then(|| tally.macro_f1()),
            Self::Recall(label) => count(label).and_then(Count::recall),
            Self::Precision(label) => count(label).and_then(Count::precision),
        }
    }

    /// Why the figure is not defined.
    pub fn undefined(&self) -> String {
        match self {
            Self::Accuracy | Self::MacroF1 => "there are no texts".to_owned(),
            Self::Recall(label) => format!("no text has the label {label}"),
            Self::Precision(label) => format!("no text was given the label {label}"),
        }
    }
}

/// The least that a figure may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    pub quality: Quality,
    /// From 0 to 1.
    pub least: f64,
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "write FIGURE=LEAST, as in accuracy=0.9, macro-f1=80%, recall:LABEL=0.4, precision:LABEL=0.8";
        let (quality, least) = text.rsplit_once('=').ok_or(wrong)?;
        let quality = quality.strip_suffix('>').unwrap_or(quality).parse::<Quality>()?;
        let least = share(least).ok_or(wrong)?;
        Ok(Self { quality, least })
    }
}

/// A share from 0 to 1, as 0.895 or 89.5%.
pub fn share(text: &str) -> Option<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::evaluation::tally::Labels;

    #[test]
    fn a_label_may_hold_any_sign() {
        let floor: Floor = "recall:a>=b:c=40%".parse().expect("a floor");
        assert_eq!(floor.quality, Quality::Recall("a>=b:c".to_owned()));
        assert_eq!(floor.least, 0.4);
        assert_eq!("accuracy>=0.9".parse::<Floor>(), "accuracy=0.9".parse::<Floor>());
        assert_eq!(floor.quality.to_string(), "recall:a>=b:c");
    }

    #[test]
    fn what_is_no_floor_is_refused() {
        for text in [
            "",
            "accuracy",
            "accuracy=",
            "accuracy=90",
            "accuracy=NaN",
            "f1=0.9",
            "recall=0.5",
            "recall:=0.5",
        ] {
            assert!(text.parse::<Floor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_figure_of_a_label_needs_the_label() {
        let labels = ["none".to_owned(), "hate".to_owned()];
        let mut tally = Tally::new(2);
        tally.add(&Labels::One(1), &Labels::One(0), 1.0);
        tally.add(&Labels::One(0), &Labels::One(0), 1.0);
        let of = |text: &str| text.parse::<Quality>().expect(text).of(&tally, &labels);
        assert_eq!(of("accuracy"), Some(0.5));
        assert_eq!(of("recall:hate"), Some(0.0));
        assert_eq!(of("precision:hate"), None);
        assert_eq!(of("precision:none"), Some(0.5));
        let unknown: Quality = "recall:hat".parse().expect("a figure");
        let problem = unknown.check(&labels).expect_err("no such label");
        assert_eq!(problem, "recall:hat: no such label; there are: none, hate");
    }
}
