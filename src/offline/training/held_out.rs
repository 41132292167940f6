//! Cross-validation: what models say of rows that they were not trained on.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::golden::probabilities;
use super::linear::{Fit, Linear};
use super::loss::{self, Calibrated};
use super::recipe::Recipe;
use super::rows::Rows;
use crate::model::linear::Link;
use crate::model::manifest::ProblemType;
use crate::offline::dataset::example::above;
use crate::offline::dataset::{Dataset, Target, fold_of};

/// The number of parts that rows are split into; one part is held out at a time.
pub const FOLDS: u32 = 5;
/// Rows beyond this number gain nothing for figures: with 20,000 rows an accuracy is known to 0.3 points.
const ENOUGH: usize = 20_000;
/// The most logits that are held, four bytes each.
const MOST_LOGITS: usize = 64_000_000;

/// The logits of rows that were held out.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    /// The rows, ascending.
    pub rows: Vec<u32>,
    /// Row by row, one logit for each class.
    pub logits: Vec<f32>,
    /// The number of classes.
    pub classes: usize,
}

impl HeldOut {
    /// Each row with its logits.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> + Clone {
        let rows = self.rows.iter().map(|&at| at as usize);
        rows.zip(self.logits.chunks_exact(self.classes.max(1)))
    }

    /// The temperature that suits the logits, and the loss at it.
    pub fn calibrate(&self, dataset: &Dataset) -> Calibrated {
        let judged = self.iter().map(|(at, logits)| {
            let example = &dataset.examples[at];
            (logits, &example.target, example.weight)
        });
        loss::calibrate(judged, dataset.problem_type)
    }

    /// The share of rows whose likeliest label is right, by weight; for several labels a row, the share of rows of which
    /// all labels are right, by these thresholds.
    pub fn accuracy(&self, dataset: &Dataset, thresholds: &[f32]) -> f64 {
        let each = dataset.problem_type == ProblemType::MultiLabel;
        let (mut right, mut all) = (0.0, 0.0);
        for (at, logits) in self.iter() {
            let example = &dataset.examples[at];
            let weight = f64::from(example.weight);
            let is_right = if each {
                let given = above(&probabilities(logits, dataset.problem_type, 1.0), thresholds);
                example.target.over(thresholds).is_some_and(|labels| labels == given)
            } else {
                example.target.top() == Some(top(logits))
            };
            right += if is_right { weight } else { 0.0 };
            all += weight;
        }
        if all > 0.0 { right / all } else { 0.0 }
    }

    fn join(parts: impl Iterator<Item = HeldOut>) -> Self {
        let parts: Vec<Self> = parts.collect();
        // A part without rows does not know.
        let classes = parts.iter().map(|part| part.classes).max().unwrap_or(0);
        let mut rows: Vec<(u32, &[f32])> = parts
            .iter()
            .flat_map(|part| part.iter().map(|(at, logits)| (at as u32, logits)))
            .collect();
        rows.sort_by_key(|(at, _)| *at);
        Self {
            rows: rows.iter().map(|(at, _)| *at).collect(),
            logits: rows.iter().flat_map(|(_, logits)| logits.iter().copied()).collect(),
            classes,
        }
    }
}

/// The place of the largest value, the first of equals.
pub fn top(values: &[f32]) -> usize {
    let mut top = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[top] {
            top = at;
        }
    }
    top
}

/// A data set that is split into folds.
#[derive(Clone, Copy)]
pub struct Folds<'a> {
    pub dataset: &'a Dataset,
    pub link: Link,
    pub seed: u64,
    pub threads: NonZeroUsize,
}

impl Folds<'_> {
    /// Which part a row is in; equal texts are in one.
    pub fn fold(&self, at: usize) -> u32 {
        fold_of(self.dataset.examples[at].group, self.seed, FOLDS)
    }

    /// How many parts must be held out in turn for figures that are sure enough.
    pub fn enough(&self, rows: usize) -> u32 {
        if self.dataset.len() < FOLDS as usize {
            // Some parts are empty: nobody knows which.
            return FOLDS;
        }
        let of_fold = (self.dataset.len() / FOLDS as usize).max(1);
        let most = (MOST_LOGITS / self.dataset.labels.len().max(1) / of_fold).max(1);
        let wanted = rows.min(ENOUGH).div_ceil(of_fold).min(most);
        u32::try_from(wanted).unwrap_or(FOLDS).clamp(1, FOLDS)
    }

    /// Trains one model without each of the first `folds` parts, on as many threads as are allowed, and asks it for the
    /// part. Calls `going` with the share that is done; `None` if that breaks off.
    pub fn run(
        &self,
        rows: &Rows<'_>,
        recipe: &Recipe,
        folds: u32,
        is_wanted: &(dyn Fn(usize) -> bool + Sync),
        going: &(dyn Fn(f64) -> ControlFlow<()> + Sync),
    ) -> Option<HeldOut> {
        let next = AtomicUsize::new(0);
        let done: Vec<AtomicUsize> = (0..folds).map(|_| AtomicUsize::new(0)).collect();
        let parts: Mutex<Vec<Option<HeldOut>>> = Mutex::new(vec![None; folds as usize]);
        let work = || {
            loop {
                let fold = next.fetch_add(1, Ordering::Relaxed);
                if fold >= folds as usize {
                    return;
                }
                let progress = |share: f64| {
                    done[fold].store((share * 1000.0) as usize, Ordering::Relaxed);
                    let all: usize = done.iter().map(|done| done.load(Ordering::Relaxed)).sum();
                    going(all as f64 / 1000.0 / f64::from(folds))
                };
                let part = self.one(rows, recipe, fold as u32, is_wanted, progress);
                let is_broken = part.is_none();
                parts.lock()[fold] = part;
                if is_broken {
                    next.store(folds as usize, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.threads.get().min(folds as usize) {
                scope.spawn(work);
            }
            work();
        });
        let parts: Option<Vec<HeldOut>> = parts.into_inner().into_iter().collect();
        parts.map(|parts| HeldOut::join(parts.into_iter()))
    }

    /// Trains one model without a part, and asks it for the part.
    fn one(
        &self,
        rows: &Rows<'_>,
        recipe: &Recipe,
        fold: u32,
        is_wanted: &(dyn Fn(usize) -> bool + Sync),
        going: impl Fn(f64) -> ControlFlow<()>,
    ) -> Option<HeldOut> {
        let (held_out, others): (Vec<u32>, Vec<u32>) = (0..self.dataset.len() as u32)
            .filter(|&at| is_wanted(at as usize))
            .filter(|&at| !matches!(self.dataset.examples[at as usize].target, Target::Unknown))
            .partition(|&at| self.fold(at as usize) == fold);
        let fit = Fit {
            dataset: self.dataset,
            rows,
            link: self.link,
            recipe,
            seed: self.seed + u64::from(fold),
        };
        let model = fit.run(&others, going)?;
        Some(ask(&model, rows, self.link, &held_out))
    }
}

/// What a model says of rows.
pub fn ask(model: &Linear, rows: &Rows<'_>, link: Link, which: &[u32]) -> HeldOut {
    let mut room = Vec::new();
    let mut logits = Vec::new();
    let mut classes = 0;
    for &at in which {
        let of_row = link.logits(&model.columns_of(rows.row(at as usize, &mut room)));
        classes = of_row.len();
        logits.extend(of_row);
    }
    HeldOut {
        rows: which.to_vec(),
        logits,
        classes,
    }
}
