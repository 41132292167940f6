//! Calibrates a cascade from what both models said: fits on one half of the texts, and measures and certifies on the
//! other. Pure. Texts need no labels: then the deep model's answers stand for them.

use std::collections::HashSet;

use serde::Serialize;

use super::abstention::{self, Abstention, Answered};
use super::certificate::{Certificate, Tested};
use super::curve::{Fitted, Judged, Point};
use super::deferral::{self, Compared, Trial};
pub use super::options::{CERTIFYING, Options, Reference, in_all};
use super::promises::{self, Next};
use super::target::Choice;
use super::{Sample, fit};
use crate::model::blend::Blend;
use crate::offline::dataset::fold_of;
use crate::offline::evaluation::findings;

/// A calibrated cascade.
#[derive(Clone, Debug, Serialize)]
pub struct Calibrated {
    #[serde(skip)]
    pub fitted: Fitted,
    /// The number of texts that were fitted to, and of the others, which the figures were measured on.
    pub fitted_on: usize,
    pub measured_on: usize,
    /// How many of the measured texts have each label.
    pub texts_of_labels: Vec<usize>,
    /// The curve, starting with the fast model alone.
    pub curve: Vec<Point>,
    pub chosen: Point,
    pub deep_alone: Point,
    /// What the figures say, in plain words.
    pub findings: Vec<String>,
    /// What is certified of the chosen point.
    pub certificates: Vec<Certificate>,
    /// The threshold at which the tests ended; absent if the target is not a certified one, or if the fast model alone
    /// meets it.
    pub next: Option<Next>,
    /// From which confidence on a final answer is given; absent unless a precision is asked for.
    pub abstention: Option<Abstention>,
    /// What is answered, and how rightly, by the confidence of final answers; empty without labels.
    pub answered: Vec<Answered>,
    /// How a forecast of the gain did against confidence; absent if it was not tried.
    pub deferral: Option<Compared>,
    /// Where texts are escalated by a forecast of the gain, so that thresholds are scores: the same by confidence.
    pub by_confidence: Option<ByConfidence>,
}

/// What confidence would do in place of a forecast.
#[derive(Clone, Debug, Serialize)]
pub struct ByConfidence {
    /// The threshold that escalates about as many texts.
    pub min_confidence: f32,
    /// The curve, starting with the fast model alone.
    pub curve: Vec<Point>,
}

impl Calibrated {
    /// What is certified of the cascade, and of the answers that are given.
    pub fn all_certificates(&self) -> impl Iterator<Item = &Certificate> {
        let of_answers = self.abstention.iter().flat_map(|abstention| &abstention.certificates);
        self.certificates.iter().chain(of_answers)
    }

    /// What is certified, and what kept the next threshold from being so, in sentences.
    pub fn certified(&self) -> Vec<String> {
        let next = |next: Option<Next>, what: &str| {
            next.map(
                |Next {
                     of,
                     tested,
                     enough_texts,
                 }| {
                    let Tested { min_confidence, count } = tested;
                    let fault = of.fault();
                    let remedy = match enough_texts {
                        Some(texts) => format!("about {texts} held-out texts would certify it if as many {fault}"),
                        None => "too many for any number of texts".to_owned(),
                    };
                    format!(
                        "not certified: the next {what}, {min_confidence}, with {} of {} that {fault}: {remedy}",
                        count.errors, count.texts
                    )
                },
            )
        };
        let mut sentences: Vec<String> = self.certificates.iter().map(ToString::to_string).collect();
        sentences.extend(next(self.next, "threshold"));
        if let Some(abstention) = &self.abstention {
            sentences.extend(abstention.certificates.iter().map(ToString::to_string));
            if abstention.certificates.len() > 1 {
                sentences
                    .push("what is certified of answers is so of all of them at once, at that confidence".to_owned());
            }
            sentences.extend(next(abstention.next, "confidence to answer from"));
            sentences.push(format!(
                "answered: {}% of the held-out texts; answers less than {} sure are withheld",
                (abstention.coverage * 1e3).round() / 10.0,
                abstention.min_confidence
            ));
        }
        sentences.extend(self.deferral.as_ref().map(ToString::to_string));
        sentences
    }
}

/// Which half a text is in: that to fit on, and not that to measure on. Equal texts are in the same one.
pub fn is_fitted_on(group: u64, seed: u64) -> bool {
    fold_of(group, seed, 2) == 0
}

/// Calibrates. Both halves must have texts. The error is one line: what was wanted can't be had, and why.
pub fn calibrate(samples: &[Sample], options: &Options<'_>) -> Result<Calibrated, String> {
    let (fitting, held_out): (Vec<&Sample>, Vec<&Sample>) =
        (samples.iter()).partition(|sample| is_fitted_on(sample.group, options.seed));
    let Decided {
        fitted,
        min_confidence,
        certificates,
        next,
        abstention,
        answered,
        trial,
    } = decide(&fitting, &held_out, options)?;
    let (fitted_on, measured_on) = (fitting.len(), held_out.len());
    let mut texts_of_labels = vec![0; options.labels.len()];
    for one in &held_out {
        for &label in one.truth.places() {
            texts_of_labels[label as usize] += 1;
        }
    }
    let by_confidence = fitted.gain.is_some().then(|| {
        let share = Judged::new(fitting.clone(), &fitted).plain(min_confidence).escalated;
        let without = Fitted {
            gain: None,
            ..fitted.clone()
        };
        by_confidence(&fitting, &held_out, &without, share, options.seed)
    });
    let mut thresholds = Judged::new(fitting, &fitted).grid();
    thresholds.push(min_confidence);
    let deferral = trial.map(|trial| trial.measured(&held_out, &fitted, options.wanted.agreement().is_some()));
    let judged = Judged::new(held_out, &fitted);
    let mut curve = judged.points(&thresholds, options.seed);
    let deep_alone = curve.pop().expect("the deep model comes last");
    let chosen = curve.pop().expect("the chosen threshold comes before it");
    Ok(Calibrated {
        fitted,
        fitted_on,
        measured_on,
        texts_of_labels,
        findings: findings(&judged, &curve, &chosen, options),
        curve,
        chosen,
        deep_alone,
        certificates,
        next,
        abstention,
        answered,
        deferral,
        by_confidence,
    })
}

/// The same texts by confidence, in place of a forecast that escalates this share of them.
fn by_confidence(fitting: &[&Sample], held_out: &[&Sample], fitted: &Fitted, share: f64, seed: u64) -> ByConfidence {
    let fitting = Judged::new(fitting.to_vec(), fitted);
    let percent = (share * 100.0).round() as usize;
    let mut curve = Judged::new(held_out.to_vec(), fitted).points(&fitting.grid(), seed);
    // The deep model alone, which comes last.
    curve.pop();
    ByConfidence {
        min_confidence: fitting.thresholds(std::iter::once(percent))[0],
        curve,
    }
}

/// What the figures say.
fn findings(judged: &Judged<'_>, curve: &[Point], chosen: &Point, options: &Options<'_>) -> Vec<String> {
    let deep = judged.deep_alone();
    let given: Vec<usize> = deep.counts.iter().map(|count| count.given as usize).collect();
    // Without labels the caller has the deep model's answers to more texts than these, and tells what it never says on them.
    let by_labels = options.reference == Reference::Labels;
    let fast = curve.first().filter(|_| by_labels);
    let never = || findings::never_given("the deep model", options.labels, &given, deep.texts as usize, None);
    let all = [
        fast.and_then(|fast| findings::fast_beats_deep(fast.above_deep)),
        findings::of_cascade(judged.agreement(), chosen.cost.value),
        by_labels.then(never).flatten(),
    ];
    all.into_iter().flatten().collect()
}

/// A threshold, and what is certified of it.
#[derive(Clone, Debug)]
pub struct Decided {
    pub fitted: Fitted,
    pub min_confidence: f32,
    pub certificates: Vec<Certificate>,
    /// As in [`Calibrated`].
    pub next: Option<Next>,
    pub abstention: Option<Abstention>,
    pub answered: Vec<Answered>,
    pub trial: Option<Trial>,
}

/// Fits, and settles which thresholds come into question, on the first texts; the others certify. Neither may be empty,
/// and no text may be in both.
pub fn decide(fitting: &[&Sample], held_out: &[&Sample], options: &Options<'_>) -> Result<Decided, String> {
    let by_labels = options.reference == Reference::Labels;
    if !by_labels && let Some(target) = options.wanted.of_labels() {
        return Err(format!("{target}: labels are needed, since it is about right answers"));
    }
    let (fitted, trial) = deferral::choose(fitting, fit_on(fitting, options), options)?;
    let fitting = Judged::new(fitting.to_vec(), &fitted);
    let suitable = options.wanted.suitable(&Choice {
        curve: &fitting.fine(),
        deep: &fitting.deep_alone(),
        labels: options.labels,
    })?;
    let once = Judged::new(once(held_out), &fitted);
    let chosen = promises::choose(&suitable, &fitting, &once, options)?;
    let abstention = abstention::abstain(&chosen, &fitting, &once, options)?;
    let answered = by_labels.then(|| abstention::curve(&chosen, abstention.as_ref(), &fitting, &once, options));
    Ok(Decided {
        min_confidence: chosen.min_confidence,
        certificates: chosen.certificates,
        next: chosen.next,
        answered: answered.unwrap_or_default(),
        abstention,
        fitted,
        trial,
    })
}

/// Fits temperatures, and the blend. Where the deep model's answers are what counts, they stand as they are.
fn fit_on(samples: &[&Sample], options: &Options<'_>) -> Fitted {
    let labels = samples.first().map_or(0, |sample| sample.deep.len());
    if let Some(each) = options.each {
        return Fitted {
            temperatures: each.temperatures(),
            blend: Blend::deep_alone(labels),
            each: Some(each.clone()),
            gain: None,
        };
    }
    let truth = Sample::label;
    let temperatures = match options.reference {
        Reference::Labels => [
            fit::temperature(samples.iter().map(|one| (one.fast.as_slice(), one.fast[truth(one)]))),
            fit::temperature(samples.iter().map(|one| (one.deep.as_slice(), one.deep[truth(one)]))),
        ],
        Reference::Deep => {
            let deep = options.deep_temperature;
            let pairs = samples
                .iter()
                .map(|one| (one.fast.as_slice(), fit::mean_logit(&one.fast, &one.deep, deep)));
            [fit::temperature(pairs), deep]
        }
    };
    // As the calibration file holds them, so that what is measured is what is served.
    let temperatures = temperatures.map(|temperature| f64::from(temperature as f32));
    let deep_decides = options.reference == Reference::Deep || options.wanted.agreement().is_some();
    Fitted {
        temperatures,
        blend: if deep_decides {
            Blend::deep_alone(labels)
        } else {
            fit::blend(samples, temperatures)
        },
        each: None,
        gain: None,
    }
}

/// The first of each group of equal texts: one that comes a hundred times would vouch for itself a hundred times.
fn once<'a>(samples: &[&'a Sample]) -> Vec<&'a Sample> {
    let mut seen = HashSet::new();
    samples
        .iter()
        .copied()
        .filter(|sample| seen.insert(sample.group))
        .collect()
}

#[cfg(test)]
mod tests;
