//! The wide session: a second session with more threads, for a batch that has the machine to itself.
//!
//! It is opened when the server is ready, and one session stands by for all instances. Whether more threads make a
//! run shorter depends on the model, on the size of the batch, and on what else the machine does just then. So it is
//! measured on the batches that come: for each size both sessions take turns at first, then the better one runs, and
//! the other is tried again once in a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;
use parking_lot::Mutex;

use crate::model::input::ModelInput;
use crate::model::moving_average;
use crate::model::runner::{RunError, Runner};

/// How many times shorter a run must be to be worth the other cores.
const WORTHWHILE: f64 = 1.2;
/// How many runs of each session decide at first.
const FIRST: u32 = 4;
/// The other session is tried once in so many runs: seldom enough that the slowest hundredth of calls is not its doing.
const TRY_EVERY: u32 = 256;
/// The weight of one run in the moving average.
const WEIGHT: f64 = 1.0 / 8.0;
/// Sizes of batches count together up to the next power of two of their cells; there are so many powers.
const SIZES: usize = 24;

/// A place for a model's wide session; empty until [`WideSlot::put`]. Cheap to clone: all clones are one place.
#[derive(Clone, Default)]
pub struct WideSlot(Arc<Mutex<Option<Wide>>>);

struct Wide {
    runner: Box<dyn Runner>,
    sizes: [Turns; SIZES],
}

impl WideSlot {
    /// Puts a session there. The instances begin to use it.
    pub fn put(&self, runner: Box<dyn Runner>) {
        *self.0.lock() = Some(Wide {
            runner,
            sizes: [Turns::default(); SIZES],
        });
    }
}

/// An instance with a narrow session of its own, and the model's wide one.
pub struct WideRunner {
    narrow: Box<dyn Runner>,
    wide: WideSlot,
}

impl WideRunner {
    /// `wide` runs batches that are alone, if it is there and shortens them.
    pub fn new(narrow: Box<dyn Runner>, wide: WideSlot) -> Self {
        Self { narrow, wide }
    }
}

impl Runner for WideRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.narrow.run(inputs)
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        let narrow = self.narrow.reopen()?;
        // Nobody knows which of both failed, unless another instance runs the wide one just now.
        if let Some(mut slot) = self.wide.0.try_lock()
            && let Some(wide) = slot.as_mut()
        {
            match wide.runner.reopen() {
                Ok(runner) => wide.runner = runner,
                Err(error) => {
                    tracing::warn!(%error, "the session for quiet moments can't be opened again");
                    *slot = None;
                }
            }
        }
        Ok(Box::new(Self::new(narrow, self.wide.clone())))
    }

    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        // Another instance may still have it: this batch is not as alone as it seemed.
        let Some(mut slot) = self.wide.0.try_lock() else {
            return self.narrow.run(inputs);
        };
        let Some(wide) = slot.as_mut() else {
            return self.narrow.run(inputs);
        };
        let width = inputs.iter().map(|input| input.width()).max().unwrap_or(0);
        let cells = (inputs.len() * width).max(1);
        let turns = &mut wide.sizes[(cells.ilog2() as usize).min(SIZES - 1)];
        let session = turns.next();
        let started = Instant::now();
        let outputs = match session {
            Session::Narrow => self.narrow.run(inputs),
            Session::Wide => wide.runner.run(inputs),
        };
        if session == Session::Wide && outputs.is_err() {
            // It has failed where the narrow one may not: that one decides, from now on alone.
            tracing::warn!("a run failed in the session for quiet moments, which is not used any more");
            *slot = None;
            return self.narrow.run(inputs);
        }
        turns.took(session, cells, started.elapsed());
        outputs
    }
}

/// The instances with the wide session of this place.
pub fn with_wide(runners: Vec<Box<dyn Runner>>, wide: &WideSlot) -> Vec<Box<dyn Runner>> {
    let one = |narrow| Box::new(WideRunner::new(narrow, wide.clone())) as Box<dyn Runner>;
    runners.into_iter().map(one).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Narrow,
    Wide,
}

impl Session {
    fn other(self) -> Self {
        match self {
            Self::Narrow => Self::Wide,
            Self::Wide => Self::Narrow,
        }
    }
}

/// The runs of both sessions for batches of about the same size.
#[derive(Clone, Copy, Default)]
struct Turns {
    narrow: Average,
    wide: Average,
    runs: u32,
}

impl Turns {
    /// The session whose turn it is.
    fn next(&mut self) -> Session {
        self.runs = self.runs.wrapping_add(1);
        if self.narrow.runs.min(self.wide.runs) < FIRST {
            return if self.narrow.runs <= self.wide.runs {
                Session::Narrow
            } else {
                Session::Wide
            };
        }
        let better = if self.narrow.nanos >= WORTHWHILE * self.wide.nanos {
            Session::Wide
        } else {
            Session::Narrow
        };
        if self.runs.is_multiple_of(TRY_EVERY) {
            better.other()
        } else {
            better
        }
    }

    /// Counts a run. Runs of different widths count by the time of a cell.
    fn took(&mut self, session: Session, cells: usize, took: Duration) {
        let nanos = took.as_nanos() as f64 / cells as f64;
        match session {
            Session::Narrow => self.narrow.add(nanos),
            Session::Wide => self.wide.add(nanos),
        }
    }
}

/// The time of a cell: the shortest of the first runs, then a moving average.
#[derive(Clone, Copy, Default)]
struct Average {
    runs: u32,
    nanos: f64,
}

impl Average {
    fn add(&mut self, nanos: f64) {
        self.nanos = match self.runs {
            0 => nanos,
            // The first runs of a session are slower than those that follow.
            1..FIRST => self.nanos.min(nanos),
            _ => moving_average::after(self.nanos, nanos, WEIGHT),
        };
        self.runs = self.runs.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets the sessions take turns for some runs of so many microseconds each, and returns how many the wide one had.
    fn wide_runs(turns: &mut Turns, runs: u32, narrow: u64, wide: u64) -> u32 {
        let mut of_wide = 0;
        for _ in 0..runs {
            let session = turns.next();
            let micros = if session == Session::Wide { wide } else { narrow };
            of_wide += u32::from(session == Session::Wide);
            turns.took(session, 8, Duration::from_micros(micros));
        }
        of_wide
    }

    #[test]
    fn both_sessions_begin_and_the_wide_one_goes_on_only_if_it_is_worth_its_cores() {
        for (narrow, wide, goes_on) in [(100, 50, true), (120, 100, true), (118, 100, false), (50, 100, false)] {
            let mut turns = Turns::default();
            assert_eq!(wide_runs(&mut turns, 2 * FIRST, narrow, wide), FIRST);
            let runs = TRY_EVERY - 2 * FIRST - 1;
            let expected = if goes_on { runs } else { 0 };
            assert_eq!(wide_runs(&mut turns, runs, narrow, wide), expected, "{narrow} {wide}");
        }
    }

    #[test]
    fn the_other_session_is_tried_again_and_takes_over_when_it_has_become_better() {
        let mut turns = Turns::default();
        wide_runs(&mut turns, 20, 100, 50);
        // Something else takes the other cores.
        wide_runs(&mut turns, 40, 100, 400);
        assert_eq!(wide_runs(&mut turns, 50, 100, 400), 0);
        // They are free again: it takes some tries until that is believed.
        assert!(wide_runs(&mut turns, 64 * TRY_EVERY, 100, 50) > 32 * TRY_EVERY);
    }

    #[test]
    fn one_disturbed_run_decides_nothing() {
        let mut turns = Turns::default();
        wide_runs(&mut turns, 20, 100, 50);
        turns.took(Session::Wide, 8, Duration::from_secs(1));
        assert_eq!(turns.next(), Session::Wide);
    }

    /// Answers with a number that tells which runner ran.
    struct Named(f32);

    impl Runner for Named {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            Ok(Array2::from_elem((inputs.len(), 2), self.0))
        }

        fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
            Ok(Box::new(Self(self.0 + 10.0)))
        }
    }

    fn ran(runner: &mut dyn Runner, alone: bool) -> f32 {
        let row = ModelInput::Features(vec![1, 2, 3]);
        let outputs = if alone {
            runner.run_alone(&[&row])
        } else {
            runner.run(&[&row])
        };
        outputs.expect("it runs")[[0, 0]]
    }

    /// Fails whatever it is given.
    struct Broken;

    impl Runner for Broken {
        fn run(&mut self, _: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            Err(RunError("no memory".into()))
        }
    }

    #[test]
    fn a_wide_session_that_fails_or_can_not_be_opened_again_is_not_used_again() {
        let slot = WideSlot::default();
        let mut runner = WideRunner::new(Box::new(Named(1.0)), slot.clone());
        slot.put(Box::new(Broken));
        assert!((0..8).all(|_| ran(&mut runner, true) == 1.0));
        assert!(slot.0.lock().is_none());
        slot.put(Box::new(Broken));
        let mut anew = runner.reopen().expect("the narrow one can be");
        assert_eq!(ran(anew.as_mut(), true), 11.0);
        assert!(slot.0.lock().is_none());
    }

    #[test]
    fn the_wide_session_gets_batches_that_are_alone_once_it_is_there_and_nobody_else_has_it() {
        let slot = WideSlot::default();
        let mut runner = WideRunner::new(Box::new(Named(1.0)), slot.clone());
        assert_eq!(ran(&mut runner, true), 1.0);
        slot.put(Box::new(Named(2.0)));
        assert_eq!([ran(&mut runner, true), ran(&mut runner, true)], [1.0, 2.0]);
        assert!((0..8).all(|_| ran(&mut runner, false) == 1.0));
        let elsewhere = slot.0.lock();
        assert!((0..8).all(|_| ran(&mut runner, true) == 1.0));
        drop(elsewhere);
        let mut anew = runner.reopen().expect("both can be opened again");
        assert_eq!([ran(anew.as_mut(), true), ran(anew.as_mut(), true)], [11.0, 12.0]);
    }
}
