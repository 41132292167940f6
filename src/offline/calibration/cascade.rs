//! Calibrates a cascade from what both models said: fits on one half of the texts, and measures and certifies on the
//! other. Pure. Texts need no labels: then the deep model's answers stand for them.

use std::collections::HashSet;

use serde::Serialize;

use super::certificate::{Certificate, Certified, Promise, Tested, certify, most_errors, percent};
use super::curve::{Fitted, Judged, Point};
use super::each::Each;
use super::target::{Choice, Wanted};
use super::{Sample, fit};
use crate::model::blend::Blend;
use crate::offline::dataset::fold_of;
use crate::offline::evaluation::findings;

/// What a text's right label is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// Labels that people gave.
    Labels,
    /// The deep model's answers: "right" means that the cascade agrees with the deep model.
    Deep,
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
}

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
}

/// The strictest threshold that could not be certified.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Next {
    #[serde(flatten)]
    pub tested: Tested,
    /// About how many different held-out texts would certify it; `None` if it errs too often.
    pub enough_texts: Option<usize>,
}

impl Calibrated {
    /// What is certified, and what kept the next threshold from being so, in sentences.
    pub fn certified(&self) -> Vec<String> {
        let sentences = self.certificates.iter().map(ToString::to_string);
        let next = self.next.map(|next| {
            let Tested { min_confidence, count } = next.tested;
            let remedy = match next.enough_texts {
                Some(texts) => format!("about {texts} held-out texts would certify it if as many differ"),
                None => "too many for any number of texts".to_owned(),
            };
            format!(
                "not certified: the next threshold, {min_confidence}, with {} of {} that differ: {remedy}",
                count.errors, count.texts
            )
        });
        sentences.chain(next).collect()
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
    } = decide(&fitting, &held_out, options)?;
    let (fitted_on, measured_on) = (fitting.len(), held_out.len());
    let mut texts_of_labels = vec![0; options.labels.len()];
    for one in &held_out {
        for &label in one.truth.places() {
            texts_of_labels[label as usize] += 1;
        }
    }
    let mut thresholds = Judged::new(fitting, &fitted).grid();
    thresholds.push(min_confidence);
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
    })
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
}

/// Fits, and settles which thresholds come into question, on the first texts; the others certify. Neither may be empty,
/// and no text may be in both.
pub fn decide(fitting: &[&Sample], held_out: &[&Sample], options: &Options<'_>) -> Result<Decided, String> {
    let fitted = fit_on(fitting, options);
    let fitting = Judged::new(fitting.to_vec(), &fitted);
    let suitable = options.wanted.suitable(&Choice {
        curve: &fitting.fine(),
        deep: &fitting.deep_alone(),
        labels: options.labels,
    })?;
    let once = Judged::new(once(held_out), &fitted);
    let (min_confidence, certificates, next) = match options.wanted.agreement() {
        Some(least) => agreeing(least, &suitable, &once, options)?,
        None => (suitable[0], of_threshold(suitable[0], &once, options), None),
    };
    Ok(Decided {
        fitted,
        min_confidence,
        certificates,
        next,
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

/// The share of labelled texts on which is measured and certified: they are split into halves.
pub const CERTIFYING: f64 = 0.5;

/// How many texts there must be in all for so many to be a share of them, in round numbers.
pub fn in_all(texts: f64, share: f64) -> u64 {
    ((texts / share / 100.0).ceil() * 100.0) as u64
}

type Chosen = (f32, Vec<Certificate>, Option<Next>);

/// The loosest threshold that is certified to agree with the deep model on `least` of all texts.
fn agreeing(least: f64, candidates: &[f32], once: &Judged<'_>, options: &Options<'_>) -> Result<Chosen, String> {
    let promise = Promise {
        risk: 1.0 - least,
        delta: 1.0 - options.confidence,
    };
    let strictest_first: Vec<f32> = candidates.iter().rev().copied().collect();
    let outcome = certify(&strictest_first, promise, |threshold| once.differing(threshold));
    let next = outcome.failed.map(|tested| Next {
        tested,
        enough_texts: promise.enough_texts(tested.count),
    });
    let Some(passed) = outcome.certified else {
        let remedy = match next.and_then(|next| next.enough_texts) {
            Some(texts) => format!(
                "about {texts} different texts to test on would do, about {} in all",
                in_all(texts as f64, options.certifying)
            ),
            None => "more texts would not help".to_owned(),
        };
        let seen = next.map_or_else(|| once.differing(1.0), |next| next.tested.count);
        return Err(format!(
            "no threshold can be certified to agree with the deep model on at least {}% of texts at a confidence of {}%: at the \
             strictest {} of {} texts differ; {remedy}",
            percent(least),
            percent(options.confidence),
            seen.errors,
            seen.texts
        ));
    };
    let mut certificates = vec![Certificate {
        of: Certified::Agreement,
        at_least: least,
        confidence: options.confidence,
        min_confidence: passed.min_confidence,
        seen: passed.count,
    }];
    // The texts chose among all candidates, and each of these might have been chosen: the chance is divided among them.
    certificates.extend(accuracy(passed.min_confidence, once, options, candidates.len()));
    Ok((passed.min_confidence, certificates, next))
}

/// What holds of a threshold that was chosen without these texts.
fn of_threshold(min_confidence: f32, once: &Judged<'_>, options: &Options<'_>) -> Vec<Certificate> {
    let seen = once.differing(min_confidence);
    let agreement = Certificate {
        of: Certified::Agreement,
        at_least: 1.0 - most_errors(seen, 1.0 - options.confidence),
        confidence: options.confidence,
        min_confidence,
        seen,
    };
    let accuracy = accuracy(min_confidence, once, options, 1);
    std::iter::once(agreement).chain(accuracy).collect()
}

/// The least accuracy of a threshold, where there are labels; chosen by these texts among so many candidates.
fn accuracy(min_confidence: f32, once: &Judged<'_>, options: &Options<'_>, candidates: usize) -> Option<Certificate> {
    let seen = once.wrong(min_confidence);
    let delta = (1.0 - options.confidence) / candidates as f64;
    (options.reference == Reference::Labels).then(|| Certificate {
        of: Certified::Accuracy,
        at_least: 1.0 - most_errors(seen, delta),
        confidence: options.confidence,
        min_confidence,
        seen,
    })
}

#[cfg(test)]
mod tests;
