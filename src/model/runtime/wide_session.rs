//! The wide session: a second session with more threads, for a batch that has the machine to itself.
//!
//! Whether more threads make a run shorter depends on the model and the machine, so it is measured: if they do not, the
//! second session is never used.

use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::model::input::ModelInput;
use crate::model::loading::cost_probe::{self, ShapeBounds, ShapeCost};
use crate::model::runner::{RunError, Runner};
use crate::model::sample::Sample;

/// How many times faster a run must be to be worth the other cores.
const WORTHWHILE: f64 = 1.2;

/// An instance with a narrow session and a wide one.
pub struct WideRunner {
    narrow: Box<dyn Runner>,
    wide: Box<dyn Runner>,
    from_cells: usize,
}

impl WideRunner {
    /// `wide` runs a batch that is alone and has at least `from_cells` cells, rows × width.
    pub fn new(narrow: Box<dyn Runner>, wide: Box<dyn Runner>, from_cells: usize) -> Self {
        Self {
            narrow,
            wide,
            from_cells,
        }
    }
}

impl Runner for WideRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.narrow.run(inputs)
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        let (narrow, wide) = (self.narrow.reopen()?, self.wide.reopen()?);
        Ok(Box::new(Self::new(narrow, wide, self.from_cells)))
    }

    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        let width = inputs.iter().map(|input| input.width()).max().unwrap_or(0);
        if inputs.len() * width >= self.from_cells {
            self.wide.run(inputs)
        } else {
            self.narrow.run(inputs)
        }
    }
}

/// The number of cells from which on the wide session is worth its cores, from what single rows took on both sessions;
/// `None` if it never is.
pub fn worthwhile_from(narrow: &[ShapeCost], wide: &[ShapeCost]) -> Option<usize> {
    let mut rows: Vec<&ShapeCost> = wide.iter().filter(|cost| cost.rows == 1).collect();
    rows.sort_by_key(|cost| std::cmp::Reverse(cost.width));
    rows.into_iter()
        .map_while(|wide| {
            let narrow = narrow.iter().find(|cost| (cost.rows, cost.width) == (1, wide.width))?;
            (narrow.took.as_secs_f64() >= WORTHWHILE * wide.took.as_secs_f64()).then_some(wide.width)
        })
        .last()
}

/// Whether the wide session is still that much faster if both run the same row in turns. While the server starts the
/// machine may be busy, which would spoil one of two measurements that are made one after the other.
pub fn confirmed(narrow: &mut dyn Runner, wide: &mut dyn Runner, row: &ModelInput) -> Result<bool, RunError> {
    const TURNS: usize = 7;
    let time = |runner: &mut dyn Runner| {
        let started = Instant::now();
        runner.run(&[row]).map(|_| started.elapsed())
    };
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..TURNS {
        fastest = [time(narrow)?.min(fastest[0]), time(wide)?.min(fastest[1])];
    }
    Ok(fastest[0].as_secs_f64() >= WORTHWHILE * fastest[1].as_secs_f64())
}

/// The size of a batch in cells from which on the wide session runs it alone; `None` if it does not pay.
pub fn pays(
    narrow: &mut dyn Runner,
    wide: &mut dyn Runner,
    costs: &[ShapeCost],
    sample: &Sample,
    bounds: ShapeBounds,
) -> Result<Option<usize>, RunError> {
    let singles = cost_probe::measure(wide, sample, bounds.single_rows(), cost_probe::BUDGET / 3, Instant::now)?;
    let Some(from_cells) = worthwhile_from(costs, &singles) else {
        return Ok(None);
    };
    let pays = confirmed(narrow, wide, &sample.of_width(from_cells))?;
    Ok(pays.then_some(from_cells))
}

/// The instances; the first one gets the wide session, if there is one.
pub fn with_wide(
    mut runners: Vec<Box<dyn Runner>>,
    wide: Option<(impl Runner + 'static, usize)>,
) -> Vec<Box<dyn Runner>> {
    if let Some((wide, from_cells)) = wide {
        let narrow = runners.swap_remove(0);
        runners.push(Box::new(WideRunner::new(narrow, Box::new(wide), from_cells)));
        let last = runners.len() - 1;
        runners.swap(0, last);
    }
    runners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(times: &[(usize, u64)]) -> Vec<ShapeCost> {
        let cost = |&(width, micros)| ShapeCost {
            rows: 1,
            width,
            took: Duration::from_micros(micros),
        };
        times.iter().map(cost).collect()
    }

    #[test]
    fn more_threads_are_used_from_the_width_on_from_which_they_always_pay() {
        let narrow = costs(&[(8, 100), (16, 200), (32, 400), (64, 800)]);
        let wide = costs(&[(8, 50), (16, 190), (32, 300), (64, 500)]);
        assert_eq!(worthwhile_from(&narrow, &wide), Some(32));
    }

    #[test]
    fn threads_that_do_not_pay_for_the_widest_row_are_never_used() {
        let narrow = costs(&[(8, 100), (64, 800)]);
        assert_eq!(worthwhile_from(&narrow, &costs(&[(8, 50), (64, 700)])), None);
        assert_eq!(worthwhile_from(&narrow, &[]), None);
        assert_eq!(worthwhile_from(&[], &narrow), None);
    }

    /// Answers with a number that tells which runner ran.
    struct Named(f32);

    impl Runner for Named {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            Ok(Array2::from_elem((inputs.len(), 2), self.0))
        }
    }

    #[test]
    fn the_wide_session_runs_large_batches_that_are_alone_and_nothing_else() {
        let mut runner = WideRunner::new(Box::new(Named(1.0)), Box::new(Named(2.0)), 6);
        let row = ModelInput::Features(vec![1, 2, 3]);
        let mut ran = |rows: usize, alone: bool| {
            let batch = vec![&row; rows];
            let output = if alone {
                runner.run_alone(&batch)
            } else {
                runner.run(&batch)
            };
            output.expect("it runs")[[0, 0]]
        };
        assert_eq!([ran(2, true), ran(1, true), ran(2, false)], [2.0, 1.0, 1.0]);
    }
}
