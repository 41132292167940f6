//! The trainer: logistic regression over sparse features, one row at a time.
//!
//! AdaGrad (Duchi, Hazan and Singer, 2011) with one step size a feature, shared by the classes: as good on our corpora as
//! one for each weight, a third of the memory, and several times as fast with many classes. A share of the features of a
//! row is left out at random (dropout, Srivastava and others, 2014). The same seed gives the same weights.

use std::ops::ControlFlow;

use super::recipe::Recipe;
use super::rows::Rows;
use crate::model::linear::Link;
use crate::model::linear::weights::scale;
use crate::offline::dataset::{Dataset, Target};

/// What AdaGrad's sums of squares start with.
const FIRST_SQUARES: f32 = 0.01;
/// How often a fit reports and asks whether to go on, in rows.
const REPORT: usize = 2_048;

/// A linear model: `columns` weights for each bucket, or each id of some rows, and a bias for each column.
#[derive(Clone, Debug)]
pub struct Linear {
    pub columns: usize,
    /// Row by row: the weights of bucket `b` are `weights[b * columns..][..columns]`.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Linear {
    /// The columns of a row of features.
    pub fn columns_of(&self, ids: &[u32]) -> Vec<f32> {
        let mut sums = vec![0.0; self.columns];
        for &id in ids {
            let weights = &self.weights[id as usize * self.columns..][..self.columns];
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        let scale = scale(ids.len());
        sums.iter()
            .zip(&self.bias)
            .map(|(sum, bias)| sum * scale + bias)
            .collect()
    }
}

impl Linear {
    /// A model of the ids of some rows as one of buckets.
    pub fn of_buckets(self, rows: &Rows<'_>) -> Self {
        let Some(buckets) = rows.buckets_of_ids() else {
            return self;
        };
        let mut weights = vec![0.0; rows.buckets() * self.columns];
        for (&bucket, of_id) in buckets.iter().zip(self.weights.chunks_exact(self.columns)) {
            weights[bucket as usize * self.columns..][..self.columns].copy_from_slice(of_id);
        }
        Self { weights, ..self }
    }
}

/// What a fit is made from.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    pub dataset: &'a Dataset,
    pub rows: &'a Rows<'a>,
    pub link: Link,
    pub recipe: &'a Recipe,
    pub seed: u64,
}

impl Fit<'_> {
    /// Trains on these rows; the model is one of the rows' ids. Calls `going` with the share that is done, from 0 to 1, every few thousand rows; `None` if it
    /// breaks off.
    pub fn run(&self, which: &[u32], mut going: impl FnMut(f64) -> ControlFlow<()>) -> Option<Linear> {
        let columns = self.link.columns(self.dataset.labels.len());
        let ids = self.rows.ids();
        let mut state = State {
            columns,
            table: vec![0.0; ids * (columns + 1)],
            bias: vec![0.0; columns],
            bias_squares: vec![1.0; columns],
            kept: Vec::new(),
            scale: 1.0,
            slopes: vec![0.0; columns],
        };
        state
            .table
            .iter_mut()
            .step_by(columns + 1)
            .for_each(|squares| *squares = FIRST_SQUARES);
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut order = which.to_vec();
        let mut room = Vec::new();
        let steps = order.len() * self.recipe.epochs as usize;
        let mut step = 0;
        for _ in 0..self.recipe.epochs {
            random.shuffle(&mut order);
            for &at in &order {
                if step % REPORT == 0 && going(step as f64 / steps as f64).is_break() {
                    return None;
                }
                let left = 1.0 - step as f32 / steps as f32;
                let example = &self.dataset.examples[at as usize];
                let ids = self.rows.row(at as usize, &mut room);
                state.keep(ids, self.recipe.dropout, &mut random);
                state.predict(self.link);
                state.compare(self.link, &example.target, example.weight);
                state.learn(self.recipe.learning_rate * left, self.recipe.l2);
                step += 1;
            }
        }
        Some(state.into_model())
    }
}

/// The weights, and what one step needs.
struct State {
    columns: usize,
    /// For each bucket the sum of its squared slopes, then its weights: what is read together lies together.
    table: Vec<f32>,
    bias: Vec<f32>,
    bias_squares: Vec<f32>,
    /// The features of the row that are kept, and what each counts.
    kept: Vec<u32>,
    scale: f32,
    /// First the columns, then their probabilities, then the slope of the loss by each.
    slopes: Vec<f32>,
}

impl State {
    fn keep(&mut self, ids: &[u32], dropout: f32, random: &mut fastrand::Rng) {
        self.kept.clear();
        // What is left out is made up for.
        self.scale = scale(ids.len()) / (1.0 - dropout);
        if dropout > 0.0 {
            self.kept.extend(ids.iter().filter(|_| random.f32() >= dropout));
        } else {
            self.kept.extend(ids);
        }
    }

    fn predict(&mut self, link: Link) {
        let width = self.columns + 1;
        self.slopes.fill(0.0);
        for &id in &self.kept {
            let weights = &self.table[id as usize * width + 1..][..self.columns];
            self.slopes
                .iter_mut()
                .zip(weights)
                .for_each(|(sum, weight)| *sum += weight);
        }
        let scale = self.scale;
        self.slopes
            .iter_mut()
            .zip(&self.bias)
            .for_each(|(sum, bias)| *sum = *sum * scale + bias);
        match link {
            Link::LogOdds | Link::Sigmoids => self.slopes.iter_mut().for_each(|value| *value = sigmoid(*value)),
            Link::Softmax => softmax(&mut self.slopes),
        }
    }

    /// Turns probabilities into slopes: of cross-entropy, the difference from what is right.
    fn compare(&mut self, link: Link, target: &Target, weight: f32) {
        match (link, target) {
            (Link::LogOdds, Target::One(label)) => self.slopes[0] -= *label as f32,
            (Link::LogOdds, Target::Soft(shares)) => self.slopes[0] -= shares[1],
            (_, Target::One(label)) => self.slopes[*label as usize] -= 1.0,
            (_, Target::Soft(shares)) => self
                .slopes
                .iter_mut()
                .zip(shares)
                .for_each(|(slope, share)| *slope -= share),
            (_, Target::Many(labels)) => labels.iter().for_each(|&label| self.slopes[label as usize] -= 1.0),
            (_, Target::Unknown) => self.slopes.fill(0.0),
        }
        if weight != 1.0 {
            self.slopes.iter_mut().for_each(|slope| *slope *= weight);
        }
    }

    fn learn(&mut self, rate: f32, l2: f32) {
        let (width, scale) = (self.columns + 1, self.scale);
        let square = self.slopes.iter().map(|slope| slope * slope).sum::<f32>() * scale * scale;
        for &id in &self.kept {
            let bucket = &mut self.table[id as usize * width..][..width];
            let (squares, weights) = bucket.split_first_mut().expect("a bucket has its squares");
            *squares += square;
            let step = rate / squares.sqrt();
            let (shrunk, step) = (1.0 - step * l2, step * scale);
            for (weight, slope) in weights.iter_mut().zip(&self.slopes) {
                *weight = *weight * shrunk - step * slope;
            }
        }
        let biases = self.bias.iter_mut().zip(&mut self.bias_squares);
        for ((bias, squares), slope) in biases.zip(&self.slopes) {
            *squares += slope * slope;
            *bias -= rate * slope / squares.sqrt();
        }
    }

    fn into_model(self) -> Linear {
        let weights = self
            .table
            .chunks_exact(self.columns + 1)
            .flat_map(|bucket| &bucket[1..]);
        Linear {
            columns: self.columns,
            weights: weights.copied().collect(),
            bias: self.bias,
        }
    }
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

fn softmax(values: &mut [f32]) {
    let top = values.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    for value in values {
        *value /= sum;
    }
}
