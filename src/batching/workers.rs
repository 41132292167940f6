//! Workers: the threads that preprocess, in turns ([`super::turns`]), and what async callers see of them.
//!
//! A job is done in parts of about a millisecond. Between two parts others may have their turn, and a job ends there if
//! its caller has gone or its deadline has passed. A part can't be broken off. One that takes too long is given up
//! together with its thread: another thread replaces that one, the job's caller is told, and no job of the same owner
//! begins until the part ends. The threads end after [`Workers::close`]; nobody waits for them, so that none can hold
//! up the end of the process.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::job::{Caller, Job, Owner, Part, Reply, Unfinished};
use super::sync::atomic::Ordering;
use super::sync::{Arc, Condvar, Mutex, MutexGuard, lock};
use super::ticket::SubmitOptions;
use super::turns::{Account, JobId, Turns};
use crate::low_priority::LowPriority;

/// How long a part of a job should take, since other jobs wait for it. It may take as much longer as one text takes.
pub const PART: Duration = Duration::from_millis(1);
/// How many threads may be given up for each one that works. Past that number, lost threads are not replaced.
const GIVEN_UP: usize = 4;

#[derive(Clone, Copy, Debug)]
pub struct WorkersSettings {
    pub threads: usize,
    /// How long a part may take before it is given up.
    pub patience: Duration,
}

/// A handle on the workers; cheap to clone. Dropping the last handle closes them.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
}

struct Shared {
    settings: WorkersSettings,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    turns: Turns<Job>,
    /// What each worker does, by the worker's number.
    running: HashMap<usize, Running>,
    /// Workers whose part was given up, and whether another one took their place.
    given_up: HashMap<usize, bool>,
    workers_ever: usize,
    /// How many may work at once: fewer than there are while there are fewer cores.
    at_once: usize,
    closed: bool,
}

struct Running {
    since: Instant,
    account: Account,
    owner: Arc<Owner>,
    caller: Arc<dyn Caller>,
}

impl State {
    fn threads(&self) -> u32 {
        u32::try_from(self.at_once.max(1)).unwrap_or(u32::MAX)
    }
}

impl Workers {
    /// Starts the threads.
    pub fn start(settings: WorkersSettings) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            settings,
            state: Mutex::new(State {
                at_once: settings.threads,
                ..State::default()
            }),
            work: Condvar::new(),
        });
        let workers = Self {
            inner: Arc::new(Inner {
                shared: Arc::clone(&shared),
            }),
        };
        for _ in 0..settings.threads {
            shared.start_worker(&mut shared.lock())?;
        }
        Ok(workers)
    }

    /// Does a job before its deadline, part by part, and waits for its end. `cost` is its expected time in all.
    /// Dropping the future removes the job from the queue, or ends it after the part that is under way.
    pub async fn run<T: Send + 'static>(
        &self,
        options: SubmitOptions,
        cost: Duration,
        owner: &Arc<Owner>,
        mut part: impl FnMut() -> Part<T> + Send + 'static,
    ) -> Result<T, Unfinished> {
        let shared = &self.inner.shared;
        let (sender, mut answer) = oneshot::channel();
        let reply = Arc::new(Reply::new(sender));
        let caller = Arc::clone(&reply);
        let job = Job {
            deadline: options.deadline,
            owner: Arc::clone(owner),
            caller,
            part: Box::new(move || match part() {
                Part::More(left) => Some(left),
                Part::Done(done) => {
                    reply.answer(Ok(done));
                    None
                }
            }),
        };
        let _leave = Leave {
            shared,
            id: shared.add(&options, cost, job)?,
        };
        loop {
            let look_again = Instant::now() + shared.settings.patience;
            let until = options.deadline.min(look_again);
            if let Ok(answered) = tokio::time::timeout_at(until.into(), &mut answer).await {
                return answered.unwrap_or(Err(Unfinished::Closed));
            }
            let now = Instant::now();
            shared.give_up(now);
            if let Ok(answered) = answer.try_recv() {
                return answered;
            }
            if now >= options.deadline {
                return Err(Unfinished::DeadlineExceeded);
            }
        }
    }

    /// The expected time from now to the end of a job of `cost`; zero where no other job is there, so that a wrong
    /// expectation corrects itself.
    pub fn expected(&self, options: &SubmitOptions, cost: Duration) -> Duration {
        let shared = &self.inner.shared;
        let state = shared.lock();
        if state.turns.left().is_zero() {
            return Duration::ZERO;
        }
        state.turns.ahead(options, cost) / state.threads() + cost
    }

    /// The expected time from now to the end of all jobs.
    pub fn left(&self) -> Duration {
        let shared = &self.inner.shared;
        let state = shared.lock();
        state.turns.left() / state.threads()
    }

    /// Sets how many of the threads may work at once, at least one and at most all. Parts that are under way go on.
    pub fn set_at_once(&self, threads: usize) {
        let shared = &self.inner.shared;
        let at_once = threads.clamp(1, shared.settings.threads.max(1));
        let before = std::mem::replace(&mut shared.lock().at_once, at_once);
        if before != at_once {
            shared.work.notify_all();
        }
    }

    /// Closes the workers: jobs that wait fail with [`Unfinished::Closed`], and the threads end after the part that is
    /// under way.
    pub fn close(&self) {
        self.inner.shared.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Removes a job from the queue when its caller goes away before its end.
struct Leave<'a> {
    shared: &'a Shared,
    id: JobId,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let removed = self.shared.lock().turns.remove(self.id);
        // The job's texts are dropped after the lock is released.
        drop(removed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn add(&self, options: &SubmitOptions, cost: Duration, job: Job) -> Result<JobId, Unfinished> {
        let mut state = self.lock();
        if state.closed {
            return Err(Unfinished::Closed);
        }
        let id = state.turns.add(options, cost, job);
        drop(state);
        self.work.notify_one();
        Ok(id)
    }

    /// Waits for the next part that a worker should do; `None` once the workers are closed. Blocks.
    fn next(&self, worker: usize) -> Option<(Account, Job)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            // One that ends a part looks for the next one itself, so that none waits for a worker that nobody wakes.
            let may_work = state.running.len() < state.at_once;
            let Some((account, job)) = may_work.then(|| state.turns.take_next()).flatten() else {
                state = self.work.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            let now = Instant::now();
            let refused = if job.caller.has_gone() || job.deadline <= now {
                Some(Unfinished::DeadlineExceeded)
            } else if job.owner.is_stuck() {
                Some(Unfinished::GivenUp)
            } else {
                None
            };
            if let Some(why) = refused {
                state.turns.end(account, Duration::ZERO);
                drop(state);
                job.caller.fail(why);
                drop(job);
                state = self.lock();
                continue;
            }
            let running = Running {
                since: now,
                account,
                owner: Arc::clone(&job.owner),
                caller: Arc::clone(&job.caller),
            };
            state.running.insert(worker, running);
            return Some((account, job));
        }
    }

    /// Notes that a worker has done a part that took `took`. `left` is what is left of the job, or says that the part
    /// panicked. Gives whether the worker should go on.
    fn done(
        &self,
        worker: usize,
        (account, job): (Account, Job),
        left: Result<Option<Duration>, ()>,
        took: Duration,
    ) -> bool {
        let mut state = self.lock();
        if state.running.remove(&worker).is_none() {
            let replaced = state.given_up.remove(&worker).unwrap_or(false);
            drop(state);
            let before = job.owner.given_up.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(
                model = job.owner.name,
                ?took,
                still_stuck = before - 1,
                "a text that was given up has ended"
            );
            return !replaced;
        }
        match left {
            Ok(Some(left)) => {
                state.turns.go_on(account, job, left, took);
                return true;
            }
            Ok(None) => state.turns.end(account, took),
            Err(()) => {
                state.turns.end(account, took);
                drop(state);
                job.caller.fail(Unfinished::Panicked);
            }
        }
        true
    }

    /// Gives up the parts that have taken too long, with their threads.
    fn give_up(self: &Arc<Self>, now: Instant) {
        let mut callers = Vec::new();
        let mut state = self.lock();
        let too_long = |running: &Running| now.saturating_duration_since(running.since) >= self.settings.patience;
        let stuck: Vec<usize> = state
            .running
            .iter()
            .filter(|(_, running)| too_long(running))
            .map(|(worker, _)| *worker)
            .collect();
        for worker in stuck {
            let Some(Running {
                account,
                owner,
                caller,
                since,
            }) = state.running.remove(&worker)
            else {
                continue;
            };
            state.turns.end(account, now.saturating_duration_since(since));
            owner.given_up.fetch_add(1, Ordering::Relaxed);
            let room = state.given_up.len() < GIVEN_UP * self.settings.threads;
            let replaced = !state.closed && room && self.start_worker(&mut state).is_ok();
            state.given_up.insert(worker, replaced);
            callers.push((owner, caller, replaced));
        }
        drop(state);
        if !callers.is_empty() {
            // Their places are free for workers that rested.
            self.work.notify_all();
        }
        for (owner, caller, replaced) in callers {
            let patience = self.settings.patience;
            tracing::error!(
                model = owner.name,
                ?patience,
                replaced,
                "preprocessing a text takes too long: its thread is given up, and the model's requests fail until it has ended"
            );
            caller.fail(Unfinished::GivenUp);
        }
    }

    fn start_worker(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let worker = state.workers_ever;
        let shared = Arc::clone(self);
        std::thread::Builder::new()
            .name(format!("preprocess-{worker}"))
            .spawn(move || work(&shared, worker))?;
        state.workers_ever += 1;
        Ok(())
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let mut waiting = Vec::new();
        while let Some((account, job)) = state.turns.take_next() {
            state.turns.end(account, Duration::ZERO);
            waiting.push(job);
        }
        drop(state);
        self.work.notify_all();
        for job in waiting {
            job.caller.fail(Unfinished::Closed);
        }
    }
}

/// The life of a worker: a part, then the next one, of whichever job has its turn.
fn work(shared: &Shared, worker: usize) {
    LowPriority::Runs.enter();
    while let Some((account, mut job)) = shared.next(worker) {
        let started = Instant::now();
        let left = std::panic::catch_unwind(AssertUnwindSafe(|| (job.part)())).map_err(drop);
        if !shared.done(worker, (account, job), left, started.elapsed()) {
            return;
        }
    }
}
