//! What an operator wants of a cascade, and the threshold that gives it. Pure.
//!
//! Targets are written as `FIGURE>=LEAST` or `FIGURE<=MOST`, in any number: the cheapest point that keeps all of them is
//! taken, or, where costs alone are asked for, the dearest. Those of a precision are about which answers are given, and leave
//! the point to the others.

use std::fmt;
use std::str::FromStr;

use super::certificate::Certified;
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
    /// A wrong answer to at most this share of texts, above 0 and below 1. It is certified.
    Risk(f64),
    /// Right answers, at least this share of those that are given, or of those that give this label; above 0 and below 1.
    /// It is certified, by withholding answers that are less sure.
    Precision(Option<String>, f64),
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
            return certifiable("agreement>=", least, "0.99").map(Self::Agreement);
        }
        if let Some(most) = text.strip_prefix("risk<=") {
            return certifiable("risk<=", most, "0.02").map(Self::Risk);
        }
        if let Some(least) = text.strip_prefix("precision>=") {
            return certifiable("precision>=", least, "0.98").map(|least| Self::Precision(None, least));
        }
        // A label may hold these signs too.
        let (figure, least) = text.rsplit_once(">=").ok_or(
            "write FIGURE>=LEAST or FIGURE<=MOST, as in accuracy>=deep-0.2pt, macro-f1>=0.80, recall:LABEL>=0.4, agreement>=0.99, \
             risk<=0.02, precision>=0.98, precision:LABEL>=95%, cost<=0.3",
        )?;
        match figure.parse()? {
            Quality::Precision(label) if !least.starts_with("deep") => {
                let least = certifiable(&format!("{figure}>="), least, "0.95")?;
                Ok(Self::Precision(Some(label), least))
            }
            quality => Ok(Self::AtLeast(quality, least.parse()?)),
        }
    }
}

/// A share that texts can vouch for.
fn certifiable(figure: &str, text: &str, example: &str) -> Result<f64, String> {
    let share = share(text).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| {
        let percents = example.parse::<f64>().unwrap_or_default() * 100.0;
        format!("{figure}{text}: write a share above 0 and below 1, as in {figure}{example} or {figure}{percents}%")
    })
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
            Self::Risk(most) => write!(f, "risk<={most}"),
            Self::Precision(None, least) => write!(f, "precision>={least}"),
            Self::Precision(Some(label), least) => write!(f, "precision:{label}>={least}"),
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
            Target::Risk(most) => Some((target.to_string(), 1.0 - most)),
            _ => None,
        })
    }

    /// The targets; none if a threshold is given.
    fn targets(&self) -> &[Target] {
        match self {
            Self::Threshold(_) => &[],
            Self::Targets(targets) => targets,
        }
    }

    /// The share of texts that must get the deep model's answer, if any must.
    pub fn agreement(&self) -> Option<f64> {
        let promises = self.promises();
        let of = promises.into_iter().find(|(of, _)| *of == Certified::Agreement);
        of.map(|(_, least)| least)
    }

    /// What is to be certified of all texts, each kind once: the least share of those that do well.
    pub fn promises(&self) -> Vec<(Certified, f64)> {
        let most = |of: fn(&Target) -> Option<f64>| self.targets().iter().filter_map(of).reduce(f64::max);
        let agreement = most(|target| match target {
            Target::Agreement(least) => Some(*least),
            _ => None,
        });
        let accuracy = most(|target| match target {
            Target::Risk(most) => Some(1.0 - most),
            _ => None,
        });
        let kinds = [(Certified::Agreement, agreement), (Certified::Accuracy, accuracy)];
        kinds.into_iter().filter_map(|(of, least)| Some((of, least?))).collect()
    }

    /// The precisions that are asked for, of all answers or of those that give a label, which is one of these.
    pub fn precisions(&self, labels: &[String]) -> Vec<(Option<u32>, f64)> {
        let place = |label: &String| labels.iter().position(|other| other == label).map(|place| place as u32);
        let precision = |target: &Target| match target {
            Target::Precision(label, least) => Some((label.as_ref().and_then(place), *least)),
            _ => None,
        };
        self.targets().iter().filter_map(precision).collect()
    }

    /// A target that can be met only where labels are known.
    pub fn of_labels(&self) -> Option<&Target> {
        self.targets().iter().find(|target| target.needs_labels())
    }
}

impl Target {
    /// Fails if it is about a label that is none of these.
    pub fn check(&self, labels: &[String]) -> Result<(), String> {
        match self {
            Self::AtLeast(quality, _) => quality.check(labels),
            Self::Precision(Some(label), _) => Quality::Precision(label.clone()).check(labels),
            Self::Cost(_) | Self::Agreement(_) | Self::Risk(_) | Self::Precision(None, _) => Ok(()),
        }
    }

    /// Whether it can be met only where labels are known.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Self::Risk(_) | Self::Precision(..))
    }

    /// Whether it says which answers are given, and nothing of which model gives them.
    pub fn is_of_answers(&self) -> bool {
        matches!(self, Self::Precision(..))
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
        _ => None,
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
    let mut of_point = targets.iter().filter(|target| !target.is_of_answers());
    let dearest_first = of_point.all(|target| matches!(target, Target::Cost(_)));
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
mod tests;
