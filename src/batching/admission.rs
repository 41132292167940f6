//! Admission: what is refused on arrival, because there is no room for it or because it can't be done in time. Part of the
//! queue's state; time is passed in.

use std::time::{Duration, Instant};

use super::queue::{Hold, Queue};
use super::shares::Amount;
use super::ticket::{Failure, Terms};
use crate::model::ModelInput;

/// What a deadline must have to spare beyond the expected answer, as a part of that.
const MARGIN: u32 = 10;
/// The share of one request in the moving average of rows' widths.
const WIDTH_WEIGHT: f64 = 1.0 / 16.0;

impl Queue {
    /// Takes room for a request of texts of these sizes in bytes, before they are prepared; refuses what has no room, and
    /// what can't be done in time.
    pub fn reserve(
        &mut self,
        terms: Terms,
        sizes: impl ExactSizeIterator<Item = usize>,
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
            preparing += self.cost.of_row((size as f64 * self.width_per_byte) as usize);
        }
        self.check_time(&terms, preparing, amount.rows, now)?;
        if !self.shares.take(terms.client, terms.weight, amount) {
            return Err(Failure::QueueFull {
                retry_after: self.retry_after(now),
            });
        }
        self.add_work(&terms, preparing);
        Ok(Hold {
            terms,
            amount,
            preparing,
        })
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and done in time.
    pub fn admissible(&self, terms: Terms, wanted: usize, size: usize, now: Instant) -> usize {
        let row = self.cost.of_row((size as f64 * self.width_per_byte) as usize);
        let (mut least, mut most) = (0, self.shares.room(terms.client, terms.weight, wanted, size));
        while least < most {
            let rows = (least + most).div_ceil(2);
            let cost = row.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
            match self.check_time(&terms, cost, rows, now) {
                Ok(()) => least = rows,
                Err(_) => most = rows - 1,
            }
        }
        least
    }

    /// When the rows of a request would be answered, from now on: what runs, what waits ahead of it, and itself.
    fn expected(&self, terms: &Terms, cost: Duration, rows: usize, now: Instant) -> Duration {
        let lane = terms.priority.lane();
        let running: Duration = self
            .busy_until
            .iter()
            .flatten()
            .map(|until| until.saturating_duration_since(now))
            .sum();
        let higher: Duration = self.lanes[..lane].iter().map(|lane| lane.work).sum();
        let ahead = running + higher + self.shares.work_ahead(terms.client, terms.weight, lane, cost);
        let instances = self.settings.instances.max(1);
        ahead / small(instances) + cost / small(instances.min(rows.max(1)))
    }

    /// Whether it can be done in time. An idle server tries whatever has any time left, so that a wrong expectation mends.
    pub(super) fn check_time(&self, terms: &Terms, cost: Duration, rows: usize, now: Instant) -> Result<(), Failure> {
        if terms.deadline <= now {
            return Err(Failure::DeadlineExceeded);
        }
        let idle = self.busy_until.iter().all(Option::is_none) && self.lanes.iter().all(|lane| lane.work.is_zero());
        let expected = self.expected(terms, cost, rows, now);
        if !idle && now + expected + expected / MARGIN > terms.deadline {
            return Err(Failure::DeadlineTooShort { expected });
        }
        Ok(())
    }

    /// The pause that a refused caller should make: until about half of what is accepted is done.
    fn retry_after(&self, now: Instant) -> Duration {
        let work: Duration = self.lanes.iter().map(|lane| lane.work).sum();
        let running: Duration = self
            .busy_until
            .iter()
            .flatten()
            .map(|until| until.saturating_duration_since(now))
            .sum();
        let wait = (running + work / 2) / small(self.settings.instances.max(1));
        wait.clamp(Duration::from_millis(1), Duration::from_secs(10))
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
