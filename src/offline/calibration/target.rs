//! What an operator wants of a cascade, and the threshold that gives it. Pure.
//!
//! Targets are written as `FIGURE>=LEAST` or `cost<=MOST`, in any number: the cheapest point that keeps all of them is
//! taken, or, where costs alone are asked for, the dearest.

use std::fmt;
use std::str::FromStr;

use super::curve::Plain;
use crate::offline::evaluation::quality::{Quality, share};
use crate::offline::evaluation::tally::Tally;

/// A tolerance for rounding errors.
const SLACK: f64 = 1e-9;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// At least this of a figure.
    AtLeast(Quality, Least),
    /// The deep model's answer for at least this share of texts, above 0 and below 1. It is certified.
    Agreement(f64),
    /// A cost of at most this, where the deep model alone costs 1.
    Cost(f64),
}

/// The least that a figure may be, absolute or against the deep model's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Least {
    /// From 0 to 1.
    Share(f64),
    /// The deep model's figure and this, which may be negative.
    Deep(f64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(most) = text.strip_prefix("cost<=") {
            let cost = most.parse::<f64>().ok().filter(|cost| cost.is_finite() && *cost > 0.0);
            return cost.map(Self::Cost).ok_or_else(|| {
                format!("cost<={most}: write a number above 0, the deep model for every text being 1, as in cost<=0.3")
            });
        }
        if let Some(least) = text.strip_prefix("agreement>=") {
            let share = share(least).filter(|share| *share > 0.0 && *share < 1.0);
            return share.map(Self::Agreement).ok_or_else(|| {
                format!(
                    "agreement>={least}: write a share above 0 and below 1, as in agreement>=0.99 or agreement>=99%"
                )
            });
        }
        // A label may hold these signs too.
        let (figure, least) = text.rsplit_once(">=").ok_or(
            "write FIGURE>=LEAST or cost<=MOST, as in accuracy>=deep-0.2pt, macro-f1>=0.80, recall:LABEL>=0.4, \
             precision:LABEL>=80%, agreement>=0.99, cost<=0.3",
        )?;
        Ok(Self::AtLeast(figure.parse()?, least.parse()?))
    }
}

impl FromStr for Least {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}`: write a share (0.895, 89.5%) or one against the deep model's (deep, deep-0.2pt, deep+1pt)"
            )
        };
        match text.strip_prefix("deep") {
            None => share(text).map(Self::Share).ok_or_else(wrong),
            Some("") => Ok(Self::Deep(0.0)),
            Some(points) => {
                let points = points
                    .strip_suffix("pt")
                    .filter(|points| points.starts_with(['-', '+']));
                let points = points.and_then(|points| points.parse::<f64>().ok());
                let allowed = points.filter(|points| (-100.0..=100.0).contains(points));
                allowed.map(|points| Self::Deep(points / 100.0)).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(most) => write!(f, "cost<={most}"),
            Self::Agreement(least) => write!(f, "agreement>={least}"),
            Self::AtLeast(quality, Least::Share(least)) => write!(f, "{quality}>={least}"),
            Self::AtLeast(quality, Least::Deep(0.0)) => write!(f, "{quality}>=deep"),
            Self::AtLeast(quality, Least::Deep(points)) => {
                write!(f, "{quality}>=deep{:+}pt", (points * 1e6).round() / 1e4)
            }
        }
    }
}

/// How the threshold is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// It is given.
    Threshold(f32),
    /// It is the best by these, of which there is at least one.
    Targets(Vec<Target>),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold(threshold) => write!(f, "--min-confidence {threshold}"),
            Self::Targets(targets) => {
                let targets: Vec<String> = targets.iter().map(|target| format!("--target '{target}'")).collect();
                f.write_str(&targets.join(" "))
            }
        }
    }
}

impl Wanted {
    /// Fails if a target is about a label that is none of these.
    pub fn check(&self, labels: &[String]) -> Result<(), String> {
        match self {
            Self::Threshold(_) => Ok(()),
            Self::Targets(targets) => targets.iter().try_for_each(|target| target.check(labels)),
        }
    }

    /// The thresholds that meet what is wanted, the best first; at least one. The error says what the curve reaches.
    pub fn suitable(&self, choice: &Choice<'_>) -> Result<Vec<f32>, String> {
        match self {
            Self::Threshold(threshold) => Ok(vec![*threshold]),
            Self::Targets(targets) => suitable(targets, choice),
        }
    }

    /// The accuracy that is asked for, as it was written and as a share, where the deep model alone has `deep`; `None` if
    /// none is.
    pub fn accuracy(&self, deep: f64) -> Option<(String, f64)> {
        let Self::Targets(targets) = self else { return None };
        targets.iter().find_map(|target| match target {
            Target::AtLeast(Quality::Accuracy, Least::Share(least)) => Some((target.to_string(), *least)),
            Target::AtLeast(Quality::Accuracy, Least::Deep(points)) => Some((target.to_string(), deep + points)),
            _ => None,
        })
    }

    /// The share of texts that must get the deep model's answer, if any must.
    pub fn agreement(&self) -> Option<f64> {
        let Self::Targets(targets) = self else { return None };
        let shares = targets.iter().filter_map(|target| match target {
            Target::Agreement(least) => Some(*least),
            Target::AtLeast(..) | Target::Cost(_) => None,
        });
        shares.reduce(f64::max)
    }
}

impl Target {
    /// Fails if it is about a label that is none of these.
    pub fn check(&self, labels: &[String]) -> Result<(), String> {
        match self {
            Self::AtLeast(quality, _) => quality.check(labels),
            Self::Cost(_) | Self::Agreement(_) => Ok(()),
        }
    }
}

/// What is chosen from.
pub struct Choice<'a> {
    /// The points, which begin with fast alone, the cheapest.
    pub curve: &'a [Plain],
    /// The answers of the deep model alone.
    pub deep: &'a Tally,
    /// The labels, in the order of the tallies.
    pub labels: &'a [String],
}

/// The thresholds that meet the targets, of which there is at least one, the best first. What must be certified is left to
/// [`super::certificate`]. The error is one line that says what the curve reaches.
fn suitable(targets: &[Target], choice: &Choice<'_>) -> Result<Vec<f32>, String> {
    let mut floors = Vec::new();
    for target in targets {
        if let Target::AtLeast(quality, least) = target {
            floors.push((quality, least.resolve(quality, choice)?));
        }
    }
    let costs = targets.iter().filter_map(|target| match target {
        Target::Cost(most) => Some(*most),
        Target::AtLeast(..) | Target::Agreement(_) => None,
    });
    let most = costs.fold(f64::INFINITY, f64::min);
    let affordable = choice.curve.iter().take_while(|point| point.cost <= most + SLACK);
    let affordable: Vec<&Plain> = affordable.collect();
    let reaches = |point: &Plain, quality: &Quality, least: f64| {
        quality
            .of(&point.tally, choice.labels)
            .is_some_and(|value| value >= least - SLACK)
    };
    let enough =
        (affordable.iter()).filter(|point| floors.iter().all(|(quality, least)| reaches(point, quality, *least)));
    let mut enough: Vec<f32> = enough.map(|point| point.min_confidence).collect();
    let dearest_first = targets.iter().all(|target| matches!(target, Target::Cost(_)));
    if dearest_first {
        enough.reverse();
    }
    if !enough.is_empty() {
        return Ok(enough);
    }
    if affordable.is_empty() {
        let least = choice.curve.first().map_or(0.0, |point| point.cost);
        return Err(format!(
            "no point costs at most {most}: the fast model alone costs {least:.4}"
        ));
    }
    let within = if most.is_finite() {
        format!(" at a cost of at most {most}")
    } else {
        String::new()
    };
    for (quality, least) in &floors {
        if affordable.iter().any(|point| reaches(point, quality, *least)) {
            continue;
        }
        let figures = affordable
            .iter()
            .filter_map(|point| quality.of(&point.tally, choice.labels));
        let best = figures.fold(0.0, f64::max);
        let deep = quality.of(choice.deep, choice.labels);
        let deep = deep.map_or_else(|| "none".to_owned(), |deep| format!("{deep:.4}"));
        return Err(format!(
            "no point reaches {quality} {least:.4}{within} on the texts that were fitted on: the best has {best:.4}, the deep \
             model alone {deep}"
        ));
    }
    let all: Vec<String> = floors
        .iter()
        .map(|(quality, least)| format!("{quality} {least:.4}"))
        .collect();
    Err(format!(
        "no point reaches {} together{within}, though each alone is reached",
        all.join(", ")
    ))
}

impl Least {
    /// The figure that this is, of the texts that were fitted on.
    fn resolve(self, quality: &Quality, choice: &Choice<'_>) -> Result<f64, String> {
        let deep = quality.of(choice.deep, choice.labels);
        match self {
            Self::Share(least) => Ok(least),
            Self::Deep(points) => deep.map(|deep| deep + points).ok_or_else(|| {
                format!(
                    "{quality}: the deep model has no such figure on the texts that were fitted on: {}",
                    quality.undefined()
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::evaluation::tally::Labels;

    /// A thousand texts of two labels, of which so many are right; all errors are `hate` that gets `none`, so that its
    /// recall is the share of its 200 texts that is left.
    fn tally(accuracy: f64) -> Tally {
        let mut tally = Tally::new(2);
        let wrong = ((1.0 - accuracy) * 1000.0).round() as usize;
        for at in 0..1000 {
            let truth = u32::from(at < 200);
            let given = if at < wrong { 0 } else { truth };
            tally.add(&Labels::One(truth), &Labels::One(given), 1.0);
        }
        tally
    }

    fn chosen(targets: &[&str]) -> Result<f32, String> {
        let point = |(min_confidence, escalated, accuracy)| Plain {
            min_confidence,
            escalated,
            cost: escalated + 0.01,
            tally: tally(accuracy),
        };
        let curve = [(0.0, 0.0, 0.88), (0.7, 0.2, 0.89), (0.8, 0.3, 0.895), (1.0, 1.0, 0.896)].map(point);
        let labels = ["none".to_owned(), "hate".to_owned()];
        let choice = Choice {
            curve: &curve,
            deep: &tally(0.896),
            labels: &labels,
        };
        let targets: Result<Vec<Target>, String> = targets.iter().map(|target| target.parse()).collect();
        suitable(&targets?, &choice).map(|thresholds| thresholds[0])
    }

    #[test]
    fn the_cheapest_point_that_is_good_enough_is_taken() {
        for (target, threshold) in [
            ("accuracy>=deep", 1.0),
            ("accuracy>=deep-0.2pt", 0.8),
            ("accuracy>=deep-1pt", 0.7),
            ("accuracy>=89%", 0.7),
            ("accuracy>=0.5", 0.0),
            // 105 of 1,000 are wrong: 95 of the 200 are found.
            ("recall:hate>=0.475", 0.8),
            ("recall:hate>=deep-20pt", 0.0),
            ("precision:hate>=1", 0.0),
            // (2 × 800 / (800 + 905) + 2 × 95 / (95 + 200)) / 2
            ("macro-f1>=0.79", 0.8),
        ] {
            assert_eq!(chosen(&[target]), Ok(threshold), "{target}");
        }
        let problem = chosen(&["accuracy>=deep+0.1pt"]).expect_err("too good");
        assert!(
            problem.contains("no point reaches accuracy 0.8970") && problem.contains("the best has 0.8960"),
            "{problem}"
        );
    }

    #[test]
    fn the_dearest_point_that_can_be_paid_is_taken() {
        assert_eq!(chosen(&["cost<=0.31"]), Ok(0.8));
        assert_eq!(chosen(&["cost<=0.3"]), Ok(0.7));
        assert!(
            chosen(&["cost<=0.001"])
                .expect_err("too cheap")
                .contains("fast model alone costs 0.0100")
        );
    }

    #[test]
    fn all_targets_hold_at_once() {
        assert_eq!(chosen(&["accuracy>=0.88", "recall:hate>=0.45"]), Ok(0.7));
        assert_eq!(chosen(&["accuracy>=0.88", "cost<=0.5"]), Ok(0.0));
        let problem = chosen(&["accuracy>=0.895", "cost<=0.25"]).expect_err("too much");
        assert!(
            problem.contains("at a cost of at most 0.25") && problem.contains("the best has 0.8900"),
            "{problem}"
        );
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "accuracy",
            "accuracy>0.9",
            "accuracy>=",
            "accuracy>=deep-0.2",
            "accuracy>=deep0.2%",
            "accuracy>=deep0.2pt",
            "accuracy>=1.2",
            "accuracy>=-0.1",
            "accuracy>=NaN",
            "accuracy>=deep-NaNpt",
            "agreement>=1",
            "agreement>=0",
            "agreement>=deep",
            "cost<=0",
            "cost<=inf",
            "cost>=0.3",
            "f1>=0.3",
            "recall>=0.3",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_is_written_as_it_is_read() {
        for text in [
            "accuracy>=deep-0.2pt",
            "macro-f1>=deep",
            "recall:hate>=0.4",
            "agreement>=0.99",
            "cost<=0.3",
        ] {
            assert_eq!(text.parse::<Target>().expect(text).to_string(), text);
        }
    }
}
