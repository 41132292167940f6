//! Rows that run where they arrive: on the caller's own task, without a queue, a batch or another thread. Only a run that
//! is shorter than the two changes of thread that an instance would take, and only while nobody waits.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cost::BatchShape;
use super::queue::{Hold, Queue};
use super::ticket::{Failure, Outcome, RowOutput};
use crate::model::{ModelInput, RunError, SharedRunner};

/// The bounds of what a hand-over is taken to cost. On a single core two threads that do nothing else change places in 5 µs,
/// which leaves out what the queue, the batch and the wake-up of a task cost. On a busy machine a measurement may be far too
/// long, and every other call of the thread waits for a run.
const SHORTEST: Duration = Duration::from_micros(25);
const LONGEST: Duration = Duration::from_micros(100);
/// How many hand-overs are measured.
const TURNS: usize = 31;

/// What runs rows where they arrive.
#[derive(Clone)]
pub struct OnArrival {
    runner: Arc<dyn SharedRunner>,
    /// The longest run that is expected to pay.
    pub(super) longest: Duration,
}

impl OnArrival {
    /// Runs no longer than this are done where they arrive.
    pub fn new(runner: Arc<dyn SharedRunner>, longest: Duration) -> Self {
        Self { runner, longest }
    }

    /// Runs rows as one batch, and tells how long that took. A panic fails them, and nobody else.
    pub(super) fn run(&self, inputs: &[ModelInput]) -> (Outcome, Duration) {
        let started = Instant::now();
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| self.runner.run_shared(inputs)));
        let rows = run.unwrap_or_else(|_| Err(RunError("the run panicked".into())));
        let took = started.elapsed();
        (of_rows(rows, inputs, took), took)
    }
}

/// The outputs of a run.
fn of_rows(rows: Result<Vec<Vec<f32>>, RunError>, inputs: &[ModelInput], took: Duration) -> Outcome {
    let rows = rows.map_err(|error| Failure::Inference(error.to_string()))?;
    if rows.len() != inputs.len() {
        let (found, expected) = (rows.len(), inputs.len());
        return Err(Failure::Inference(format!("{found} rows came back for {expected}")));
    }
    let batch = BatchShape {
        rows: inputs.len(),
        width: inputs.iter().map(ModelInput::width).max().unwrap_or(1),
    };
    let output = |(values, input): (Vec<f32>, &ModelInput)| RowOutput {
        values,
        queued_for: Duration::ZERO,
        ran_for: took,
        worked_for: took,
        width: input.width(),
        batch,
    };
    Ok(rows.into_iter().zip(inputs).map(output).collect())
}

impl Queue {
    /// Lets a request's rows run where they arrived, past the queue: only while nobody waits, so that nobody's turn is
    /// taken, and only if they are expected to take no more than `longest`. `None` if they have to wait for an instance.
    pub fn begin_on_arrival(
        &mut self,
        hold: &mut Hold,
        inputs: &[ModelInput],
        longest: Duration,
        now: Instant,
    ) -> Option<Result<(), Failure>> {
        let width = inputs.iter().map(ModelInput::width).max().unwrap_or(1);
        let limits = self.settings.batch;
        let fits = inputs.len() <= limits.max_rows && inputs.len() * width <= limits.max_cells.max(width);
        if !fits || !self.is_empty() || self.cost.of_batch(inputs.len(), width) > longest {
            return None;
        }
        self.prepared(hold);
        if self.closed {
            return Some(Err(Failure::Closed));
        }
        if hold.options.deadline <= now {
            self.expired += inputs.len();
            return Some(Err(Failure::DeadlineExceeded));
        }
        self.learn_width(hold.amount.bytes, inputs);
        Some(Ok(()))
    }
}

/// What it takes to hand work to another thread and to hear back, at the median of a few turns on this machine.
pub fn hand_over() -> std::io::Result<Duration> {
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let (answer, answered) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("hand-over".into())
        .spawn(move || while asked.recv().is_ok() && answer.send(()).is_ok() {})?;
    let mut took: Vec<Duration> = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let started = Instant::now();
        if ask.send(()).is_err() || answered.recv().is_err() {
            break;
        }
        took.push(started.elapsed());
    }
    drop(ask);
    // The thread ends with its channel.
    let _ = thread.join();
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or(SHORTEST);
    Ok(median.clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Script = fn(&[ModelInput]) -> Result<Vec<Vec<f32>>, RunError>;

    struct Scripted(Script);

    impl SharedRunner for Scripted {
        fn run_shared(&self, inputs: &[ModelInput]) -> Result<Vec<Vec<f32>>, RunError> {
            (self.0)(inputs)
        }
    }

    fn outcome(script: Script) -> Outcome {
        let rows = [ModelInput::Features(vec![1, 2]), ModelInput::Features(vec![3])];
        OnArrival::new(Arc::new(Scripted(script)), LONGEST).run(&rows).0
    }

    #[test]
    fn rows_come_back_in_order_and_a_bad_run_fails_them_alone() {
        let rows = outcome(|inputs| Ok(inputs.iter().map(|input| vec![input.width() as f32]).collect())).expect("rows");
        assert_eq!(rows.iter().map(|row| row.values[0]).collect::<Vec<_>>(), [2.0, 1.0]);
        assert_eq!((rows[1].width, rows[1].batch.rows, rows[1].batch.width), (1, 2, 2));
        assert!(matches!(outcome(|_| panic!("a bad row")), Err(Failure::Inference(_))));
        assert!(matches!(outcome(|_| Ok(Vec::new())), Err(Failure::Inference(_))));
    }

    #[test]
    fn a_hand_over_is_measured_within_its_bounds() {
        let took = hand_over().expect("a thread");
        assert!((SHORTEST..=LONGEST).contains(&took), "{took:?}");
    }
}
