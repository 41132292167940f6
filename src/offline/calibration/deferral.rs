//! By what texts are given to the deep model: by the confidence of the fast one, or by a forecast of the gain
//! ([`crate::model::gain`]). Pure.
//!
//! The forecast is a linear one, fitted to whether the answer became right or wrong by escalation, pulled towards zero
//! (A. Hoerl, R. Kennard, "Ridge regression", 1970). The two are compared at equal cost, on parts of the fitting half that the
//! forecast was not fitted to: it is taken only where it is better by more than chance explains. What is certified rests on
//! the other half, which neither has seen.

use std::fmt;

use serde::Serialize;

use super::Sample;
use super::curve::{Fitted, Judged, probabilities};
use super::fit::solve;
use super::options::{Deferral, Options, Reference};
use crate::model::gain::{COUNT, Gain, Term, facts};
use crate::offline::dataset::fold_of;

/// The parts of the fitting half, each of which is scored by a forecast that was fitted to the others.
const FOLDS: u32 = 5;
/// How strongly the weights are pulled towards zero: as if by so many texts.
const PULL: f64 = 10.0;
/// The shares of the deep model's cost, in percent, at which both are compared.
const BUDGETS: [usize; 12] = [2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80];
/// The texts of a fold, at least, for its figure to mean something.
const LEAST_TEXTS: usize = 40;

/// How the forecast did on the fitting half.
#[derive(Clone, Debug)]
pub struct Trial {
    gain: Gain,
    better_by: f64,
    error: f64,
}

/// The forecast of the gain against confidence.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Whether texts are escalated by the forecast.
    pub by_gain: bool,
    /// On the fitting half, by cross-validation: how much larger the share of right answers is with the forecast, the mean over
    /// the budgets, and its standard error.
    pub better_by: f64,
    pub error: f64,
    /// On the other half.
    pub budgets: Vec<Budget>,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.by_gain {
            "a forecast of the gain"
        } else {
            "confidence"
        };
        let more = |budget: &Budget| budget.by_gain - budget.by_confidence;
        let mean = self.budgets.iter().map(more).sum::<f64>() / self.budgets.len().max(1) as f64;
        write!(
            f,
            "texts are escalated by {by}: at equal cost the forecast is right on {:+.2} points more of the fitted texts than \
             confidence, by cross-validation (standard error {:.2}), and on {:+.2} of the others",
            self.better_by * 100.0,
            self.error * 100.0,
            mean * 100.0
        )
    }
}

/// What a budget buys by each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// The deep model's part of the cost, where the deep model alone costs 1.
    pub cost: f64,
    /// How much the share of right answers rises above the fast model's.
    pub by_confidence: f64,
    pub by_gain: f64,
}

/// Fits a forecast where one is asked for, and takes it if it is better, or wanted in any case.
pub fn choose(fitting: &[&Sample], fitted: Fitted, options: &Options<'_>) -> Result<(Fitted, Option<Trial>), String> {
    if options.deferral == Deferral::Confidence {
        return Ok((fitted, None));
    }
    let wanted = options.deferral == Deferral::Gain;
    if options.each.is_some() {
        let why = "--deferral gain: models that give each label by itself are escalated by confidence alone";
        return if wanted {
            Err(why.to_owned())
        } else {
            Ok((fitted, None))
        };
    }
    let deep_decides = options.wanted.agreement().is_some() || options.reference == Reference::Deep;
    let rows = rows(fitting, &fitted, deep_decides);
    let part = |row: &Row<'_>| fold_of(row.sample.group, options.seed.wrapping_add(1), FOLDS);
    let mut better = Vec::new();
    for fold in 0..FOLDS {
        let (tested, learnt): (Vec<Row<'_>>, Vec<Row<'_>>) = rows.iter().copied().partition(|row| part(row) == fold);
        if tested.len() >= LEAST_TEXTS && learnt.len() >= LEAST_TEXTS {
            let budgets = compare(&tested, &fit(&learnt));
            let more: f64 = budgets.iter().map(|budget| budget.by_gain - budget.by_confidence).sum();
            better.push(more / budgets.len().max(1) as f64);
        }
    }
    let count = better.len() as f64;
    let better_by = better.iter().sum::<f64>() / count.max(1.0);
    let spread: f64 = better.iter().map(|one| (one - better_by).powi(2)).sum();
    let error = (spread / (count - 1.0).max(1.0) / count.max(1.0)).sqrt();
    let gain = fit(&rows);
    let enough = better.len() == FOLDS as usize && better_by > 0.0 && better_by > error;
    let trial = Trial {
        gain: gain.clone(),
        better_by,
        error,
    };
    let gain = (wanted || enough).then_some(gain);
    Ok((Fitted { gain, ..fitted }, Some(trial)))
}

impl Trial {
    /// How both do on other texts. `fitted` holds the forecast if it was taken.
    pub fn measured(self, held_out: &[&Sample], fitted: &Fitted, deep_decides: bool) -> Compared {
        let by_confidence = Fitted {
            gain: None,
            ..fitted.clone()
        };
        Compared {
            by_gain: fitted.gain.is_some(),
            better_by: self.better_by,
            error: self.error,
            budgets: compare(&rows(held_out, &by_confidence, deep_decides), &self.gain),
        }
    }
}

/// A text, and what escalating it brings.
#[derive(Clone, Copy)]
struct Row<'a> {
    sample: &'a Sample,
    confidence: f32,
    facts: [f64; COUNT],
    /// 1 if only the escalated answer is right, −1 if only the fast one is.
    gain: f64,
    /// The seconds of the deep model.
    cost: f64,
}

fn rows<'a>(samples: &[&'a Sample], fitted: &Fitted, deep_decides: bool) -> Vec<Row<'a>> {
    let judged = Judged::new(samples.to_vec(), fitted);
    let gains = judged.gains(deep_decides);
    let row = |(&sample, (_, confidence, gain)): (&&'a Sample, (&Sample, f32, f64))| {
        let costs = sample.costs.iter().flatten().map(|[_, deep]| *deep);
        Row {
            sample,
            confidence,
            facts: facts(&probabilities(sample, fitted.temperatures[0]), sample.size),
            gain,
            cost: costs.clone().sum::<f64>() / costs.count().max(1) as f64,
        }
    };
    samples.iter().zip(gains).map(row).collect()
}

/// The weights that make the sum of squares least.
fn fit(rows: &[Row<'_>]) -> Gain {
    let count = rows.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Row<'_>) -> f64| rows.iter().map(of).sum::<f64>() / count;
    let mut terms = [Term::default(); COUNT];
    for (at, term) in terms.iter_mut().enumerate() {
        term.mean = mean(&|row| row.facts[at]);
        let spread = mean(&|row| (row.facts[at] - term.mean).powi(2)).sqrt();
        // A fact that is the same for all texts tells nothing, and must not be divided by nothing.
        term.scale = if spread > 1e-9 { spread } else { 1.0 };
    }
    let intercept = mean(&|row| row.gain);
    let mut matrix = vec![vec![0.0; COUNT]; COUNT];
    let mut right = vec![0.0; COUNT];
    for row in rows {
        let scaled: Vec<f64> = (terms.iter().zip(row.facts))
            .map(|(term, fact)| (fact - term.mean) / term.scale)
            .collect();
        for (i, x) in scaled.iter().enumerate() {
            right[i] += x * (row.gain - intercept);
            for (j, y) in scaled.iter().enumerate() {
                matrix[i][j] += x * y;
            }
        }
    }
    for (at, line) in matrix.iter_mut().enumerate() {
        line[at] += PULL;
    }
    for (term, weight) in terms.iter_mut().zip(solve(matrix, right)) {
        term.weight = weight;
    }
    Gain { intercept, terms }
}

/// What both bring at each budget.
fn compare(rows: &[Row<'_>], gain: &Gain) -> Vec<Budget> {
    let confidences: Vec<f64> = rows.iter().map(|row| f64::from(row.confidence)).collect();
    let forecasts: Vec<f64> = rows.iter().map(|row| -gain.forecast(&row.facts)).collect();
    let both = bought(rows, &confidences).into_iter().zip(bought(rows, &forecasts));
    let budget = |(percent, (by_confidence, by_gain)): (usize, (f64, f64))| Budget {
        cost: percent as f64 / 100.0,
        by_confidence,
        by_gain,
    };
    BUDGETS.into_iter().zip(both).map(budget).collect()
}

/// What each budget buys if the texts of the lowest scores are escalated, as many as can be paid.
fn bought(rows: &[Row<'_>], scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
    let all: f64 = rows.iter().map(|row| row.cost).sum();
    // Where nothing was timed, each text costs the same.
    let cost = |row: &Row<'_>| {
        if all > 0.0 {
            row.cost / all
        } else {
            1.0 / rows.len() as f64
        }
    };
    let of_budget = |percent: usize| {
        let (mut spent, mut more) = (0.0, 0.0);
        for &at in &order {
            spent += cost(&rows[at]);
            if spent > percent as f64 / 100.0 {
                break;
            }
            more += rows[at].gain;
        }
        more / rows.len().max(1) as f64
    };
    BUDGETS.into_iter().map(of_budget).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::blend::Blend;
    use crate::model::gain::TextSize;
    use crate::offline::calibration::ROUNDS;
    use crate::offline::calibration::target::Wanted;
    use crate::offline::evaluation::tally::Labels;

    /// Texts of which the fast model is equally sure whether it is right or wrong. If `telling`, it is wrong on long ones.
    fn samples(telling: bool) -> Vec<Sample> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut sample = |at: usize| {
            let long = at.is_multiple_of(4);
            let wrong = if telling {
                long && !at.is_multiple_of(3)
            } else {
                random.f64() < 0.2
            };
            let logit = 0.5 + 2.0 * random.f64();
            let sign = if wrong { -1.0 } else { 1.0 };
            Sample {
                truth: Labels::One(1),
                group: at as u64,
                fast: vec![0.0, sign * logit],
                deep: vec![0.0, 3.0],
                costs: [Some([0.01, 1.0]); ROUNDS],
                size: TextSize {
                    bytes: if long { 400 } else { 40 },
                    features: 10,
                },
            }
        };
        (0..2000).map(&mut sample).collect()
    }

    fn chosen(samples: &[Sample], deferral: Deferral) -> (Fitted, Option<Trial>) {
        let wanted = Wanted::Threshold(0.5);
        let options = Options {
            wanted: &wanted,
            labels: &["no".to_owned(), "yes".to_owned()],
            confidence: 0.95,
            certifying: 0.5,
            seed: 1,
            reference: Reference::Labels,
            deep_temperature: 1.0,
            each: None,
            deferral,
        };
        let fitted = Fitted {
            temperatures: [1.0, 1.0],
            blend: Blend::deep_alone(2),
            each: None,
            gain: None,
        };
        let all: Vec<&Sample> = samples.iter().collect();
        choose(&all, fitted, &options).expect("it is fitted")
    }

    #[test]
    fn a_forecast_that_knows_more_than_confidence_is_taken() {
        let samples = samples(true);
        let (fitted, trial) = chosen(&samples, Deferral::Auto);
        let trial = trial.expect("it was tried");
        assert!(fitted.gain.is_some() && trial.better_by > 0.01, "{trial:?}");
        let all: Vec<&Sample> = samples.iter().collect();
        let told = trial.measured(&all, &fitted, false);
        let budget = told.budgets.iter().find(|budget| budget.cost > 0.24).expect("a budget");
        // A quarter of the texts are long, and two in three of these are wrong.
        assert!(
            told.by_gain && budget.by_gain > 0.16 && budget.by_confidence < 0.08,
            "{told:?}"
        );
        // What is measured goes by the forecast: the long texts are escalated.
        let judged = Judged::new(all, &fitted);
        let [_, threshold] = judged.thresholds([0, 25].into_iter())[..] else {
            panic!("two thresholds")
        };
        let plain = judged.plain(threshold);
        assert!(
            (plain.escalated - 0.25).abs() < 0.02 && plain.tally.accuracy() > 0.99,
            "{plain:?}"
        );
    }

    #[test]
    fn a_forecast_that_knows_no_more_is_not_taken_unless_it_is_wanted() {
        let samples = samples(false);
        let (fitted, trial) = chosen(&samples, Deferral::Auto);
        let trial = trial.expect("it was tried");
        assert!(fitted.gain.is_none() && trial.better_by.abs() < 0.01, "{trial:?}");
        assert!(chosen(&samples, Deferral::Gain).0.gain.is_some());
        let (fitted, trial) = chosen(&samples, Deferral::Confidence);
        assert!(fitted.gain.is_none() && trial.is_none());
    }
}
