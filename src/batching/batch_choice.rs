//! The choice of a batch: which waiting rows run together, and whose turn it is. Pure functions of widths, costs and
//! counts.
//!
//! On a CPU a row costs what its padding costs, and a batch gains only until it fills the processor. So rows of like
//! width go together, and a batch ends where another row no longer makes its rows cheaper.

use std::time::Duration;

use super::cost::{BatchLimits, CostModel};

/// The bounds of the next batch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The model's own limits.
    pub limits: BatchLimits,
    /// The longest that the batch may run, by the cost model; a single row may run longer.
    pub max_cost: Option<Duration>,
    /// How many instances are free, this one included: the waiting rows are shared out among them.
    pub free_instances: usize,
    pub trial: Option<Trial>,
}

/// A batch of another size than seems best, so that the costs of sizes that seem dear are seen anew: what a disturbed
/// start measured wrongly would else last, since sizes that seem not to pay would never run. It is one batch of
/// [`TRIAL_EVERY`], and only where so many rows wait that its own rows lose little by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Twice the rows.
    Larger,
    /// Half the rows.
    Smaller,
}

impl Trial {
    /// What the batch with this number tries, if anything: larger and smaller in turns.
    pub fn of_batch(number: u64) -> Option<Self> {
        match number % (2 * TRIAL_EVERY) {
            0 => Some(Self::Larger),
            TRIAL_EVERY => Some(Self::Smaller),
            _ => None,
        }
    }
}

/// One batch of so many is a [`Trial`].
pub const TRIAL_EVERY: u64 = 16;
/// A trial takes place where at least so many times the best batch's rows wait.
const TRIAL_BACKLOG: usize = 4;

/// How many waiting rows are looked at, from the first on: bounds the cost of a choice.
pub const WINDOW: usize = 256;
/// How many times as dear as the best batch a smaller one may be: smaller ones end sooner.
const NEAR_ENOUGH: f64 = 1.02;
/// How many batches in a row may pass over a priority before it has its turn.
pub const PATIENCE: u32 = 15;

/// Chooses the rows of the next batch: the first row, and as many of those most like it in width as make the batch
/// cheapest for each row. Gives indices into `widths`, which lists the waiting rows in the order of their turns. The
/// indices are ascending and without repeats, and empty only if `widths` is.
pub fn choose(widths: &[usize], bounds: Bounds, cost: &CostModel) -> Vec<usize> {
    let Some(&first) = widths.first() else {
        return Vec::new();
    };
    let share = widths.len().div_ceil(bounds.free_instances.max(1));
    let max_rows = bounds.limits.max_rows.min(share).max(1);
    let mut others: Vec<usize> = (1..widths.len().min(WINDOW))
        .filter(|&at| !bounds.limits.same_width || widths[at] == first)
        .collect();
    others.sort_unstable_by_key(|&at| (widths[at].abs_diff(first), at));
    let mut chosen = vec![0];
    let mut widest = first;
    let mut at_best = cost.weight(first);
    let mut ratios = vec![cost.ratio(1, first, at_best)];
    for at in others {
        let rows = chosen.len() + 1;
        if rows > max_rows {
            break;
        }
        let width = widest.max(widths[at]);
        let too_long = bounds.max_cost.is_some_and(|most| cost.of_batch(rows, width) > most);
        if rows * width > bounds.limits.max_cells || too_long {
            continue;
        }
        chosen.push(at);
        widest = width;
        at_best += cost.weight(widths[at]);
        ratios.push(cost.ratio(rows, widest, at_best));
    }
    let best = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let enough = ratios.iter().position(|&ratio| ratio <= best * NEAR_ENOUGH);
    let rows = enough.map_or(1, |at| at + 1);
    chosen.truncate(match bounds.trial {
        Some(Trial::Larger) if widths.len() >= TRIAL_BACKLOG * rows => 2 * rows,
        Some(Trial::Smaller) if widths.len() >= TRIAL_BACKLOG * rows => rows.div_ceil(2),
        _ => rows,
    });
    chosen.sort_unstable();
    chosen
}

/// Chooses the priority that goes next, from whether rows of each wait and how often each was passed over: the highest,
/// unless a lower one was passed over [`PATIENCE`] times. `None` if nothing waits.
pub fn next_lane<const LANES: usize>(waits: [bool; LANES], passed_over: [u32; LANES]) -> Option<usize> {
    let waiting = || (0..LANES).filter(|&lane| waits[lane]);
    let patient = waiting().rev().find(|&lane| passed_over[lane] >= PATIENCE);
    patient.or_else(|| waiting().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::loading::cost_probe::ShapeCost;
    use proptest::prelude::*;

    const LIMITS: BatchLimits = BatchLimits {
        max_rows: 32,
        max_cells: 1000,
        same_width: false,
    };

    /// A run costs `fixed` and then a unit for each cell.
    fn cost(fixed: u64) -> CostModel {
        let shape = |rows: usize, width: usize| ShapeCost {
            rows,
            width,
            took: Duration::from_micros(fixed + (rows * width) as u64),
        };
        CostModel::fit(&[shape(1, 1), shape(1, 100), shape(40, 100)], LIMITS)
    }

    fn bounds(limits: BatchLimits) -> Bounds {
        Bounds {
            limits,
            max_cost: None,
            free_instances: 1,
            trial: None,
        }
    }

    #[test]
    fn rows_of_like_width_go_together() {
        let limits = BatchLimits { max_rows: 3, ..LIMITS };
        assert_eq!(choose(&[10, 90, 11, 80, 9], bounds(limits), &cost(1000)), [0, 2, 4]);
    }

    #[test]
    fn where_batching_gains_nothing_a_row_runs_alone() {
        assert_eq!(choose(&[10; 20], bounds(LIMITS), &cost(0)), [0]);
    }

    #[test]
    fn where_a_run_is_dear_and_a_row_cheap_all_run_together() {
        assert_eq!(choose(&[10; 20], bounds(LIMITS), &cost(100_000)).len(), 20);
    }

    #[test]
    fn a_row_wider_than_the_bound_runs_alone() {
        assert_eq!(choose(&[2000, 1, 1], bounds(LIMITS), &cost(1000)), [0]);
    }

    #[test]
    fn what_waits_is_shared_out_among_the_free() {
        let bounds = Bounds {
            free_instances: 3,
            ..bounds(LIMITS)
        };
        assert_eq!(choose(&[10; 8], bounds, &cost(100_000)).len(), 3);
    }

    #[test]
    fn a_batch_of_bulk_work_ends_at_its_cost() {
        let bounds = Bounds {
            max_cost: Some(Duration::from_micros(1035)),
            ..bounds(LIMITS)
        };
        assert_eq!(choose(&[10; 8], bounds, &cost(1000)).len(), 3);
    }

    #[test]
    fn a_trial_is_twice_or_half_as_large_where_enough_waits() {
        let shape = |rows: usize, micros: u64| ShapeCost {
            rows,
            width: 10,
            took: Duration::from_micros(micros),
        };
        // More than eight rows no longer fit the caches.
        let cost = CostModel::fit(&[shape(1, 110), shape(8, 180), shape(32, 1000)], LIMITS);
        let tried = |waiting: usize, trial| {
            let bounds = Bounds {
                trial,
                ..bounds(LIMITS)
            };
            choose(&vec![10; waiting], bounds, &cost).len()
        };
        let usual = tried(100, None);
        assert_eq!(usual, 8);
        assert_eq!(tried(100, Some(Trial::Larger)), 2 * usual);
        assert_eq!(tried(100, Some(Trial::Smaller)), usual.div_ceil(2));
        assert_eq!(tried(2 * usual, Some(Trial::Larger)), usual);
        let trials: Vec<_> = (1..=4 * TRIAL_EVERY).filter_map(Trial::of_batch).collect();
        assert_eq!(trials, [Trial::Smaller, Trial::Larger, Trial::Smaller, Trial::Larger]);
    }

    /// What a server with a full queue pays for each row, against the best size all the time: the model of costs learns
    /// from `batches` runs that take `truly`, and the last quarter counts.
    fn price_after(batches: u64, measured: &[ShapeCost], truly: impl Fn(usize) -> f64) -> f64 {
        let limits = BatchLimits {
            max_cells: 4096,
            ..LIMITS
        };
        let mut cost = CostModel::fit(measured, limits);
        let (mut spent, mut rows_run) = (0.0, 0);
        for number in 1..=batches {
            let bounds = Bounds {
                trial: Trial::of_batch(number),
                ..bounds(limits)
            };
            let rows = choose(&[16; 128], bounds, &cost).len();
            // As disturbed as runs are: a seventh more or less.
            let took = truly(rows) * (1.0 + 0.15 * ((number * 7 % 11) as f64 / 5.0 - 1.0));
            cost.learn(rows, 16, Duration::from_secs_f64(took / 1e6));
            if number > batches / 4 * 3 {
                spent += truly(rows);
                rows_run += rows;
            }
        }
        let best = (1..=32)
            .map(|rows| truly(rows) / rows as f64)
            .fold(f64::INFINITY, f64::min);
        spent / rows_run as f64 / best
    }

    fn measured(micros: impl Fn(usize) -> f64) -> Vec<ShapeCost> {
        let shape = |rows: usize| ShapeCost {
            rows,
            width: 16,
            took: Duration::from_secs_f64(micros(rows) / 1e6),
        };
        [1, 4, 16].map(shape).to_vec()
    }

    #[test]
    fn what_a_disturbed_start_measured_wrongly_heals_while_serving() {
        let truly = |rows: usize| 1000.0 + 1100.0 * rows as f64;
        for wrong in [1, 4, 16] {
            for by in [0.3, 0.5, 2.0, 4.0] {
                let disturbed = measured(|rows| truly(rows) * if rows == wrong { by } else { 1.0 });
                let price = price_after(8000, &disturbed, truly);
                assert!(price < 1.06, "{wrong} rows measured {by} times as dear: {price}");
            }
        }
    }

    #[test]
    fn a_machine_that_became_slower_keeps_its_batches() {
        let truly = |rows: usize| 1000.0 + 1100.0 * rows as f64;
        for slower in [0.5, 1.0, 1.7, 5.0] {
            let price = price_after(400, &measured(truly), |rows| slower * truly(rows));
            assert!(price < 1.05, "{slower} times as slow: {price}");
        }
    }

    #[test]
    fn nothing_waiting_is_no_batch() {
        assert!(choose(&[], bounds(LIMITS), &cost(1)).is_empty());
        assert_eq!(next_lane([false; 3], [99; 3]), None);
    }

    #[test]
    fn the_highest_priority_goes_first_until_a_lower_one_was_passed_over_too_often() {
        assert_eq!(next_lane([true, true, true], [0, 3, PATIENCE - 1]), Some(0));
        assert_eq!(next_lane([true, true, true], [0, 3, PATIENCE]), Some(2));
        assert_eq!(next_lane([false, true, true], [0, 0, 3]), Some(1));
        assert_eq!(next_lane([true, false, false], [0, PATIENCE, PATIENCE]), Some(0));
    }

    proptest! {
        #[test]
        fn a_batch_keeps_its_bounds_and_holds_the_first(
            widths in prop::collection::vec(1_usize..600, 1..300),
            max_rows in 1_usize..40,
            same_width: bool,
            max_cells in 1_usize..5000,
            fixed in 0_u64..5000,
            free_instances in 1_usize..5,
            number in 0_u64..70,
        ) {
            let limits = BatchLimits { max_rows, max_cells, same_width };
            let trial = Trial::of_batch(number);
            let chosen = choose(&widths, Bounds { limits, max_cost: None, free_instances, trial }, &cost(fixed));
            prop_assert_eq!(chosen[0], 0);
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(chosen.len() <= max_rows);
            prop_assert!(chosen.len() <= widths.len().div_ceil(free_instances));
            let widest = chosen.iter().map(|&at| widths[at]).max().unwrap_or(0);
            prop_assert!(chosen.len() == 1 || chosen.len() * widest <= max_cells);
            prop_assert!(!same_width || chosen.iter().all(|&at| widths[at] == widths[0]));
        }

        #[test]
        fn no_row_that_was_left_is_more_like_the_first_than_one_that_was_taken(
            widths in prop::collection::vec(1_usize..100, 2..100),
            fixed in 0_u64..5000,
        ) {
            let limits = BatchLimits { max_rows: 16, max_cells: usize::MAX, same_width: false };
            let chosen = choose(&widths, bounds(limits), &cost(fixed));
            let distance = |at: usize| widths[at].abs_diff(widths[0]);
            let farthest = chosen.iter().map(|&at| distance(at)).max().unwrap_or(0);
            let left = (0..widths.len()).filter(|at| !chosen.contains(at));
            prop_assert!(left.map(distance).all(|left| left >= farthest));
        }
    }
}
