//! Abstention: from which confidence on a final answer is given, so that what is given is as often right as was asked for
//! (R. El-Yaniv, Y. Wiener, "On the foundations of noise-free selective classification", 2010; Y. Geifman, R. El-Yaniv,
//! "Selective classification for deep neural networks", 2017, bound it in this way too). Pure.
//!
//! The thresholds that come into question, and where the tests begin, are settled on the fitting half, at the threshold of
//! the cascade. The other half tests them, the strictest first: see [`super::certificate`]. How many texts a threshold
//! answers is left to chance; given that number, the wrong ones among them are binomial, so the bound is exact.
//!
//! The precision of some labels is promised for all of them at once: the chance that one of the promises is broken is at
//! most the sum of their chances (C. Bonferroni, 1936), so that each gets an equal part of delta. The threshold is one for all.

use serde::Serialize;

use super::certificate::{Certificate, Certified, Count, Promise, certify, from_best, most_errors, percent};
use super::curve::Judged;
use super::options::{Options, in_all};
use super::promises::{Chosen, Next};

/// The shares of texts in percent that are withheld at the points of the curve.
const GRID: [usize; 20] = [0, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 95];
/// With fewer answers, a share of errors says too little of how many texts would do.
const LEAST_ANSWERS: usize = 30;

/// From which confidence on answers are given.
#[derive(Clone, Debug, Serialize)]
pub struct Abstention {
    /// Less sure final answers are withheld.
    pub min_confidence: f32,
    /// The share of held-out texts that are answered.
    pub coverage: f64,
    /// What is certified of the answers that are given.
    pub certificates: Vec<Certificate>,
    /// The threshold after it, at which the tests ended; `None` if all passed.
    pub next: Option<Next>,
}

/// What is answered if less sure answers are withheld, and how much of it rightly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answered {
    pub min_confidence: f32,
    /// The share of texts that are answered.
    pub coverage: f64,
    /// The share of these whose answer is right.
    pub precision: f64,
    /// Its exact lower bound, for this point alone, at the confidence of the certificates.
    pub precision_low: f64,
}

/// Finds the loosest threshold that keeps every precision that is asked for; `None` if none is. The error says why none can
/// be certified.
pub fn abstain(
    chosen: &Chosen,
    fitting: &Judged<'_>,
    once: &Judged<'_>,
    options: &Options<'_>,
) -> Result<Option<Abstention>, String> {
    let asked = options.wanted.precisions(options.labels);
    if asked.is_empty() {
        return Ok(None);
    }
    // The threshold of the cascade may have been chosen by these texts, among so many.
    let delta = (1.0 - options.confidence) / (asked.len() * chosen.candidates) as f64;
    let promises: Vec<Promise> = (asked.iter())
        .map(|(_, least)| Promise {
            risk: 1.0 - least,
            delta,
        })
        .collect();
    let count =
        |judged: &Judged<'_>, place: usize, from: f32| judged.answered(chosen.min_confidence, from, asked[place].0);
    let mut candidates = fitting.final_thresholds(chosen.min_confidence, 0..=100);
    candidates.reverse();
    let order = from_best(&candidates, &promises, |place, from| count(fitting, place, from));
    let outcome = certify(order, &promises, |place, from| count(once, place, from));
    let enough = |place: usize, seen: Count| {
        let answers = promises[place].enough_texts(seen)?;
        // So many of all texts get such an answer.
        Some((answers as f64 * once.texts() as f64 / seen.texts.max(1) as f64).ceil() as usize)
    };
    let next = outcome.failed.map(|(tested, place)| Next {
        of: Certified::Precision,
        tested,
        enough_texts: enough(place, tested.count),
    });
    let Some((min_confidence, counts)) = outcome.certified else {
        let Some((tested, place)) = outcome.failed else {
            return Err("precision: there are no texts to test on".to_owned());
        };
        // More texts may do for a stricter threshold where they would not for this one.
        let would_do = candidates.iter().filter_map(|&from| {
            let seen = count(once, place, from);
            enough(place, seen).filter(|_| seen.texts >= LEAST_ANSWERS)
        });
        return Err(refusal(asked[place], tested.count, would_do.min(), options));
    };
    let certificate = |((label, least), seen): (&(Option<u32>, f64), &Count)| Certificate {
        of: Certified::Precision,
        label: label.map(|label| options.labels[label as usize].clone()),
        at_least: *least,
        confidence: options.confidence,
        min_confidence: chosen.min_confidence,
        answers_from: Some(min_confidence),
        seen: *seen,
    };
    let given = once.answered(chosen.min_confidence, min_confidence, None);
    Ok(Some(Abstention {
        min_confidence,
        coverage: given.texts as f64 / once.texts().max(1) as f64,
        certificates: asked.iter().zip(&counts).map(certificate).collect(),
        next,
    }))
}

/// Why nothing can be certified.
fn refusal((label, least): (Option<u32>, f64), seen: Count, would_do: Option<usize>, options: &Options<'_>) -> String {
    let of = label.map_or(String::new(), |label| format!(" `{}`", options.labels[label as usize]));
    let remedy = match would_do {
        Some(texts) => format!(
            "about {texts} different texts to test on would do, about {} in all",
            in_all(texts as f64, options.certifying)
        ),
        None => "more texts would not help".to_owned(),
    };
    format!(
        "no confidence can be certified from which on at least {}% of the answers{of} are right, at a confidence of {}%: at the \
         strictest {} of {} such answers are wrong; {remedy}",
        percent(least),
        percent(options.confidence),
        seen.errors,
        seen.texts
    )
}

/// The curve, from all texts answered to few of them; its points were settled on the fitting half, but for the one that is
/// in force. It ends with the one that has the highest bound there: beyond it too few texts are answered to promise more,
/// and whoever tests the points from the strictest on would fail at once.
pub fn curve(
    chosen: &Chosen,
    abstention: Option<&Abstention>,
    fitting: &Judged<'_>,
    once: &Judged<'_>,
    options: &Options<'_>,
) -> Vec<Answered> {
    let mut thresholds = fitting.final_thresholds(chosen.min_confidence, GRID.into_iter());
    let bound = |from: f32| {
        most_errors(
            fitting.answered(chosen.min_confidence, from, None),
            1.0 - options.confidence,
        )
    };
    let bounds: Vec<f64> = thresholds.iter().map(|&from| bound(from)).collect();
    let best = (0..bounds.len()).min_by(|&a, &b| bounds[a].total_cmp(&bounds[b]));
    thresholds.truncate(best.map_or(0, |best| best + 1));
    thresholds.extend(abstention.map(|abstention| abstention.min_confidence));
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let delta = (1.0 - options.confidence) / chosen.candidates as f64;
    let point = |from: f32| {
        let seen = once.answered(chosen.min_confidence, from, None);
        (seen.texts > 0).then(|| Answered {
            min_confidence: from,
            coverage: seen.texts as f64 / once.texts() as f64,
            precision: 1.0 - seen.share(),
            precision_low: 1.0 - most_errors(seen, delta),
        })
    };
    thresholds.into_iter().filter_map(point).collect()
}
