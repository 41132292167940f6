//! The threshold of the cascade, and what is promised of it: chosen on the fitting half, or tested on the other half where
//! an agreement or an accuracy is to be certified. Pure.

use serde::Serialize;

use super::certificate::{Certificate, Certified, Count, Promise, Tested, certify, from_best, most_errors, percent};
use super::curve::Judged;
use super::options::{Options, Reference, in_all};

/// The strictest threshold that could not be certified.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Next {
    /// What it failed.
    pub of: Certified,
    #[serde(flatten)]
    pub tested: Tested,
    /// About how many different held-out texts would certify it; `None` if it errs too often.
    pub enough_texts: Option<usize>,
}

/// A threshold of the cascade.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub min_confidence: f32,
    pub certificates: Vec<Certificate>,
    /// The one after it, if thresholds were tested and did not all pass.
    pub next: Option<Next>,
    /// How many thresholds the certifying texts chose it from; 1 if it was fixed before.
    pub candidates: usize,
}

/// Takes the first of the suitable thresholds, which are the loosest first; or the loosest for which what is asked for is
/// certified. `fitting` and `once` are the two halves; `once` has each text once.
pub fn choose(
    suitable: &[f32],
    fitting: &Judged<'_>,
    once: &Judged<'_>,
    options: &Options<'_>,
) -> Result<Chosen, String> {
    let asked = options.wanted.promises();
    if asked.is_empty() {
        return Ok(Chosen {
            min_confidence: suitable[0],
            certificates: certificates(suitable[0], &[], 1, once, options),
            next: None,
            candidates: 1,
        });
    }
    let promises: Vec<Promise> = (asked.iter())
        .map(|(_, least)| Promise {
            risk: 1.0 - least,
            delta: 1.0 - options.confidence,
        })
        .collect();
    let count = |judged: &Judged<'_>, place: usize, threshold: f32| counted(asked[place].0, judged, threshold);
    let strictest_first: Vec<f32> = suitable.iter().rev().copied().collect();
    let order = from_best(&strictest_first, &promises, |place, threshold| {
        count(fitting, place, threshold)
    });
    let outcome = certify(order, &promises, |place, threshold| count(once, place, threshold));
    let next = outcome.failed.map(|(tested, place)| Next {
        of: asked[place].0,
        tested,
        enough_texts: promises[place].enough_texts(tested.count),
    });
    let Some((min_confidence, _)) = outcome.certified else {
        let place = outcome.failed.map_or(0, |(_, place)| place);
        return Err(refusal(asked[place], next, options));
    };
    Ok(Chosen {
        min_confidence,
        certificates: certificates(min_confidence, &asked, order.len(), once, options),
        next,
        candidates: order.len(),
    })
}

/// How often a threshold goes wrong.
fn counted(of: Certified, judged: &Judged<'_>, threshold: f32) -> Count {
    match of {
        Certified::Agreement => judged.differing(threshold),
        Certified::Accuracy | Certified::Precision => judged.wrong(threshold),
    }
}

/// What holds of a threshold: what was asked for as it was asked, and a bound on the rest. The texts chose the threshold among
/// so many candidates, and each of these might have been chosen: for the rest the chance is divided among them.
fn certificates(
    min_confidence: f32,
    asked: &[(Certified, f64)],
    candidates: usize,
    once: &Judged<'_>,
    options: &Options<'_>,
) -> Vec<Certificate> {
    let labelled = options.reference == Reference::Labels;
    let kinds = [Some(Certified::Agreement), labelled.then_some(Certified::Accuracy)];
    let certificate = |of: Certified| {
        let seen = counted(of, once, min_confidence);
        let least = asked.iter().find(|(other, _)| *other == of).map(|(_, least)| *least);
        let bound = || 1.0 - most_errors(seen, (1.0 - options.confidence) / candidates as f64);
        Certificate {
            of,
            label: None,
            at_least: least.unwrap_or_else(bound),
            confidence: options.confidence,
            min_confidence,
            answers_from: None,
            seen,
        }
    };
    kinds.into_iter().flatten().map(certificate).collect()
}

/// Why no threshold can be certified.
fn refusal((of, least): (Certified, f64), next: Option<Next>, options: &Options<'_>) -> String {
    let does = match of {
        Certified::Agreement => "agree with the deep model on",
        Certified::Accuracy | Certified::Precision => "be right on",
    };
    let remedy = match next.and_then(|next| next.enough_texts) {
        Some(texts) => format!(
            "about {texts} different texts to test on would do, about {} in all",
            in_all(texts as f64, options.certifying)
        ),
        None => "more texts would not help".to_owned(),
    };
    let seen = next.map_or(Count { errors: 0, texts: 0 }, |next| next.tested.count);
    format!(
        "no threshold can be certified to {does} at least {}% of texts at a confidence of {}%: at the strictest {} of {} texts \
         {}; {remedy}",
        percent(least),
        percent(options.confidence),
        seen.errors,
        seen.texts,
        of.fault()
    )
}
