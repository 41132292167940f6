//! Admission: what is refused on arrival, because there is no room for it or because it can't be done in time. Part of
//! the queue's state; time is passed in.

use std::time::{Duration, Instant};

use super::queue::{Hold, Queue};
use super::shares::Amount;
use super::ticket::{Failure, Priority, SubmitOptions};
use crate::model::ModelInput;

/// The spare time that a deadline must leave after the expected answer: the expected time divided by this.
const MARGIN: u32 = 10;
/// The bounds of the pause that a refused caller is told to make.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The weight of one request in the moving average of rows' widths.
const WIDTH_WEIGHT: f64 = 1.0 / 16.0;

impl Queue {
    /// Reserves room for a request with texts of these sizes in bytes, whose preprocessing should end after `ready_in`.
    /// Refuses a request that has no room, or that can't be done in time.
    pub fn reserve(
        &mut self,
        options: SubmitOptions,
        sizes: impl ExactSizeIterator<Item = usize>,
        ready_in: Duration,
        now: Instant,
    ) -> Result<Hold, Failure> {
        if self.closed {
            return Err(Failure::Closed);
        }
        let mut amount = Amount {
            rows: sizes.len(),
            bytes: 0,
        };
        let mut preparing = Duration::ZERO;
        for size in sizes {
            amount.bytes += size;
            preparing += self.expected_cost(size);
        }
        self.check_time(&options, preparing, amount.rows, ready_in, now)?;
        if !self.shares.take(options.client, options.weight, amount) {
            return Err(Failure::QueueFull {
                retry_after: self.retry_after(preparing, ready_in, now),
            });
        }
        self.add_work(&options, preparing);
        Ok(Hold {
            options,
            amount,
            preparing,
        })
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and be done in time. `ready_in` says
    /// after how long the preprocessing of a number of texts should end.
    pub fn admissible(
        &self,
        options: SubmitOptions,
        wanted: usize,
        size: usize,
        ready_in: impl Fn(usize) -> Duration,
        now: Instant,
    ) -> usize {
        let row = self.expected_cost(size);
        let (mut least, mut most) = (0, self.shares.room(options.client, options.weight, wanted, size));
        while least < most {
            let rows = (least + most).div_ceil(2);
            let cost = row.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
            match self.check_time(&options, cost, rows, ready_in(rows), now) {
                Ok(()) => least = rows,
                Err(_) => most = rows - 1,
            }
        }
        least
    }

    /// The expected time from now to the answer to a request with texts of these sizes in bytes, once they are
    /// preprocessed.
    pub fn expected_of(
        &self,
        options: &SubmitOptions,
        sizes: impl ExactSizeIterator<Item = usize>,
        now: Instant,
    ) -> Duration {
        let rows = sizes.len();
        let cost = sizes.map(|size| self.expected_cost(size)).sum();
        self.expected(options, cost, rows, Duration::ZERO, now)
    }

    /// The expected time until all that waits now is done, bulk work left aside: that makes way.
    pub fn backlog(&self) -> Duration {
        let waits: Duration = self.lanes[..Priority::Bulk.lane()].iter().map(|lane| lane.work).sum();
        waits / small(self.settings.instances.max(1))
    }

    /// What the batches that run still have to do, over all instances.
    fn running(&self, now: Instant) -> Duration {
        let ends = self.busy_until.iter().flatten();
        ends.map(|until| until.saturating_duration_since(now)).sum()
    }

    /// The expected cost of a text of `size` bytes, of which the model reads no more than its limit.
    fn expected_cost(&self, size: usize) -> Duration {
        let width = (size as f64 * self.width_per_byte) as usize;
        self.cost.of_row(width.min(self.settings.max_width))
    }

    /// The expected time from now to the answer to a request: what runs and waits ahead of it, or its own preprocessing
    /// where that takes longer, and then its own rows.
    fn expected(
        &self,
        options: &SubmitOptions,
        cost: Duration,
        rows: usize,
        ready_in: Duration,
        now: Instant,
    ) -> Duration {
        let lane = options.priority.lane();
        let higher: Duration = self.lanes[..lane].iter().map(|lane| lane.work).sum();
        let ahead = self.running(now) + higher + self.shares.work_ahead(options.client, options.weight, lane, cost);
        let instances = self.settings.instances.max(1);
        (ahead / small(instances)).max(ready_in) + cost / small(instances.min(rows.max(1)))
    }

    /// Whether a request can be done in time. An idle server tries every request whose deadline has not passed, so that
    /// a wrong expectation corrects itself.
    pub(super) fn check_time(
        &self,
        options: &SubmitOptions,
        cost: Duration,
        rows: usize,
        ready_in: Duration,
        now: Instant,
    ) -> Result<(), Failure> {
        if options.deadline <= now {
            return Err(Failure::DeadlineExceeded);
        }
        let idle = ready_in.is_zero()
            && self.busy_until.iter().all(Option::is_none)
            && self.lanes.iter().all(|lane| lane.work.is_zero());
        let expected = self.expected(options, cost, rows, ready_in, now);
        if !idle && now + expected + expected / MARGIN > options.deadline {
            return Err(Failure::DeadlineTooShort { expected });
        }
        Ok(())
    }

    /// The pause that a refused caller should make, whose texts take `cost`: until about half of the accepted work is
    /// done (of its own preprocessing, where that takes longer), and until those are done who were told to come back
    /// before it. So refused callers come back one after the other, each when there is room, and not all at once.
    fn retry_after(&mut self, cost: Duration, ready_in: Duration, now: Instant) -> Duration {
        let work: Duration = self.lanes.iter().map(|lane| lane.work).sum();
        let instances = small(self.settings.instances.max(1));
        let wait = ((self.running(now) + work / 2) / instances).max(ready_in / 2);
        let promised = self
            .promised_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let pause = wait.max(promised).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.promised_until = Some(now + pause + cost / instances);
        pause
    }

    pub(super) fn learn_width(&mut self, bytes: usize, inputs: &[ModelInput]) {
        let width: usize = inputs.iter().map(ModelInput::width).sum();
        if bytes > 0 {
            self.width_per_byte += (width as f64 / bytes as f64 - self.width_per_byte) * WIDTH_WEIGHT;
        }
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::cost::{BatchLimits, CostModel};
    use super::super::queue::QueueSettings;
    use super::super::ticket::{ClientKey, Priority, Weight};
    use super::*;

    const MAX_WIDTH: usize = 50;

    /// A queue whose cells cost a nanosecond each, with a batch that takes `ahead` on its only instance.
    fn busy_queue(now: Instant, ahead: Duration) -> Queue {
        let settings = QueueSettings {
            room: Amount {
                rows: 100,
                bytes: 1 << 20,
            },
            batch: BatchLimits {
                max_rows: 2,
                max_cells: 100,
                same_width: false,
            },
            max_width: MAX_WIDTH,
            instances: 1,
        };
        let mut queue = Queue::new(settings, CostModel::fit(&[], settings.batch));
        queue.busy_until[0] = Some(now + ahead);
        queue
    }

    fn options(now: Instant, nanos: u64) -> SubmitOptions {
        SubmitOptions {
            deadline: now + Duration::from_nanos(nanos),
            priority: Priority::Normal,
            client: ClientKey(1),
            weight: Weight::default(),
        }
    }

    #[test]
    fn work_for_longer_than_the_deadline_is_refused_before_it_is_prepared() {
        let now = Instant::now();
        let mut queue = busy_queue(now, Duration::from_nanos(500));
        let refused = queue
            .reserve(options(now, 500), std::iter::once(10), Duration::ZERO, now)
            .map(drop);
        assert!(matches!(refused, Err(Failure::DeadlineTooShort { .. })), "{refused:?}");
        assert!(
            queue
                .reserve(options(now, 2000), std::iter::once(10), Duration::ZERO, now)
                .is_ok()
        );
    }

    #[test]
    fn a_long_text_is_expected_to_take_no_longer_than_what_the_model_reads_of_it() {
        let now = Instant::now();
        let mut queue = busy_queue(now, Duration::from_nanos(1));
        // Short texts made the queue expect several cells a byte.
        queue.width_per_byte = 5.0;
        let longest = u64::try_from(MAX_WIDTH).expect("small");
        let patience = 3 * longest;
        assert_eq!(
            queue.admissible(options(now, patience), 100, 16 * 1024, |_| Duration::ZERO, now),
            2
        );
        assert!(
            queue
                .reserve(options(now, patience), std::iter::once(16 * 1024), Duration::ZERO, now)
                .is_ok()
        );
    }

    #[test]
    fn refused_callers_are_told_to_come_back_one_after_the_other_within_a_bound() {
        let now = Instant::now();
        let ahead = Duration::from_millis(50);
        let mut queue = busy_queue(now, ahead);
        let cost = Duration::from_millis(20);
        let mut refuse = |now| queue.retry_after(cost, Duration::ZERO, now);
        assert_eq!(
            [refuse(now), refuse(now), refuse(now)],
            [ahead, ahead + cost, ahead + 2 * cost]
        );
        // Whoever comes later finds less of it left.
        let later = now + ahead + 2 * cost;
        assert_eq!(refuse(later), cost);
        assert_eq!(
            refuse(later + Duration::from_secs(1)),
            SHORTEST_PAUSE,
            "nothing is left"
        );
        let longest = (0..10_000).map(|_| refuse(later)).max();
        assert_eq!(longest, Some(LONGEST_PAUSE));
    }

    #[test]
    fn preparation_that_takes_longer_than_the_deadline_is_refused_where_the_queue_is_idle_too() {
        let now = Instant::now();
        let mut queue = busy_queue(now, Duration::ZERO);
        queue.busy_until[0] = None;
        let nanos = Duration::from_nanos;
        let mut reserve = |ready_in| {
            queue
                .reserve(options(now, 500), std::iter::once(10), ready_in, now)
                .map(drop)
        };
        let refused = reserve(nanos(500));
        assert!(matches!(refused, Err(Failure::DeadlineTooShort { .. })), "{refused:?}");
        assert_eq!(reserve(nanos(400)), Ok(()));
        let ready_in = |texts: usize| nanos(100 * u64::try_from(texts).expect("small"));
        assert_eq!(queue.admissible(options(now, 500), 100, 10, ready_in, now), 4);
    }
}
