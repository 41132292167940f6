//! The scheduler of one model: a bounded number of rows in flight, and one thread for each instance.
//!
//! An instance's thread takes its next batch itself, when it is free: batches form while the instances are busy and
//! never wait while one is idle. The threads end when the scheduler is closed and what waits is done.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ndarray::Array2;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::policy::BatchLimits;
use super::queue::{Entry, Queue};
use super::ticket::{Answer, Failure, RowOutput, Ticket};
use crate::model::{ModelInput, RunError, Runner};
use crate::telemetry::metrics::ModelMetrics;

/// The bounds of a scheduler.
#[derive(Clone, Copy, Debug)]
pub struct SchedulerSettings {
    /// The most rows that are accepted and not answered: those being preprocessed, waiting, or running.
    pub max_rows_in_flight: usize,
    /// The bounds of a batch.
    pub batch: BatchLimits,
}

/// A handle on a model's scheduler; cheap to clone. Dropping the last handle closes it.
#[derive(Clone)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    settings: SchedulerSettings,
    instances: usize,
    metrics: ModelMetrics,
}

/// Room for one request's rows, held from its acceptance to its answer.
pub struct Reservation {
    scheduler: Scheduler,
    _room: OwnedSemaphorePermit,
}

impl Scheduler {
    /// Starts one thread for each runner.
    pub fn start(
        name: &str,
        runners: Vec<Box<dyn Runner>>,
        settings: SchedulerSettings,
        metrics: ModelMetrics,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            work: Condvar::new(),
            settings,
            instances: runners.len(),
            metrics,
        });
        let inner = Arc::new(Inner {
            shared: Arc::clone(&shared),
            room: Arc::new(Semaphore::new(settings.max_rows_in_flight)),
            threads: Mutex::new(Vec::new()),
        });
        for (at, runner) in runners.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{at}"))
                .spawn(move || serve_instance(&shared, runner))?;
            lock(&inner.threads).push(thread);
        }
        Ok(Self { inner })
    }

    /// Reserves room for a request, before its texts are preprocessed; refuses when the bound is reached.
    pub fn reserve(&self, rows: usize) -> Result<Reservation, Failure> {
        let wanted = u32::try_from(rows).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.inner.room)
            .try_acquire_many_owned(wanted)
            .map_err(|_| Failure::QueueFull {
                retry_after: self.retry_after(),
            })?;
        Ok(Reservation {
            scheduler: self.clone(),
            _room: room,
        })
    }

    /// How many rows wait for a place in a batch.
    pub fn queued_rows(&self) -> usize {
        self.inner.shared.lock().len()
    }

    /// Takes nothing new; what was accepted is still run, then the threads end.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Waits until the threads have ended; only after [`Scheduler::close`]. Blocks.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.inner.threads));
        for thread in threads {
            // A panic in a runner is caught inside; one outside has nothing left to clean up.
            let _ = thread.join();
        }
    }

    /// The pause that a refused caller should make: until about half of what waits is done.
    fn retry_after(&self) -> Duration {
        let in_flight = self.inner.shared.settings.max_rows_in_flight - self.inner.room.available_permits();
        let wait = self
            .inner
            .shared
            .lock()
            .expected_wait(in_flight / 2, self.inner.shared.instances);
        wait.clamp(Duration::from_millis(10), Duration::from_secs(10))
    }
}

impl Reservation {
    /// Runs the rows and waits for their outputs, in order. Dropping the future takes them out of the queue.
    pub async fn submit(self, inputs: Vec<ModelInput>, deadline: Instant) -> Answer {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let (ticket, answer) = Ticket::new(inputs.len(), deadline);
        let ticket = Arc::new(ticket);
        let shared = &self.scheduler.inner.shared;
        let count = inputs.len();
        shared.lock().push(inputs, &ticket, Instant::now())?;
        shared.metrics.queued(count);
        if count == 1 {
            shared.work.notify_one()
        } else {
            shared.work.notify_all()
        }
        let leave = LeaveQueue {
            shared,
            answered: false,
        };
        let outcome = tokio::time::timeout_at(deadline.into(), answer).await;
        leave.answered();
        match outcome {
            Ok(Ok(answer)) => answer,
            // The sender goes only with the thread that held it.
            Ok(Err(_)) => Err(Failure::Inference("the instance ended before the answer".into())),
            Err(_) => {
                ticket.fail(Failure::DeadlineExceeded);
                shared.drop_settled();
                Err(Failure::DeadlineExceeded)
            }
        }
    }
}

/// Takes a request's rows out of the queue when its caller goes away before the answer.
struct LeaveQueue<'a> {
    shared: &'a Shared,
    answered: bool,
}

impl LeaveQueue<'_> {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for LeaveQueue<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.drop_settled();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn drop_settled(&self) {
        let mut queue = self.lock();
        queue.drop_settled(Instant::now());
        self.metrics.set_queued(queue.len());
    }

    /// Waits for a batch; nothing once the queue is closed and empty.
    fn next_batch(&self) -> Option<Vec<Entry>> {
        let mut queue = self.lock();
        loop {
            let batch = queue.take_batch(self.settings.batch, Instant::now());
            self.metrics.set_queued(queue.len());
            if !batch.is_empty() {
                return Some(batch);
            }
            if queue.is_closed() {
                return None;
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inner {
    fn close(&self) {
        self.shared.lock().close();
        self.shared.work.notify_all();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// The life of an instance: a batch, its answers, the next batch.
fn serve_instance(shared: &Shared, mut runner: Box<dyn Runner>) {
    while let Some(batch) = shared.next_batch() {
        let started = Instant::now();
        let outcome = run_guarded(
            runner.as_mut(),
            &batch.iter().map(|entry| &entry.input).collect::<Vec<_>>(),
        );
        let took = started.elapsed();
        shared.lock().record_cost(batch.len(), took);
        shared.metrics.ran(batch.len(), took);
        match outcome {
            Ok(rows) => deliver(shared, &batch, &rows, started, took),
            Err(error) if batch.len() == 1 => batch[0].ticket.fail(Failure::Inference(error.to_string())),
            Err(_) => run_one_by_one(shared, runner.as_mut(), &batch),
        }
    }
}

/// A batch failed: each row gets a run of its own, so that one bad row does not take its neighbours with it.
fn run_one_by_one(shared: &Shared, runner: &mut dyn Runner, batch: &[Entry]) {
    for entry in batch {
        let started = Instant::now();
        if entry.ticket.is_settled() {
            continue;
        }
        match run_guarded(runner, &[&entry.input]) {
            Ok(rows) => deliver(shared, std::slice::from_ref(entry), &rows, started, started.elapsed()),
            Err(error) => entry.ticket.fail(Failure::Inference(error.to_string())),
        }
    }
}

fn deliver(shared: &Shared, batch: &[Entry], rows: &Array2<f32>, started: Instant, took: Duration) {
    for (entry, row) in batch.iter().zip(rows.rows()) {
        let queued_for = started.saturating_duration_since(entry.enqueued_at);
        shared.metrics.waited(queued_for);
        entry.ticket.deliver(
            entry.row,
            RowOutput {
                values: row.to_vec(),
                queued_for,
                ran_for: took,
                batch_rows: batch.len(),
            },
        );
    }
}

/// Runs a batch; a panic or an output of the wrong height is an error like any other.
fn run_guarded(runner: &mut dyn Runner, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
    let rows = std::panic::catch_unwind(AssertUnwindSafe(|| runner.run(inputs)))
        .unwrap_or_else(|_| Err(RunError("the instance panicked".into())))?;
    if rows.nrows() == inputs.len() {
        Ok(rows)
    } else {
        Err(RunError(format!(
            "{} rows came back for {}",
            rows.nrows(),
            inputs.len()
        )))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with the lock held left a queue that is still whole: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
