//! Certificates: what can be promised of a cascade, and how surely, from texts that took no part in its making. Pure.
//!
//! The texts are draws of the ones to come, each of which goes wrong or does not. How many go wrong is then binomial, and
//! the bound on their share is exact, at any number of texts (C. Clopper & E. Pearson, "The use of confidence or fiducial
//! limits illustrated in the case of the binomial", 1934).
//!
//! A threshold that was chosen by the very texts that are to vouch for it would promise too much. So thresholds are
//! tested in an order that was fixed before, the strictest first, each at the full level, up to the first that fails:
//! then the chance that any of those that passed breaks the promise is still at most delta (P. Bauer, "Multiple testing
//! in clinical trials", 1991; A. Angelopoulos et al., "Learn then test: calibrating predictive algorithms to achieve risk
//! control", 2021). Where several promises are to hold, a threshold passes if it passes for each of them, so those that
//! passed are among those that each promise alone would have let pass: each certificate holds at its own delta, and all of
//! them at once at the sum.
//!
//! Where only a part of the texts counts, such as those that are answered, how many these are is left to chance too. But
//! given which texts they are, each of them still goes wrong independently of the others and with the same chance, so the
//! bound is exact given their number, whatever it turned out to be, and therefore also before it is known.

use std::fmt;

use serde::Serialize;
use statrs::function::beta::beta_reg;

/// No more texts than this are asked for.
const MOST_TEXTS: usize = 1_000_000_000;

/// How many of some texts went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    pub errors: usize,
    pub texts: usize,
}

impl Count {
    /// The share of errors; 0 if there are no texts.
    pub fn share(self) -> f64 {
        self.errors as f64 / self.texts.max(1) as f64
    }
}

/// What is to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// The share of texts that may go wrong, above 0 and below 1.
    pub risk: f64,
    /// The chance that the promise does not hold, above 0 and below 1.
    pub delta: f64,
}

/// A threshold that was tested.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tested {
    pub min_confidence: f32,
    #[serde(flatten)]
    pub count: Count,
}

/// How the thresholds did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The last that passed, which is the loosest one certified, and its count for each promise.
    pub certified: Option<(f32, Vec<Count>)>,
    /// The one after it, at which the tests ended, and the place of the promise that it failed; `None` if all passed.
    pub failed: Option<(Tested, usize)>,
}

/// Tests thresholds in their order, which must not depend on the texts that `count` counts, up to the first that fails one
/// of the promises, of which `count` gets the place. For each promise the chance that it does not hold for one of those that
/// passed is at most its delta.
pub fn certify(thresholds: &[f32], promises: &[Promise], count: impl Fn(usize, f32) -> Count) -> Outcome {
    let mut outcome = Outcome::default();
    for &min_confidence in thresholds {
        let counts: Vec<Count> = (0..promises.len()).map(|place| count(place, min_confidence)).collect();
        let broken = (promises.iter().zip(&counts)).position(|(promise, &count)| !promise.is_kept(count));
        if let Some(place) = broken {
            let count = counts[place];
            outcome.failed = Some((Tested { min_confidence, count }, place));
            break;
        }
        outcome.certified = Some((min_confidence, counts));
    }
    outcome
}

/// The thresholds from the one on that does best, the first of equals. What `count` counts must be other texts than those that
/// will certify: where the tests begin is then fixed before, as their order is. Stricter thresholds are left out because they
/// would fail, for too few answers or for a part of the texts that only looser ones get right, and end the tests.
pub fn from_best<'a>(thresholds: &'a [f32], promises: &[Promise], count: impl Fn(usize, f32) -> Count) -> &'a [f32] {
    let worst = |threshold: f32| {
        let chances = promises.iter().enumerate();
        let chances = chances.map(|(place, promise)| at_most(count(place, threshold), promise.risk));
        chances.fold(0.0, f64::max)
    };
    let mut best = (0, f64::INFINITY);
    for (place, &threshold) in thresholds.iter().enumerate() {
        let chance = worst(threshold);
        if chance < best.1 {
            best = (place, chance);
        }
    }
    &thresholds[best.0..]
}

impl Promise {
    /// Whether so few errors are rare enough where the promise is broken.
    pub fn is_kept(self, count: Count) -> bool {
        at_most(count, self.risk) <= self.delta
    }

    /// About how many texts would keep the promise if errors are as frequent as here, to two digits, rounded up; `None`
    /// if no number of texts would.
    pub fn enough_texts(self, seen: Count) -> Option<usize> {
        let share = seen.share();
        if share >= self.risk {
            return None;
        }
        let enough = |texts: usize| {
            let errors = (share * texts as f64).ceil() as usize;
            self.is_kept(Count { errors, texts })
        };
        let (mut few, mut many) = (0, 64);
        while !enough(many) {
            few = many;
            many *= 2;
            if many > MOST_TEXTS {
                return None;
            }
        }
        while many - few > 1 {
            let middle = usize::midpoint(few, many);
            if enough(middle) {
                many = middle;
            } else {
                few = middle;
            }
        }
        let unit = 10_usize.pow(many.ilog10().saturating_sub(1));
        Some(many.div_ceil(unit) * unit)
    }
}

/// The chance of at most so many errors where each text goes wrong with probability `risk`.
fn at_most(Count { errors, texts }: Count, risk: f64) -> f64 {
    if errors >= texts {
        return 1.0;
    }
    beta_reg((texts - errors) as f64, errors as f64 + 1.0, 1.0 - risk)
}

/// The largest share of errors that is consistent with the count: with a chance of at least 1 − delta the true share is
/// no larger. It holds for one threshold that was fixed before these texts were looked at. 1 if there are no texts.
pub fn most_errors(count: Count, delta: f64) -> f64 {
    let (mut low, mut high) = (count.share(), 1.0);
    // Halved until neighbours: the chance falls as the risk grows.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(count, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// What a certificate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certified {
    /// The cascade's label is the deep model's.
    Agreement,
    /// The cascade's label is the right one.
    Accuracy,
    /// An answer that is sure enough to be given is right.
    Precision,
}

impl Certified {
    /// What texts do that go wrong.
    pub fn fault(self) -> &'static str {
        match self {
            Self::Agreement => "differ",
            Self::Accuracy | Self::Precision => "are wrong",
        }
    }

    /// How files tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
        }
    }
}

/// What was certified of the cascade at one threshold: for texts like these, of which each counts once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    pub of: Certified,
    /// The label that the answers of a precision give; `None` for all answers.
    pub label: Option<String>,
    /// The least share of texts for which it holds; for a precision, of those that are answered.
    pub at_least: f64,
    /// The chance, at least, that a certificate made in this way is true.
    pub confidence: f64,
    /// The threshold that it is for. One of agreement holds for every threshold above it too, if escalated texts get the
    /// deep model's answer alone.
    pub min_confidence: f32,
    /// For a precision: how sure a final answer is at least that is given.
    pub answers_from: Option<f32>,
    /// The errors seen, and the number of different texts on which they were counted.
    #[serde(flatten)]
    pub seen: Count,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Down: no more than was certified.
        let at_least = (self.at_least * 1e4 + 1e-6).floor() / 1e2;
        let Count { errors, texts } = self.seen;
        let (confidence, fault) = (percent(self.confidence), self.of.fault());
        let does = match self.of {
            Certified::Agreement => "agrees with the deep model on",
            Certified::Accuracy => "is right on",
            Certified::Precision => {
                let from = self.answers_from.unwrap_or_default();
                let of = self.label.as_ref().map_or(String::new(), |label| format!(" `{label}`"));
                return write!(
                    f,
                    "certified: at least {at_least}% of the answers{of} are right if only those that are at least {from} sure \
                     are given, at a confidence of {confidence}% ({errors} of {texts} such answers to held-out texts {fault})"
                );
            }
        };
        write!(
            f,
            "certified: it {does} at least {at_least}% of texts like these, at a confidence of {confidence}% \
             ({errors} of {texts} held-out texts {fault})"
        )
    }
}

/// A share in percent, without a tail of zeros or of rounding errors.
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(errors: usize, texts: usize) -> Count {
        Count { errors, texts }
    }

    /// Errors, texts, delta, and the bound by SciPy 1.17: `beta.ppf(1 - delta, errors + 1, texts - errors)`.
    const SCIPY: [(usize, usize, f64, f64); 5] = [
        (5, 100, 0.05, 0.102_253_377_643),
        (23, 4881, 0.05, 0.006_669_406_767),
        (1, 10, 0.1, 0.336_847_723_307),
        (300, 1000, 0.01, 0.334_963_867_824),
        (900, 100_000, 0.05, 0.009_506_922_813),
    ];

    #[test]
    fn the_bound_is_clopper_and_pearsons() {
        // Without errors it is 1 − delta^(1/n).
        let none = most_errors(count(0, 299), 0.05);
        assert!((none - (1.0 - 0.05_f64.powf(1.0 / 299.0))).abs() < 1e-9, "{none}");
        for (errors, texts, delta, expected) in SCIPY {
            let found = most_errors(count(errors, texts), delta);
            assert!((found - expected).abs() < 1e-8, "{errors} of {texts}: {found}");
        }
        assert_eq!(most_errors(count(7, 7), 0.05), 1.0);
        assert_eq!(most_errors(count(0, 0), 0.05), 1.0);
    }

    #[test]
    fn a_promise_is_kept_where_its_bound_is() {
        for (errors, texts) in [(0, 298), (0, 299), (3, 1000), (30, 4000), (31, 4000)] {
            let promise = Promise {
                risk: 0.01,
                delta: 0.05,
            };
            let bound = most_errors(count(errors, texts), promise.delta);
            assert_eq!(
                promise.is_kept(count(errors, texts)),
                bound <= promise.risk,
                "{errors} of {texts}"
            );
        }
    }

    #[test]
    fn thresholds_are_tested_in_order_up_to_the_first_that_fails() {
        let promise = Promise { risk: 0.05, delta: 0.1 };
        let errors = |threshold: f32| match threshold {
            0.9 => 0,
            0.8 => 2,
            0.7 => 9,
            // It would pass, but is not asked.
            _ => 1,
        };
        let outcome = certify(&[0.9, 0.8, 0.7, 0.6], &[promise], |_, threshold| {
            count(errors(threshold), 150)
        });
        let last = |outcome: &Outcome| {
            outcome
                .certified
                .clone()
                .map(|(threshold, counts)| (threshold, counts[0].errors))
        };
        let failed = |outcome: &Outcome| {
            outcome
                .failed
                .map(|(tested, _)| (tested.min_confidence, tested.count.errors))
        };
        assert_eq!((last(&outcome), failed(&outcome)), (Some((0.8, 2)), Some((0.7, 9))));
        let none = certify(&[0.9], &[promise], |_, _| count(0, 10));
        assert_eq!((last(&none), failed(&none)), (None, Some((0.9, 0))));
        let all = certify(&[0.9], &[promise], |_, _| count(0, 150));
        assert_eq!((last(&all), failed(&all)), (Some((0.9, 0)), None));
    }

    #[test]
    fn a_threshold_passes_if_it_keeps_every_promise() {
        let promise = |risk| Promise { risk, delta: 0.05 };
        let both = [promise(0.1), promise(0.02)];
        let outcome = certify(&[0.9, 0.8, 0.7], &both, |place, threshold| {
            count(if threshold < 0.75 && place == 1 { 20 } else { 1 }, 500)
        });
        assert_eq!(outcome.certified, Some((0.8, vec![count(1, 500); 2])));
        assert_eq!(
            outcome.failed.map(|(tested, place)| (tested.min_confidence, place)),
            Some((0.7, 1))
        );
    }

    #[test]
    fn tests_begin_where_other_texts_do_best() {
        let promise = Promise { risk: 0.1, delta: 0.05 };
        // Few answers at the strictest, many at the next two, of which the second errs more.
        let counts = |threshold: f32| match threshold {
            0.9 => count(0, 5),
            0.8 => count(2, 200),
            _ => count(20, 300),
        };
        let thresholds = [0.9, 0.8, 0.7];
        assert_eq!(from_best(&thresholds, &[promise], |_, at| counts(at)), [0.8, 0.7]);
        assert_eq!(from_best(&thresholds, &[promise], |_, _| count(0, 9)), thresholds);
        assert!(from_best(&[], &[promise], |_, _| count(0, 9)).is_empty());
    }

    #[test]
    fn so_many_texts_would_do() {
        let promise = Promise {
            risk: 0.01,
            delta: 0.05,
        };
        assert_eq!(promise.enough_texts(count(0, 50)), Some(300));
        assert_eq!(promise.enough_texts(count(10, 1000)), None);
        assert_eq!(promise.enough_texts(count(0, 0)), Some(300));
        let enough = promise.enough_texts(count(5, 1000)).expect("half the errors");
        assert!((1000..3000).contains(&enough), "{enough}");
        assert!(promise.is_kept(count((enough as f64 * 0.005).ceil() as usize, enough)));
        // So near the promise that no file holds enough.
        assert_eq!(promise.enough_texts(count(999_999, 100_000_000)), None);
    }
}
