//! Postprocessing: how a row of a model's raw outputs becomes an answer.
//!
//! Pure arithmetic on one row. Infinite outputs with a meaning are answered, such as −∞ for a label that the model
//! masks. A NaN never becomes an answer. All results are finite.

use std::ops::Range;

pub use super::classification::{Classification, Selection};
use super::manifest::{Manifest, OutputKind, ProblemType};

/// An output that is not a number and can't be answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's output is not finite")]
pub struct NotFinite;

/// How raw outputs become probabilities.
#[derive(Clone, Debug)]
pub struct Postprocessor {
    pub output_kind: OutputKind,
    /// Logits are divided by this before softmax or sigmoid.
    pub temperature: f32,
    pub problem_type: ProblemType,
    /// The probability from which on each label is selected, for multi-label models; 0.5 for labels that are not
    /// listed.
    pub thresholds: Vec<f32>,
    /// Whether the last number of a row is not a label's, but the index of the winner that the graph names.
    pub names_winner: bool,
    /// The numbers of a row that are its own, for one of several heads; absent for all.
    pub columns: Option<Range<usize>>,
    /// Of a model with heads, how the numbers of each become an answer.
    pub heads: Vec<Postprocessor>,
}

impl Postprocessor {
    /// The settings of a manifest.
    pub fn new(manifest: &Manifest) -> Self {
        let head = |at: usize| Self {
            columns: Some(manifest.columns_of_head(at)),
            ..Self::new(&manifest.of_head(at))
        };
        Self {
            heads: (0..manifest.heads.len()).map(head).collect(),
            output_kind: manifest.onnx.output_kind,
            temperature: manifest.calibration.temperature,
            problem_type: manifest.problem_type,
            thresholds: manifest.calibration.thresholds.clone(),
            names_winner: manifest.onnx.label.is_some(),
            columns: None,
        }
    }

    /// The settings of a manifest for logits that another postprocessor made of the model's outputs.
    pub fn of_logits(manifest: &Manifest) -> Self {
        Self {
            output_kind: OutputKind::Logits,
            names_winner: false,
            ..Self::new(manifest)
        }
    }

    /// Classifies one row of the model's outputs.
    pub fn classify(&self, row: &[f32]) -> Result<Classification, NotFinite> {
        self.classify_at(row, self.temperature)
    }

    /// Like [`Postprocessor::classify`], with another temperature.
    pub fn classify_at(&self, row: &[f32], temperature: f32) -> Result<Classification, NotFinite> {
        if !self.heads.is_empty() {
            return of_heads(&self.heads, row);
        }
        let row = match &self.columns {
            Some(own) => row.get(own.clone()).ok_or(NotFinite)?,
            None => row,
        };
        let (row, named) = match row.split_last() {
            Some((named, row)) if self.names_winner => (row, Some(*named)),
            _ => (row, None),
        };
        let row = self.finite(row)?;
        let logits: Vec<f32> = match (self.problem_type, self.output_kind) {
            (ProblemType::Regression, _) | (_, OutputKind::Logits) => row,
            (ProblemType::SingleLabel, _) => row.iter().map(|&value| value.max(f32::MIN_POSITIVE).ln()).collect(),
            (ProblemType::MultiLabel, _) => row.iter().map(|&value| log_odds(value)).collect(),
        };
        let (probabilities, selection) = match self.problem_type {
            ProblemType::SingleLabel => (softmax(&logits, temperature), Selection::Winner),
            ProblemType::MultiLabel => {
                let probabilities: Vec<f32> = logits.iter().map(|value| sigmoid(value / temperature)).collect();
                let selected = self.select(&probabilities);
                (probabilities, Selection::Each(selected))
            }
            ProblemType::Regression => (logits.clone(), Selection::Value(logits[0])),
        };
        let winner = match named {
            // A float holds the index of a label exactly.
            Some(named) if (0.0..logits.len() as f32).contains(&named) => named as usize,
            Some(_) => return Err(NotFinite),
            None => winner(&logits, &selection),
        };
        Ok(Classification {
            winner,
            probabilities,
            logits,
            selection,
        })
    }

    /// The row in finite numbers. An infinite logit becomes the largest number of its sign, which gives the same
    /// probability: 0 for −∞ beside finite ones, 0 or 1 for each label by itself. NaN, and infinities without such a
    /// meaning, are errors.
    fn finite(&self, row: &[f32]) -> Result<Vec<f32>, NotFinite> {
        let has_meaning = |value: f32| match (self.problem_type, self.output_kind) {
            (ProblemType::SingleLabel, OutputKind::Logits) => value.is_finite() || value == f32::NEG_INFINITY,
            (ProblemType::MultiLabel, OutputKind::Logits) => !value.is_nan(),
            _ => value.is_finite(),
        };
        let nothing = match self.problem_type {
            ProblemType::SingleLabel => row.iter().all(|&value| value == f32::NEG_INFINITY),
            ProblemType::MultiLabel | ProblemType::Regression => row.is_empty(),
        };
        if nothing || !row.iter().all(|&value| has_meaning(value)) {
            return Err(NotFinite);
        }
        Ok(row.iter().map(|value| value.clamp(f32::MIN, f32::MAX)).collect())
    }

    fn select(&self, probabilities: &[f32]) -> Vec<bool> {
        let threshold = |label| self.thresholds.get(label).copied().unwrap_or(DEFAULT_THRESHOLD);
        let labels = probabilities.iter().enumerate();
        labels.map(|(label, &value)| value >= threshold(label)).collect()
    }
}

/// The answer of all heads as one: their numbers one after the other, and the labels that each of them gives. For whoever
/// looks at a model as a whole, such as golden examples; a request gets the answer of one head.
fn of_heads(heads: &[Postprocessor], row: &[f32]) -> Result<Classification, NotFinite> {
    let (mut probabilities, mut logits, mut selected) = (Vec::new(), Vec::new(), Vec::new());
    for head in heads {
        let answer = head.classify(row)?;
        selected.extend((0..answer.logits.len()).map(|label| answer.selects(label)));
        probabilities.extend(answer.probabilities);
        logits.extend(answer.logits);
    }
    // None of them is the answer; the first that is given stands for it.
    let winner = selected.iter().position(|selected| *selected).unwrap_or(0);
    Ok(Classification {
        winner,
        probabilities,
        logits,
        selection: Selection::Each(selected),
    })
}

/// The probability from which on a label is selected, unless the manifest has another.
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// The likeliest label, the first of equal ones: among those that are selected, if any is.
fn winner(logits: &[f32], selection: &Selection) -> usize {
    let likeliest = |among: &dyn Fn(usize) -> bool| {
        let labels = (0..logits.len()).filter(|&label| among(label));
        labels.reduce(|best, label| if logits[label] > logits[best] { label } else { best })
    };
    let selected = match selection {
        Selection::Each(selected) => likeliest(&|label| selected[label]),
        Selection::Winner | Selection::Value(_) => None,
    };
    selected.or_else(|| likeliest(&|_| true)).unwrap_or(0)
}

fn sigmoid(value: f32) -> f32 {
    // With 64 bits the exponential of a large logit stays finite.
    (1.0 / (1.0 + (-f64::from(value)).exp())) as f32
}

fn log_odds(probability: f32) -> f32 {
    let kept = f64::from(probability).clamp(1e-12, 1.0 - 1e-12);
    (kept / (1.0 - kept)).ln() as f32
}

fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|value| ((value - top) / temperature).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Postprocessor = Postprocessor {
        output_kind: OutputKind::Logits,
        temperature: 1.0,
        problem_type: ProblemType::SingleLabel,
        thresholds: Vec::new(),
        names_winner: false,
        columns: None,
        heads: Vec::new(),
    };

    #[test]
    fn a_row_becomes_probabilities_that_sum_to_one() {
        let answer = PLAIN.classify(&[1.0, 3.0, 2.0]).expect("finite");
        assert_eq!(answer.winner, 1);
        assert_eq!(answer.ranking(3), [1, 2, 0]);
        assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((answer.confidence() - 0.665_240_9).abs() < 1e-6);
    }

    #[test]
    fn the_temperature_changes_confidence_and_not_the_winner() {
        let soft = Postprocessor {
            temperature: 4.0,
            ..PLAIN
        }
        .classify(&[0.0, 4.0])
        .expect("finite");
        assert_eq!(soft.winner, 1);
        assert!((soft.confidence() - 0.731_058_6).abs() < 1e-6);
        assert_eq!(soft.logits, [0.0, 4.0]);
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let answer = PLAIN.classify(&[-3.0e38, 3.0e38]).expect("finite");
        assert_eq!(answer.probabilities, [0.0, 1.0]);
    }

    #[test]
    fn what_is_not_a_number_is_no_answer() {
        assert_eq!(PLAIN.classify(&[f32::NAN, 0.0]), Err(NotFinite));
        assert_eq!(PLAIN.classify(&[f32::INFINITY, 0.0]), Err(NotFinite));
        assert_eq!(PLAIN.classify(&[]), Err(NotFinite));
    }

    #[test]
    fn infinite_logits_that_have_a_meaning_are_answered_in_finite_numbers() {
        let answer = PLAIN.classify(&[f32::NEG_INFINITY, 1.0, 0.0]).expect("masked");
        assert_eq!((answer.winner, answer.probabilities[0]), (1, 0.0));
        assert_eq!(answer.logits[0], f32::MIN);
        assert!((answer.probabilities[1] - 0.731_058_6).abs() < 1e-6);
        for temperature in [0.01, 100.0] {
            let answer = PLAIN
                .classify_at(&[f32::NEG_INFINITY, f32::MAX], temperature)
                .expect("masked");
            assert_eq!(answer.probabilities, [0.0, 1.0], "{temperature}");
        }
        // No label is left to choose.
        assert_eq!(PLAIN.classify(&[f32::NEG_INFINITY; 2]), Err(NotFinite));
        let each = Postprocessor {
            problem_type: ProblemType::MultiLabel,
            ..PLAIN
        };
        let answer = each.classify(&[f32::INFINITY, f32::NEG_INFINITY]).expect("sure");
        assert_eq!(answer.probabilities, [1.0, 0.0]);
        assert_eq!(answer.logits, [f32::MAX, f32::MIN]);
        assert_eq!(each.classify(&[f32::NAN, 0.0]), Err(NotFinite));
        for (problem_type, output_kind) in [
            (ProblemType::Regression, OutputKind::Logits),
            (ProblemType::SingleLabel, OutputKind::Probabilities),
            (ProblemType::MultiLabel, OutputKind::Probabilities),
        ] {
            let post = Postprocessor {
                output_kind,
                problem_type,
                ..PLAIN
            };
            assert_eq!(post.classify(&[f32::NEG_INFINITY, 0.5]), Err(NotFinite));
        }
    }

    #[test]
    fn the_first_of_many_labels_are_those_of_the_whole_ranking() {
        let mut answer = PLAIN.classify(&[0.0; 60]).expect("finite");
        // With ties, and a winner that is not the likeliest.
        answer.logits = (0..60).map(|at| ((at * 37 % 60) / 4) as f32).collect();
        answer.winner = 7;
        for selection in [Selection::Winner, Selection::Each(vec![false; 60])] {
            answer.selection = selection;
            let whole = answer.ranking(usize::MAX);
            assert_eq!(whole.len(), 60);
            for most in 0..=61 {
                assert_eq!(answer.ranking(most), whole[..most.min(60)], "{most}");
            }
        }
        assert_eq!(answer.ranking(2), [8, 21], "the likeliest first, of equals the first");
        answer.selection = Selection::Winner;
        assert_eq!(answer.ranking(3), [7, 8, 21]);
    }

    #[test]
    fn probabilities_pass_through() {
        let post = Postprocessor {
            output_kind: OutputKind::Probabilities,
            ..PLAIN
        };
        let answer = post.classify(&[0.25, 0.75]).expect("finite");
        assert!((answer.confidence() - 0.75).abs() < 1e-6);
        assert_eq!(post.classify(&[0.0, 1.0]).expect("finite").winner, 1);
    }

    #[test]
    fn each_label_of_a_multi_label_model_has_its_threshold() {
        let post = Postprocessor {
            problem_type: ProblemType::MultiLabel,
            thresholds: vec![0.5, 0.9, 0.1],
            ..PLAIN
        };
        let answer = post.classify(&[0.0, 1.0, -1.0]).expect("finite");
        assert_eq!(answer.selection, Selection::Each(vec![true, false, true]));
        // The likeliest of those that are over their thresholds, not of all.
        assert_eq!((answer.winner, answer.value()), (0, None));
        assert!((answer.probabilities[1] - 0.731_058_6).abs() < 1e-6);
        let extreme = post.classify(&[3.0e38, -3.0e38, 0.0]).expect("finite");
        assert_eq!(extreme.probabilities, [1.0, 0.0, 0.5]);
        let given = Postprocessor {
            output_kind: OutputKind::Probabilities,
            ..post
        };
        let answer = given.classify(&[0.25, 0.95, 0.0]).expect("finite");
        assert!((answer.probabilities[0] - 0.25).abs() < 1e-6);
        assert_eq!(answer.selection, Selection::Each(vec![false, true, false]));
    }

    #[test]
    fn the_winner_is_the_one_that_the_graph_names() {
        let post = Postprocessor {
            names_winner: true,
            ..PLAIN
        };
        let answer = post.classify(&[1.0, 3.0, 2.0, 0.0]).expect("finite");
        assert_eq!((answer.winner, answer.logits.len()), (0, 3));
        assert_eq!(answer.ranking(3), [0, 1, 2]);
        assert!(answer.confidence() < answer.probabilities[1]);
        for named in [3.0, -1.0, f32::NAN] {
            assert_eq!(post.classify(&[1.0, 3.0, 2.0, named]), Err(NotFinite));
        }
        assert_eq!(post.classify(&[0.0]), Err(NotFinite));
    }

    #[test]
    fn a_regression_gives_its_value_as_it_is() {
        let post = Postprocessor {
            problem_type: ProblemType::Regression,
            ..PLAIN
        };
        let answer = post.classify(&[-3.25]).expect("finite");
        assert_eq!((answer.value(), answer.confidence()), (Some(-3.25), 0.0));
        assert_eq!(
            (answer.logits.as_slice(), answer.selects(0)),
            ([-3.25].as_slice(), false)
        );
    }

    #[test]
    fn each_head_answers_by_its_own_columns_and_temperature() {
        let head = |columns, temperature, problem_type| Postprocessor {
            output_kind: OutputKind::Logits,
            temperature,
            problem_type,
            thresholds: Vec::new(),
            names_winner: false,
            columns: Some(columns),
            heads: Vec::new(),
        };
        let heads = [
            head(0..2, 2.0, ProblemType::SingleLabel),
            head(2..4, 1.0, ProblemType::MultiLabel),
            head(4..5, 1.0, ProblemType::Regression),
        ];
        let row = [0.0, 4.0, 1.0, -1.0, 7.5];
        let answer = of_heads(&heads, &row).expect("finite");
        assert_eq!(answer.logits, row);
        assert_eq!(
            (answer.winner, answer.selection),
            (1, Selection::Each(vec![false, true, true, false, false]))
        );
        assert!(
            (answer.probabilities[1] - 0.880_797).abs() < 1e-5,
            "{:?}",
            answer.probabilities
        );
        assert_eq!(answer.probabilities[4].to_bits(), 7.5_f32.to_bits());
        assert_eq!(of_heads(&heads, &row[..4]), Err(NotFinite));
        assert_eq!(of_heads(&heads, &[f32::NAN, 0.0, 0.0, 0.0, 0.0]), Err(NotFinite));
    }
}
