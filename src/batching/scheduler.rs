//! The scheduler of one model, as async callers see it: reserve room, submit rows, await the answer.
//!
//! An instance's thread takes its next batch itself, when it is free: batches form while the instances are busy and
//! never wait while one is idle. The threads end when the scheduler is closed and what waits is done.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::cost::{BatchLimits, BatchShape, CostModel};
use super::instance;
use super::on_arrival::OnArrival;
use super::queue::{Hold, Key, Queue, QueueSettings};
use super::shared_queue::SharedQueue;
use super::shares::Amount;
use super::sync::{Arc, Mutex, lock};
use super::ticket::{Failure, Outcome, SubmitOptions, Ticket};
use super::traced;
use crate::low_priority::LowPriority;
use crate::model::loading::cost_probe::ShapeCost;
use crate::model::{ModelInput, Runner};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::model_metrics::ModelMetrics;

/// How often [`Scheduler::join`] looks whether the threads have ended.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug)]
pub struct SchedulerSettings {
    /// The most rows and bytes that are accepted and not answered: those being preprocessed, waiting, or running.
    pub room: Amount,
    pub batch: BatchLimits,
    /// The widest row that the model reads of a text, however long.
    pub max_width: usize,
}

/// A handle on a model's scheduler; cheap to clone. Dropping the last handle closes it.
#[derive(Clone)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<SharedQueue>,
    on_arrival: Option<OnArrival>,
    instances: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Room for one request's rows, held from its acceptance to its answer.
pub struct Reservation {
    scheduler: Scheduler,
    hold: Hold,
    deadline: Instant,
    span: CallSpan,
}

impl Scheduler {
    /// Starts one thread for each runner. `costs` are runs that were measured at warm-up; `on_arrival` takes the short ones.
    pub fn start(
        name: &str,
        runners: Vec<Box<dyn Runner>>,
        on_arrival: Option<OnArrival>,
        costs: &[ShapeCost],
        settings: SchedulerSettings,
        metrics: ModelMetrics,
    ) -> std::io::Result<Self> {
        let queue = QueueSettings {
            room: settings.room,
            batch: settings.batch,
            max_width: settings.max_width,
            instances: runners.len(),
        };
        let cost = CostModel::fit(costs, settings.batch);
        let shared = Arc::new(SharedQueue::new(Queue::new(queue, cost), metrics));
        let inner = Arc::new(Inner {
            shared: Arc::clone(&shared),
            on_arrival,
            instances: runners.len(),
            threads: Mutex::new(Vec::new()),
        });
        let linear = inner.on_arrival.is_some();
        let model: std::sync::Arc<str> = name.into();
        for (at, runner) in runners.into_iter().enumerate() {
            let (shared, model) = (Arc::clone(&shared), std::sync::Arc::clone(&model));
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{at}"))
                .spawn(move || instance::serve(&shared, &model, at, runner, linear))?;
            lock(&inner.threads).push(thread);
        }
        Ok(Self { inner })
    }

    /// Starts work beside the instances, on a thread that ends with the work. The work is told by its argument once the
    /// scheduler is closed, and should then end soon.
    pub fn start_beside(
        &self,
        name: &str,
        work: impl FnOnce(&dyn Fn() -> bool) + Send + 'static,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.inner.shared);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            LowPriority::Runs.enter();
            work(&|| shared.with_queue(Queue::is_closed));
        })?;
        lock(&self.inner.threads).push(thread);
        Ok(())
    }

    /// Reserves room for a request with texts of these sizes in bytes, before they are preprocessed. Refuses a request
    /// that has no room, or that can't be done before its deadline.
    pub fn reserve(
        &self,
        options: SubmitOptions,
        sizes: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Reservation, Failure> {
        self.reserve_ahead(options, sizes, Duration::ZERO)
    }

    /// Like [`Scheduler::reserve`], for texts whose preprocessing should end after `ready_in`, the wait for a worker
    /// included.
    pub fn reserve_ahead(
        &self,
        options: SubmitOptions,
        sizes: impl ExactSizeIterator<Item = usize>,
        ready_in: Duration,
    ) -> Result<Reservation, Failure> {
        let hold = self.inner.shared.reserve(options, sizes, ready_in, Instant::now())?;
        Ok(Reservation {
            scheduler: self.clone(),
            hold,
            deadline: options.deadline,
            span: CallSpan::default(),
        })
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and be done in time. Another caller may
    /// take the room first.
    pub fn admissible(&self, options: SubmitOptions, wanted: usize, size: usize) -> usize {
        self.admissible_ahead(options, wanted, size, |_| Duration::ZERO)
    }

    /// Like [`Scheduler::admissible`]; the preprocessing of a number of texts should end after `ready_in` of it, the
    /// wait for a worker included.
    pub fn admissible_ahead(
        &self,
        options: SubmitOptions,
        wanted: usize,
        size: usize,
        ready_in: impl Fn(usize) -> Duration,
    ) -> usize {
        let now = Instant::now();
        self.inner
            .shared
            .with_queue(|queue| queue.admissible(options, wanted, size, ready_in, now))
    }

    /// The expected time from now to the answer to a request with texts of these sizes in bytes.
    pub fn expected(&self, options: SubmitOptions, sizes: impl ExactSizeIterator<Item = usize>) -> Duration {
        let now = Instant::now();
        self.inner
            .shared
            .with_queue(|queue| queue.expected_of(&options, sizes, now))
    }

    /// The expected time until all that waits is done, bulk work left aside.
    pub fn backlog(&self) -> Duration {
        self.inner.shared.with_queue(Queue::backlog)
    }

    /// How many rows wait for a place in a batch.
    pub fn queued_rows(&self) -> usize {
        self.inner.shared.with_queue(Queue::len)
    }

    /// Whether short runs are done where their texts arrive.
    pub fn runs_on_arrival(&self) -> bool {
        self.inner.on_arrival.is_some()
    }

    pub fn instances(&self) -> usize {
        self.inner.instances
    }

    /// Sets how many instances may run at once, at least one, and whether a batch that is alone may take more than one
    /// core. Runs that are under way go on, and nothing that waits is lost.
    pub fn set_at_once(&self, instances: usize, wide: bool) {
        self.inner.shared.set_at_once(instances, wide);
    }

    /// The expected time of a batch.
    pub fn batch_cost(&self, shape: BatchShape) -> Duration {
        self.inner.shared.with_queue(|queue| queue.batch_cost(shape))
    }

    /// What is accepted and not answered.
    pub fn held(&self) -> Amount {
        self.inner.shared.with_queue(Queue::held)
    }

    /// Closes the scheduler: it accepts nothing new, runs what it accepted, then its threads end.
    pub fn close(&self) {
        self.inner.shared.close();
    }

    /// The threads, for a caller who waits for their end: they end when the last handle is dropped, or after
    /// [`Scheduler::close`].
    pub fn take_threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *lock(&self.inner.threads))
    }

    /// Waits up to `limit` for the threads to end, and says whether they have. To be called after [`Scheduler::close`].
    /// Blocks.
    pub fn join(&self, limit: Duration) -> bool {
        let started = Instant::now();
        loop {
            let mut threads = lock(&self.inner.threads);
            threads.retain(|thread| !thread.is_finished());
            if threads.is_empty() {
                return true;
            }
            drop(threads);
            if started.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Reservation {
    /// The same room, for a call with this span.
    pub fn traced(mut self, span: &CallSpan) -> Self {
        self.span = span.clone();
        self
    }

    /// Runs the rows and waits for their outputs, in order. Dropping the future takes them out of the queue.
    pub async fn submit(mut self, inputs: Vec<ModelInput>) -> Outcome {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(outcome) = self.run_on_arrival(&inputs) {
            return outcome;
        }
        let (sender, answer) = oneshot::channel();
        let reply = move |answer| {
            // An error means that the caller has gone: nothing is left to do.
            let _ = sender.send(answer);
        };
        let ticket = Ticket::new(inputs.len(), self.deadline, reply).traced(std::mem::take(&mut self.span));
        let ticket = Arc::new(ticket);
        let shared = Arc::clone(&self.scheduler.inner.shared);
        let keys = shared.push(&mut self.hold, inputs, &ticket, Instant::now())?;
        let mut leave = LeaveQueue {
            shared: &shared,
            ticket: &ticket,
            keys,
            expired: false,
        };
        let answer = match tokio::time::timeout_at(self.deadline.into(), answer).await {
            Ok(Ok(answer)) => answer,
            // The sender is dropped only with the thread that held it.
            Ok(Err(_)) => Err(Failure::Inference("the instance ended before the answer".into())),
            Err(_) => Err(Failure::DeadlineExceeded),
        };
        leave.expired = answer == Err(Failure::DeadlineExceeded);
        if answer.is_ok() {
            leave.keys.clear();
        }
        answer
    }

    /// Runs the rows on this thread, if that is expected to take less than another one would and nobody waits.
    fn run_on_arrival(&mut self, inputs: &[ModelInput]) -> Option<Outcome> {
        let Inner { shared, on_arrival, .. } = &*self.scheduler.inner;
        let on_arrival = on_arrival.as_ref()?;
        if let Err(failure) = shared.begin_on_arrival(&mut self.hold, inputs, on_arrival.longest, Instant::now())? {
            return Some(Err(failure));
        }
        let (outcome, took) = on_arrival.run(inputs);
        shared.ran_on_arrival(inputs, took);
        traced::ran_on_arrival(&self.span, inputs.len(), took, outcome.is_err());
        Some(outcome)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.scheduler.inner.shared.release(&mut self.hold);
    }
}

/// Removes a request's rows from the queue if its caller goes away before it has the answer.
struct LeaveQueue<'a> {
    shared: &'a SharedQueue,
    ticket: &'a Ticket,
    keys: Vec<Key>,
    expired: bool,
}

impl Drop for LeaveQueue<'_> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.shared.leave(self.ticket, &self.keys, self.expired);
        }
    }
}
