//! The life of an instance: a batch, its answers, the next batch. One thread owns one runner; it ends when the queue is
//! closed and empty.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;

use super::cost::BatchShape;
use super::queue::{Batch, Entry};
use super::shared_queue::SharedQueue;
use super::ticket::{Failure, RowOutput};
use super::traced;
use crate::low_priority::LowPriority;
use crate::model::runtime::thread_time::thread_time;
use crate::model::{ModelInput, RunError, Runner};

/// Runs batches until the queue is closed and empty: the whole life of an instance's thread. `linear` says that the model
/// also runs where its texts arrive.
pub fn serve(shared: &SharedQueue, model: &Arc<str>, instance: usize, mut runner: Box<dyn Runner>, linear: bool) {
    // A refusal or a health check takes microseconds, and should not wait for the end of a time slice of inference. A
    // linear model takes a millisecond at most. Its rows must not wait for the threads that take requests: those would
    // find the queue occupied, and send theirs there too.
    if !linear {
        LowPriority::Runs.enter();
    }
    while let Some(batch) = shared.next_batch(instance) {
        let (rows, width) = (batch.entries.len(), batch.width);
        let (started, worked_before) = (Instant::now(), thread_time());
        let outcome = run_guarded(&mut runner, &batch);
        let run = Run {
            started,
            took: started.elapsed(),
            worked: thread_time().saturating_sub(worked_before),
        };
        // A run that has the machine to itself says nothing about a run on a busy server. One of a linear model says whether
        // such runs may be done where they arrive again.
        let learnt = (linear || !batch.alone).then_some(run.took);
        shared.metrics.ran(rows, run.took);
        traced::ran(&batch, model, run.started, run.took, outcome.is_err());
        if outcome.is_err() && rows > 1 {
            run_one_by_one(shared, model, &mut runner, batch.entries);
            shared.finished(instance, rows, width, learnt);
            continue;
        }
        shared.finished(instance, rows, width, learnt);
        match outcome {
            Ok(outputs) => deliver(shared, &batch, &outputs, &run),
            Err(error) => batch.entries[0].ticket.fail(Failure::Inference(error.to_string())),
        }
    }
}

/// Runs the rows of a failed batch one by one, so that one bad row does not fail its neighbours.
fn run_one_by_one(shared: &SharedQueue, model: &Arc<str>, runner: &mut Box<dyn Runner>, entries: Vec<Entry>) {
    for entry in entries {
        let started = Instant::now();
        if entry.ticket.is_settled() {
            continue;
        }
        if entry.ticket.deadline <= started {
            entry.ticket.fail(Failure::DeadlineExceeded);
            continue;
        }
        let batch = Batch {
            width: entry.input.width(),
            entries: vec![entry],
            alone: false,
            wide: false,
        };
        let worked_before = thread_time();
        let outcome = run_guarded(runner, &batch);
        let run = Run {
            started,
            took: started.elapsed(),
            worked: thread_time().saturating_sub(worked_before),
        };
        traced::ran(&batch, model, started, run.took, outcome.is_err());
        match outcome {
            Ok(outputs) => {
                deliver(shared, &batch, &outputs, &run);
            }
            Err(error) => batch.entries[0].ticket.fail(Failure::Inference(error.to_string())),
        }
    }
}

/// When a batch ran.
struct Run {
    started: Instant,
    took: Duration,
    worked: Duration,
}

fn deliver(shared: &SharedQueue, batch: &Batch, outputs: &Array2<f32>, run: &Run) {
    let shape = BatchShape {
        rows: batch.entries.len(),
        width: batch.width,
    };
    for (entry, output) in batch.entries.iter().zip(outputs.rows()) {
        let queued_for = run.started.saturating_duration_since(entry.enqueued_at);
        shared.metrics.waited(queued_for);
        let output = RowOutput {
            values: output.to_vec(),
            queued_for,
            ran_for: run.took,
            worked_for: run.worked,
            width: entry.input.width(),
            batch: shape,
        };
        entry.ticket.deliver(entry.row, output);
    }
}

/// Runs a batch. A panic, or an output with the wrong number of rows, becomes an error. After a panic a new runner
/// replaces this one; if none can be opened, this one stays, and the next panic tries again.
fn run_guarded(runner: &mut Box<dyn Runner>, batch: &Batch) -> Result<Array2<f32>, RunError> {
    let inputs: Vec<&ModelInput> = batch.entries.iter().map(|entry| &entry.input).collect();
    let run = AssertUnwindSafe(|| {
        if batch.wide {
            runner.run_alone(&inputs)
        } else {
            runner.run(&inputs)
        }
    });
    let rows = std::panic::catch_unwind(run).unwrap_or_else(|_| {
        let reopened = std::panic::catch_unwind(AssertUnwindSafe(|| runner.reopen()));
        match reopened {
            Ok(Ok(new)) => *runner = new,
            Ok(Err(error)) => tracing::error!(%error, "an instance panicked and can't be opened again"),
            Err(_) => tracing::error!("an instance panicked, and again when it was opened"),
        }
        Err(RunError("the instance panicked".into()))
    })?;
    if rows.nrows() == inputs.len() {
        return Ok(rows);
    }
    let (found, expected) = (rows.nrows(), inputs.len());
    Err(RunError(format!("{found} rows came back for {expected}")))
}
