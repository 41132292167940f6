//! Tries out the orders in which callers, instances and the end of the server may meet: every call is answered exactly
//! once, and nothing is left behind. Runs under the feature `shuttle` only, where locks are the model checker's.

use std::time::{Duration, Instant};

use ndarray::Array2;

use super::cost::{BatchLimits, CostModel};
use super::instance;
use super::queue::{Queue, QueueSettings};
use super::shared_queue::SharedQueue;
use super::shares::Amount;
use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Arc, Condvar, Mutex, lock};
use super::ticket::{ClientKey, Failure, Outcome, Priority, SubmitOptions, Ticket, Weight};
use crate::model::loading::cost_probe::ShapeCost;
use crate::model::{ModelInput, RunError, Runner};
use crate::telemetry::model_metrics::ModelMetrics;

/// How many orders are tried for each test.
const ORDERS: usize = 2000;
const CALLERS: u64 = 3;

/// Answers each row with its id; fails batches that hold the poison.
struct Echo;

const POISON: u32 = 13;

impl Runner for Echo {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        shuttle::thread::yield_now();
        let ids: Vec<f32> = inputs.iter().map(|input| input.ids()[0] as f32).collect();
        if ids.contains(&(POISON as f32)) {
            return Err(RunError("poison".into()));
        }
        Array2::from_shape_vec((ids.len(), 1), ids).map_err(|error| RunError(error.to_string()))
    }
}

fn shared(instances: usize) -> Arc<SharedQueue> {
    let batch = BatchLimits {
        max_rows: 4,
        max_cells: 100,
        same_width: false,
    };
    let settings = QueueSettings {
        room: Amount { rows: 50, bytes: 5000 },
        batch,
        max_width: 100,
        instances,
    };
    // A run costs the same whatever it holds, so that rows which wait together run together.
    let cost = |rows: usize| ShapeCost {
        rows,
        width: 1,
        took: Duration::from_millis(1),
    };
    let cost = CostModel::fit(&[cost(1), cost(100)], batch);
    let queue = Queue::new(settings, cost);
    Arc::new(SharedQueue::new(queue, ModelMetrics::unregistered()))
}

/// What a caller saw, and how often it was answered.
#[derive(Clone)]
struct Caller {
    answer: Arc<Mutex<Option<Outcome>>>,
    answered: Arc<Condvar>,
    answers: Arc<AtomicUsize>,
}

impl Caller {
    /// Waits for the answer. One that never comes is a deadlock, which the checker reports.
    fn wait(&self) {
        let mut answer = lock(&self.answer);
        while answer.is_none() {
            answer = self.answered.wait(answer).expect("no panic");
        }
    }
}

/// Submits one request; what became of it is read when all threads have ended.
fn call(shared: &SharedQueue, client: u64, ids: &[u32], leaves: bool) -> Caller {
    let caller = Caller {
        answer: Arc::new(Mutex::new(None)),
        answered: Arc::new(Condvar::new()),
        answers: Arc::new(AtomicUsize::new(0)),
    };
    let options = SubmitOptions {
        deadline: Instant::now() + Duration::from_hours(1),
        priority: Priority::Normal,
        client: ClientKey(client),
        weight: Weight::default(),
    };
    let seen = caller.clone();
    let reply = move |answer| {
        seen.answers.fetch_add(1, Ordering::SeqCst);
        *lock(&seen.answer) = Some(answer);
        seen.answered.notify_all();
    };
    let ticket = Arc::new(Ticket::new(ids.len(), options.deadline, reply));
    let refuse = |failure| ticket.fail(failure);
    let sizes = ids.iter().map(|_| 10);
    match shared.reserve(options, sizes, Duration::ZERO, Instant::now()) {
        Err(failure) => refuse(failure),
        Ok(mut hold) => {
            shuttle::thread::yield_now();
            let inputs = ids.iter().map(|&id| ModelInput::Features(vec![id])).collect();
            match shared.push(&mut hold, inputs, &ticket, Instant::now()) {
                Err(failure) => refuse(failure),
                Ok(keys) if leaves => shared.leave(&ticket, &keys, false),
                Ok(_) => {}
            }
            shared.release(&mut hold);
        }
    }
    caller
}

/// A call, the ids of its rows, and whether it leaves.
type Call = (Caller, Vec<u32>, bool);

fn explore(instances: usize, test: impl Fn(Arc<SharedQueue>) -> Vec<Call> + Send + Sync + 'static) {
    shuttle::check_random(
        move || {
            let shared = shared(instances);
            let runners: Vec<_> = (0..instances)
                .map(|at| {
                    let shared = Arc::clone(&shared);
                    shuttle::thread::spawn(move || instance::serve(&shared, &"echo".into(), at, Box::new(Echo), false))
                })
                .collect();
            let calls = test(Arc::clone(&shared));
            shared.close();
            for runner in runners {
                runner.join().expect("no panic");
            }
            for (caller, ids, leaves) in calls {
                judge(&caller, &ids, leaves);
            }
            assert!(shared.with_queue(Queue::is_empty));
            assert_eq!(shared.with_queue(Queue::held), Amount::default());
        },
        ORDERS,
    );
}

/// Every call is answered once; one that left may be answered, but never twice.
fn judge(caller: &Caller, ids: &[u32], leaves: bool) {
    let answers = caller.answers.load(Ordering::SeqCst);
    assert!(answers == 1 || (leaves && answers == 0), "{answers} answers");
    match lock(&caller.answer).take() {
        None => assert!(leaves),
        Some(Ok(rows)) => {
            let values: Vec<u32> = rows.iter().map(|row| row.values[0] as u32).collect();
            assert_eq!(values, ids, "the rows are the caller's own, in order");
        }
        Some(Err(Failure::Inference(_))) => assert!(ids.contains(&POISON)),
        Some(Err(failure)) => assert_eq!(failure, Failure::Closed),
    }
}

#[test]
fn every_call_is_answered_once_in_a_shutdown_too() {
    explore(2, |shared| {
        let threads: Vec<_> = (0..CALLERS)
            .map(|client| {
                let shared = Arc::clone(&shared);
                let ids: Vec<u32> = (0..=client as u32).map(|row| 100 * (client as u32 + 1) + row).collect();
                shuttle::thread::spawn(move || (call(&shared, client, &ids, client == 1), ids, client == 1))
            })
            .collect();
        let closer = {
            let shared = Arc::clone(&shared);
            shuttle::thread::spawn(move || shared.close())
        };
        let calls = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        let calls = calls.collect();
        closer.join().expect("no panic");
        calls
    });
}

#[test]
fn a_poisoned_row_takes_nobody_with_it() {
    explore(1, |shared| {
        let threads: Vec<_> = [vec![1, 2], vec![POISON], vec![3]]
            .into_iter()
            .enumerate()
            .map(|(client, ids)| {
                let shared = Arc::clone(&shared);
                shuttle::thread::spawn(move || (call(&shared, client as u64, &ids, false), ids, false))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
}

/// The calls of these threads, once all are answered: while the queue is open, so that nothing but a run wakes anybody.
fn answered(threads: Vec<shuttle::thread::JoinHandle<Call>>) -> Vec<Call> {
    let calls: Vec<Call> = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .collect();
    calls.iter().for_each(|(caller, ..)| caller.wait());
    calls
}

#[test]
fn every_call_is_answered_once_while_the_cores_come_and_go() {
    explore(3, |shared| {
        let threads: Vec<_> = (0..CALLERS)
            .map(|client| {
                let shared = Arc::clone(&shared);
                // The second one's batch fails, so that its rows run one by one.
                let ids = vec![
                    10 * client as u32 + 1,
                    if client == 1 { POISON } else { 10 * client as u32 + 2 },
                ];
                shuttle::thread::spawn(move || (call(&shared, client, &ids, false), ids, false))
            })
            .collect();
        let cores = {
            let shared = Arc::clone(&shared);
            shuttle::thread::spawn(move || {
                for at_once in [1, 2, 1, 3] {
                    shared.set_at_once(at_once, at_once > 1);
                    shuttle::thread::yield_now();
                }
            })
        };
        let calls = answered(threads);
        cores.join().expect("no panic");
        calls
    });
}

#[test]
fn with_one_core_left_everything_still_runs() {
    explore(2, |shared| {
        shared.set_at_once(1, false);
        let threads: Vec<_> = (0..CALLERS)
            .map(|client| {
                let shared = Arc::clone(&shared);
                let ids = vec![client as u32 + 1, if client == 1 { POISON } else { 9 }];
                shuttle::thread::spawn(move || (call(&shared, client, &ids, false), ids, false))
            })
            .collect();
        answered(threads)
    });
}
