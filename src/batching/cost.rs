//! What a batch costs on this machine: measured at warm-up, refined by what runs. Plain numbers, no clock.
//!
//! A run of `rows` rows padded to `width` takes `base(rows × width) + attention × rows × width²`. The base is a
//! measured curve, because its price per cell falls while a run is too small to fill the processor and rises when it no
//! longer fits the caches; the second term is what a transformer's attention adds for long rows.

use std::time::Duration;

use crate::model::loading::cost_probe::ShapeCost;
use crate::model::moving_average;

/// The weight of one observation in the moving average that refines the model.
const WEIGHT: f64 = 1.0 / 16.0;
/// The bounds of the factor by which observations correct what was measured.
const FACTOR_RANGE: (f64, f64) = (0.1, 20.0);
/// The widest row in the table of costs; the costs of wider rows are scaled from it.
const TABLE_WIDTH: usize = 1024;

/// The bounds of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub max_rows: usize,
    /// The most cells: rows × the width of the widest row. A single row may be wider.
    pub max_cells: usize,
    /// Whether all rows must have one width.
    pub same_width: bool,
}

/// The size of a batch, which decides how long it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchShape {
    pub rows: usize,
    /// The width of the widest row, to which all others are padded.
    pub width: usize,
}

/// Predicts how long batches run.
#[derive(Clone, Debug)]
pub struct CostModel {
    /// The measured points of the base curve: cells and nanoseconds, ascending, at least one.
    base: Vec<(f64, f64)>,
    /// Nanoseconds of attention for each row and square of its width.
    attention: f64,
    /// Nanoseconds of one row in the best batch for it, by its width.
    rows: Vec<f64>,
    /// How long runs take now, divided by what was measured at warm-up.
    factor: f64,
}

impl CostModel {
    /// Fits the model to measured runs; without any, every cell costs a nanosecond.
    pub fn fit(measured: &[ShapeCost], limits: BatchLimits) -> Self {
        let attention = attention(measured);
        let mut base: Vec<(f64, f64)> = Vec::new();
        let mut points: Vec<(f64, f64)> = measured
            .iter()
            .map(|shape| {
                let left = nanos(shape.took) - attention * square(shape.rows, shape.width);
                ((shape.rows * shape.width) as f64, left.max(1.0))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (cells, took) in points {
            match base.last() {
                // The cheapest of like sizes comes first.
                Some(&(last, _)) if last == cells => {}
                // More cells never take less: a smaller figure is noise in the one before it.
                Some(&(_, before)) => base.push((cells, took.max(before))),
                None => base.push((cells, took)),
            }
        }
        if base.is_empty() {
            base = vec![(1.0, 1.0), (2.0, 2.0)];
        }
        let mut model = Self {
            base,
            attention,
            rows: Vec::new(),
            factor: 1.0,
        };
        model.rows = (0..=TABLE_WIDTH).map(|width| model.best_row(width, limits)).collect();
        model
    }

    /// The expected time of a batch.
    pub fn of_batch(&self, rows: usize, width: usize) -> Duration {
        duration(self.raw(rows, width) * self.factor)
    }

    /// The expected time of one row of this width: its share of a well-chosen batch.
    pub fn of_row(&self, width: usize) -> Duration {
        duration(self.raw_row(width) * self.factor)
    }

    /// How far a batch is from the best that its rows could have: its cost divided by `rows_at_best`, the sum of
    /// [`CostModel::weight`] over its rows. At least about 1.
    pub fn ratio(&self, rows: usize, width: usize, rows_at_best: f64) -> f64 {
        self.raw(rows, width) / rows_at_best.max(f64::MIN_POSITIVE)
    }

    /// The cost of a row in the best batch for it, for [`CostModel::ratio`].
    pub fn weight(&self, width: usize) -> f64 {
        self.raw_row(width)
    }

    /// Corrects the costs by what a batch took.
    pub fn learn(&mut self, rows: usize, width: usize, took: Duration) {
        let seen = nanos(took) / self.raw(rows, width);
        let factor = moving_average::after(self.factor, seen, WEIGHT);
        self.factor = factor.clamp(FACTOR_RANGE.0, FACTOR_RANGE.1);
    }

    fn raw_row(&self, width: usize) -> f64 {
        match self.rows.get(width.max(1)) {
            Some(&cost) => cost,
            None => self.rows[TABLE_WIDTH] * width as f64 / TABLE_WIDTH as f64,
        }
    }

    fn raw(&self, rows: usize, width: usize) -> f64 {
        self.base_at((rows * width).max(1) as f64) + self.attention * square(rows, width)
    }

    /// The cost of so many cells by the measured curve, in nanoseconds: flat before the first point, straight lines
    /// between points, and the last slope after the last.
    fn base_at(&self, cells: f64) -> f64 {
        let after = self.base.partition_point(|&(at, _)| at < cells);
        let last = self.base.len() - 1;
        if after == 0 {
            return self.base[0].1;
        }
        if last == 0 {
            // With one point only, the cost grows in proportion to the cells.
            return self.base[0].1 * cells / self.base[0].0;
        }
        let (from, to) = (self.base[after.min(last) - 1], self.base[after.min(last)]);
        from.1 + (cells - from.0) * (to.1 - from.1) / (to.0 - from.0)
    }

    fn best_row(&self, width: usize, limits: BatchLimits) -> f64 {
        let counts = std::iter::successors(Some(1_usize), |rows| Some(rows * 2));
        counts
            .take_while(|&rows| rows == 1 || (rows <= limits.max_rows && rows * width <= limits.max_cells))
            .map(|rows| self.raw(rows, width) / rows as f64)
            .fold(f64::INFINITY, f64::min)
    }
}

/// What attention adds, from runs of as many cells in rows of different widths; zero where there are no such runs.
fn attention(measured: &[ShapeCost]) -> f64 {
    let mut found: Vec<f64> = Vec::new();
    for (at, wide) in measured.iter().enumerate() {
        for narrow in &measured[..at] {
            let squares = square(wide.rows, wide.width) - square(narrow.rows, narrow.width);
            if wide.rows * wide.width == narrow.rows * narrow.width && squares != 0.0 {
                found.push((nanos(wide.took) - nanos(narrow.took)) / squares);
            }
        }
    }
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied().unwrap_or(0.0).max(0.0)
}

fn square(rows: usize, width: usize) -> f64 {
    rows as f64 * (width as f64).powi(2)
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn duration(nanos: f64) -> Duration {
    Duration::from_nanos(nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: BatchLimits = BatchLimits {
        max_rows: 32,
        max_cells: 4096,
        same_width: false,
    };

    fn shapes(took: impl Fn(usize, usize) -> f64) -> Vec<ShapeCost> {
        let mut shapes = Vec::new();
        for rows in [1, 2, 4, 8, 16, 32] {
            for width in [8, 16, 32, 64, 128] {
                shapes.push(ShapeCost {
                    rows,
                    width,
                    took: duration(took(rows, width)),
                });
            }
        }
        shapes
    }

    #[test]
    fn a_fixed_price_and_attention_are_found_again() {
        let took = |rows: usize, width: usize| {
            500_000.0 + 50_000.0 * (rows * width) as f64 + 100.0 * (rows * width * width) as f64
        };
        let model = CostModel::fit(&shapes(took), LIMITS);
        for (rows, width) in [(1, 8), (3, 24), (5, 100), (32, 128)] {
            let found = nanos(model.of_batch(rows, width));
            assert!(
                (found / took(rows, width) - 1.0).abs() < 0.05,
                "{rows}×{width}: {found}"
            );
        }
        assert!(model.of_row(16) < model.of_batch(1, 16));
    }

    #[test]
    fn what_runs_refines_it_within_its_range() {
        let mut model = CostModel::fit(&shapes(|rows, width| (1000 * rows * width) as f64), LIMITS);
        let before = model.of_batch(4, 32);
        for _ in 0..200 {
            model.learn(4, 32, before * 2);
        }
        assert!((nanos(model.of_batch(4, 32)) / nanos(before) - 2.0).abs() < 0.01);
        for _ in 0..500 {
            model.learn(4, 32, Duration::from_hours(1));
        }
        assert!(model.of_batch(4, 32) <= before * 20);
    }

    #[test]
    fn without_a_measurement_every_cell_costs_the_same() {
        let model = CostModel::fit(&[], LIMITS);
        assert_eq!(model.of_batch(2, 50), Duration::from_nanos(100));
    }

    proptest! {
        #[test]
        fn more_rows_and_wider_rows_never_cost_less(
            noise in prop::collection::vec(1_u64..2_000_000, 30),
            rows in 1_usize..40,
            width in 1_usize..600,
        ) {
            let mut measured = shapes(|_, _| 0.0);
            for (shape, noise) in measured.iter_mut().zip(noise) {
                shape.took = Duration::from_nanos(noise);
            }
            let model = CostModel::fit(&measured, LIMITS);
            prop_assert!(model.of_batch(rows + 1, width) >= model.of_batch(rows, width));
            prop_assert!(model.of_batch(rows, width + 1) >= model.of_batch(rows, width));
        }
    }

    #[test]
    fn one_run_that_lost_the_processor_says_little_about_the_next() {
        let mut model = CostModel::fit(&shapes(|rows, width| (1000 * rows * width) as f64), LIMITS);
        let before = model.of_batch(4, 32);
        model.learn(4, 32, before * 1000);
        assert!(model.of_batch(4, 32) < before * 5 / 4);
    }
}
