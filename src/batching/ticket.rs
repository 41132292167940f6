//! A ticket: one request's rows on their way through the queue, and the one answer that its caller waits for.
//!
//! A ticket is answered exactly once, with all rows or with one failure. Must not know of batches or threads.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::cost::BatchShape;
use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{Mutex, lock};
use crate::telemetry::call_span::CallSpan;

/// Which requests go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Someone waits for the answer.
    Interactive,
    /// The ordinary case.
    #[default]
    Normal,
    /// Bulk work: takes what the others leave, and its turn after it was passed over often enough.
    Bulk,
}

/// Who asks, as far as fair shares are concerned: a connection, or a key that the operator chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientKey(pub u64);

/// A client's part of a busy server beside the parts of others: weight 2 gets twice as much as weight 1. At least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(NonZeroU32);

impl Weight {
    pub const fn new(parts: NonZeroU32) -> Self {
        Self(parts)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl ClientKey {
    /// The key of a client by its name: the same on every replica and in every build, since it also decides who gets a
    /// canary.
    pub fn of(name: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(name).into();
        Self(digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }
}

/// What a request tells the queue beside its rows.
#[derive(Clone, Copy, Debug)]
pub struct SubmitOptions {
    /// When its caller stops waiting.
    pub deadline: Instant,
    pub priority: Priority,
    pub client: ClientKey,
    pub weight: Weight,
}

/// The raw outputs for one row, and how long they took.
#[derive(Clone, Debug, PartialEq)]
pub struct RowOutput {
    /// The model's outputs, by label index.
    pub values: Vec<f32>,
    /// How long the row waited for a place in a batch.
    pub queued_for: Duration,
    /// How long the batch ran that held it.
    pub ran_for: Duration,
    /// How long the instance's thread worked on that batch. Other threads may have helped if the batch had the machine
    /// to itself.
    pub worked_for: Duration,
    /// The row's own width, without padding.
    pub width: usize,
    /// The shape of that batch.
    pub batch: BatchShape,
}

/// Why a request got no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue has no room, or this client holds its share of it.
    #[error("the queue is full")]
    QueueFull {
        /// The pause after which there may be room.
        retry_after: Duration,
    },
    /// The work ahead takes longer than the caller will wait: refused on arrival.
    #[error("the deadline is too short for what waits ahead")]
    DeadlineTooShort {
        /// The expected time from now to the answer.
        expected: Duration,
    },
    /// The deadline passed while the request waited.
    #[error("the deadline passed in the queue")]
    DeadlineExceeded,
    /// The scheduler takes nothing new.
    #[error("the scheduler is closed")]
    Closed,
    /// The model failed on a row. The text is for the log.
    #[error("{0}")]
    Inference(String),
}

/// What a caller gets: a row for each input, in order, or one failure.
pub type Outcome = Result<Vec<RowOutput>, Failure>;

type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// One request's rows.
pub struct Ticket {
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// Is told of the batches that its rows run in, if its call is sampled.
    span: CallSpan,
    settled: AtomicBool,
    state: Mutex<State>,
}

struct State {
    rows: Vec<Option<RowOutput>>,
    missing: usize,
    reply: Option<Reply>,
}

impl Ticket {
    /// A ticket for `rows` rows (at least one); `reply` is called at most once.
    pub fn new(rows: usize, deadline: Instant, reply: impl FnOnce(Outcome) + Send + 'static) -> Self {
        let state = State {
            rows: vec![None; rows],
            missing: rows,
            reply: Some(Box::new(reply)),
        };
        Self {
            deadline,
            span: CallSpan::default(),
            settled: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// The same ticket, of a call with this span.
    pub fn traced(self, span: CallSpan) -> Self {
        Self { span, ..self }
    }

    pub fn span(&self) -> &CallSpan {
        &self.span
    }

    /// Whether nobody waits for it any more: it was answered, or its caller went away.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Delivers one row; the last one answers the caller.
    pub fn deliver(&self, row: usize, output: RowOutput) {
        let mut state = lock(&self.state);
        if let Some(place @ None) = state.rows.get_mut(row) {
            *place = Some(output);
            state.missing -= 1;
        }
        if state.missing == 0 {
            let rows = state.rows.drain(..).flatten().collect();
            self.settle(state.reply.take(), Ok(rows));
        }
    }

    /// Answers the caller with a failure, unless it was answered before.
    pub fn fail(&self, failure: Failure) {
        let reply = lock(&self.state).reply.take();
        self.settle(reply, Err(failure));
    }

    /// Notes that the caller has gone: nobody is answered from now on.
    pub fn cancel(&self) {
        let mut state = lock(&self.state);
        state.reply = None;
        self.settled.store(true, Ordering::Release);
    }

    fn settle(&self, reply: Option<Reply>, answer: Outcome) {
        self.settled.store(true, Ordering::Release);
        if let Some(reply) = reply {
            reply(answer);
        }
    }
}
