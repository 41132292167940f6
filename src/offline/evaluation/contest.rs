//! One contender measured on texts whose labels are known, or two side by side on the same draws. Pure.

use serde::Serialize;

use super::answer::{Answer, Known};
use super::bootstrap;
use super::classes::{Class, Confused, classes, confusions};
use super::coverage::{Coverage, coverages};
use super::interval::Interval;
use super::tally::{Labels, Tally};

/// How one contender does.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The share of right answers; for multi-label, of texts that were given exactly the labels that they have.
    pub accuracy: Interval,
    /// The mean F1 of the labels that some text has.
    pub macro_f1: Interval,
    /// The F1 of all decisions about labels taken together; for single-label texts the same as the accuracy.
    pub micro_f1: Interval,
    /// How far confidences and shares of right answers are apart, on average, in 15 bins of equal width; for multi-label,
    /// the probability of each label and the share of texts that have it.
    pub calibration_error: Interval,
    /// The mean of the answers' losses.
    pub log_loss: Interval,
    /// The counts that the figures follow from.
    pub tally: Tally,
    /// By label.
    pub classes: Vec<Class>,
    /// Which labels are taken for which, the most frequent pair first; empty for multi-label.
    pub confusions: Vec<Confused>,
    /// What is covered at the precisions that were asked for.
    pub coverages: Vec<Coverage>,
}

/// How the second of two contenders differs from the first, on the same texts and the same draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The second's figure minus the first's.
    pub accuracy: Interval,
    /// The same of the mean F1.
    pub macro_f1: Interval,
    /// The same of the log loss: less is better.
    pub log_loss: Interval,
    /// How many texts were given different labels.
    pub differing: usize,
    /// Of them: those that the first alone has right.
    pub first_right: usize,
    /// Of them: those that the second alone has right.
    pub second_right: usize,
}

/// What was found.
pub struct Contest {
    /// By contender.
    pub evaluations: Vec<Evaluation>,
    /// Where there are two.
    pub difference: Option<Difference>,
}

/// What is measured, beside the texts and the answers.
pub struct Measured<'a> {
    /// The number of labels.
    pub labels: usize,
    /// The precisions at which the coverage is wanted.
    pub precisions: &'a [f64],
    /// What the draws of the bootstrap are made with.
    pub seed: u64,
}

#[derive(Clone, Copy)]
struct Figures {
    accuracy: f64,
    macro_f1: f64,
    micro_f1: f64,
    calibration_error: f64,
    log_loss: f64,
}

/// Measures contenders, each with one answer for each text.
pub fn hold(texts: &[Known], contenders: &[&[Answer]], measured: &Measured<'_>) -> Contest {
    let tallies: Vec<(Tally, f64)> = (contenders.iter())
        .map(|answers| tally(texts, answers, measured.labels, None))
        .collect();
    let figures: Vec<Figures> = tallies.iter().map(Figures::of).collect();
    let drawn = bootstrap::draws(texts.len(), measured.seed, |times| {
        let of = |answers: &&[Answer]| Figures::of(&tally(texts, answers, measured.labels, Some(times)));
        contenders.iter().map(of).collect::<Vec<Figures>>()
    });
    let interval = |of: &dyn Fn(&[Figures]) -> f64| {
        Interval::of_draws(of(&figures), drawn.iter().map(|figures| of(figures)).collect())
    };
    let evaluations = contenders
        .iter()
        .zip(tallies)
        .enumerate()
        .map(|(at, (answers, (tally, _)))| {
            let interval = |of: fn(&Figures) -> f64| interval(&|figures| of(&figures[at]));
            Evaluation {
                accuracy: interval(|figures| figures.accuracy),
                macro_f1: interval(|figures| figures.macro_f1),
                micro_f1: interval(|figures| figures.micro_f1),
                calibration_error: interval(|figures| figures.calibration_error),
                log_loss: interval(|figures| figures.log_loss),
                tally,
                classes: classes(measured.labels, texts, answers),
                confusions: confusions(texts, answers),
                coverages: coverages(measured.precisions, texts, answers),
            }
        });
    let difference = match contenders {
        [first, second] => {
            let apart = |of: fn(&Figures) -> f64| interval(&|figures| of(&figures[1]) - of(&figures[0]));
            let rows = || {
                texts
                    .iter()
                    .zip(first.iter().zip(*second))
                    .filter(|(_, (a, b))| a.given != b.given)
            };
            Some(Difference {
                accuracy: apart(|figures| figures.accuracy),
                macro_f1: apart(|figures| figures.macro_f1),
                log_loss: apart(|figures| figures.log_loss),
                differing: rows().count(),
                first_right: rows().filter(|(known, (a, _))| a.given == known.truth).count(),
                second_right: rows().filter(|(known, (_, b))| b.given == known.truth).count(),
            })
        }
        _ => None,
    };
    Contest {
        evaluations: evaluations.collect(),
        difference,
    }
}

/// Counts the answers, each text as many times as it was drawn, or once; and the sum of their losses.
fn tally(texts: &[Known], answers: &[Answer], labels: usize, times: Option<&[u32]>) -> (Tally, f64) {
    let (mut tally, mut loss) = (Tally::new(labels), 0.0);
    for (at, (known, answer)) in texts.iter().zip(answers).enumerate() {
        let times = times.map_or(1, |times| times[at]);
        if times > 0 {
            let weight = known.weight * f64::from(times);
            let right = tally.add(&known.truth, &answer.given, weight);
            answer.rate(&mut tally.reliability, &known.truth, right, weight);
            loss += weight * answer.loss;
        }
    }
    (tally, loss)
}

impl Figures {
    fn of((tally, loss): &(Tally, f64)) -> Self {
        Self {
            accuracy: tally.accuracy(),
            macro_f1: tally.macro_f1(),
            micro_f1: tally.micro_f1(),
            calibration_error: tally.reliability.expected_error(),
            log_loss: if tally.texts > 0.0 { loss / tally.texts } else { 0.0 },
        }
    }
}

/// The texts whose label a contender holds least likely, the least likely first: of those that were given another
/// label. Their labels are probably wrong (C. Northcutt, L. Jiang, I. Chuang, Confident Learning, 2021).
pub fn doubted(texts: &[Known], answers: &[Answer], most: usize) -> Vec<usize> {
    let wrong = |at: &usize| texts[*at].truth != answers[*at].given;
    let mut places: Vec<usize> = (0..texts.len().min(answers.len())).filter(wrong).collect();
    places.sort_by(|&a, &b| answers[b].loss.total_cmp(&answers[a].loss).then(a.cmp(&b)));
    places.truncate(most);
    places
}

/// The places of the texts that two contenders gave different labels, those first of which both are surest.
pub fn differing(first: &[Answer], second: &[Answer], most: usize) -> Vec<usize> {
    let pairs: Vec<(&Answer, &Answer)> = first.iter().zip(second).collect();
    let mut places: Vec<usize> = (0..pairs.len())
        .filter(|&at| pairs[at].0.given != pairs[at].1.given)
        .collect();
    let sure = |at: usize| pairs[at].0.confidence.min(pairs[at].1.confidence);
    places.sort_by(|&a, &b| sure(b).total_cmp(&sure(a)).then(a.cmp(&b)));
    places.truncate(most);
    places
}

/// Whether texts have one label each.
pub fn is_single_label(texts: &[Known]) -> bool {
    texts.iter().all(|known| matches!(known.truth, Labels::One(_)))
}
