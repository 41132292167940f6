//! A job for the workers ([`super::workers`]): work that is done in parts, who waits for it, and how it can end.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Arc, Mutex, lock};

/// How one part of a job ended.
pub enum Part<T> {
    /// More is left to do, and is expected to take this long.
    More(Duration),
    /// The job is done.
    Done(T),
}

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    #[error("the deadline passed")]
    DeadlineExceeded,
    /// A part of it panicked.
    #[error("it panicked")]
    Panicked,
    /// A part took too long and was given up, or an earlier part of the same owner was given up and has not ended.
    #[error("it takes too long")]
    GivenUp,
    /// The workers take nothing new.
    #[error("the workers are closed")]
    Closed,
}

/// The model that jobs belong to. While a part of one of its jobs was given up and still runs, no other job of it
/// begins.
pub struct Owner {
    pub(super) name: String,
    /// How many of its parts were given up and still run.
    pub(super) given_up: AtomicUsize,
}

impl Owner {
    /// `name` is for the log.
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            given_up: AtomicUsize::new(0),
        })
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) > 0
    }
}

/// A job that waits or is under way.
pub(super) struct Job {
    pub(super) deadline: Instant,
    pub(super) owner: Arc<Owner>,
    pub(super) caller: Arc<dyn Caller>,
    /// Does one part. Gives the expected time of what is left, or answers the caller and gives `None` when nothing is.
    pub(super) part: Box<dyn FnMut() -> Option<Duration> + Send>,
}

/// Who waits for a job.
pub(super) trait Caller: Send + Sync {
    fn has_gone(&self) -> bool;
    fn fail(&self, why: Unfinished);
}

/// The answer to a caller; given at most once.
pub(super) struct Reply<T>(Mutex<Option<oneshot::Sender<Result<T, Unfinished>>>>);

impl<T> Reply<T> {
    /// Answers whoever waits at the other end of `sender`.
    pub(super) fn new(sender: oneshot::Sender<Result<T, Unfinished>>) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    pub(super) fn answer(&self, answer: Result<T, Unfinished>) {
        if let Some(sender) = lock(&self.0).take() {
            // An error means that the caller has gone: nothing is left to do.
            let _ = sender.send(answer);
        }
    }
}

impl<T: Send> Caller for Reply<T> {
    fn has_gone(&self) -> bool {
        lock(&self.0).as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn fail(&self, why: Unfinished) {
        self.answer(Err(why));
    }
}
