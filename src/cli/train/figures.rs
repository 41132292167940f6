//! How good a trained model is on rows that it was not trained on.

use crate::model::manifest::ProblemType;
use crate::offline::dataset::Dataset;
use crate::offline::dataset::example::above;
use crate::offline::evaluation::answer::{Answer, Known};
use crate::offline::evaluation::contest::{Evaluation, Measured, doubted, hold};
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Labels;
use crate::offline::training::golden::probabilities;
use crate::offline::training::held_out::top;
use crate::offline::training::train::Trained;

/// The precisions whose coverage is told.
const PRECISIONS: [f64; 3] = [0.95, 0.98, 0.99];
/// How many disagreements are told.
const DOUBTED: usize = 50;
/// The most rows that the bootstrap draws from: more say no more.
const MOST_JUDGED: usize = 50_000;

/// The figures, and what they are of.
pub struct Figures {
    pub evaluation: Evaluation,
    /// The rows of the data set that were judged, with what is known and what was said.
    pub rows: Vec<usize>,
    pub known: Vec<Known>,
    pub answers: Vec<Answer>,
    /// The places in `rows` of the rows whose label the model doubts most.
    pub doubted: Vec<usize>,
}

impl Figures {
    /// Judges what models said of rows that they were not trained on.
    pub fn of(trained: &Trained, judged: &Dataset, seed: u64) -> Self {
        let (mut rows, mut known, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for (at, logits) in trained.out.iter().take(MOST_JUDGED) {
            let example = &judged.examples[at];
            let truth = if judged.problem_type == ProblemType::MultiLabel {
                example.target.over(trained.thresholds_of_targets()).map(Labels::Many)
            } else {
                Labels::of(&example.target, false)
            };
            let Some(truth) = truth else { continue };
            let shares = probabilities(logits, judged.problem_type, trained.temperature as f32);
            let given = match truth {
                Labels::One(_) => Labels::One(top(&shares) as u32),
                Labels::Many(_) => Labels::Many(above(&shares, &trained.thresholds)),
            };
            let shares: Vec<f64> = shares.into_iter().map(f64::from).collect();
            rows.push(at);
            answers.push(Answer::new(given, &shares, &truth, &trained.thresholds));
            known.push(Known {
                truth,
                weight: f64::from(example.weight),
            });
        }
        let measured = Measured {
            labels: judged.labels.len(),
            precisions: &PRECISIONS,
            seed,
        };
        let evaluation = hold(&known, &[&answers], &measured).evaluations.remove(0);
        Self {
            doubted: doubted(&known, &answers, DOUBTED),
            evaluation,
            rows,
            known,
            answers,
        }
    }

    /// The figures in a few lines.
    pub fn lines(&self, what: &str, judged_by: &str, dataset: &Dataset) -> Vec<String> {
        let Evaluation {
            accuracy,
            macro_f1,
            calibration_error,
            ..
        } = &self.evaluation;
        let mut lines = vec![format!(
            "held out ({judged_by}, {} texts): {what} {}, macro-F1 {}, calibration error {:.4}",
            self.rows.len(),
            shown(accuracy),
            shown(macro_f1),
            calibration_error.value
        )];
        let few: Vec<&str> = self
            .evaluation
            .classes
            .iter()
            .zip(&dataset.labels)
            .filter(|(class, _)| class.is_unreliable())
            .map(|(_, label)| label.as_str())
            .collect();
        if !few.is_empty() {
            lines.push(format!(
                "{} of the labels have fewer than 10 texts, so their figures are unreliable: {}",
                few.len(),
                crate::cli::terminal::folded(few.iter().copied(), crate::cli::terminal::width())
            ));
        }
        lines
    }

    /// The figures for a manifest.
    pub fn metrics(&self) -> toml::Table {
        let rounded = |interval: &Interval| toml::Value::Float((interval.value * 1e4).round() / 1e4);
        let mut metrics = toml::Table::new();
        metrics.insert("accuracy".to_owned(), rounded(&self.evaluation.accuracy));
        metrics.insert("macro_f1".to_owned(), rounded(&self.evaluation.macro_f1));
        metrics.insert("ece".to_owned(), rounded(&self.evaluation.calibration_error));
        metrics.insert("rows".to_owned(), toml::Value::Integer(self.rows.len() as i64));
        metrics
    }
}

/// A share with its interval, in percent.
pub fn shown(interval: &Interval) -> String {
    let Interval { value, low, high } = interval;
    format!("{:.2}% ({:.2} to {:.2})", value * 100.0, low * 100.0, high * 100.0)
}
