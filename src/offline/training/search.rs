//! The search for a recipe: from a good one, it changes one thing at a time and keeps what lowers the log loss of held-out
//! rows, until nothing does or the budget is used.
//!
//! The budget is counted in work and not by a clock, so that the same seed finds the same recipe on a slow machine too; a
//! clock ends the search only if that takes far longer than it was meant to.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::held_out::Folds;
use super::recipe::Recipe;
use super::rows::Rows;

/// Work a second, as [`Recipe::work`] counts it: what two slow cores do.
const SPEED: f64 = 3e9;
/// How many times the budget the clock allows.
const PATIENCE: u32 = 2;
/// How much lower a loss must be to be better, relative to the best: less is chance.
const BETTER: f64 = 0.002;
/// The number of held-out rows that a trial is judged on.
const JUDGED_ON: usize = 4_000;
/// The most rows that a trial trains on.
const MOST_ROWS: usize = 200_000;

/// A recipe, and how well it does on held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    pub recipe: Recipe,
    /// The mean log loss in nats, at the best temperature.
    pub loss: f64,
    /// The share of right answers.
    pub accuracy: f64,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No change makes it better.
    Settled,
    /// The budget is used.
    Budget,
    /// The clock says that it takes too long. Another run may try more, or less.
    Clock,
    /// It was told to stop.
    Stopped,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Every recipe that was tried, in order.
    pub trials: Vec<Trial>,
    /// The best of them; the start, if none was finished.
    pub best: Recipe,
    pub ended: Ended,
}

/// A search that is about to begin.
pub struct Search<'a> {
    pub folds: Folds<'a>,
    /// The base-2 logarithm of the most buckets.
    pub most_bits: u32,
    pub budget: Duration,
    /// What earlier runs of the same search tried.
    pub known: Vec<Trial>,
    /// The time since the start.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
    /// Whether to go on; asked often.
    pub going: &'a (dyn Fn() -> ControlFlow<()> + Sync),
    /// Told of each trial, with the best so far and the share of the budget that is used.
    pub tried: &'a (dyn Fn(&Trial, &Trial, f64) + Sync),
}

/// The state of a search.
struct State {
    trials: Vec<Trial>,
    best: Option<Trial>,
    work: f64,
    /// When the search began, by its clock: what came before it, such as a deep model's answers, is not the search's.
    started: Duration,
}

impl Search<'_> {
    /// Searches from a recipe on.
    pub fn run(&self, start: Recipe) -> Found {
        let mut state = State {
            trials: Vec::new(),
            best: None,
            work: 0.0,
            started: (self.clock)(),
        };
        let ended = match self.climb(&mut state, start) {
            ControlFlow::Break(ended) => ended,
            ControlFlow::Continue(()) => Ended::Settled,
        };
        Found {
            best: state.best.map_or(start, |best| best.recipe),
            trials: state.trials,
            ended,
        }
    }

    fn climb(&self, state: &mut State, start: Recipe) -> ControlFlow<Ended> {
        self.try_all(state, &[start])?;
        loop {
            let before = state.best;
            let groups = best(state, start).neighbours(self.most_bits).len();
            for group in 0..groups {
                // The group is made from what is best by now; one step further in a direction that helped costs little.
                loop {
                    let from = best(state, start);
                    let groups = from.neighbours(self.most_bits);
                    let Some(candidates) = groups.get(group) else { break };
                    let is_new = |recipe: &&Recipe| !state.trials.iter().any(|trial| trial.recipe == **recipe);
                    let new: Vec<Recipe> = candidates.iter().filter(is_new).copied().collect();
                    self.try_all(state, &new)?;
                    if best(state, start) == from {
                        break;
                    }
                }
            }
            if state.best == before {
                return ControlFlow::Continue(());
            }
        }
    }

    /// Tries recipes, as many at a time as there are threads. What is best of them does not depend on that number.
    fn try_all(&self, state: &mut State, recipes: &[Recipe]) -> ControlFlow<Ended> {
        let known = |recipe: &Recipe| self.known.iter().find(|trial| trial.recipe == *recipe).copied();
        let mut tried: Vec<Mutex<Option<(Trial, f64)>>> = recipes.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let side_by_side = self.folds.threads.get().min(recipes.len().max(1));
        let threads = NonZeroUsize::new(self.folds.threads.get() / side_by_side).unwrap_or(NonZeroUsize::MIN);
        let spent = state.work;
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(recipe) = recipes.get(at) else { return };
                *tried[at].lock() = self.try_one(recipe, known(recipe), threads);
            }
        };
        thread::scope(|scope| {
            for _ in 1..side_by_side {
                scope.spawn(work);
            }
            work();
        });
        let budget = self.budget.as_secs_f64() * SPEED;
        for tried in &mut tried {
            let Some((trial, work)) = tried.get_mut().take() else {
                return ControlFlow::Break(Ended::Stopped);
            };
            state.work += work;
            state.trials.push(trial);
            let is_better = state.best.is_none_or(|best| trial.loss < best.loss * (1.0 - BETTER));
            if is_better {
                state.best = Some(trial);
            }
            let best = state.best.unwrap_or(trial);
            (self.tried)(&trial, &best, (state.work / budget).min(1.0));
        }
        // What comes next costs about as much as this did.
        if state.work + (state.work - spent) / recipes.len().max(1) as f64 > budget {
            return ControlFlow::Break(Ended::Budget);
        }
        if (self.clock)().saturating_sub(state.started) > self.budget * PATIENCE {
            return ControlFlow::Break(Ended::Clock);
        }
        ControlFlow::Continue(())
    }

    /// A trial, and the work that it is; `None` if it was broken off.
    fn try_one(&self, recipe: &Recipe, known: Option<Trial>, threads: NonZeroUsize) -> Option<(Trial, f64)> {
        let dataset = self.folds.dataset;
        // Every so many-th group of texts, if there are too many.
        let thinned = dataset.len().div_ceil(MOST_ROWS) as u64;
        let is_wanted = |at: usize| (dataset.examples[at].group >> 32).is_multiple_of(thinned);
        let folds = Folds { threads, ..self.folds };
        let count = folds.enough(JUDGED_ON.saturating_mul(thinned as usize));
        let rows = Rows::encode(dataset, recipe.features(), &is_wanted, threads).by_frequency();
        let columns = folds.link.columns(dataset.labels.len());
        let work = recipe.work(rows.features(), columns) as f64 * f64::from(count);
        if let Some(known) = known {
            return Some((known, work));
        }
        let out = folds.run(&rows, recipe, count, &is_wanted, &|_| (self.going)())?;
        let trial = Trial {
            recipe: *recipe,
            loss: out.calibrate(dataset).loss,
            accuracy: out.accuracy(dataset, &[]),
        };
        Some((trial, work))
    }
}

fn best(state: &State, start: Recipe) -> Recipe {
    state.best.map_or(start, |best| best.recipe)
}
