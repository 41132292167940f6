//! The queue behind its lock, and the instances that wait for work: what callers and instances share. Uses threads and
//! locks but nothing of tokio, so that the model checker can try out all orders of events.

use std::time::{Duration, Instant};

use super::queue::{Batch, Hold, Key, Queue};
use super::sync::{Arc, Condvar, Mutex, MutexGuard, lock};
use super::ticket::{Failure, SubmitOptions, Ticket};
use crate::model::ModelInput;
use crate::telemetry::model_metrics::ModelMetrics;

/// One model's queue, as callers and instances share it.
pub struct SharedQueue {
    state: Mutex<State>,
    work: Condvar,
    pub metrics: ModelMetrics,
}

struct State {
    queue: Queue,
    /// How many instances wait for work now.
    idle: usize,
}

impl SharedQueue {
    /// An empty queue that no instance serves yet.
    pub fn new(queue: Queue, metrics: ModelMetrics) -> Self {
        Self {
            state: Mutex::new(State { queue, idle: 0 }),
            work: Condvar::new(),
            metrics,
        }
    }

    /// Takes room for a request; see [`Queue::reserve`].
    pub fn reserve(
        &self,
        options: SubmitOptions,
        sizes: impl ExactSizeIterator<Item = usize>,
        ready_in: Duration,
        now: Instant,
    ) -> Result<Hold, Failure> {
        self.lock().queue.reserve(options, sizes, ready_in, now)
    }

    /// Gives the room of a request back.
    pub fn release(&self, hold: &mut Hold) {
        self.lock().queue.release(hold);
    }

    /// Adds the rows of a request and wakes as many instances as it may take.
    pub fn push(
        &self,
        hold: &mut Hold,
        inputs: Vec<ModelInput>,
        ticket: &Arc<Ticket>,
        now: Instant,
    ) -> Result<Vec<Key>, Failure> {
        let mut state = self.lock();
        let keys = state.queue.push(hold, inputs, ticket, now)?;
        let (idle, waiting) = (state.idle, state.queue.waiting());
        drop(state);
        self.metrics.set_queued(waiting);
        match (idle, keys.len()) {
            (0, _) => {}
            (_, 1) => self.work.notify_one(),
            _ => self.work.notify_all(),
        }
        Ok(keys)
    }

    /// Lets a request's rows run where they arrived; see [`Queue::begin_on_arrival`].
    pub fn begin_on_arrival(
        &self,
        hold: &mut Hold,
        inputs: &[ModelInput],
        longest: Duration,
        now: Instant,
    ) -> Option<Result<(), Failure>> {
        let mut state = self.lock();
        let begun = state.queue.begin_on_arrival(hold, inputs, longest, now);
        self.metrics.expired(state.queue.take_expired());
        begun
    }

    /// Counts a run of rows where they arrived, and learns what it cost.
    pub fn ran_on_arrival(&self, inputs: &[ModelInput], took: Duration) {
        let width = inputs.iter().map(ModelInput::width).max().unwrap_or(1);
        self.lock().queue.learn(inputs.len(), width, took);
        self.metrics.ran(inputs.len(), took);
        for _ in inputs {
            self.metrics.waited(Duration::ZERO);
        }
    }

    /// Removes the rows of a caller who went away from the queue; `expired` says whether because the deadline has
    /// passed.
    pub fn leave(&self, ticket: &Ticket, keys: &[Key], expired: bool) {
        ticket.cancel();
        let mut state = self.lock();
        state.queue.remove(keys, expired);
        self.metrics.expired(state.queue.take_expired());
        self.metrics.set_queued(state.queue.waiting());
    }

    /// Waits for the next batch of an instance; `None` once the queue is closed and empty. Blocks.
    pub fn next_batch(&self, instance: usize) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            let free = state.idle + 1;
            let batch = state.queue.take_batch(instance, free, Instant::now());
            self.metrics.set_queued(state.queue.waiting());
            self.metrics.expired(state.queue.take_expired());
            if batch.is_some() {
                return batch;
            }
            if state.queue.is_closed() {
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Marks an instance as free again; see [`Queue::finished`].
    pub fn finished(&self, instance: usize, rows: usize, width: usize, took: Option<Duration>) {
        self.lock().queue.finished(instance, rows, width, took);
    }

    /// Sets how many instances may run at once; see [`Queue::set_at_once`].
    pub fn set_at_once(&self, instances: usize, wide: bool) {
        if self.lock().queue.set_at_once(instances, wide) {
            // Those that rested may run now.
            self.work.notify_all();
        }
    }

    /// Closes the queue: it accepts nothing new, runs what it accepted, then gives instances no more batches.
    pub fn close(&self) {
        self.lock().queue.close();
        self.work.notify_all();
    }

    /// Reads the queue under its lock.
    pub fn with_queue<T>(&self, look: impl FnOnce(&Queue) -> T) -> T {
        look(&self.lock().queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
