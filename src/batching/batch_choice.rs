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
}

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
    chosen.truncate(enough.map_or(1, |at| at + 1));
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
    use crate::model::manifest::{LARGE_BATCH, LARGE_CELLS};
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
    fn where_many_rows_take_as_long_as_one_what_waits_runs_together_up_to_the_limits() {
        let limits = BatchLimits {
            max_rows: LARGE_BATCH,
            max_cells: LARGE_CELLS,
            same_width: false,
        };
        // A card that is busy only from some thousand cells on.
        let shape = |rows: usize| ShapeCost {
            rows,
            width: 64,
            took: Duration::from_micros(2000 + (rows * 64) as u64 / 10),
        };
        let cost = CostModel::fit(&[shape(1), shape(16), shape(64), shape(256)], limits);
        // As many as there may be, less those that make the others cheaper by no more than 2%.
        assert!((240..=256).contains(&choose(&[64; 300], bounds(limits), &cost).len()));
        assert!((30..=32).contains(&choose(&[512; 300], bounds(limits), &cost).len()));
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
        ) {
            let limits = BatchLimits { max_rows, max_cells, same_width };
            let chosen = choose(&widths, Bounds { limits, max_cost: None, free_instances }, &cost(fixed));
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
