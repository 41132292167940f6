//! Puts the texts to all contenders, in turns, and measures how long each takes.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::contender::{Contender, Thresholds};
use crate::api::pb;
use crate::cli::exit::Exit;
use crate::cli::outcome::Outcome;
use crate::model::postprocess::DEFAULT_THRESHOLD;
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::answer::{Answer, Known};
use crate::offline::evaluation::tally::Labels;
use crate::offline::reader::Fields;
use crate::offline::timing::{self, OneByOne};

/// The most bytes of texts in one request. A single text may have more.
const MOST_BYTES: usize = 1 << 20;
/// How far from 1 the probabilities of a single-label model may be together: they are rounded to 32 bits.
const ROUNDING: f64 = 0.01;

/// How texts are asked about.
#[derive(Clone, Copy)]
pub struct Setting {
    pub multi_label: bool,
    /// Whether a server answers.
    pub by_server: bool,
    /// The most texts in one request.
    pub texts_a_request: usize,
    /// What the intervals are drawn with.
    pub seed: u64,
}

/// What all contenders said of the texts that all of them answered.
pub struct Answered {
    /// The places of the texts in the dataset.
    pub places: Vec<usize>,
    pub texts: Vec<Known>,
    /// By contender, then by text.
    pub answers: Vec<Vec<Answer>>,
    /// By contender.
    pub costs: Vec<Cost>,
    /// How many texts one of the contenders did not answer, and what is wrong with the first.
    pub unanswered: usize,
    pub first_problem: String,
}

/// What the answers of a contender took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// The time of its requests, which are made one after the other.
    pub time: Duration,
    /// How many texts it was asked about.
    pub texts: usize,
    /// How many of them the deep model was asked about by the cascade.
    pub escalated: usize,
    /// The time of all cores in this process.
    pub core_time: Duration,
}

/// Asks all contenders about the first `count` texts. Labels are places in `labels`.
pub async fn ask(
    contenders: &mut [Contender],
    dataset: &Dataset,
    labels: &[String],
    setting: Setting,
    count: usize,
) -> Outcome<Answered> {
    let multi_label = setting.multi_label;
    let places: HashMap<&str, u32> = (labels.iter().zip(0..))
        .map(|(label, place)| (label.as_str(), place))
        .collect();
    let mut found = Answered {
        places: Vec::new(),
        texts: Vec::new(),
        answers: vec![Vec::new(); contenders.len()],
        costs: vec![Cost::default(); contenders.len()],
        unanswered: 0,
        first_problem: String::new(),
    };
    let count = count.min(dataset.len());
    let progress = progress(count);
    let mut next = 0;
    while next < count {
        let batch = batch(dataset, next, setting.texts_a_request.min(count - next));
        next += batch.len();
        let mut said = Vec::with_capacity(contenders.len());
        for (contender, cost) in contenders.iter_mut().zip(&mut found.costs) {
            let (started, of_cores) = (Instant::now(), process_time());
            let Contender {
                question,
                backend,
                models,
                ..
            } = contender;
            let outcomes = question.ask(backend, &batch, models).await?;
            cost.time += started.elapsed();
            cost.core_time += process_time().saturating_sub(of_cores);
            cost.texts += outcomes.len();
            said.push(outcomes);
        }
        for (row, at) in (next - batch.len()..next).enumerate() {
            let example = &dataset.examples[at];
            let Some(truth) = Labels::of(&example.target, multi_label).filter(|_| example.weight > 0.0) else {
                continue;
            };
            let problem = said.iter().zip(contenders.iter()).find_map(|(outcomes, contender)| {
                let problem = outcomes[row].as_ref().err()?;
                Some(format!("line {}: {}: {problem}", example.line, contender.name))
            });
            if let Some(problem) = problem {
                found.unanswered += 1;
                if found.unanswered == 1 {
                    found.first_problem = problem;
                }
                continue;
            }
            for (at, (outcomes, contender)) in said.iter().zip(contenders.iter()).enumerate() {
                let Ok(prediction) = &outcomes[row] else { continue };
                found.costs[at].escalated += usize::from(prediction.decision() == pb::Decision::Escalated);
                let answer = answer(prediction, &places, multi_label, &truth, &contender.thresholds);
                found.answers[at]
                    .push(answer.map_err(|problem| (format!("{}: {problem}", contender.name), Exit::Usage))?);
            }
            found.places.push(at);
            found.texts.push(Known {
                truth,
                weight: f64::from(example.weight),
            });
        }
        progress.set_position(next as u64);
    }
    progress.finish_and_clear();
    Ok(found)
}

/// Asks each contender for a few texts one by one, and measures what each takes.
pub async fn one_by_one(contenders: &mut [Contender], dataset: &Dataset) -> Outcome<Vec<OneByOne>> {
    let mut all = Vec::with_capacity(contenders.len());
    for Contender {
        question,
        backend,
        models,
        ..
    } in contenders
    {
        let mut times = OneByOne::default();
        for at in timing::sample(dataset.len()) {
            if !times.goes_on() {
                break;
            }
            let text = batch(dataset, at, 1);
            let started = Instant::now();
            let outcomes = question.ask(backend, &text, models).await?;
            if outcomes.iter().all(Result::is_ok) {
                times.add(started.elapsed());
            }
        }
        all.push(times);
    }
    Ok(all)
}

/// The time of all cores in this process so far.
fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The texts from `first` on that fit one request.
fn batch(dataset: &Dataset, first: usize, most: usize) -> Vec<Result<Fields, String>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < most && bytes < MOST_BYTES && first + batch.len() < dataset.len() {
        let text = dataset.text(first + batch.len()).into_owned();
        bytes += text.len();
        batch.push(Ok(Fields {
            text,
            ..Fields::default()
        }));
    }
    batch
}

/// An answer, with the probabilities in the order of the places. The error is one line.
fn answer(
    prediction: &pb::Prediction,
    places: &HashMap<&str, u32>,
    multi_label: bool,
    truth: &Labels,
    thresholds: &Thresholds,
) -> Result<Answer, String> {
    let place = |label: &str| {
        places
            .get(label)
            .copied()
            .ok_or_else(|| format!("it gives `{label}`, which is none of its labels"))
    };
    let mut probabilities = vec![0.0; places.len()];
    let mut given = Vec::new();
    for score in &prediction.scores {
        let place = place(&score.label)?;
        probabilities[place as usize] = f64::from(score.score);
        if score.selected {
            given.push(place);
        }
    }
    if prediction.decision() == pb::Decision::Abstained {
        // What was withheld is measured as if it were given: the best label, or each that is over its threshold.
        given = withheld(&probabilities, multi_label, thresholds.of(prediction));
    }
    given.sort_unstable();
    if multi_label {
        let given = Labels::Many(given);
        return Ok(Answer::new(given, &probabilities, truth, thresholds.of(prediction)));
    }
    let sum: f64 = probabilities.iter().sum();
    match given.as_slice() {
        [given] if (sum - 1.0).abs() < ROUNDING => Ok(Answer::new(Labels::One(*given), &probabilities, truth, &[])),
        _ => Err(
            "it may give a text several labels, or none; say --multi-label, and what separates them in the file"
                .to_owned(),
        ),
    }
}

/// The labels that an answer which was withheld would have given.
fn withheld(probabilities: &[f64], multi_label: bool, thresholds: &[f32]) -> Vec<u32> {
    let labels = (0..probabilities.len()).zip(0_u32..);
    if multi_label {
        let least = |at: usize| f64::from(thresholds.get(at).copied().unwrap_or(DEFAULT_THRESHOLD));
        return labels
            .filter(|&(at, _)| probabilities[at] >= least(at))
            .map(|(_, label)| label)
            .collect();
    }
    let best = labels.max_by(|(a, _), (b, _)| probabilities[*a].total_cmp(&probabilities[*b]).then(b.cmp(a)));
    best.map(|(_, label)| label).into_iter().collect()
}

/// A progress bar, visible only on a terminal.
fn progress(texts: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} texts, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(texts as u64).with_style(style)
}
