//! Golden examples: texts with the training framework's outputs, compared with what this machine computes.
//!
//! A model with other ids, or with logits outside the manifest's tolerance, does not serve. So a broken file, another
//! tokenizer or a processor that rounds otherwise shows here, and not in a wrong answer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::effort::Effort;
use crate::model::input::{BatchBounds, Encoding, ModelInput, batches};
use crate::model::manifest::{Batch, Golden, Manifest, OutputKind, Preprocess};
use crate::model::model_error::ModelError;
use crate::model::postprocess::Postprocessor;
use crate::model::preprocess::Preprocessor;
use crate::model::runner::Runner;
use crate::model::side_by_side;

/// The most examples in one run.
const MOST_TOGETHER: usize = 8;
/// With little effort, so many examples run alone for each run of several.
const ALONE: usize = 1;

/// One golden example.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub text: String,
    /// The second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The ids that preprocessing gave in training.
    pub ids: Vec<u32>,
    /// Whether preprocessing cut the text in training.
    pub truncated: bool,
    /// The training framework's raw outputs.
    pub logits: Vec<f32>,
    /// The training framework's calibrated probabilities.
    pub probabilities: Vec<f32>,
}

/// How the model did on its golden examples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// The number of examples.
    pub examples: usize,
    /// The largest difference of a logit (of a probability, if the model gives those) for texts that ran alone.
    pub largest_difference: f32,
    /// The largest such difference for texts that ran in batches.
    pub largest_batched_difference: f32,
}

impl Report {
    /// The larger differences of both.
    fn with(self, other: &Self) -> Self {
        Self {
            examples: self.examples,
            largest_difference: self.largest_difference.max(other.largest_difference),
            largest_batched_difference: self.largest_batched_difference.max(other.largest_batched_difference),
        }
    }
}

/// Reads golden examples, one JSON object a line; `path` is for errors.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Example>, ModelError> {
    let text = str::from_utf8(bytes).map_err(|_| ModelError::new(path, "is not UTF-8"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let examples = lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| ModelError::new(path, format!("line {}: {error}", at + 1)))
        })
        .collect::<Result<Vec<Example>, _>>()?;
    if examples.is_empty() {
        return Err(ModelError::new(path, "holds no examples"));
    }
    Ok(examples)
}

/// The parts of a model that the check needs.
pub struct Subject<'a> {
    pub manifest: &'a Manifest,
    /// The tolerances.
    pub golden: &'a Golden,
    /// Whether the labels of an example must agree, and its numbers may be anywhere.
    pub labels_alone: bool,
    pub preprocessor: &'a Preprocessor,
    pub postprocessor: &'a Postprocessor,
    /// The most cells, rows × width, of examples that run together: as many as of texts when the model serves.
    pub cells: usize,
}

/// Compares the model's answers with its golden examples; its instances share the work. The error is one line that names
/// the example's line.
pub fn check(
    subject: Subject<'_>,
    runners: &mut [&mut dyn Runner],
    examples: &[Example],
    effort: Effort,
) -> Result<Report, String> {
    // If the model reads fewer tokens than in training, longer texts are left out: their answers must differ.
    let most = match subject.manifest.preprocess {
        Preprocess::Tokenizer(_) => subject.manifest.max_token_count(),
        Preprocess::HashedNgrams(_) | Preprocess::String { .. } => usize::MAX,
    };
    let mut encodings = BTreeMap::new();
    for (at, example) in examples
        .iter()
        .enumerate()
        .filter(|(_, example)| example.ids.len() <= most)
    {
        let encoding = check_ids(subject.preprocessor, example);
        encodings.insert(at, encoding.map_err(|problem| format!("line {}: {problem}", at + 1))?);
    }
    // Rows of like width run together: they still differ in width, so padding is tested, and it takes little of the
    // time.
    let mut by_width: Vec<usize> = encodings.keys().copied().collect();
    by_width.sort_by_key(|at| encodings[at].input.width());
    let rows = match subject.manifest.limits.batch {
        Some(Batch::SameLength | Batch::Alone) => 1,
        Some(Batch::Any) | None => subject.manifest.limits.most_texts().min(MOST_TOGETHER),
    };
    let together = BatchBounds {
        rows,
        cells: subject.cells,
    };
    let runs = plan(&by_width, together, |at| encodings[&at].input.width(), effort);
    let Subject {
        golden,
        postprocessor,
        labels_alone,
        ..
    } = subject;
    let reports = side_by_side::share(runners, runs.len(), |runner, at| -> Result<Report, String> {
        let places = runs[at];
        let mut report = Report::default();
        let (tolerance, largest) = match places.len() {
            1 => (golden.logit_tolerance, &mut report.largest_difference),
            _ => (golden.batched_logit_tolerance, &mut report.largest_batched_difference),
        };
        let inputs: Vec<&ModelInput> = places.iter().map(|at| &encodings[at].input).collect();
        let rows = runner.run(&inputs).map_err(|error| error.to_string())?;
        for (row, &at) in rows.rows().into_iter().zip(places) {
            let size = inputs.len();
            let difference = check_row(postprocessor, &row.to_vec(), &examples[at], (tolerance, labels_alone))
                .map_err(|problem| format!("line {}: in a batch of {size}: {problem}", at + 1))?;
            *largest = largest.max(difference);
        }
        Ok(report)
    });
    let of_all = Report {
        examples: encodings.len(),
        ..Report::default()
    };
    reports
        .into_iter()
        .try_fold(of_all, |all, one| one.map(|one| all.with(&one)))
}

/// The runs of the check, each of some places, in batches of at most `together`. With little effort each example has its
/// place in one of them. Else it runs alone, and once more among others where it has any.
fn plan(by_width: &[usize], together: BatchBounds, width: impl Fn(usize) -> usize, effort: Effort) -> Vec<&[usize]> {
    let in_company = |places| batches(places, together, |&at| width(at));
    match effort {
        Effort::Full => {
            let company = in_company(by_width).into_iter().filter(|run| run.len() > 1);
            by_width.chunks(1).chain(company).collect()
        }
        Effort::Short => {
            let parts = by_width.chunks(ALONE + together.rows);
            // The widest of each part runs alone, and so the widest of all does.
            let parts = parts.map(|part| part.split_at(part.len() - ALONE.min(part.len())));
            parts
                .flat_map(|(others, alone)| in_company(others).into_iter().chain(alone.chunks(1)))
                .collect()
        }
    }
}

fn check_ids(preprocessor: &Preprocessor, example: &Example) -> Result<Encoding, String> {
    let encoding = preprocessor
        .encode(&example.text, example.text_pair.as_deref(), None)
        .map_err(|error| error.to_string())?;
    let ids = encoding.input.golden_ids();
    if ids != example.ids {
        let at = ids
            .iter()
            .zip(&example.ids)
            .take_while(|(found, expected)| found == expected)
            .count();
        return Err(format!(
            "the ids differ from training's at position {at} ({} ids here, {} there)",
            ids.len(),
            example.ids.len()
        ));
    }
    if encoding.truncated != example.truncated {
        return Err(format!(
            "truncated is {} here, {} in training",
            encoding.truncated, example.truncated
        ));
    }
    Ok(encoding)
}

fn check_row(
    postprocessor: &Postprocessor,
    row: &[f32],
    example: &Example,
    (tolerance, labels_alone): (f32, bool),
) -> Result<f32, String> {
    let tolerance = if labels_alone { f32::INFINITY } else { tolerance };
    let answer = postprocessor.classify(row).map_err(|error| error.to_string())?;
    if answer.logits.len() != example.logits.len() || answer.probabilities.len() != example.probabilities.len() {
        return Err(format!(
            "{} outputs here, {} in training",
            answer.logits.len(),
            example.logits.len()
        ));
    }
    if labels_alone && let Some(at) = other_label(&answer.probabilities, &example.probabilities) {
        let (here, there) = (answer.probabilities[at], example.probabilities[at]);
        return Err(format!(
            "the label of column {at} is another one: {here:.4} here, {there:.4} in training"
        ));
    }
    let moved = largest_difference(&answer.probabilities, &example.probabilities);
    if postprocessor.output_kind == OutputKind::Probabilities {
        // The logarithm of a very small probability depends on its last digit alone.
        if moved > tolerance {
            return Err(format!(
                "a probability differs by {moved:.6}, the tolerance is {tolerance}"
            ));
        }
        return Ok(moved);
    }
    let largest = largest_difference(&answer.logits, &example.logits);
    if largest > tolerance {
        return Err(format!("a logit differs by {largest:.6}, the tolerance is {tolerance}"));
    }
    // A probability moves by at most a quarter of the range of its logits' errors, divided by the temperature.
    let temperatures = postprocessor.heads.iter().map(|head| head.temperature);
    let bound = tolerance / temperatures.fold(postprocessor.temperature, f32::min) + 1e-5;
    if moved > bound {
        return Err(format!(
            "a probability differs by {moved:.6}: the temperature is not the one of training"
        ));
    }
    Ok(largest)
}

/// The first column whose label is chosen here or there alone: the largest of all, or one that is likelier than not.
fn other_label(found: &[f32], expected: &[f32]) -> Option<usize> {
    let largest = |of: &[f32]| of.iter().copied().fold(f32::MIN, f32::max);
    let chosen = |of: &[f32], at: usize| of[at] >= largest(of) || of[at] > 0.5;
    (0..found.len()).find(|&at| chosen(found, at) != chosen(expected, at))
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).abs())
        .fold(0.0, |largest, difference| {
            if difference.is_nan() {
                f32::INFINITY
            } else {
                largest.max(difference)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of so many examples of growing width runs alone and together, and the sizes of the runs.
    fn planned(examples: usize, together: usize, effort: Effort) -> (Vec<[usize; 2]>, Vec<usize>) {
        let by_width: Vec<usize> = (0..examples).collect();
        let mut counts = vec![[0, 0]; examples];
        let bounds = BatchBounds {
            rows: together,
            cells: 100,
        };
        let runs = plan(&by_width, bounds, |at| at, effort);
        for run in &runs {
            for &at in *run {
                counts[at][usize::from(run.len() > 1)] += 1;
            }
        }
        (counts, runs.iter().map(|run| run.len()).collect())
    }

    #[test]
    fn each_example_runs_alone_and_together_or_once_if_that_must_do() {
        for (examples, together) in [(1, 8), (2, 8), (3, 8), (10, 8), (25, 8), (25, 1), (153, 8)] {
            let (counts, sizes) = planned(examples, together, Effort::Full);
            assert!(
                counts.iter().all(|[alone, others]| *alone == 1 && *others <= 1),
                "{examples}"
            );
            assert!(sizes.iter().all(|size| (1..=together).contains(size)), "{examples}");
            let (counts, sizes) = planned(examples, together, Effort::Short);
            assert!(counts.iter().all(|[alone, others]| alone + others == 1), "{examples}");
            assert!(sizes.iter().all(|size| (1..=together).contains(size)), "{examples}");
            assert_eq!(counts[examples - 1], [1, 0], "the widest runs alone");
        }
        assert_eq!(planned(12, 8, Effort::Full).1[12..], [8, 4]);
        assert_eq!(planned(12, 8, Effort::Short).1, [8, 1, 2, 1]);
    }
}
