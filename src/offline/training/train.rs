//! Training a fast model: search → cross-validation of what was found → the model itself, from all rows.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use super::balance;
use super::held_out::{FOLDS, Folds, HeldOut, ask};
use super::linear::Fit;
use super::quantise::quantise;
use super::recipe::{Recipe, most_bits};
use super::rows::Rows;
use super::search::{Found, Search, Trial};
use crate::model::linear::{Link, Quantised};
use crate::model::manifest::ProblemType;
use crate::offline::dataset::{Dataset, Target};

/// The sizes of code points that texts are read to: the first in which nearly all fit.
const LENGTHS: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];
/// The share of texts that must fit.
const NEARLY_ALL: f64 = 0.99;
/// The shares of the rows on which the learning curve is measured.
const SHARES: [f64; 4] = [0.125, 0.25, 0.5, 1.0];
/// A label of fewer rows keeps the threshold of 0.5.
const LEAST_FOR_THRESHOLD: usize = 20;
/// Biases are fitted to the rows of cross-validation if there are so many a label.
const LEAST_FOR_BIAS: usize = 20;

/// What the biases are set for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Metric {
    /// The share of right answers
    #[default]
    Accuracy,
    /// The mean of the classes' F1: rare classes count as much as common ones
    MacroF1,
}

/// How to train.
pub struct Settings<'a> {
    pub seed: u64,
    pub metric: Metric,
    /// The most that a search may take; without one the recipe is taken as it is.
    pub budget: Option<Duration>,
    /// Where the search begins, if not at the usual place.
    pub recipe: Option<Recipe>,
    pub threads: NonZeroUsize,
    /// What an earlier run tried.
    pub known: Vec<Trial>,
    /// For several labels a text: the probability from which on each is given, and is right where rows have probabilities.
    /// Empty where the metric sets them.
    pub thresholds: Vec<f32>,
    /// Rows that are like those to come and take no part in training: figures, temperature and biases come from them.
    pub held_out: Option<&'a Dataset>,
}

impl Settings<'_> {
    fn chooses_thresholds(&self) -> bool {
        self.metric == Metric::MacroF1 && self.thresholds.is_empty()
    }
}

/// What is told while it goes on.
pub trait Watch: Sync {
    /// The time since the start.
    fn clock(&self) -> Duration;
    /// Whether the search goes on. What comes after it is short and is finished.
    fn searching(&self) -> ControlFlow<()>;
    /// Whether training goes on at all.
    fn training(&self) -> ControlFlow<()>;
    /// A trial of the search, the best so far, and the share of the budget that is used.
    fn tried(&self, trial: &Trial, best: &Trial, used: f64);
    /// A step after the search, and the share of it that is done.
    fn step(&self, name: &'static str, done: f64);
}

/// A model, and what is known of it.
pub struct Trained {
    pub recipe: Recipe,
    pub link: Link,
    pub model: Quantised,
    pub temperature: f64,
    /// For several labels a text: the probability from which on each is given.
    pub thresholds: Vec<f32>,
    /// Whether these were given, and hold for rows with probabilities too.
    pub thresholds_were_given: bool,
    /// What was added to each class's logit after training.
    pub shift: Vec<f32>,
    /// The search, if there was one.
    pub found: Option<Found>,
    /// What models say of rows that they were not trained on: of `Settings::held_out` if that is given.
    pub out: HeldOut,
    /// The number of rows trained on, and the share of right answers on others.
    pub learning_curve: Vec<(usize, f64)>,
    /// The number of rows that the model was trained on.
    pub trained_on: usize,
}

impl Trained {
    /// The number of labels.
    pub fn labels(&self) -> usize {
        self.out.classes
    }

    /// A row may have a probability of each label in place of labels. From these probabilities on it counts as having the
    /// label; empty means 0.5 for all.
    pub fn thresholds_of_targets(&self) -> &[f32] {
        if self.thresholds_were_given {
            &self.thresholds
        } else {
            &[]
        }
    }
}

/// Trains. `None` if it was told to stop before there was anything to keep.
pub fn train(dataset: &Dataset, settings: &Settings<'_>, watch: &dyn Watch) -> Option<Trained> {
    let Plan {
        folds,
        columns,
        recipe: start,
    } = Plan::of(dataset, settings);
    let found = settings.budget.map(|budget| {
        let search = Search {
            folds,
            most_bits: most_bits(columns),
            budget,
            known: settings.known.clone(),
            clock: &|| watch.clock(),
            going: &|| watch.searching(),
            tried: &|trial, best, used| watch.tried(trial, best, used),
        };
        search.run(start)
    });
    let recipe = found.as_ref().map_or(start, |found| found.best);
    finish(folds, recipe, found, settings, watch)
}

/// The usual number of buckets, as a base-2 logarithm.
const USUAL_BITS: u32 = 20;
/// Rows that are looked at for an estimate, and work a second of one thread as [`Recipe::work`] counts it.
const LOOKED_AT: usize = 2_000;
const SPEED: f64 = 1.5e9;

/// Where a training begins.
struct Plan<'a> {
    folds: Folds<'a>,
    columns: usize,
    recipe: Recipe,
}

impl<'a> Plan<'a> {
    fn of(dataset: &'a Dataset, settings: &Settings<'_>) -> Self {
        let classes = dataset.labels.len();
        let link = Link::of(dataset.problem_type, classes);
        let columns = link.columns(classes);
        let usual = || Recipe::start(dataset.len(), code_points(dataset), most_bits(columns).min(USUAL_BITS));
        Self {
            folds: Folds {
                dataset,
                link,
                seed: settings.seed,
                threads: settings.threads,
            },
            columns,
            recipe: settings.recipe.unwrap_or_else(usual),
        }
    }
}

/// What is known of a training before it begins.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// About how long it takes, the search's budget included.
    pub time: Duration,
    /// How many bytes the model takes.
    pub bytes: u64,
    /// The share of texts of which only the beginning is read, and how many code points that is; absent if nearly all are
    /// read whole.
    pub cut: Option<(f64, usize)>,
}

/// Looks at what a training takes.
pub fn estimate(dataset: &Dataset, settings: &Settings<'_>) -> Estimate {
    let Plan { folds, columns, recipe } = Plan::of(dataset, settings);
    let step = dataset.len().div_ceil(LOOKED_AT).max(1);
    let is_seen = |at: usize| at.is_multiple_of(step);
    let features = Rows::encode(dataset, recipe.features(), &is_seen, settings.threads).features() * step as u64;
    let work = recipe.work(features, columns) as f64;
    let side_by_side = settings.threads.get().min(FOLDS as usize) as f64;
    // The parts of the learning curve are 1.9 times the rows; the model itself comes once more.
    let trainings = f64::from(folds.enough(usize::MAX)) / side_by_side + 2.9;
    let time = Duration::from_secs_f64(work * trainings / SPEED) + settings.budget.unwrap_or_default();
    let read_whole = share_within(dataset, recipe.max_code_points);
    Estimate {
        time,
        bytes: (columns as u64) << recipe.bucket_bits,
        cut: (read_whole < NEARLY_ALL).then_some((1.0 - read_whole, recipe.max_code_points)),
    }
}

fn finish(
    folds: Folds<'_>,
    recipe: Recipe,
    found: Option<Found>,
    settings: &Settings<'_>,
    watch: &dyn Watch,
) -> Option<Trained> {
    let Folds {
        dataset,
        link,
        seed,
        threads,
    } = folds;
    let rows = Rows::encode(dataset, recipe.features(), &|_| true, threads).by_frequency();
    let going = |name: &'static str| {
        move |share: f64| {
            watch.step(name, share);
            watch.training()
        }
    };
    let mut out = HeldOut::default();
    if settings.held_out.is_none() {
        let count = folds.enough(usize::MAX);
        out = folds.run(&rows, &recipe, count, &|_| true, &going("cross-validation"))?;
    }
    let learning_curve = learning_curve(folds, &rows, &recipe, &settings.thresholds, &going("learning curve"))?;
    let labelled = |at: &u32| !matches!(dataset.examples[*at as usize].target, Target::Unknown);
    let all: Vec<u32> = (0..dataset.len() as u32).filter(labelled).collect();
    let fit = Fit {
        dataset,
        rows: &rows,
        link,
        recipe: &recipe,
        seed,
    };
    let mut model = fit.run(&all, going("training"))?.of_buckets(&rows);
    let judged = settings.held_out.unwrap_or(dataset);
    if let Some(others) = settings.held_out {
        let rows = Rows::encode(others, recipe.features(), &|_| true, threads);
        let of_others: Vec<u32> = (0..others.len() as u32).collect();
        out = ask(&model, &rows, link, &of_others);
    }
    let shift = shift(&mut out, judged, settings);
    for (bias, shift) in model.bias.iter_mut().zip(balance::for_columns(&shift, link)) {
        *bias += shift;
    }
    let temperature = out.calibrate(judged).temperature;
    let mut thresholds = settings.thresholds.clone();
    if dataset.problem_type == ProblemType::MultiLabel && settings.chooses_thresholds() {
        thresholds = balance::thresholds(&out, judged, temperature, LEAST_FOR_THRESHOLD);
    }
    Some(Trained {
        recipe,
        link,
        model: quantise(&model),
        temperature,
        thresholds,
        thresholds_were_given: !settings.thresholds.is_empty(),
        shift,
        found,
        out,
        learning_curve,
        trained_on: all.len(),
    })
}

/// What is added to each class's logit, in `out` too: for the shares of the classes, and for the metric.
fn shift(out: &mut HeldOut, judged: &Dataset, settings: &Settings<'_>) -> Vec<f32> {
    let mut shift = vec![0.0; judged.labels.len()];
    if judged.problem_type != ProblemType::SingleLabel {
        return shift;
    }
    let are_many = out.rows.len() >= LEAST_FOR_BIAS * judged.labels.len();
    if settings.held_out.is_some() || settings.metric == Metric::Accuracy && are_many {
        for _ in 0..2 {
            let temperature = out.calibrate(judged).temperature;
            let wanted = balance::for_shares(out, judged, temperature);
            add(&mut shift, out, &wanted);
        }
    }
    if settings.metric == Metric::MacroF1 {
        let wanted = balance::for_macro_f1(out, judged);
        add(&mut shift, out, &wanted);
    }
    shift
}

fn add(shift: &mut [f32], out: &mut HeldOut, more: &[f32]) {
    balance::apply(out, more);
    shift.iter_mut().zip(more).for_each(|(shift, more)| *shift += more);
}

/// How much more rows would help: the same recipe on parts of the rows, judged on the first fold.
fn learning_curve(
    folds: Folds<'_>,
    rows: &Rows<'_>,
    recipe: &Recipe,
    thresholds: &[f32],
    going: &(dyn Fn(f64) -> ControlFlow<()> + Sync),
) -> Option<Vec<(usize, f64)>> {
    let mut curve = Vec::new();
    for (at, share) in SHARES.into_iter().enumerate() {
        // By a hash of the text, so that a smaller part is within a larger one.
        let is_in = |row: usize| {
            let group = folds.dataset.examples[row].group;
            folds.fold(row) == 0
                || (group.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as f64 / f64::from(u32::MAX) <= share
        };
        let is_known = |row: usize| !matches!(folds.dataset.examples[row].target, Target::Unknown);
        let trained_on = (0..folds.dataset.len())
            .filter(|&row| folds.fold(row) != 0 && is_in(row) && is_known(row))
            .count();
        let of_part = |done: f64| going((at as f64 + done) / SHARES.len() as f64);
        let part = folds.run(rows, recipe, 1, &is_in, &of_part)?;
        if trained_on > 0 && !part.rows.is_empty() {
            curve.push((trained_on, part.accuracy(folds.dataset, thresholds)));
        }
    }
    Some(curve)
}

/// How many code points of a text are read: so many that nearly all texts fit.
fn code_points(dataset: &Dataset) -> usize {
    LENGTHS
        .into_iter()
        .find(|&most| share_within(dataset, most) >= NEARLY_ALL)
        .unwrap_or(LENGTHS[LENGTHS.len() - 1])
}

/// The share of texts of at most so many code points, of those that are looked at.
fn share_within(dataset: &Dataset, most: usize) -> f64 {
    let step = dataset.len().div_ceil(20_000).max(1);
    let looked_at = (0..dataset.len()).step_by(step);
    let fits = |at: &usize| dataset.text(*at).chars().count() <= most;
    looked_at.clone().filter(fits).count() as f64 / looked_at.count().max(1) as f64
}
