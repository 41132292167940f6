//! The queue of one model: plain state, without threads, locks or clocks. Time is passed in. Rows whose caller has
//! gone, was answered, or whose deadline has passed never leave it as part of a batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::batch_choice::{self, Bounds};
use super::cost::{BatchLimits, CostModel};
use super::shares::{Amount, Shares};
use super::sync::Arc;
use super::ticket::{ClientKey, Failure, Priority, SubmitOptions, Ticket};
use crate::model::ModelInput;

/// The longest batch of bulk work, by the cost model. A caller who waits for an answer may find such a batch running.
const BULK_BATCH: Duration = Duration::from_millis(10);

/// One row that waits.
pub struct Entry {
    pub input: ModelInput,
    /// The request that it belongs to.
    pub ticket: Arc<Ticket>,
    /// Its index in that request.
    pub row: usize,
    pub enqueued_at: Instant,
    client: ClientKey,
    cost: Duration,
}

/// Where a row waits: its lane, and its turn in it.
pub type Key = (usize, Turn);
type Turn = (Duration, u64);

/// Room that a request has, from its acceptance to its answer.
#[derive(Debug)]
pub struct Hold {
    pub(super) options: SubmitOptions,
    pub(super) amount: Amount,
    /// The expected cost of its rows while they are prepared.
    pub(super) preparing: Duration,
}

/// A batch on its way to an instance.
pub struct Batch {
    /// Its rows, at least one.
    pub entries: Vec<Entry>,
    /// The widest row's width.
    pub width: usize,
    /// Whether nothing else waits or runs.
    pub alone: bool,
    /// Whether it may take more than one core: it is alone, and there are enough of them.
    pub wide: bool,
}

/// The rows of one priority.
#[derive(Default)]
pub(super) struct Lane {
    entries: BTreeMap<Turn, Entry>,
    /// The expected cost of the rows that wait here, and of those that are still being preprocessed.
    pub(super) work: Duration,
    /// The turn of the row that went last.
    clock: Duration,
    passed_over: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct QueueSettings {
    /// The most that is accepted and not answered.
    pub room: Amount,
    pub batch: BatchLimits,
    /// The widest row that the model reads of a text, however long.
    pub max_width: usize,
    /// How many instances take batches, at most at once.
    pub instances: usize,
}

/// The rows that wait for one model.
pub struct Queue {
    pub(super) settings: QueueSettings,
    pub(super) cost: CostModel,
    pub(super) shares: Shares,
    pub(super) lanes: [Lane; Priority::COUNT],
    /// When each instance is expected to be free.
    pub(super) busy_until: Vec<Option<Instant>>,
    /// Whether a batch that is alone may take more than one core.
    pub(super) wide: bool,
    /// Cells of a row for each byte of its text, as a moving average.
    pub(super) width_per_byte: f64,
    /// Until when the texts of callers who were told to come back would keep the instances busy.
    pub(super) promised_until: Option<Instant>,
    rows_ever: u64,
    pub(super) closed: bool,
    /// Rows dropped because their deadline had passed, since somebody last asked.
    pub(super) expired: usize,
}

impl Queue {
    pub fn new(settings: QueueSettings, cost: CostModel) -> Self {
        Self {
            settings,
            cost,
            shares: Shares::new(settings.room),
            lanes: Default::default(),
            busy_until: vec![None; settings.instances],
            wide: true,
            width_per_byte: 0.3,
            promised_until: None,
            rows_ever: 0,
            closed: false,
            expired: 0,
        }
    }

    /// How many rows wait, by priority, the highest first.
    pub fn waiting(&self) -> [usize; Priority::COUNT] {
        self.lanes.each_ref().map(|lane| lane.entries.len())
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.waiting().iter().sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.entries.is_empty())
    }

    /// What is accepted and not answered.
    pub fn held(&self) -> Amount {
        self.shares.held()
    }

    /// How many rows were dropped because their deadline had passed, since the last call.
    pub fn take_expired(&mut self) -> usize {
        std::mem::take(&mut self.expired)
    }

    /// Whether it takes nothing new.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Accepts nothing new from now on; what waits is still run.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Gives a request's room back.
    pub fn release(&mut self, hold: &mut Hold) {
        self.prepared(hold);
        self.shares.give_back(hold.options.client, hold.amount);
        hold.amount = Amount::default();
    }

    /// Adds the rows of a request, in the order of its texts; gives where they wait.
    pub fn push(
        &mut self,
        hold: &mut Hold,
        inputs: Vec<ModelInput>,
        ticket: &Arc<Ticket>,
        now: Instant,
    ) -> Result<Vec<Key>, Failure> {
        self.prepared(hold);
        if self.closed {
            return Err(Failure::Closed);
        }
        let options = hold.options;
        let lane = options.priority.lane();
        self.learn_width(hold.amount.bytes, &inputs);
        let costs: Vec<Duration> = inputs.iter().map(|input| self.cost.of_row(input.width())).collect();
        self.check_time(&options, costs.iter().sum(), costs.len(), Duration::ZERO, now)?;
        let mut keys = Vec::with_capacity(inputs.len());
        for (row, (input, cost)) in inputs.into_iter().zip(costs).enumerate() {
            self.add_work(&options, cost);
            let clock = self.lanes[lane].clock;
            let tag = self.shares.next_tag(options.client, lane, clock, cost);
            let turn = (tag, self.rows_ever);
            self.rows_ever += 1;
            keys.push((lane, turn));
            let entry = Entry {
                input,
                ticket: Arc::clone(ticket),
                row,
                enqueued_at: now,
                client: options.client,
                cost,
            };
            self.lanes[lane].entries.insert(turn, entry);
        }
        Ok(keys)
    }

    /// Removes rows that nobody waits for any more; `expired` says whether because the deadline has passed. Rows that
    /// have left the queue already are skipped.
    pub fn remove(&mut self, keys: &[Key], expired: bool) {
        for &(lane, turn) in keys {
            let removed = self.take_entry(lane, turn);
            self.expired += usize::from(expired && removed.is_some());
        }
    }

    /// Takes the next batch for an instance, with `free` of them free, this one included. `None` if nothing waits, or if
    /// as many run as may.
    pub fn take_batch(&mut self, instance: usize, free: usize, now: Instant) -> Option<Batch> {
        let free_instances = self.may_run(free);
        if free_instances == 0 {
            return None;
        }
        loop {
            let waits = [0, 1, 2].map(|lane: usize| !self.lanes[lane].entries.is_empty());
            let passed_over = [0, 1, 2].map(|lane: usize| self.lanes[lane].passed_over);
            let lane = batch_choice::next_lane(waits, passed_over)?;
            if self.drop_settled(lane, now) {
                continue;
            }
            let (turns, widths): (Vec<Turn>, Vec<usize>) = self
                .window(lane)
                .map(|(turn, entry)| (*turn, entry.input.width()))
                .unzip();
            let bounds = Bounds {
                limits: self.settings.batch,
                max_cost: (lane == Priority::Bulk.lane()).then_some(BULK_BATCH),
                free_instances,
            };
            let chosen = batch_choice::choose(&widths, bounds, &self.cost);
            self.lanes[lane].clock = turns.first()?.0;
            let entries: Vec<Entry> = chosen
                .iter()
                .filter_map(|&at| self.take_entry(lane, turns[at]))
                .collect();
            let width = chosen.iter().map(|&at| widths[at]).max().unwrap_or(1);
            for (other, waits) in waits.into_iter().enumerate() {
                let passed = other > lane && waits;
                let lane = &mut self.lanes[other];
                lane.passed_over = if passed { lane.passed_over + 1 } else { 0 };
            }
            self.busy_until[instance] = Some(now + self.cost.of_batch(entries.len(), width));
            let others_busy = self.busy_until.iter().flatten().count() > 1;
            // Bulk work leaves the other cores free for requests that may come.
            let alone = !others_busy && lane != Priority::Bulk.lane() && self.is_empty();
            return Some(Batch {
                alone,
                wide: alone && self.wide,
                entries,
                width,
            });
        }
    }

    /// Counts the request's rows as preprocessed.
    pub(super) fn prepared(&mut self, hold: &mut Hold) {
        let cost = std::mem::take(&mut hold.preparing);
        self.remove_work(hold.options.client, hold.options.priority.lane(), cost);
    }

    pub(super) fn add_work(&mut self, options: &SubmitOptions, cost: Duration) {
        let lane = options.priority.lane();
        self.lanes[lane].work += cost;
        self.shares.add_work(options.client, lane, cost);
    }

    fn remove_work(&mut self, client: ClientKey, lane: usize, cost: Duration) {
        let of_lane = &mut self.lanes[lane].work;
        *of_lane = of_lane.saturating_sub(cost);
        self.shares.remove_work(client, lane, cost);
    }

    fn take_entry(&mut self, lane: usize, turn: Turn) -> Option<Entry> {
        let entry = self.lanes[lane].entries.remove(&turn)?;
        self.remove_work(entry.client, lane, entry.cost);
        Some(entry)
    }

    fn window(&self, lane: usize) -> impl Iterator<Item = (&Turn, &Entry)> {
        self.lanes[lane].entries.iter().take(batch_choice::WINDOW)
    }

    /// Drops the first rows of a lane that nobody waits for any more, and answers the requests whose deadline has
    /// passed. Says whether there were any.
    fn drop_settled(&mut self, lane: usize, now: Instant) -> bool {
        let settled: Vec<Turn> = self
            .window(lane)
            .filter(|(_, entry)| entry.ticket.is_settled() || entry.ticket.deadline <= now)
            .map(|(turn, _)| *turn)
            .collect();
        for turn in &settled {
            if let Some(entry) = self.take_entry(lane, *turn)
                && entry.ticket.deadline <= now
            {
                self.expired += 1;
                entry.ticket.fail(Failure::DeadlineExceeded);
            }
        }
        !settled.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::super::ticket::{Outcome, Weight};
    use super::*;

    fn queue(instances: usize) -> Queue {
        let settings = QueueSettings {
            room: Amount { rows: 100, bytes: 1000 },
            batch: BatchLimits {
                max_rows: 2,
                max_cells: 100,
                same_width: false,
            },
            max_width: 50,
            instances,
        };
        Queue::new(settings, CostModel::fit(&[], settings.batch))
    }

    fn ask(
        queue: &mut Queue,
        widths: &[usize],
        now: Instant,
        patience: Duration,
    ) -> (Receiver<Outcome>, Hold, Vec<Key>) {
        let options = SubmitOptions {
            deadline: now + patience,
            priority: Priority::Normal,
            client: ClientKey(1),
            weight: Weight::default(),
        };
        let (sender, answer) = channel();
        let ticket = Ticket::new(widths.len(), options.deadline, move |answer| drop(sender.send(answer)));
        let inputs = widths
            .iter()
            .map(|&width| ModelInput::Features(vec![1; width]))
            .collect();
        let mut hold = queue
            .reserve(options, widths.iter().copied(), Duration::ZERO, now)
            .expect("room");
        let keys = queue.push(&mut hold, inputs, &Arc::new(ticket), now).expect("open");
        (answer, hold, keys)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_expired_request_is_answered_and_never_run() {
        let now = Instant::now();
        let mut queue = queue(1);
        let (answer, mut hold, _) = ask(&mut queue, &[3, 3], now, SECOND);
        assert!(queue.take_batch(0, 1, now + SECOND).is_none());
        assert_eq!(answer.try_recv(), Ok(Err(Failure::DeadlineExceeded)));
        assert!(queue.is_empty());
        queue.release(&mut hold);
        assert_eq!(queue.held(), Amount::default());
        assert!(
            queue.lanes.iter().all(|lane| lane.work.is_zero()),
            "no work is left behind"
        );
    }

    #[test]
    fn rows_of_a_caller_that_has_gone_leave_the_queue_at_once() {
        let now = Instant::now();
        let mut queue = queue(1);
        let (_gone, _hold, keys) = ask(&mut queue, &[3, 3], now, SECOND);
        let _kept = ask(&mut queue, &[4], now, SECOND);
        queue.remove(&keys, false);
        assert_eq!(queue.len(), 1);
        let batch = queue.take_batch(0, 1, now).expect("a batch");
        assert_eq!(batch.width, 4);
    }

    #[test]
    fn a_closed_queue_takes_nothing_new_and_runs_what_waits() {
        let now = Instant::now();
        let mut queue = queue(1);
        let (_answer, hold, _) = ask(&mut queue, &[4], now, SECOND);
        queue.close();
        let refused = queue
            .reserve(hold.options, std::iter::once(1), Duration::ZERO, now)
            .map(drop);
        assert_eq!(refused, Err(Failure::Closed));
        assert!(queue.take_batch(0, 1, now).is_some());
    }

    #[test]
    fn a_batch_is_alone_when_nothing_else_waits_or_runs() {
        let now = Instant::now();
        let mut queue = queue(2);
        let _first = ask(&mut queue, &[4], now, SECOND);
        assert!(queue.take_batch(0, 2, now).is_some_and(|batch| batch.alone));
        let _second = ask(&mut queue, &[4], now, SECOND);
        assert!(queue.take_batch(1, 1, now).is_some_and(|batch| !batch.alone));
        queue.finished(0, 1, 4, Some(SECOND));
        queue.finished(1, 1, 4, Some(SECOND));
        let _third = ask(&mut queue, &[4], now, SECOND);
        assert!(queue.take_batch(0, 2, now).is_some_and(|batch| batch.alone));
    }
}
