//! A ticket: one request's rows on their way through the queue, and the one answer that its caller waits for.
//!
//! A ticket is answered exactly once, with all rows or with one failure. Must not know of batches or threads.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The raw outputs for one row, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct RowOutput {
    /// The model's outputs, by label index.
    pub values: Vec<f32>,
    /// How long the row waited for a place in a batch.
    pub queued_for: Duration,
    /// How long the batch ran that held it.
    pub ran_for: Duration,
    /// How many rows that batch held.
    pub batch_rows: usize,
}

/// Why a request got no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The queue has no room; the pause after which it may have.
    #[error("the queue is full")]
    QueueFull {
        /// The pause.
        retry_after: Duration,
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

/// What a caller gets: a row for each input, in order.
pub type Answer = Result<Vec<RowOutput>, Failure>;

/// One request's rows.
#[derive(Debug)]
pub struct Ticket {
    /// When the caller stops waiting.
    pub deadline: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rows: Vec<Option<RowOutput>>,
    missing: usize,
    reply: Option<oneshot::Sender<Answer>>,
}

impl Ticket {
    /// A ticket for `rows` rows (at least one), and where its answer comes out.
    pub fn new(rows: usize, deadline: Instant) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let state = State {
            rows: vec![None; rows],
            missing: rows,
            reply: Some(reply),
        };
        let ticket = Self {
            deadline,
            state: Mutex::new(state),
        };
        (ticket, answer)
    }

    /// Whether nobody waits for it any more: it was answered, or its caller went away.
    pub fn is_settled(&self) -> bool {
        self.lock().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Delivers one row; the last one answers the caller.
    pub fn deliver(&self, row: usize, output: RowOutput) {
        let mut state = self.lock();
        let place = &mut state.rows[row];
        if place.is_none() {
            *place = Some(output);
            state.missing -= 1;
        }
        if state.missing == 0
            && let Some(reply) = state.reply.take()
        {
            let rows = state.rows.drain(..).flatten().collect();
            // An error means that the caller has gone: nothing is left to do.
            let _ = reply.send(Ok(rows));
        }
    }

    /// Answers the caller with a failure, unless it was answered before.
    pub fn fail(&self, failure: Failure) {
        if let Some(reply) = self.lock().reply.take() {
            let _ = reply.send(Err(failure));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
