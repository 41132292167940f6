//! Everything that was found, as the JSON tells it.

use serde::Serialize;

use super::answering::{Answered, Cost, Setting};
use super::contender::Contender;
use crate::offline::dataset::Facts;
use crate::offline::evaluation::classes::Class;
use crate::offline::evaluation::contest::{Contest, Difference, Evaluation};
use crate::offline::evaluation::coverage::Coverage;
use crate::offline::evaluation::findings::{self, Kind, Standing};
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Reliability;

/// The most pairs of confused labels in the JSON.
const MOST_PAIRS: usize = 1000;

/// What was found.
#[derive(Serialize)]
pub struct Summary<'a> {
    /// How many texts the figures are of.
    pub texts: usize,
    /// How many others one of the contenders did not answer.
    pub unanswered: usize,
    pub multi_label: bool,
    /// Whether a server answered.
    pub by_server: bool,
    /// The most texts that one request had.
    pub texts_a_request: usize,
    /// What the intervals are drawn with.
    pub seed: u64,
    pub contenders: Vec<Told<'a>>,
    /// The second contender's figures minus the first's.
    pub difference: Option<Difference>,
    /// What the figures say, in plain words.
    pub findings: Vec<String>,
    /// What the file is like.
    pub data: &'a Facts,
}

/// One contender.
#[derive(Serialize)]
pub struct Told<'a> {
    pub name: &'a str,
    /// The models that took part, as NAME@VERSION.
    pub models: Vec<String>,
    /// The fingerprints of these.
    pub fingerprints: Vec<String>,
    /// The share of right answers; for multi-label, of exact ones.
    pub accuracy: Interval,
    pub macro_f1: Interval,
    pub micro_f1: Interval,
    pub log_loss: Interval,
    pub calibration_error: Interval,
    /// How many texts a second it answered, asked in one request after the other.
    pub texts_per_second: f64,
    /// The microseconds that one text took.
    pub micros_a_text: f64,
    /// The microseconds of one core that it took; absent where a server answered.
    pub core_micros_a_text: Option<f64>,
    /// The share of texts that the cascade put to the deep model; absent for what is no cascade.
    pub escalated: Option<f64>,
    pub classes: Vec<NamedClass<'a>>,
    /// Which labels were taken for which, the most frequent pair first; the first 1,000 pairs.
    pub confusions: Vec<Pair<'a>>,
    /// What its surest answers cover.
    pub coverages: &'a [Coverage],
    /// Its answers by confidence, in bins of equal width from 0 to 1: sums over the texts.
    pub reliability: &'a Reliability,
}

/// A class with its label.
#[derive(Serialize)]
pub struct NamedClass<'a> {
    pub label: &'a str,
    /// Whether it has texts enough to trust its figures.
    pub reliable: bool,
    #[serde(flatten)]
    pub class: &'a Class,
}

/// Texts with one label that were given another.
#[derive(Serialize)]
pub struct Pair<'a> {
    pub truth: &'a str,
    pub given: &'a str,
    pub texts: usize,
}

impl<'a> Summary<'a> {
    /// Puts together what was found.
    pub fn new(
        contenders: &'a [Contender],
        answered: &'a Answered,
        contest: &'a Contest,
        labels: &'a [String],
        data: &'a Facts,
        setting: Setting,
    ) -> Self {
        let all = contenders.iter().zip(&contest.evaluations);
        let told = all.clone().zip(&answered.costs);
        let standings: Vec<Standing<'_>> = all
            .map(|(contender, evaluation)| Standing {
                name: &contender.name,
                kind: contender.kind(),
                evaluation,
            })
            .collect();
        let texts = answered.texts.len();
        let mut findings = Vec::new();
        if let ([first, second], Some(difference)) = (&standings[..], &contest.difference) {
            findings.push(findings::of_two(first, second, difference, texts));
            findings.extend(findings::of_labels(first, second, labels));
        }
        findings.extend(standings.iter().flat_map(|standing| findings::of_one(standing, labels)));
        findings.extend(
            contest
                .evaluations
                .first()
                .and_then(|evaluation| findings::of_classes(evaluation, labels)),
        );
        Self {
            texts,
            unanswered: answered.unanswered,
            multi_label: setting.multi_label,
            by_server: setting.by_server,
            texts_a_request: setting.texts_a_request,
            seed: setting.seed,
            contenders: told
                .map(|((contender, evaluation), cost)| {
                    let mut told = Told::new(contender, evaluation, *cost, labels);
                    told.core_micros_a_text = told.core_micros_a_text.filter(|_| !setting.by_server);
                    told
                })
                .collect(),
            difference: contest.difference,
            findings,
            data,
        }
    }
}

impl<'a> Told<'a> {
    fn new(contender: &'a Contender, evaluation: &'a Evaluation, cost: Cost, labels: &'a [String]) -> Self {
        let label = |place: u32| labels[place as usize].as_str();
        let seconds = cost.time.as_secs_f64().max(f64::MIN_POSITIVE);
        let texts = cost.texts.max(1) as f64;
        let models = contender.models.iter();
        let is_cascade = contender.kind() == Kind::Cascade;
        Self {
            name: &contender.name,
            models: models
                .map(|model| format!("{}@{}", model.name, model.version))
                .collect(),
            fingerprints: contender.models.iter().map(|model| model.fingerprint.clone()).collect(),
            accuracy: evaluation.accuracy,
            macro_f1: evaluation.macro_f1,
            micro_f1: evaluation.micro_f1,
            log_loss: evaluation.log_loss,
            calibration_error: evaluation.calibration_error,
            texts_per_second: texts / seconds,
            micros_a_text: seconds * 1e6 / texts,
            core_micros_a_text: Some(cost.core_time.as_secs_f64() * 1e6 / texts),
            escalated: is_cascade.then(|| cost.escalated as f64 / texts),
            classes: evaluation
                .classes
                .iter()
                .zip(labels)
                .map(|(class, label)| NamedClass {
                    label,
                    reliable: class.texts > 0 && !class.is_unreliable(),
                    class,
                })
                .collect(),
            confusions: evaluation
                .confusions
                .iter()
                .take(MOST_PAIRS)
                .map(|pair| Pair {
                    truth: label(pair.truth),
                    given: label(pair.given),
                    texts: pair.texts,
                })
                .collect(),
            coverages: &evaluation.coverages,
            reliability: &evaluation.tally.reliability,
        }
    }
}
