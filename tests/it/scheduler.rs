//! The scheduler around a scripted runner: bounds, order of failure, and its end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use ndarray::Array2;
use tandem::batching::{BatchLimits, Failure, Scheduler, SchedulerSettings};
use tandem::model::{ModelInput, RunError, Runner};
use tandem::telemetry::metrics::ModelMetrics;
use tokio::task::JoinHandle;

/// What a scripted run does.
enum Script {
    /// Answers each row with its own id.
    Answer,
    /// Answers with one row too few.
    OneRowShort,
    /// Fails.
    Fail,
    /// Panics.
    Panic,
}

/// Tells what it is about to run, then does as told.
struct ScriptedRunner {
    started: tokio::sync::mpsc::UnboundedSender<Vec<u32>>,
    script: mpsc::Receiver<Script>,
}

impl Runner for ScriptedRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        let ids: Vec<u32> = inputs.iter().map(|input| input.ids()[0]).collect();
        // The test may have seen enough.
        let _ = self.started.send(ids.clone());
        let rows = |ids: &[u32]| {
            let values = ids.iter().map(|&id| id as f32).collect();
            Array2::from_shape_vec((ids.len(), 1), values).expect("one value a row")
        };
        match self.script.recv().expect("the test tells what happens") {
            Script::Answer => Ok(rows(&ids)),
            Script::OneRowShort => Ok(rows(&ids[1..])),
            Script::Fail => Err(RunError("scripted".into())),
            Script::Panic => panic!("scripted"),
        }
    }
}

/// A scheduler with one scripted instance.
struct Stage {
    scheduler: Scheduler,
    started: tokio::sync::mpsc::UnboundedReceiver<Vec<u32>>,
    script: mpsc::Sender<Script>,
}

type Answers = JoinHandle<Result<Vec<f32>, Failure>>;

impl Stage {
    fn new(max_rows_in_flight: usize) -> Self {
        let (tell, started) = tokio::sync::mpsc::unbounded_channel();
        let (script, receiver) = mpsc::channel();
        let runner = ScriptedRunner {
            started: tell,
            script: receiver,
        };
        let settings = SchedulerSettings {
            max_rows_in_flight,
            batch: BatchLimits {
                max_rows: 8,
                max_cells: 100,
            },
        };
        let scheduler = Scheduler::start(
            "scripted",
            vec![Box::new(runner)],
            settings,
            ModelMetrics::unregistered(),
        );
        Self {
            scheduler: scheduler.expect("a thread"),
            started,
            script,
        }
    }

    /// Submits rows, and waits until they are in the queue behind `before` others.
    async fn submit(&self, ids: &[u32], deadline: Instant) -> Answers {
        let room = self.scheduler.reserve(ids.len()).expect("room");
        let inputs = ids.iter().map(|&id| ModelInput::Features(vec![id])).collect();
        let answer = tokio::spawn(async move {
            let rows = room.submit(inputs, deadline).await?;
            Ok(rows.into_iter().map(|row| row.values[0]).collect())
        });
        // One turn of the single-threaded runtime polls the new task up to its wait.
        tokio::task::yield_now().await;
        answer
    }

    /// Submits a row that occupies the instance until the script goes on.
    async fn occupy(&mut self) -> Answers {
        let answer = self.submit(&[0], later()).await;
        assert_eq!(self.started().await, [0]);
        answer
    }

    /// The ids of the batch that started next.
    async fn started(&mut self) -> Vec<u32> {
        self.started.recv().await.expect("the instance lives")
    }

    fn go(&self, script: Script) {
        self.script.send(script).expect("the instance lives");
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

#[tokio::test]
async fn the_bound_on_rows_in_flight_is_exact_and_says_when_to_come_back() {
    let stage = Stage::new(3);
    let held = stage.scheduler.reserve(2).expect("room");
    assert!(matches!(
        stage.scheduler.reserve(2),
        Err(Failure::QueueFull { retry_after }) if !retry_after.is_zero()
    ));
    let last = stage.scheduler.reserve(1).expect("room for one");
    assert!(matches!(stage.scheduler.reserve(1), Err(Failure::QueueFull { .. })));
    drop(held);
    stage.scheduler.reserve(2).map(drop).expect("room again");
    drop(last);
}

#[tokio::test]
async fn room_comes_back_with_the_answer() {
    let mut stage = Stage::new(1);
    let first = stage.occupy().await;
    assert!(matches!(stage.scheduler.reserve(1), Err(Failure::QueueFull { .. })));
    stage.go(Script::Answer);
    assert_eq!(first.await.expect("no panic"), Ok(vec![0.0]));
    stage.scheduler.reserve(1).map(drop).expect("room again");
}

#[tokio::test]
async fn rows_that_wait_together_run_together_and_come_back_in_order() {
    let mut stage = Stage::new(10);
    let first = stage.occupy().await;
    let second = stage.submit(&[1, 2], later()).await;
    let third = stage.submit(&[3], later()).await;
    assert_eq!(stage.scheduler.queued_rows(), 3);
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [1, 2, 3]);
    stage.go(Script::Answer);
    assert_eq!(first.await.expect("no panic"), Ok(vec![0.0]));
    assert_eq!(second.await.expect("no panic"), Ok(vec![1.0, 2.0]));
    assert_eq!(third.await.expect("no panic"), Ok(vec![3.0]));
}

#[tokio::test]
async fn a_request_that_was_cancelled_never_runs() {
    let mut stage = Stage::new(10);
    let _first = stage.occupy().await;
    let cancelled = stage.submit(&[1], later()).await;
    let kept = stage.submit(&[2], later()).await;
    cancelled.abort();
    assert!(cancelled.await.expect_err("cancelled").is_cancelled());
    assert_eq!(stage.scheduler.queued_rows(), 1);
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [2]);
    stage.go(Script::Answer);
    assert_eq!(kept.await.expect("no panic"), Ok(vec![2.0]));
}

#[tokio::test]
async fn a_request_that_expired_is_answered_and_never_runs() {
    let mut stage = Stage::new(10);
    let _first = stage.occupy().await;
    let expired = stage.submit(&[1], Instant::now()).await;
    let kept = stage.submit(&[2], later()).await;
    assert_eq!(expired.await.expect("no panic"), Err(Failure::DeadlineExceeded));
    stage.go(Script::Answer);
    assert_eq!(stage.started().await, [2]);
    stage.go(Script::Answer);
    assert_eq!(kept.await.expect("no panic"), Ok(vec![2.0]));
}

#[tokio::test]
async fn a_batch_that_fails_is_run_row_by_row_so_that_neighbours_are_answered() {
    for failure in [Script::Fail, Script::Panic, Script::OneRowShort] {
        let mut stage = Stage::new(10);
        let first = stage.occupy().await;
        let bad = stage.submit(&[1], later()).await;
        let good = stage.submit(&[2], later()).await;
        stage.go(Script::Answer);
        assert_eq!(stage.started().await, [1, 2]);
        stage.go(failure);
        assert_eq!(stage.started().await, [1]);
        stage.go(Script::Fail);
        assert_eq!(stage.started().await, [2]);
        stage.go(Script::Answer);
        assert!(first.await.expect("no panic").is_ok());
        assert!(matches!(bad.await.expect("no panic"), Err(Failure::Inference(_))));
        assert_eq!(good.await.expect("no panic"), Ok(vec![2.0]));
    }
}

#[tokio::test]
async fn a_runner_that_panics_fails_its_row_and_goes_on() {
    let mut stage = Stage::new(10);
    let first = stage.occupy().await;
    stage.go(Script::Panic);
    assert!(matches!(first.await.expect("answered"), Err(Failure::Inference(_))));
    let second = stage.submit(&[7], later()).await;
    stage.go(Script::Answer);
    assert_eq!(second.await.expect("no panic"), Ok(vec![7.0]));
}

#[tokio::test]
async fn close_finishes_what_waits_and_takes_nothing_new() {
    let mut stage = Stage::new(10);
    let running = stage.occupy().await;
    let waiting = stage.submit(&[1], later()).await;
    stage.scheduler.close();
    let refused = stage.submit(&[2], later()).await;
    assert_eq!(refused.await.expect("no panic"), Err(Failure::Closed));
    stage.go(Script::Answer);
    stage.go(Script::Answer);
    assert_eq!(running.await.expect("no panic"), Ok(vec![0.0]));
    assert_eq!(waiting.await.expect("no panic"), Ok(vec![1.0]));
    let scheduler = stage.scheduler.clone();
    tokio::task::spawn_blocking(move || scheduler.join())
        .await
        .expect("the threads ended");
}
