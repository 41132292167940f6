//! The figures of a cascade at each threshold, with 95% intervals from the bootstrap: texts are drawn again with
//! repeats, the same draws for every point, so that differences between points are paired.

use serde::Serialize;

use super::certificate::Count;
use super::each::{DEEP, Each, FAST};
use super::recall::recalls;
use super::verdict::Verdict;
use super::{ROUNDS, Sample};
use crate::model::blend::{Blend, log_softmax};
use crate::model::gain::Gain;
use crate::offline::evaluation::bootstrap;
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::{Labels, Tally};

/// The share of a sample's texts in percent at which the curve has its points.
const GRID: [usize; 15] = [0, 5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 100];

/// Thresholds are told so finely: a confidence to four digits, a score to six, since most scores are close to a half.
const CONFIDENCE: f64 = 1e4;
const SCORE: f64 = 1e6;

/// The fewest texts that a label needs for its recall to mean something.
const LEAST_TEXTS: usize = 10;
/// How far below the deep model's recall a recall must be to be worth a warning.
const MUCH: f64 = 0.05;

/// What [`super::fit`] found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Temperatures of fast and deep.
    pub temperatures: [f64; 2],
    /// How an escalated answer is made of both models' answers.
    pub blend: Blend,
    /// For models that give each label by itself, of which the temperatures are the models' own and nothing is blended.
    pub each: Option<Each>,
    /// What texts are escalated by, in place of confidence.
    pub gain: Option<Gain>,
}

/// The figures of one way to answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The threshold; `None` for the deep model alone.
    pub min_confidence: Option<f32>,
    /// The share of texts that the deep model answers.
    pub escalated: f64,
    /// The cost of a text, where the deep model alone costs 1: the middle, the least and the most of the rounds.
    pub cost: Interval,
    /// The share of right answers: where each label is given by itself, of those of which all labels are right.
    pub accuracy: Interval,
    /// The mean F1 of the labels that some text has.
    pub macro_f1: Interval,
    /// Expected calibration error, 15 bins of equal width.
    pub ece: Interval,
    /// The accuracy minus the deep model's, on the same draws.
    pub above_deep: Interval,
    /// The recall of each label, in the deep model's order: the share of its texts that get it. `None` for a label that
    /// no text has.
    pub recall: Vec<Option<Interval>>,
}

/// The label whose recall falls most below the deep model's, if that is more than 0.05, with both recalls. Labels of
/// few texts are left out.
pub fn loser(chosen: &Point, deep: &Point, texts: &[usize]) -> Option<(usize, f64, f64)> {
    let both = chosen.recall.iter().zip(&deep.recall).enumerate();
    let many = both.filter(|(label, _)| texts.get(*label).is_some_and(|&texts| texts >= LEAST_TEXTS));
    let lost = many.filter_map(|(label, (chosen, deep))| Some((label, chosen.as_ref()?.value, deep.as_ref()?.value)));
    lost.filter(|(_, chosen, deep)| deep - chosen > MUCH)
        .max_by(|a, b| (a.2 - a.1).total_cmp(&(b.2 - b.1)))
}

/// Labelled texts with the answers that each model, and both together, give.
pub struct Judged<'a> {
    samples: Vec<&'a Sample>,
    fast: Vec<Verdict>,
    /// `None` if the deep model's answers are taken as they are.
    blended: Option<Vec<Verdict>>,
    deep: Vec<Verdict>,
    /// What is compared with the threshold: the fast answers' confidences, or their scores by a forecast of the gain.
    scores: Vec<f32>,
    /// How finely thresholds are told.
    digits: f64,
}

/// The point figures of a sample, without intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub min_confidence: f32,
    /// The share of texts below it.
    pub escalated: f64,
    /// The cost of a text, where the deep model alone costs 1.
    pub cost: f64,
    /// Which answers are right.
    pub tally: Tally,
}

impl<'a> Judged<'a> {
    /// Applies what was fitted to the texts.
    pub fn new(samples: Vec<&'a Sample>, fitted: &Fitted) -> Self {
        if let Some(each) = &fitted.each {
            let by = |model: usize, logits: fn(&Sample) -> &[f64]| {
                let verdicts = samples.iter().map(|one| each.verdict(model, logits(one), &one.truth));
                verdicts.collect()
            };
            let fast: Vec<Verdict> = by(FAST, |one| &one.fast);
            return Self {
                scores: fast.iter().map(|verdict| verdict.confidence as f32).collect(),
                digits: CONFIDENCE,
                fast,
                deep: by(DEEP, |one| &one.deep),
                blended: None,
                samples,
            };
        }
        let alone = |logits: &[f64], temperature: f64| Verdict::likeliest(&log_softmax(logits, temperature));
        let blended = |sample: &&Sample| {
            let fast = log_softmax(&sample.fast, fitted.temperatures[0]);
            let deep = log_softmax(&sample.deep, fitted.temperatures[1]);
            let answer = fitted.blend.classify(&fast, &deep);
            Verdict::new(Labels::One(answer.winner as u32), f64::from(answer.confidence()))
        };
        let fast: Vec<Verdict> = (samples.iter())
            .map(|one| alone(&one.fast, fitted.temperatures[0]))
            .collect();
        let score = |gain: &Gain, one: &Sample| gain.score(&probabilities(one, fitted.temperatures[0]), one.size);
        Self {
            scores: match &fitted.gain {
                Some(gain) => samples.iter().map(|one| score(gain, one)).collect(),
                None => fast.iter().map(|verdict| verdict.confidence as f32).collect(),
            },
            digits: if fitted.gain.is_some() { SCORE } else { CONFIDENCE },
            fast,
            deep: samples
                .iter()
                .map(|one| alone(&one.deep, fitted.temperatures[1]))
                .collect(),
            blended: Some(samples.iter().map(blended).collect()),
            samples,
        }
    }

    /// The thresholds below which these percentages of the texts lie: ascending, rounded to four digits, without
    /// repeats.
    pub fn thresholds(&self, percents: impl Iterator<Item = usize>) -> Vec<f32> {
        below(
            self.scores.iter().map(|&score| f64::from(score)).collect(),
            percents,
            self.digits,
        )
    }

    /// The confidences below which these percentages of the final answers lie, at a threshold: as [`Self::thresholds`].
    pub fn final_thresholds(&self, min_confidence: f32, percents: impl Iterator<Item = usize>) -> Vec<f32> {
        let verdicts = self.at(min_confidence);
        below(
            verdicts.iter().map(|verdict| verdict.confidence).collect(),
            percents,
            CONFIDENCE,
        )
    }

    /// The thresholds at which the curve has its points.
    pub fn grid(&self) -> Vec<f32> {
        self.thresholds(GRID.into_iter())
    }

    /// The answers at a threshold, in the order of the texts.
    pub fn at(&self, min_confidence: f32) -> Vec<&Verdict> {
        let verdicts = self.fast.iter().zip(self.both()).zip(&self.scores);
        verdicts
            .map(|((fast, both), score)| if *score >= min_confidence { fast } else { both })
            .collect()
    }

    fn escalated(&self, min_confidence: f32) -> impl Iterator<Item = &Sample> {
        let pairs = self.scores.iter().zip(&self.samples);
        pairs
            .filter(move |(score, _)| **score < min_confidence)
            .map(|(_, sample)| *sample)
    }

    /// The answers to texts that are escalated.
    fn both(&self) -> &[Verdict] {
        self.blended.as_ref().unwrap_or(&self.deep)
    }

    /// Each text with what it is escalated by, and how much better its answer is then: 1 if only then it is right, −1 if only
    /// otherwise. Right is what the deep model says if it decides, or else the label.
    pub fn gains(&self, deep_decides: bool) -> Vec<(&Sample, f32, f64)> {
        let models = self.fast.iter().zip(self.both()).zip(&self.deep);
        let rows = self.samples.iter().zip(&self.scores).zip(models);
        rows.map(|((sample, score), ((fast, both), deep))| {
            let truth = if deep_decides { &deep.given } else { &sample.truth };
            let right = |verdict: &Verdict| f64::from(u8::from(verdict.given == *truth));
            (*sample, *score, right(both) - right(fast))
        })
        .collect()
    }

    /// The cost at a threshold, where the deep model alone costs 1, from the rounds.
    fn cost(&self, min_confidence: f32) -> Interval {
        let of_round = |round: usize| {
            let cost = |sample: &Sample, tier: usize| sample.costs[round].map_or(0.0, |costs| costs[tier]);
            let all = |tier: usize| -> f64 { self.samples.iter().map(|sample| cost(sample, tier)).sum() };
            let escalated: f64 = self.escalated(min_confidence).map(|sample| cost(sample, 1)).sum();
            let deep = all(1);
            (deep > 0.0).then(|| (all(0) + escalated) / deep)
        };
        Interval::of_rounds((0..ROUNDS).filter_map(of_round).collect())
    }

    /// The figures at a threshold, without intervals.
    pub fn plain(&self, min_confidence: f32) -> Plain {
        Plain {
            min_confidence,
            escalated: self.escalated(min_confidence).count() as f64 / self.samples.len() as f64,
            cost: self.cost(min_confidence).value,
            tally: self.tally(&self.at(min_confidence), None),
        }
    }

    /// The figures at the thresholds below which 0, 1, 2 and so on percent of the texts lie.
    pub fn fine(&self) -> Vec<Plain> {
        let thresholds = self.thresholds(0..=100);
        thresholds.into_iter().map(|threshold| self.plain(threshold)).collect()
    }

    /// The answers of the deep model alone.
    pub fn deep_alone(&self) -> Tally {
        self.tally(&self.by_deep(), None)
    }

    fn by_deep(&self) -> Vec<&Verdict> {
        self.deep.iter().collect()
    }

    /// How often the answer at a threshold differs from the deep model's.
    pub fn differing(&self, min_confidence: f32) -> Count {
        let pairs = self.at(min_confidence).into_iter().zip(&self.deep);
        self.count(pairs.filter(|(found, deep)| found.given != deep.given).count())
    }

    /// How often the answer at a threshold is wrong.
    pub fn wrong(&self, min_confidence: f32) -> Count {
        let pairs = self.at(min_confidence).into_iter().zip(&self.samples);
        self.count(pairs.filter(|(found, sample)| found.given != sample.truth).count())
    }

    /// How many final answers at a threshold are at least `answers_from` sure and give this label, if one is named; and
    /// how many of them are wrong: of a label, those whose text does not have it.
    pub fn answered(&self, min_confidence: f32, answers_from: f32, label: Option<u32>) -> Count {
        let pairs = self.at(min_confidence).into_iter().zip(&self.samples);
        let given = pairs.filter(|(found, _)| found.confidence as f32 >= answers_from);
        let given = given.filter(|(found, _)| label.is_none_or(|label| found.given.has(label)));
        given.fold(Count { errors: 0, texts: 0 }, |count, (found, sample)| {
            let right = label.map_or(found.given == sample.truth, |label| sample.truth.has(label));
            Count {
                errors: count.errors + usize::from(!right),
                texts: count.texts + 1,
            }
        })
    }

    /// The number of texts.
    pub fn texts(&self) -> usize {
        self.samples.len()
    }

    fn count(&self, errors: usize) -> Count {
        Count {
            errors,
            texts: self.samples.len(),
        }
    }

    /// The figures at each threshold, and of the deep model alone, which comes last.
    pub fn points(&self, thresholds: &[f32], seed: u64) -> Vec<Point> {
        let mut ways: Vec<Vec<&Verdict>> = thresholds.iter().map(|&threshold| self.at(threshold)).collect();
        ways.push(self.by_deep());
        let figures =
            |times: Option<&[u32]>| -> Vec<Figures> { ways.iter().map(|way| self.tally(way, times).into()).collect() };
        let whole = figures(None);
        let drawn = bootstrap::draws(self.samples.len(), seed, |times| figures(Some(times)));
        let last = thresholds.len();
        let interval = |of: &dyn Fn(&[Figures]) -> f64| {
            Interval::of_draws(of(&whole), drawn.iter().map(|figures| of(figures)).collect())
        };
        let truths = || self.samples.iter().map(|sample| &sample.truth);
        let labels = self.samples.first().map_or(0, |sample| sample.deep.len());
        (0..=last)
            .map(|way| {
                let threshold = thresholds.get(way).copied();
                let found = ways[way].iter().map(|verdict| &verdict.given);
                let escalated = |threshold| self.escalated(threshold).count() as f64 / self.samples.len() as f64;
                Point {
                    min_confidence: threshold,
                    escalated: threshold.map_or(1.0, escalated),
                    cost: threshold.map_or(Interval::exact(1.0), |threshold| self.cost(threshold)),
                    recall: recalls(labels, truths().zip(found)),
                    accuracy: interval(&|figures| figures[way].accuracy),
                    macro_f1: interval(&|figures| figures[way].macro_f1),
                    ece: interval(&|figures| figures[way].ece),
                    above_deep: interval(&|figures| figures[way].accuracy - figures[last].accuracy),
                }
            })
            .collect()
    }

    /// The share of texts to which both models give the same labels.
    pub fn agreement(&self) -> f64 {
        let same = self
            .fast
            .iter()
            .zip(&self.deep)
            .filter(|(fast, deep)| fast.given == deep.given);
        same.count() as f64 / self.samples.len().max(1) as f64
    }

    /// Counts the answers, each text as many times as it was drawn, or once.
    fn tally(&self, verdicts: &[&Verdict], times: Option<&[u32]>) -> Tally {
        let mut tally = Tally::new(self.samples.first().map_or(0, |sample| sample.deep.len()));
        for (at, (found, sample)) in verdicts.iter().zip(&self.samples).enumerate() {
            let weight = times.map_or(1.0, |times| f64::from(times[at]));
            let right = tally.add(&sample.truth, &found.given, weight);
            found.rate(&mut tally.reliability, right, weight);
        }
        tally
    }
}

/// The probabilities of a fast answer, by the deep model's order of labels.
pub fn probabilities(sample: &Sample, temperature: f64) -> Vec<f32> {
    let logs = log_softmax(&sample.fast, temperature);
    logs.into_iter().map(|log| log.exp() as f32).collect()
}

/// The values below which these percentages of all lie: ascending, rounded up to the digits, without repeats.
fn below(mut values: Vec<f64>, percents: impl Iterator<Item = usize>, digits: f64) -> Vec<f32> {
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| match values.get(values.len() * percent / 100) {
        _ if percent == 0 => 0.0,
        Some(value) => ((value * digits).ceil() / digits) as f32,
        None => 1.0,
    };
    let mut thresholds: Vec<f32> = percents.map(at).collect();
    thresholds.dedup();
    thresholds
}

struct Figures {
    accuracy: f64,
    macro_f1: f64,
    ece: f64,
}

impl From<Tally> for Figures {
    fn from(tally: Tally) -> Self {
        Self {
            accuracy: tally.accuracy(),
            macro_f1: tally.macro_f1(),
            ece: tally.reliability.expected_error(),
        }
    }
}

#[cfg(test)]
mod tests;
