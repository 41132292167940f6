//! Load: how much the server does of what it can do, over the last seconds. Plain state; time, and what the system says, are
//! passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How far back a load looks: long enough for a few batches of a slow model, short enough for a caller to turn elsewhere.
const WINDOW: Duration = Duration::from_secs(5);
/// The most that the wait for a batch counts, in times of its target.
const MOST_WAIT: f64 = 100.0;

/// What a model did since the start; it only grows.
#[derive(Debug, Default)]
pub struct ModelWork(Mutex<Done>);

#[derive(Clone, Copy, Debug, Default)]
struct Done {
    ran: Duration,
    waited: Duration,
    waits: u64,
}

impl ModelWork {
    /// Adds a run.
    pub fn ran(&self, took: Duration) {
        self.0.lock().ran += took;
    }

    /// Adds a text's wait for its batch.
    pub fn waited(&self, took: Duration) {
        let mut done = self.0.lock();
        done.waited += took;
        done.waits += 1;
    }
}

/// What a model did since the start, at one moment.
#[derive(Clone, Debug)]
pub struct ModelTotals {
    name: String,
    tier: &'static str,
    instances: usize,
    done: Done,
}

impl ModelTotals {
    pub fn new(name: &str, tier: &'static str, instances: usize, work: &ModelWork) -> Self {
        Self {
            name: name.to_owned(),
            tier,
            instances,
            done: *work.0.lock(),
        }
    }
}

/// What the server did since the start, at one moment.
#[derive(Clone, Debug)]
pub struct Totals {
    pub at: Instant,
    /// The processor time of the process.
    pub cpu: Duration,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that were refused or failed through no fault of their callers.
    pub failed: u64,
    pub models: Vec<ModelTotals>,
}

/// What bounds the server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub cores: usize,
    /// The share of the memory that it may use; absent without a limit.
    pub memory: Option<f64>,
    /// The wait for a batch that counts like a server without a free moment.
    pub queue_target: Duration,
}

/// How loaded a server is.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// How much it does of what it can do; above 1 where work waits.
    pub utilization: f64,
    /// Processor time, as a share of the cores.
    pub cpu: f64,
    /// The share of the memory that it may use.
    pub memory: Option<f64>,
    /// Requests answered a second.
    pub answered: f64,
    /// Requests a second that were refused or failed through no fault of their callers.
    pub failed: f64,
    pub models: Vec<ModelLoad>,
}

/// How loaded a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelLoad {
    pub name: String,
    pub tier: &'static str,
    /// The share of their time that its instances were busy. Above 1 where a run began before the window, or runs are done where
    /// their texts arrive.
    pub busy: f64,
    /// The mean wait of a text for its batch.
    pub wait: Duration,
}

/// The totals of the last seconds. Between the first and the last lies what a load tells of.
#[derive(Debug)]
pub struct LoadWindow(VecDeque<Totals>);

impl LoadWindow {
    pub fn new(start: Totals) -> Self {
        Self(VecDeque::from([start]))
    }

    /// The load until now. The totals are kept as long as the window needs them.
    pub fn add(&mut self, now: Totals, bounds: Bounds) -> Load {
        let old = |totals: &Totals| now.at.saturating_duration_since(totals.at) >= WINDOW;
        // One that is older than the window stays, as its beginning.
        while self.0.get(1).is_some_and(old) {
            self.0.pop_front();
        }
        let load = between(self.0.front().unwrap_or(&now), &now, bounds);
        self.0.push_back(now);
        load
    }
}

fn between(first: &Totals, last: &Totals, bounds: Bounds) -> Load {
    let seconds = last.at.saturating_duration_since(first.at).as_secs_f64();
    let rate = |grown: f64| if seconds > 0.0 { grown / seconds } else { 0.0 };
    let of_model = |now: &ModelTotals| {
        let same = |before: &&ModelTotals| before.name == now.name && before.tier == now.tier;
        let before = first
            .models
            .iter()
            .find(same)
            .map(|before| before.done)
            .unwrap_or_default();
        let ran = now.done.ran.saturating_sub(before.ran).as_secs_f64();
        let waits = now.done.waits.saturating_sub(before.waits);
        let waited = now.done.waited.saturating_sub(before.waited);
        ModelLoad {
            name: now.name.clone(),
            tier: now.tier,
            busy: rate(ran / now.instances.max(1) as f64),
            wait: waited.div_f64(waits.max(1) as f64),
        }
    };
    let models: Vec<ModelLoad> = last.models.iter().map(of_model).collect();
    let cpu = rate(last.cpu.saturating_sub(first.cpu).as_secs_f64() / bounds.cores.max(1) as f64);
    Load {
        utilization: utilization(cpu, &models, bounds.queue_target),
        cpu,
        memory: bounds.memory,
        answered: rate(last.answered.saturating_sub(first.answered) as f64),
        failed: rate(last.failed.saturating_sub(first.failed) as f64),
        models,
    }
}

/// What a balancer divides the rate of answers by: the quotient is the rate that the server could reach.
///
/// Below its most the server tells how much of its time it works: processor time, or the busiest model's share, which also sees what a
/// neighbour takes of the cores. That is above 0 for any server that answered, as a balancer needs it. At its most the share stays at 1
/// whatever comes, and the wait for a batch goes on growing: it is added.
fn utilization(cpu: f64, models: &[ModelLoad], queue_target: Duration) -> f64 {
    let busiest = models.iter().map(|model| model.busy).fold(cpu, f64::max);
    let longest = models.iter().map(|model| model.wait).max().unwrap_or_default();
    let wait = longest.as_secs_f64() / queue_target.as_secs_f64().max(f64::MIN_POSITIVE);
    busiest + wait.min(MOST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);
    const BOUNDS: Bounds = Bounds {
        cores: 2,
        memory: Some(0.5),
        queue_target: TARGET,
    };

    /// The totals of a server of one deep model with two instances.
    struct Server {
        start: Instant,
        totals: Totals,
        work: ModelWork,
    }

    impl Server {
        fn new() -> Self {
            let start = Instant::now();
            let totals = Totals {
                at: start,
                cpu: Duration::ZERO,
                answered: 0,
                failed: 0,
                models: Vec::new(),
            };
            Self {
                start,
                totals,
                work: ModelWork::default(),
            }
        }

        fn at(&mut self, millis: u64) -> Totals {
            self.totals.at = self.start + Duration::from_millis(millis);
            self.totals.models = vec![ModelTotals::new("a", "deep", 2, &self.work)];
            self.totals.clone()
        }
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is {expected}");
    }

    #[test]
    fn shares_and_rates_are_those_of_the_window() {
        let mut server = Server::new();
        let mut window = LoadWindow::new(server.at(0));
        let idle = window.add(server.at(0), BOUNDS);
        assert_eq!(
            (idle.utilization, idle.cpu, idle.answered),
            (0.0, 0.0, 0.0),
            "no time, no rate"
        );

        server.totals.cpu = Duration::from_millis(500);
        (server.totals.answered, server.totals.failed) = (40, 2);
        server.work.ran(Duration::from_millis(1200));
        server.work.waited(Duration::from_millis(30));
        server.work.waited(Duration::from_millis(10));
        let load = window.add(server.at(1000), BOUNDS);
        close(load.cpu, 0.25);
        close(load.answered, 40.0);
        close(load.failed, 2.0);
        close(load.models[0].busy, 0.6);
        assert_eq!(
            (load.models[0].wait, load.memory),
            (Duration::from_millis(20), Some(0.5))
        );
        close(load.utilization, 0.6 + 0.2);

        for millis in [3000, 6000, 6500] {
            window.add(server.at(millis), BOUNDS);
        }
        let load = window.add(server.at(8000), BOUNDS);
        assert_eq!(
            (load.answered, load.utilization),
            (0.0, 0.0),
            "what is older has left the window"
        );
    }

    #[test]
    fn processor_time_counts_where_no_model_is_as_busy_and_a_wait_has_an_end() {
        let mut server = Server::new();
        let mut window = LoadWindow::new(server.at(0));
        server.totals.cpu = Duration::from_millis(1500);
        server.work.ran(Duration::from_millis(10));
        close(window.add(server.at(1000), BOUNDS).utilization, 0.75);
        server.work.waited(Duration::from_hours(1));
        close(window.add(server.at(2000), BOUNDS).utilization, 0.375 + MOST_WAIT);
    }

    #[test]
    fn after_a_pause_the_window_begins_before_it() {
        let mut server = Server::new();
        let mut window = LoadWindow::new(server.at(0));
        server.totals.answered = 600;
        close(window.add(server.at(60_000), BOUNDS).answered, 10.0);
    }
}
