//! How many instances run at once: all of them, or fewer while there are fewer cores than when they were opened. Part of
//! the queue's state.
//!
//! Any free instance may take the next batch, so it does not matter which ones rest. One that ends a run always looks for
//! the next batch itself, so that nothing waits for an instance that nobody wakes.

use std::time::Duration;

use super::cost::BatchShape;
use super::queue::Queue;

impl Queue {
    /// Sets how many instances may run at once, at least one, and whether a batch that is alone may take more than one
    /// core. Runs that are under way go on. Says whether that changed anything.
    pub fn set_at_once(&mut self, instances: usize, wide: bool) -> bool {
        let instances = instances.clamp(1, self.busy_until.len().max(1));
        let before = (self.settings.instances, self.wide);
        (self.settings.instances, self.wide) = (instances, wide);
        before != (instances, wide)
    }

    /// How many of the `free` instances may take a batch now.
    pub(super) fn may_run(&self, free: usize) -> usize {
        let busy = self.busy_until.iter().flatten().count();
        free.min(self.settings.instances.saturating_sub(busy))
    }

    /// Marks an instance as free again; learns from the time that its batch took, if that is given.
    pub fn finished(&mut self, instance: usize, rows: usize, width: usize, took: Option<Duration>) {
        self.busy_until[instance] = None;
        if let Some(took) = took {
            self.learn(rows, width, took);
        }
    }

    /// Learns what a run took.
    pub fn learn(&mut self, rows: usize, width: usize, took: Duration) {
        self.cost.learn(rows, width, took);
    }

    /// What a batch is expected to take.
    pub fn batch_cost(&self, shape: BatchShape) -> Duration {
        self.cost.of_batch(shape.rows, shape.width)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::super::cost::{BatchLimits, CostModel};
    use super::super::queue::QueueSettings;
    use super::super::shares::Amount;
    use super::super::ticket::{ClientKey, Priority, SubmitOptions, Ticket, Weight};
    use super::*;
    use crate::model::ModelInput;

    /// A queue with rows of one cell, which run one by one.
    fn queue(instances: usize, rows: u64, now: Instant) -> Queue {
        let settings = QueueSettings {
            room: Amount { rows: 100, bytes: 1000 },
            batch: BatchLimits {
                max_rows: 1,
                max_cells: 100,
                same_width: false,
            },
            max_width: 50,
            instances,
        };
        let mut queue = Queue::new(settings, CostModel::fit(&[], settings.batch));
        for client in 0..rows {
            let options = SubmitOptions {
                deadline: now + Duration::from_secs(1),
                priority: Priority::Normal,
                client: ClientKey(client),
                weight: Weight::default(),
            };
            let sizes = std::iter::once(1);
            let mut hold = queue.reserve(options, sizes, Duration::ZERO, now).expect("room");
            let ticket = Arc::new(Ticket::new(1, options.deadline, drop));
            let inputs = vec![ModelInput::Features(vec![1])];
            queue.push(&mut hold, inputs, &ticket, now).expect("open");
        }
        queue
    }

    #[test]
    fn no_more_run_at_once_than_may() {
        let now = Instant::now();
        let mut queue = queue(3, 4, now);
        assert!(queue.set_at_once(2, true));
        assert!(queue.take_batch(2, 3, now).is_some());
        assert!(queue.take_batch(0, 2, now).is_some());
        assert!(queue.take_batch(1, 1, now).is_none(), "two run");
        assert!(queue.set_at_once(1, true));
        queue.finished(2, 1, 1, None);
        assert!(queue.take_batch(2, 2, now).is_none(), "one runs");
        queue.finished(0, 1, 1, None);
        assert!(queue.take_batch(0, 3, now).is_some());
        assert!(queue.set_at_once(3, true));
        assert!(queue.take_batch(1, 2, now).is_some());
        assert!(queue.is_empty());
    }

    #[test]
    fn at_least_one_runs_and_no_more_than_were_opened() {
        let mut queue = queue(3, 0, Instant::now());
        let mut set = |instances| (queue.set_at_once(instances, true), queue.settings.instances);
        assert_eq!(
            [set(3), set(99), set(0), set(1), set(2)],
            [(false, 3), (false, 3), (true, 1), (false, 1), (true, 2)]
        );
    }

    #[test]
    fn a_batch_that_is_alone_takes_one_core_while_there_are_too_few() {
        let now = Instant::now();
        let alone = |wide| {
            let mut queue = queue(2, 1, now);
            queue.set_at_once(2, wide);
            queue.take_batch(0, 2, now).map(|batch| (batch.alone, batch.wide))
        };
        assert_eq!([alone(true), alone(false)], [Some((true, true)), Some((true, false))]);
        let busy = queue(2, 2, now).take_batch(0, 2, now);
        assert_eq!(busy.map(|batch| (batch.alone, batch.wide)), Some((false, false)));
    }
}
