//! Turns: which of the jobs that wait for a thread goes on next. By priority, then by fair shares of measured time
//! among clients, as rows of batches do. A job goes part by part: between two of its parts others may have their turn.
//! Plain state, without threads or clocks.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::batch_choice;
use super::shares::{Amount, Shares};
use super::ticket::{ClientKey, Priority, SubmitOptions, Weight};

/// The number of a job, counted from the first one.
pub type JobId = u64;

/// The jobs that wait for a thread, and what is known of those that have one.
pub struct Turns<J> {
    shares: Shares,
    lanes: [Lane<J>; Priority::COUNT],
    /// Where each waiting job is: its lane, and its place in that.
    places: HashMap<JobId, (usize, Duration)>,
    jobs_ever: JobId,
}

/// The jobs of one priority.
struct Lane<J> {
    waiting: BTreeMap<(Duration, JobId), (Account, J)>,
    /// What is expected to be left of all jobs, those that have a thread included.
    left: Duration,
    /// The place of the job that went last.
    clock: Duration,
    passed_over: u32,
}

/// Whose a job is, and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub id: JobId,
    client: ClientKey,
    weight: Weight,
    lane: usize,
    /// Its place in the order of its lane, which moves on by what its parts take.
    place: Duration,
    /// The expected time of what is left of it.
    left: Duration,
}

impl<J> Default for Turns<J> {
    fn default() -> Self {
        // Its users bound how much waits: each job belongs to a request that has room in a queue of rows.
        let most = Amount {
            rows: usize::MAX,
            bytes: usize::MAX,
        };
        let lane = || Lane {
            waiting: BTreeMap::new(),
            left: Duration::ZERO,
            clock: Duration::ZERO,
            passed_over: 0,
        };
        Self {
            shares: Shares::new(most),
            lanes: [lane(), lane(), lane()],
            places: HashMap::new(),
            jobs_ever: 0,
        }
    }
}

impl<J> Turns<J> {
    /// Adds a job that is expected to take `cost`. A client's jobs follow each other at the distance of their cost.
    pub fn add(&mut self, options: &SubmitOptions, cost: Duration, job: J) -> JobId {
        let SubmitOptions { client, weight, .. } = *options;
        let lane = options.priority.lane();
        self.shares.take(client, weight, Amount { rows: 1, bytes: 0 });
        self.shares.add_work(client, lane, cost);
        self.lanes[lane].left += cost;
        let id = self.jobs_ever;
        self.jobs_ever += 1;
        let account = Account {
            id,
            client,
            weight,
            lane,
            place: self.shares.next_tag(client, lane, self.lanes[lane].clock, cost),
            left: cost,
        };
        self.wait(account, job);
        id
    }

    /// Takes the job whose turn it is. The caller tells its end by [`Turns::go_on`] or [`Turns::end`].
    pub fn take_next(&mut self) -> Option<(Account, J)> {
        let waits = [0, 1, 2].map(|lane: usize| !self.lanes[lane].waiting.is_empty());
        let passed_over = [0, 1, 2].map(|lane: usize| self.lanes[lane].passed_over);
        let lane = batch_choice::next_lane(waits, passed_over)?;
        for (other, waits) in waits.into_iter().enumerate() {
            let passed = other > lane && waits;
            let lane = &mut self.lanes[other];
            lane.passed_over = if passed { lane.passed_over + 1 } else { 0 };
        }
        let ((place, id), next) = self.lanes[lane].waiting.pop_first()?;
        self.places.remove(&id);
        self.lanes[lane].clock = self.lanes[lane].clock.max(place);
        Some(next)
    }

    /// Puts a job back to wait for its next turn: one of its parts took `took`, and `left` is the expected time of what
    /// is left.
    pub fn go_on(&mut self, mut account: Account, job: J, left: Duration, took: Duration) {
        self.settle(&mut account, left, took);
        account.place += took / account.weight.get();
        self.wait(account, job);
    }

    /// Ends a job whose last part took `took`.
    pub fn end(&mut self, mut account: Account, took: Duration) {
        self.settle(&mut account, Duration::ZERO, took);
        self.shares.give_back(account.client, Amount { rows: 1, bytes: 0 });
    }

    /// Removes a job that nobody waits for any more; `None` if a thread has it, or if it has ended.
    pub fn remove(&mut self, id: JobId) -> Option<J> {
        let (lane, place) = self.places.remove(&id)?;
        let (account, job) = self.lanes[lane].waiting.remove(&(place, id))?;
        self.end(account, Duration::ZERO);
        Some(job)
    }

    /// The expected time of the work that is done before `cost` more of a client's is: what goes before it, and what
    /// the client has itself.
    pub fn ahead(&self, options: &SubmitOptions, cost: Duration) -> Duration {
        let lane = options.priority.lane();
        let higher: Duration = self.lanes[..lane].iter().map(|lane| lane.left).sum();
        higher + self.shares.work_ahead(options.client, options.weight, lane, cost)
    }

    /// The expected time of what is left of all jobs.
    pub fn left(&self) -> Duration {
        self.lanes.iter().map(|lane| lane.left).sum()
    }

    fn wait(&mut self, account: Account, job: J) {
        self.places.insert(account.id, (account.lane, account.place));
        let waiting = &mut self.lanes[account.lane].waiting;
        waiting.insert((account.place, account.id), (account, job));
    }

    /// Replaces what was expected of a part by what it took.
    fn settle(&mut self, account: &mut Account, left: Duration, took: Duration) {
        let left = left.min(account.left);
        let expected = account.left.saturating_sub(left);
        account.left = left;
        let of_lane = &mut self.lanes[account.lane].left;
        *of_lane = of_lane.saturating_sub(expected);
        self.shares.remove_work(account.client, account.lane, expected);
        self.shares.settle(account.client, account.lane, expected, took);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn options(client: u64, priority: Priority) -> SubmitOptions {
        SubmitOptions {
            deadline: Instant::now(),
            priority,
            client: ClientKey(client),
            weight: Weight::default(),
        }
    }

    /// Runs so many parts of `took` each and gives whose they were; jobs end when nothing is left of them.
    fn parts(turns: &mut Turns<(char, u64)>, parts: usize, took: u64) -> String {
        let mut order = String::new();
        for _ in 0..parts {
            let Some((account, (name, left))) = turns.take_next() else {
                break;
            };
            order.push(name);
            match left.saturating_sub(took) {
                0 => turns.end(account, millis(took)),
                left => turns.go_on(account, (name, left), millis(left), millis(took)),
            }
        }
        order
    }

    #[test]
    fn clients_take_turns_part_by_part_however_much_one_of_them_brings() {
        let mut turns = Turns::default();
        turns.add(&options(1, Priority::Normal), millis(50), ('a', 50));
        turns.add(&options(1, Priority::Normal), millis(50), ('b', 50));
        assert_eq!(parts(&mut turns, 2, 10), "aa");
        turns.add(&options(2, Priority::Normal), millis(30), ('n', 30));
        assert_eq!(parts(&mut turns, 6, 10), "nanana", "the newcomer waits for one part");
        assert_eq!(
            parts(&mut turns, 20, 10),
            "bbbbb",
            "a client's own jobs follow each other"
        );
        assert_eq!(turns.left(), Duration::ZERO);
        assert!(turns.places.is_empty());
    }

    #[test]
    fn who_takes_longer_than_expected_pays_for_it_with_the_next_job() {
        let mut turns = Turns::default();
        let each = |client| options(client, Priority::Normal);
        turns.add(&each(1), millis(1), ('a', 1));
        turns.add(&each(1), millis(1), ('b', 1));
        turns.add(&each(2), millis(40), ('n', 40));
        assert_eq!(parts(&mut turns, 1, 10), "a", "ten times as long as expected");
        turns.add(&each(1), millis(1), ('c', 1));
        let order = parts(&mut turns, 4, 10);
        assert_eq!(order, "nbnc", "a job that comes later stands where it should have");
    }

    #[test]
    fn a_higher_priority_goes_first_and_a_lower_one_has_its_turn_when_it_was_patient() {
        let mut turns = Turns::default();
        turns.add(&options(1, Priority::Bulk), millis(20), ('z', 20));
        turns.add(&options(2, Priority::Interactive), millis(1000), ('i', 1000));
        assert_eq!(parts(&mut turns, 18, 10), format!("{}zii", "i".repeat(15)));
    }

    #[test]
    fn what_is_ahead_is_what_goes_before_and_leaves_with_its_job() {
        let mut turns = Turns::default();
        let job = turns.add(&options(1, Priority::Normal), millis(500), ('a', 500));
        let newcomer = options(2, Priority::Normal);
        assert_eq!(turns.ahead(&newcomer, millis(3)), millis(3));
        assert_eq!(turns.ahead(&options(1, Priority::Normal), millis(3)), millis(500));
        assert_eq!(
            turns.ahead(&options(2, Priority::Interactive), millis(3)),
            Duration::ZERO
        );
        assert_eq!(turns.ahead(&options(2, Priority::Bulk), millis(3)), millis(500));
        assert_eq!(turns.remove(job), Some(('a', 500)));
        assert_eq!(turns.remove(job), None);
        assert_eq!(turns.left(), Duration::ZERO);
        assert!(turns.take_next().is_none());
    }
}
