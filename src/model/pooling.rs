//! Pooling: one answer from the answers to a long text's windows. Pure.
//!
//! Calibrated probabilities are pooled, not logits. In a cascade windows are answered by different models, whose logits
//! have different scales; and a mean of logits is a product of probabilities, in which one window that is wrong and very
//! sure outweighs all others. A regression's values are pooled as they are.
//!
//! | | one label is right | each label by itself | a number |
//! | --- | --- | --- | --- |
//! | `max` | the answer of the surest window | for each label, its highest probability | the greatest value |
//! | `mean` | the mean of the probabilities | the same, label by label | the mean of the values |
//! | `first-confident` | the answer of the first window that is sure enough, or else as `max` | the same | not offered |
//!
//! Means are weighted by the windows' bytes. Labels of a mixed answer are selected by the thresholds of the model's
//! manifest. A window is as sure as `agreement.rs` says; of equal ones the first counts.

use serde::{Deserialize, Serialize};

use super::manifest::ProblemType;

/// How the answers of windows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// What the surest window says; where each label is right or not by itself, what any window says.
    Max,
    /// What the windows say on average.
    Mean,
    /// What the first window says that is sure enough.
    FirstConfident,
}

impl Pooling {
    /// What suits a kind of model where nothing else is said.
    pub fn for_problem(problem: ProblemType) -> Self {
        match problem {
            ProblemType::SingleLabel | ProblemType::MultiLabel => Self::Max,
            ProblemType::Regression => Self::Mean,
        }
    }
}

/// The answer to one window.
#[derive(Clone, Debug)]
pub struct WindowSays {
    /// Calibrated, in an order of the labels that all windows share; for a regression, its value.
    pub probabilities: Vec<f32>,
    /// How sure it is, from 0 to 1.
    pub sureness: f32,
    /// Its size.
    pub bytes: usize,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Pooled {
    /// That of the window at this position.
    Window(usize),
    /// Probabilities from all windows, or the value of a regression.
    Mixed(Vec<f32>),
}

/// Makes one answer of those to the windows of a text, of which there is at least one. `min_confidence` is from when on a
/// window is sure enough.
pub fn pool(windows: &[WindowSays], problem: ProblemType, pooling: Pooling, min_confidence: f32) -> Pooled {
    match (pooling, problem) {
        (Pooling::Mean, _) => Pooled::Mixed(mean(windows)),
        (Pooling::Max, ProblemType::MultiLabel) => Pooled::Mixed(highest(windows)),
        (Pooling::Max, ProblemType::SingleLabel) => Pooled::Window(greatest(windows, |window| window.sureness)),
        (Pooling::Max | Pooling::FirstConfident, ProblemType::Regression) => {
            Pooled::Window(greatest(windows, |window| window.probabilities[0]))
        }
        (Pooling::FirstConfident, _) => match windows.iter().position(|window| window.sureness >= min_confidence) {
            Some(first) => Pooled::Window(first),
            None => pool(windows, problem, Pooling::Max, min_confidence),
        },
    }
}

fn mean(windows: &[WindowSays]) -> Vec<f32> {
    // A window of no bytes counts too: an empty text is one.
    let weight = |window: &WindowSays| window.bytes.max(1) as f64;
    let all: f64 = windows.iter().map(weight).sum();
    let of_label = |label: usize| {
        let parts = windows
            .iter()
            .map(|window| f64::from(window.probabilities[label]) * weight(window));
        (parts.sum::<f64>() / all) as f32
    };
    (0..labels(windows)).map(of_label).collect()
}

fn highest(windows: &[WindowSays]) -> Vec<f32> {
    let of_label = |label: usize| {
        windows
            .iter()
            .map(|window| window.probabilities[label])
            .fold(0.0, f32::max)
    };
    (0..labels(windows)).map(of_label).collect()
}

/// The position of the greatest window, the first of equal ones.
fn greatest(windows: &[WindowSays], by: impl Fn(&WindowSays) -> f32) -> usize {
    let places = 0..windows.len();
    let greater = |best: usize, at: usize| {
        if by(&windows[at]) > by(&windows[best]) {
            at
        } else {
            best
        }
    };
    places.reduce(greater).unwrap_or_default()
}

fn labels(windows: &[WindowSays]) -> usize {
    windows.first().map_or(0, |window| window.probabilities.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(probabilities: &[f32], bytes: usize) -> WindowSays {
        WindowSays {
            probabilities: probabilities.to_vec(),
            sureness: probabilities.iter().copied().fold(0.0, f32::max),
            bytes,
        }
    }

    fn mixed(pooled: Pooled) -> Vec<f32> {
        match pooled {
            Pooled::Mixed(probabilities) => probabilities,
            Pooled::Window(at) => panic!("the window {at}"),
        }
    }

    #[test]
    fn max_takes_the_surest_window_and_where_labels_stand_alone_the_highest_of_each() {
        let windows = [says(&[0.6, 0.4], 10), says(&[0.1, 0.9], 10), says(&[0.9, 0.1], 10)];
        assert_eq!(
            pool(&windows, ProblemType::SingleLabel, Pooling::Max, 0.0),
            Pooled::Window(1)
        );
        let each = pool(&windows, ProblemType::MultiLabel, Pooling::Max, 0.0);
        assert_eq!(mixed(each), [0.9, 0.9]);
        let values = [says(&[-3.0], 1), says(&[-1.5], 1), says(&[-2.0], 1)];
        assert_eq!(
            pool(&values, ProblemType::Regression, Pooling::Max, 0.0),
            Pooled::Window(1)
        );
    }

    #[test]
    fn a_mean_counts_each_window_by_its_bytes() {
        let windows = [says(&[1.0, 0.0], 30), says(&[0.0, 1.0], 10)];
        for problem in [ProblemType::SingleLabel, ProblemType::MultiLabel] {
            assert_eq!(mixed(pool(&windows, problem, Pooling::Mean, 0.0)), [0.75, 0.25]);
        }
        let values = [says(&[-3.0], 10), says(&[1.0], 30)];
        assert_eq!(mixed(pool(&values, ProblemType::Regression, Pooling::Mean, 0.0)), [0.0]);
        assert_eq!(
            mixed(pool(&[says(&[0.5], 0)], ProblemType::MultiLabel, Pooling::Mean, 0.0)),
            [0.5]
        );
    }

    #[test]
    fn the_first_that_is_sure_enough_answers_and_if_none_is_the_surest() {
        let windows = [says(&[0.6, 0.4], 1), says(&[0.2, 0.8], 1), says(&[0.95, 0.05], 1)];
        for (min_confidence, window) in [(0.5, 0), (0.8, 1), (0.9, 2), (0.99, 2)] {
            let pooled = pool(
                &windows,
                ProblemType::SingleLabel,
                Pooling::FirstConfident,
                min_confidence,
            );
            assert_eq!(pooled, Pooled::Window(window), "{min_confidence}");
        }
    }
}
