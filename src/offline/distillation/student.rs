//! The student: a fast model that learns the deep model's probabilities, and once more what it would escalate.

use super::split::is_trained_on;
use super::teacher::Answers;
use crate::model::agreement;
use crate::model::manifest::{OutputKind, ProblemType};
use crate::model::postprocess::{Classification, Postprocessor};
use crate::offline::dataset::{Dataset, Target};
use crate::offline::evaluation::tally::Labels;
use crate::offline::training::golden::probabilities;
use crate::offline::training::rows::Rows;
use crate::offline::training::train::{Settings, Trained, Watch, train};

/// How much more a text counts that is escalated.
const MORE: f32 = 2.0;

/// What is asked of a cascade, for comparing rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// It agrees with the deep model on at least this share of texts: the fewer are escalated the better.
    Agreement(f64),
    /// At most this share of texts is escalated: the more it agrees the better.
    Escalated(f64),
}

/// One round, judged by cross-validation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The share of texts on which the student alone agrees with the deep model.
    pub agreement: f64,
    /// The share of texts that is escalated, and on how many the cascade then agrees with the deep model.
    pub escalated: f64,
    pub cascade_agreement: f64,
}

/// Gives each text that is for training what the deep model says of it; the others, and those in `gold` by their groups,
/// are without a target.
pub fn set_targets(
    dataset: &mut Dataset,
    answers: &Answers,
    temperature: f32,
    seed: u64,
    is_gold: impl Fn(u64) -> bool,
) {
    for (at, example) in dataset.examples.iter_mut().enumerate() {
        let is_for_training = is_trained_on(example.group, seed) && !is_gold(example.group);
        example.target = match answers.row(at).filter(|_| is_for_training) {
            Some(logits) => Target::Soft(probabilities(logits, dataset.problem_type, temperature)),
            None => Target::Unknown,
        };
    }
}

/// Trains, and `rounds` − 1 times more with more weight on what is escalated; keeps the best. `None` if it was told to stop.
pub fn learn(
    dataset: &mut Dataset,
    settings: Settings<'_>,
    goal: Goal,
    rounds: usize,
    watch: &dyn Watch,
) -> Option<(Trained, Vec<Round>)> {
    let Settings {
        seed, metric, threads, ..
    } = settings;
    let mut best = train(dataset, &settings, watch)?;
    let mut tried = vec![judge(&best, dataset, goal)];
    for _ in 1..rounds {
        let share = tried.iter().map(|round| round.escalated).fold(1.0, f64::min);
        weigh(dataset, &best, share, &settings);
        let again = Settings {
            seed,
            metric,
            budget: None,
            recipe: Some(best.recipe),
            threads,
            known: Vec::new(),
            held_out: None,
            thresholds: settings.thresholds.clone(),
        };
        let next = train(dataset, &again, watch)?;
        let round = judge(&next, dataset, goal);
        let is_better = tried.iter().all(|other| is_better(round, *other, goal));
        tried.push(round);
        if is_better {
            let found = best.found.take();
            best = Trained { found, ..next };
        }
    }
    if rounds > 1 {
        // The weights were for training: what is told of the student is of texts as they are.
        dataset.examples.iter_mut().for_each(|example| example.weight = 1.0);
        best.temperature = best.out.calibrate(dataset).temperature;
    }
    Some((best, tried))
}

fn is_better(round: Round, other: Round, goal: Goal) -> bool {
    match goal {
        Goal::Agreement(_) => round.escalated < other.escalated,
        Goal::Escalated(_) => round.cascade_agreement > other.cascade_agreement,
    }
}

/// Gives texts that the student is least sure of more weight.
fn weigh(dataset: &mut Dataset, student: &Trained, share: f64, settings: &Settings<'_>) {
    let rows = Rows::encode(dataset, student.recipe.features(), &|_| true, settings.threads);
    let mut room = Vec::new();
    let judging = judging(student, dataset.problem_type);
    let sure: Vec<f32> = (0..dataset.len())
        .map(|at| {
            let logits = student.link.logits(&student.model.columns_of(rows.row(at, &mut room)));
            judging
                .classify(&logits)
                .map_or(0.0, |answer| agreement::sureness(&answer, &judging.thresholds))
        })
        .collect();
    drop(rows);
    let mut sorted = sure.clone();
    sorted.sort_by(f32::total_cmp);
    let place = (sorted.len() as f64 * share) as usize;
    let threshold = sorted.get(place).copied().unwrap_or(1.0);
    for (example, sure) in dataset.examples.iter_mut().zip(sure) {
        example.weight = if sure < threshold { MORE } else { 1.0 };
    }
}

/// What a cascade with this student would do, on texts that it was not trained on.
fn judge(student: &Trained, dataset: &Dataset, goal: Goal) -> Round {
    let judging = judging(student, dataset.problem_type);
    let mut rows: Vec<(f32, bool)> = student
        .out
        .iter()
        .map(|(at, logits)| {
            let Ok(answer) = judging.classify(logits) else {
                return (0.0, false);
            };
            let target = &dataset.examples[at].target;
            let deep = match dataset.problem_type {
                ProblemType::MultiLabel => target.over(&judging.thresholds).map(Labels::Many),
                _ => Labels::of(target, false),
            };
            let sure = agreement::sureness(&answer, &judging.thresholds);
            (sure, deep.is_some_and(|deep| is_what(&answer, &deep)))
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = rows.len().max(1) as f64;
    let agreement = rows.iter().filter(|(_, agrees)| *agrees).count() as f64 / all;
    // From the surest down: so many answers of the student stand, and so many of them differ.
    let (mut standing, mut differing, mut seen) = (0, 0, 0);
    for (at, (_, agrees)) in rows.iter().enumerate() {
        seen += usize::from(!agrees);
        let fits = match goal {
            Goal::Agreement(least) => 1.0 - seen as f64 / all >= least,
            Goal::Escalated(most) => 1.0 - at as f64 / all > most || at == 0,
        };
        if fits {
            (standing, differing) = (at + 1, seen);
        }
    }
    Round {
        agreement,
        escalated: 1.0 - f64::from(standing as u32) / all,
        cascade_agreement: 1.0 - f64::from(differing as u32) / all,
    }
}

/// How the student's logits become answers.
fn judging(student: &Trained, problem_type: ProblemType) -> Postprocessor {
    Postprocessor {
        output_kind: OutputKind::Logits,
        temperature: student.temperature as f32,
        problem_type,
        thresholds: student.thresholds.clone(),
        names_winner: false,
        columns: None,
        heads: Vec::new(),
    }
}

/// Whether an answer gives exactly these labels.
fn is_what(answer: &Classification, labels: &Labels) -> bool {
    (0..answer.probabilities.len()).all(|label| answer.selects(label) == labels.has(label as u32))
}
