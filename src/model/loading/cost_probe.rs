//! What a run costs on this machine: a table of measured times by shape, for the scheduler's cost model.
//!
//! Pure but for the runner: the clock is passed in. Must not know of queues; the scheduler decides what the figures
//! mean for it.

use std::time::{Duration, Instant};

use crate::model::input::ModelInput;
use crate::model::manifest::{Manifest, Preprocess};
use crate::model::runner::{RunError, Runner};
use crate::model::sample::Sample;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Measuring {
    /// The longest that it may take, apart from the run that is under way when the time ends.
    pub budget: Duration,
    /// How much of that the first sweep may take, which chooses the shapes.
    pub first: Duration,
    /// The most times that each shape is run. The fastest run counts, since any disturbance makes a run slower.
    pub sweeps: u32,
    /// Whether it ends, after two sweeps at least, with one that found no shape much faster than those before.
    pub until_settled: bool,
    /// How many times larger the next number of rows is, and the next width.
    pub step: usize,
}

/// As long as it helps.
pub const THOROUGH: Measuring = Measuring {
    budget: Duration::from_millis(300),
    first: Duration::from_millis(100),
    sweeps: 8,
    until_settled: false,
    step: 2,
};

/// Where somebody waits for the model: few shapes, but also such of several rows. On a machine that does nothing else, two
/// sweeps of them; else more, since what follows from the figures lasts: batches that seemed not to pay are not tried.
pub const SHORT: Measuring = Measuring {
    budget: Duration::from_millis(300),
    first: Duration::from_millis(45),
    sweeps: 8,
    until_settled: true,
    step: 4,
};

/// How many times faster a run is than those of its shape before, if they were disturbed.
const DISTURBED: f64 = 1.25;

/// The widest row that is run before callers send wider ones: attention takes time and memory by the square of the
/// width.
pub const WIDEST_PROBE: usize = 512;

/// The time of one run of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeCost {
    pub rows: usize,
    /// The padded width of each row: tokens or features.
    pub width: usize,
    /// The fastest run of a few.
    pub took: Duration,
}

/// The bounds of the batches that a model can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeBounds {
    pub rows: usize,
    /// The width of the widest row that is run.
    pub width: usize,
    /// The most cells, rows × width. A single row may have more.
    pub cells: usize,
    /// The width from which on widths are measured.
    first_width: usize,
    /// The width of the widest row that callers can send, over `width`.
    pub wider: usize,
}

impl ShapeBounds {
    /// The bounds that follow from a manifest and from the most cells of a batch.
    pub fn new(manifest: &Manifest, cells: usize) -> Self {
        let (first_width, width) = match &manifest.preprocess {
            Preprocess::Tokenizer(settings) => (8, settings.max_tokens),
            Preprocess::HashedNgrams(settings) => (32, settings.max_feature_count()),
            // A graph that preprocesses texts itself: a row is one cell.
            Preprocess::String { .. } => (1, 1),
        };
        let probed = match &manifest.preprocess {
            Preprocess::Tokenizer(_) => width.min(WIDEST_PROBE),
            Preprocess::HashedNgrams(_) | Preprocess::String { .. } => width,
        };
        Self {
            rows: manifest.limits.most_texts(),
            width: probed,
            cells,
            first_width: first_width.min(width),
            wider: width.div_ceil(probed.max(1)),
        }
    }

    /// The shapes to measure, the most telling ones first: one row of each width, then more and more rows.
    pub fn shapes(self, step: usize) -> Vec<(usize, usize)> {
        let mut widths = growing(self.first_width, self.width, step);
        // Callers with long texts see the widest row often; a width close to the one before it would tell nothing more.
        if widths.last().is_none_or(|last| last * 5 < self.width * 4) {
            widths.push(self.width);
        }
        growing(1, self.rows, step)
            .into_iter()
            .flat_map(|rows| widths.iter().map(move |&width| (rows, width)))
            .filter(|&(rows, width)| rows == 1 || rows * width <= self.cells)
            .collect()
    }

    /// The shapes that need the most memory: the most cells in the fewest, widest rows; and in the most rows, if there
    /// can be more.
    pub fn largest(self) -> Vec<(usize, usize)> {
        let narrowest = (self.cells / self.rows).clamp(1, self.width);
        let widest = ((self.cells / self.width).clamp(1, self.rows), self.width);
        let most = ((self.cells / narrowest).clamp(1, self.rows), narrowest);
        let further = (most.0 > widest.0).then_some(most);
        std::iter::once(widest).chain(further).collect()
    }
}

/// `from`, `step` times that, and so on, up to `most`.
fn growing(from: usize, most: usize, step: usize) -> Vec<usize> {
    std::iter::successors(Some(from), |at| at.checked_mul(step.max(2)))
        .take_while(|&at| at <= most)
        .collect()
}

/// Measures as many shapes, each as often, as the budget allows. The runner should be warm. A shape whose expected time
/// exceeds what is left of the budget is skipped; the first shape always runs.
pub fn measure(
    runner: &mut dyn Runner,
    sample: &Sample,
    bounds: ShapeBounds,
    how: Measuring,
    mut now: impl FnMut() -> Instant,
) -> Result<Vec<ShapeCost>, RunError> {
    let start = now();
    let mut costs: Vec<ShapeCost> = Vec::new();
    for sweep in 0..how.sweeps {
        // The first sweep leaves time for further ones: no figure should rest on a single run.
        let limit = if sweep == 0 { how.first } else { how.budget };
        let mut settled = sweep > 0;
        for (rows, width) in bounds.shapes(how.step) {
            let known = costs.iter().position(|cost| (cost.rows, cost.width) == (rows, width));
            let spent = now().saturating_duration_since(start);
            let fits = spent + expected(&costs, rows, width) <= limit;
            if !(costs.is_empty() || fits && (sweep == 0 || known.is_some())) {
                continue;
            }
            let row = sample.of_width(width);
            let batch: Vec<&ModelInput> = std::iter::repeat_n(&row, rows).collect();
            let before = now();
            runner.run(&batch)?;
            let took = now().saturating_duration_since(before);
            match known {
                Some(at) => {
                    settled &= took.mul_f64(DISTURBED) >= costs[at].took;
                    costs[at].took = costs[at].took.min(took);
                }
                None => costs.push(ShapeCost { rows, width, took }),
            }
        }
        if settled && how.until_settled {
            break;
        }
    }
    Ok(costs)
}

/// The expected time of a shape: that of the largest measured shape that fits into it, scaled by the number of cells.
fn expected(costs: &[ShapeCost], rows: usize, width: usize) -> Duration {
    let within = costs.iter().filter(|cost| cost.rows <= rows && cost.width <= width);
    let nearest = within.max_by_key(|cost| cost.rows * cost.width);
    nearest.map_or(Duration::ZERO, |cost| {
        cost.took
            .mul_f64((rows * width) as f64 / (cost.rows * cost.width).max(1) as f64)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::Array2;
    use parking_lot::Mutex;

    use super::*;

    const DEEP: ShapeBounds = ShapeBounds {
        rows: 32,
        width: 128,
        cells: 256,
        first_width: 8,
        wider: 1,
    };

    /// A clock that stands still between runs.
    #[derive(Clone)]
    struct Clock(Arc<Mutex<Instant>>);

    impl Clock {
        fn new() -> Self {
            Self(Arc::new(Mutex::new(Instant::now())))
        }

        fn now(&self) -> Instant {
            *self.0.lock()
        }

        fn advance(&self, by: Duration) {
            *self.0.lock() += by;
        }
    }

    /// A runner with a set time for each cell in microseconds; each run takes 0.5% less than the one before.
    struct Scripted {
        clock: Clock,
        micros_a_cell: f64,
        runs: Vec<(usize, usize)>,
    }

    impl Runner for Scripted {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            let (rows, width) = (inputs.len(), inputs[0].width());
            assert!(inputs.iter().all(|input| input.width() == width));
            self.clock.advance(Duration::from_secs_f64(
                self.micros_a_cell * (rows * width) as f64 / 1e6,
            ));
            self.micros_a_cell *= 0.995;
            self.runs.push((rows, width));
            Ok(Array2::zeros((rows, 2)))
        }
    }

    /// Measures a scripted runner: the table, what was run, and the time that it took.
    fn measured_by(
        how: Measuring,
        micros_a_cell: f64,
        bounds: ShapeBounds,
    ) -> (Vec<ShapeCost>, Vec<(usize, usize)>, Duration) {
        let clock = Clock::new();
        let mut runner = Scripted {
            clock: clock.clone(),
            micros_a_cell,
            runs: Vec::new(),
        };
        let sample = Sample::new(ModelInput::Features((0..300).collect()), 0, 0);
        let start = clock.now();
        let costs = measure(&mut runner, &sample, bounds, how, || clock.now()).expect("it runs");
        (costs, runner.runs, clock.now() - start)
    }

    fn measured(micros_a_cell: f64, bounds: ShapeBounds) -> (Vec<ShapeCost>, Vec<(usize, usize)>, Duration) {
        measured_by(THOROUGH, micros_a_cell, bounds)
    }

    #[test]
    fn where_somebody_waits_rows_in_company_are_measured_too() {
        // 60 µs a cell, as the shipped deep model takes on two cores.
        let (costs, runs, took) = measured_by(SHORT, 60.0, DEEP);
        assert!(took <= SHORT.first * 2, "{took:?}");
        assert_eq!(runs.len(), 2 * costs.len(), "nothing disturbed it");
        let found: Vec<_> = costs.iter().map(|cost| (cost.rows, cost.width)).collect();
        // Two shapes of as many cells tell what attention adds.
        for shape in [(1, 8), (1, 32), (1, 128), (4, 8)] {
            assert!(found.contains(&shape), "{found:?}");
        }
    }

    /// A runner whose first runs are disturbed: each takes five times as long.
    struct Disturbed(Scripted, usize);

    impl Runner for Disturbed {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            let before = self.0.clock.now();
            let outputs = self.0.run(inputs)?;
            let took = self.0.clock.now() - before;
            if self.0.runs.len() <= self.1 {
                self.0.clock.advance(took * 4);
            }
            Ok(outputs)
        }
    }

    #[test]
    fn where_somebody_waits_a_disturbed_start_is_measured_until_it_settles() {
        let bounds = ShapeBounds { width: 32, ..DEEP };
        let quiet = measured_by(SHORT, 10.0, bounds).0;
        for disturbed in 1..=2 * quiet.len() {
            let clock = Clock::new();
            let scripted = Scripted {
                clock: clock.clone(),
                micros_a_cell: 10.0,
                runs: Vec::new(),
            };
            let sample = Sample::new(ModelInput::Features((0..300).collect()), 0, 0);
            let mut runner = Disturbed(scripted, disturbed);
            let costs = measure(&mut runner, &sample, bounds, SHORT, || clock.now()).expect("it runs");
            // Two whole sweeps that are as slow as each other look like a slow machine.
            if disturbed < 2 * costs.len() {
                for (cost, quiet) in costs.iter().zip(&quiet) {
                    assert!(cost.took < quiet.took.mul_f64(DISTURBED), "{disturbed}: {cost:?}");
                }
            }
        }
    }

    #[test]
    fn shapes_are_single_rows_first_then_more_and_keep_the_bounds() {
        let shapes = DEEP.shapes(2);
        assert_eq!(shapes[..6], [(1, 8), (1, 16), (1, 32), (1, 64), (1, 128), (2, 8)]);
        assert_eq!(shapes.last(), Some(&(32, 8)));
        assert!(shapes.iter().all(|(rows, width)| rows * width <= 256));
        assert_eq!(shapes.len(), 5 + 5 + 4 + 3 + 2 + 1);
    }

    #[test]
    fn the_widest_row_is_measured_even_past_the_bound_on_cells() {
        let bounds = ShapeBounds { width: 500, ..DEEP };
        let singles: Vec<_> = bounds.shapes(2).into_iter().filter(|shape| shape.0 == 1).collect();
        assert_eq!(singles.last(), Some(&(1, 500)));
        let narrow = ShapeBounds {
            width: 3,
            first_width: 3,
            ..DEEP
        };
        assert_eq!(narrow.shapes(2)[..2], [(1, 3), (2, 3)]);
    }

    #[test]
    fn the_largest_shapes_are_the_most_cells_in_wide_rows_and_in_many() {
        assert_eq!(DEEP.largest(), [(2, 128), (32, 8)]);
        let wide = ShapeBounds { width: 512, ..DEEP };
        assert_eq!(wide.largest(), [(1, 512), (32, 8)]);
        let few = ShapeBounds { rows: 2, ..DEEP };
        assert_eq!(few.largest(), [(2, 128)]);
    }

    #[test]
    fn a_quick_model_is_measured_at_every_shape_and_the_fastest_run_counts() {
        let (costs, runs, took) = measured(1.0, DEEP);
        assert_eq!(runs.len(), DEEP.shapes(2).len() * THOROUGH.sweeps as usize);
        let found: Vec<_> = costs.iter().map(|cost| (cost.rows, cost.width)).collect();
        assert_eq!(found, DEEP.shapes(2));
        // The last of eight runs was the fastest.
        assert!(
            costs
                .iter()
                .all(|cost| cost.took.as_secs_f64() * 1e6 < 0.6 * (cost.rows * cost.width) as f64)
        );
        assert!(took < THOROUGH.budget);
    }

    #[test]
    fn a_slow_model_keeps_the_budget_and_is_measured_where_single_rows_fit() {
        for micros_a_cell in [50.0, 200.0, 700.0] {
            let (costs, runs, took) = measured(micros_a_cell, DEEP);
            assert!(took <= THOROUGH.budget, "{took:?} at {micros_a_cell} µs");
            assert_eq!((costs[0].rows, costs[0].width), (1, 8));
            assert_eq!((costs[1].rows, costs[1].width), (1, 16));
            assert!(costs.len() < DEEP.shapes(2).len());
            assert!(runs.len() >= 2 * costs.len(), "{} runs of {}", runs.len(), costs.len());
        }
    }

    #[test]
    fn a_model_slower_than_the_budget_is_measured_once() {
        let (costs, runs, _) = measured(1e6, DEEP);
        assert_eq!((costs.len(), runs.len()), (1, 1));
    }
}
