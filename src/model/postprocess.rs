//! Postprocessing: how a row of a model's raw outputs becomes an answer.
//!
//! Pure arithmetic on one row. Infinite outputs with a meaning are answered, such as −∞ for a label that the model
//! masks. A NaN never becomes an answer. All results are finite.

use super::manifest::{Manifest, OutputKind, ProblemType};

/// The answer to one text, by the index of the label.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The index of the winning label.
    pub winner: usize,
    /// Calibrated probabilities, by label. They sum to one if one label is right; for a regression, the one number is
    /// the value.
    pub probabilities: Vec<f32>,
    /// Raw outputs before softmax or sigmoid, without calibration, by label.
    pub logits: Vec<f32>,
    /// Which labels are part of the answer.
    pub selection: Selection,
}

/// Which labels are part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// The winner only.
    Winner,
    /// For each label, whether it is.
    Each(Vec<bool>),
    /// None: the answer is a number.
    Value(f32),
}

impl Classification {
    /// The calibrated probability of the winner; 0 for a regression.
    pub fn confidence(&self) -> f32 {
        match self.selection {
            Selection::Value(_) => 0.0,
            Selection::Winner | Selection::Each(_) => self.probabilities[self.winner],
        }
    }

    /// Whether a label is part of the answer.
    pub fn selects(&self, label: usize) -> bool {
        match &self.selection {
            Selection::Winner => label == self.winner,
            Selection::Each(selected) => selected[label],
            Selection::Value(_) => false,
        }
    }

    /// The number, for a regression.
    pub fn value(&self) -> Option<f32> {
        match self.selection {
            Selection::Value(value) => Some(value),
            Selection::Winner | Selection::Each(_) => None,
        }
    }

    /// The indices of the first `most` labels: the winner, if there is one, then by probability; equal ones in the
    /// order of the labels.
    pub fn ranking(&self, most: usize) -> Vec<usize> {
        let most = most.min(self.logits.len());
        if most == 0 {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        if self.selection == Selection::Winner {
            // A graph that names the winner itself may name another label than the likeliest.
            order[..=self.winner].rotate_right(1);
        }
        let first = usize::from(self.selection == Selection::Winner);
        let likelier = |&a: &usize, &b: &usize| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b));
        // A caller asks for few labels of possibly ten thousand.
        if (first + 1..order.len()).contains(&most) {
            order[first..].select_nth_unstable_by(most - first - 1, likelier);
        }
        order.truncate(most);
        order[first..].sort_unstable_by(likelier);
        order
    }
}

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
}

impl Postprocessor {
    /// The settings of a manifest.
    pub fn new(manifest: &Manifest) -> Self {
        Self {
            output_kind: manifest.onnx.output_kind,
            temperature: manifest.calibration.temperature,
            problem_type: manifest.problem_type,
            thresholds: manifest.calibration.thresholds.clone(),
            names_winner: manifest.onnx.label.is_some(),
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
}
