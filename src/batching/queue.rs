//! The queue of one model: plain state, without threads or clocks. Time is passed in.
//!
//! Rows whose caller has gone, was answered, or whose deadline has passed never leave it as part of a batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::policy::{self, BatchLimits};
use super::ticket::{Failure, Ticket};
use crate::model::ModelInput;

/// One row that waits.
#[derive(Debug)]
pub struct Entry {
    /// What the model reads.
    pub input: ModelInput,
    /// The request that it belongs to.
    pub ticket: Arc<Ticket>,
    /// Its place in that request.
    pub row: usize,
    /// Since when it waits.
    pub enqueued_at: Instant,
}

/// The rows that wait for one model.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Entry>,
    closed: bool,
    /// A moving average of what a row costs an instance.
    row_cost: Duration,
}

impl Queue {
    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it takes nothing new.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes nothing new from now on; what waits is still run.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Adds the rows of a request.
    pub fn push(&mut self, inputs: Vec<ModelInput>, ticket: &Arc<Ticket>, now: Instant) -> Result<(), Failure> {
        if self.closed {
            return Err(Failure::Closed);
        }
        self.entries
            .extend(inputs.into_iter().enumerate().map(|(row, input)| Entry {
                input,
                ticket: Arc::clone(ticket),
                row,
                enqueued_at: now,
            }));
        Ok(())
    }

    /// Takes the next batch; empty if nothing waits that is worth running.
    pub fn take_batch(&mut self, limits: BatchLimits, now: Instant) -> Vec<Entry> {
        self.drop_settled(now);
        let widths: Vec<usize> = self
            .entries
            .iter()
            .take(policy::WINDOW)
            .map(|entry| entry.input.width())
            .collect();
        let chosen = policy::choose(&widths, limits);
        let mut batch = Vec::with_capacity(chosen.len());
        for &at in chosen.iter().rev() {
            batch.extend(self.entries.remove(at));
        }
        batch.reverse();
        batch
    }

    /// Drops the rows that nobody waits for, and answers the requests whose deadline has passed.
    pub fn drop_settled(&mut self, now: Instant) {
        self.entries.retain(|entry| {
            if entry.ticket.deadline <= now {
                entry.ticket.fail(Failure::DeadlineExceeded);
                return false;
            }
            !entry.ticket.is_settled()
        });
    }

    /// Answers everything that waits with a failure.
    pub fn fail_all(&mut self, failure: &Failure) {
        for entry in self.entries.drain(..) {
            entry.ticket.fail(failure.clone());
        }
    }

    /// Learns what a batch cost.
    pub fn record_cost(&mut self, rows: usize, took: Duration) {
        let cost = took / u32::try_from(rows.max(1)).unwrap_or(u32::MAX);
        self.row_cost = if self.row_cost.is_zero() {
            cost
        } else {
            (self.row_cost * 7 + cost) / 8
        };
    }

    /// How long `rows` rows take `instances` instances, by what rows cost lately.
    pub fn expected_wait(&self, rows: usize, instances: usize) -> Duration {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let instances = u32::try_from(instances.max(1)).unwrap_or(u32::MAX);
        self.row_cost.saturating_mul(rows) / instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const LIMITS: BatchLimits = BatchLimits {
        max_rows: 2,
        max_cells: 100,
    };

    fn row(width: usize) -> ModelInput {
        ModelInput::Features(vec![1; width])
    }

    fn ask(
        queue: &mut Queue,
        widths: &[usize],
        now: Instant,
        deadline: Instant,
    ) -> oneshot::Receiver<super::super::ticket::Answer> {
        let (ticket, answer) = Ticket::new(widths.len(), deadline);
        queue
            .push(widths.iter().map(|&width| row(width)).collect(), &Arc::new(ticket), now)
            .expect("open");
        answer
    }

    #[test]
    fn an_expired_request_is_answered_and_never_run() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let mut answer = ask(&mut queue, &[3, 3], now, now + Duration::from_millis(5));
        assert!(queue.take_batch(LIMITS, now + Duration::from_millis(5)).is_empty());
        assert_eq!(answer.try_recv().expect("answered"), Err(Failure::DeadlineExceeded));
        assert!(queue.is_empty());
    }

    #[test]
    fn rows_of_a_caller_that_has_gone_leave_the_queue() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let later = now + Duration::from_secs(1);
        drop(ask(&mut queue, &[3, 3], now, later));
        let _kept = ask(&mut queue, &[4], now, later);
        let batch = queue.take_batch(LIMITS, now);
        assert_eq!(batch.iter().map(|entry| entry.input.width()).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_closed_queue_takes_nothing_new_and_runs_what_waits() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let _kept = ask(&mut queue, &[4], now, now + Duration::from_secs(1));
        queue.close();
        let (ticket, _answer) = Ticket::new(1, now);
        assert_eq!(queue.push(vec![row(1)], &Arc::new(ticket), now), Err(Failure::Closed));
        assert_eq!(queue.take_batch(LIMITS, now).len(), 1);
    }

    #[test]
    fn a_batch_keeps_the_order_of_arrival() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let _kept = ask(&mut queue, &[9, 1, 8], now, now + Duration::from_secs(1));
        let batch = queue.take_batch(LIMITS, now);
        assert_eq!(batch.iter().map(|entry| entry.row).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(queue.take_batch(LIMITS, now)[0].row, 1);
    }

    #[test]
    fn the_expected_wait_follows_what_rows_cost() {
        let mut queue = Queue::default();
        assert_eq!(queue.expected_wait(100, 2), Duration::ZERO);
        queue.record_cost(4, Duration::from_millis(8));
        assert_eq!(queue.expected_wait(100, 2), Duration::from_millis(100));
    }
}
