//! The fits: a temperature for each model, and the weights of the blend. Both are small convex problems.

use super::Sample;
use crate::model::blend::{Blend, log_softmax};

/// How strongly the weights are pulled towards the deep model's answer alone: as if by so many texts.
const PULL: f64 = 1.0;

/// The temperature that makes the labels likeliest, found by bisection: the loss is convex in 1 / temperature. A row is
/// its logits, and the logit of the right label; where labels are known by their probabilities, the mean by these.
pub fn temperature<'a>(rows: impl Iterator<Item = (&'a [f64], f64)> + Clone) -> f64 {
    // The derivative of the loss by the inverse temperature.
    let slope = |inverse: f64| -> f64 {
        let of_row = |(logits, right): (&[f64], f64)| {
            let logs = log_softmax(logits, 1.0 / inverse);
            let expected: f64 = logs.iter().zip(logits).map(|(log, logit)| log.exp() * logit).sum();
            expected - right
        };
        rows.clone().map(of_row).sum()
    };
    let (mut low, mut high) = (0.02_f64, 50.0_f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    1.0 / (low * high).sqrt()
}

/// The mean of a row's logits, by the probabilities that another model gives the labels.
pub fn mean_logit(logits: &[f64], other: &[f64], temperature: f64) -> f64 {
    let logs = log_softmax(other, temperature);
    logs.iter().zip(logits).map(|(log, logit)| log.exp() * logit).sum()
}

/// The weights that make the labels likeliest, found by Newton's method and pulled a little towards the deep model
/// alone.
pub fn blend(samples: &[&Sample], temperatures: [f64; 2]) -> Blend {
    let labels = samples.first().map_or(0, |sample| sample.deep.len());
    let rows: Vec<Row> = samples
        .iter()
        .map(|sample| Row {
            fast: log_softmax(&sample.fast, temperatures[0]),
            deep: log_softmax(&sample.deep, temperatures[1]),
            truth: sample.label(),
        })
        .collect();
    let start = Weights(std::iter::once(0.0).chain([1.0]).chain(vec![0.0; labels]).collect());
    let mut weights = start.clone();
    for _ in 0..50 {
        let (gradient, curvature) = weights.derivatives(&rows, &start);
        let step = solve(curvature, gradient);
        let before = weights.loss(&rows, &start);
        let mut length = 1.0;
        let next = loop {
            let next = Weights(
                weights
                    .0
                    .iter()
                    .zip(&step)
                    .map(|(value, step)| value - length * step)
                    .collect(),
            );
            if next.loss(&rows, &start) <= before || length < 1e-6 {
                break next;
            }
            length /= 2.0;
        };
        let moved = next
            .0
            .iter()
            .zip(&weights.0)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        weights = next;
        if moved < 1e-9 {
            break;
        }
    }
    Blend {
        fast: weights.0[0],
        deep: weights.0[1],
        bias: weights.0[2..].to_vec(),
    }
}

struct Row {
    fast: Vec<f64>,
    deep: Vec<f64>,
    truth: usize,
}

/// The weight of fast, the weight of deep, and a bias for each label.
#[derive(Clone)]
struct Weights(Vec<f64>);

impl Weights {
    fn logs(&self, row: &Row) -> Vec<f64> {
        let score = |label: usize| self.0[0] * row.fast[label] + self.0[1] * row.deep[label] + self.0[2 + label];
        log_softmax(&(0..row.deep.len()).map(score).collect::<Vec<_>>(), 1.0)
    }

    fn loss(&self, rows: &[Row], start: &Weights) -> f64 {
        let pull: f64 = self.0.iter().zip(&start.0).map(|(a, b)| (a - b).powi(2)).sum();
        PULL / 2.0 * pull - rows.iter().map(|row| self.logs(row)[row.truth]).sum::<f64>()
    }

    fn derivatives(&self, rows: &[Row], start: &Weights) -> (Vec<f64>, Vec<Vec<f64>>) {
        let size = self.0.len();
        let mut gradient: Vec<f64> = self.0.iter().zip(&start.0).map(|(a, b)| PULL * (a - b)).collect();
        let mut curvature = vec![vec![0.0; size]; size];
        for (at, line) in curvature.iter_mut().enumerate() {
            line[at] = PULL;
        }
        for row in rows {
            let probabilities: Vec<f64> = self.logs(row).into_iter().map(f64::exp).collect();
            // What a label's score depends on: the two log-probabilities and its own bias.
            let inputs = |label: usize| [(0, row.fast[label]), (1, row.deep[label]), (2 + label, 1.0)];
            let mut mean = vec![0.0; size];
            for (label, &probability) in probabilities.iter().enumerate() {
                for (i, x) in inputs(label) {
                    mean[i] += probability * x;
                    for (j, y) in inputs(label) {
                        curvature[i][j] += probability * x * y;
                    }
                }
            }
            for (i, x) in inputs(row.truth) {
                gradient[i] -= x;
            }
            for i in 0..size {
                gradient[i] += mean[i];
                for j in 0..size {
                    curvature[i][j] -= mean[i] * mean[j];
                }
            }
        }
        (gradient, curvature)
    }
}

/// Solves a small linear system with a positive definite matrix by Gaussian elimination.
pub fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for pivot in 0..size {
        let above = matrix[pivot].clone();
        for row in pivot + 1..size {
            let factor = matrix[row][pivot] / above[pivot];
            for (value, above) in matrix[row].iter_mut().zip(&above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gain::TextSize;
    use crate::offline::evaluation::tally::Labels;

    /// Draws labels from softmax(2 × fast + 0.5 × deep + bias), with fast and deep drawn independently.
    fn drawn(count: usize) -> Vec<Sample> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut centred = move || (0..4).map(|_| random.f64() - 0.5).sum::<f64>() * 2.0;
        let mut uniform = fastrand::Rng::with_seed(8);
        (0..count)
            .map(|_| {
                let (fast, deep) = (vec![0.0, centred(), centred()], vec![0.0, centred(), centred()]);
                let score = |label: usize| 2.0 * fast[label] + 0.5 * deep[label] + [0.3, 0.0, -0.3][label];
                let logs = log_softmax(&[score(0), score(1), score(2)], 1.0);
                let mut left = uniform.f64();
                let truth = logs.iter().position(|log| {
                    left -= log.exp();
                    left < 0.0
                });
                Sample {
                    truth: Labels::One(truth.unwrap_or(2) as u32),
                    fast,
                    deep,
                    group: 0,
                    costs: Default::default(),
                    size: TextSize::default(),
                }
            })
            .collect()
    }

    #[test]
    fn the_weights_that_drew_the_labels_are_found() {
        let samples = drawn(20_000);
        let found = blend(&samples.iter().collect::<Vec<_>>(), [1.0, 1.0]);
        assert!((found.fast - 2.0).abs() < 0.1, "{found:?}");
        assert!((found.deep - 0.5).abs() < 0.1, "{found:?}");
        for (bias, expected) in found.bias.iter().zip([0.3, 0.0, -0.3]) {
            assert!((bias - expected).abs() < 0.1, "{found:?}");
        }
    }

    #[test]
    fn the_temperature_that_drew_the_labels_is_found() {
        let samples = drawn(20_000);
        let logits: Vec<Vec<f64>> = samples
            .iter()
            .map(|sample| {
                let score =
                    |label: usize| 2.0 * sample.fast[label] + 0.5 * sample.deep[label] + [0.3, 0.0, -0.3][label];
                (0..3).map(|label| 4.0 * score(label)).collect()
            })
            .collect();
        let rows = logits
            .iter()
            .map(Vec::as_slice)
            .zip(&samples)
            .map(|(logits, sample)| (logits, logits[sample.label()]));
        assert!((temperature(rows) - 4.0).abs() < 0.2);
    }

    #[test]
    fn a_model_is_as_sure_as_the_one_it_is_fitted_to() {
        let samples = drawn(1000);
        let tripled: Vec<Vec<f64>> = samples
            .iter()
            .map(|sample| sample.deep.iter().map(|logit| 3.0 * logit).collect())
            .collect();
        let rows = tripled.iter().zip(&samples);
        let rows = rows.map(|(logits, sample)| (logits.as_slice(), mean_logit(logits, &sample.deep, 0.5)));
        // Three times the logits at 1.5 are the logits at 0.5.
        assert!((temperature(rows) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn few_texts_that_are_all_right_leave_finite_weights() {
        let samples = drawn(4);
        let found = blend(&samples.iter().collect::<Vec<_>>(), [1.0, 1.0]);
        assert!(found.fast.is_finite() && found.deep.is_finite());
    }
}
