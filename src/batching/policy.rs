//! The batching policy: which waiting rows run together. A pure function of their widths.
//!
//! On a CPU a row costs what its padding costs, so rows of like width go together, and a batch is bounded by its padded
//! size rather than by its count.

/// The bounds of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The most rows.
    pub max_rows: usize,
    /// The most cells, rows × the widest row's width. A single row may be wider.
    pub max_cells: usize,
}

/// How many waiting rows are looked at, from the oldest on: bounds the cost of a choice.
pub const WINDOW: usize = 256;

/// Chooses the rows of the next batch: the oldest, and those most like it in width. Gives indices into `widths`, which
/// lists the waiting rows from the oldest on; ascending, without repeats, empty only if `widths` is.
pub fn choose(widths: &[usize], limits: BatchLimits) -> Vec<usize> {
    let Some(&oldest) = widths.first() else {
        return Vec::new();
    };
    let window = widths.len().min(WINDOW);
    let mut others: Vec<usize> = (1..window).collect();
    others.sort_by_key(|&at| (widths[at].abs_diff(oldest), at));
    let mut chosen = vec![0];
    let mut widest = oldest;
    for at in others {
        let rows = chosen.len() + 1;
        let width = widest.max(widths[at]);
        if rows > limits.max_rows {
            break;
        }
        if rows * width <= limits.max_cells {
            chosen.push(at);
            widest = width;
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_of_like_width_go_together() {
        let limits = BatchLimits {
            max_rows: 3,
            max_cells: 1000,
        };
        assert_eq!(choose(&[10, 90, 11, 80, 9], limits), [0, 2, 4]);
    }

    #[test]
    fn a_row_wider_than_the_bound_runs_alone() {
        let limits = BatchLimits {
            max_rows: 8,
            max_cells: 64,
        };
        assert_eq!(choose(&[100, 1, 1], limits), [0]);
    }

    #[test]
    fn nothing_waiting_is_no_batch() {
        assert!(
            choose(
                &[],
                BatchLimits {
                    max_rows: 8,
                    max_cells: 64
                }
            )
            .is_empty()
        );
    }

    proptest! {
        #[test]
        fn a_batch_keeps_its_bounds_and_holds_the_oldest(
            widths in prop::collection::vec(1_usize..600, 1..300),
            max_rows in 1_usize..40,
            max_cells in 1_usize..5000,
        ) {
            let chosen = choose(&widths, BatchLimits { max_rows, max_cells });
            prop_assert_eq!(chosen[0], 0);
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(chosen.len() <= max_rows);
            let widest = chosen.iter().map(|&at| widths[at]).max().unwrap_or(0);
            prop_assert!(chosen.len() == 1 || chosen.len() * widest <= max_cells);
        }
    }
}
