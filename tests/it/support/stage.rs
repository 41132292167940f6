//! A scheduler around scripted runners: a test sees each batch start, and says what comes of it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use ndarray::Array2;
use tandem::batching::shares::Amount;
use tandem::batching::{
    BatchLimits, ClientKey, Failure, Priority, Scheduler, SchedulerSettings, SubmitOptions, Weight,
};
use tandem::model::loading::cost_probe::ShapeCost;
use tandem::model::{ModelInput, RunError, Runner};
use tandem::telemetry::model_metrics::ModelMetrics;
use tokio::task::JoinHandle;

/// What a scripted run does.
pub enum Script {
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
#[derive(Clone)]
struct ScriptedRunner {
    started: tokio::sync::mpsc::UnboundedSender<Vec<u32>>,
    script: std::sync::Arc<std::sync::Mutex<mpsc::Receiver<Script>>>,
    opened: std::sync::Arc<std::sync::atomic::AtomicUsize>,
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
        let script = self.script.lock().expect("no panic with the lock held").recv();
        match script.expect("the test tells what happens") {
            Script::Answer => Ok(rows(&ids)),
            Script::OneRowShort => Ok(rows(&ids[1..])),
            Script::Fail => Err(RunError("scripted".into())),
            Script::Panic => panic!("scripted"),
        }
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        self.opened.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Box::new(self.clone()))
    }
}

/// A scheduler with scripted instances, one unless said otherwise.
pub struct Stage {
    /// The scheduler.
    pub scheduler: Scheduler,
    started: tokio::sync::mpsc::UnboundedReceiver<Vec<u32>>,
    script: mpsc::Sender<Script>,
    /// How many runners were opened in the place of one that panicked.
    pub opened: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

/// What a request of a test gets.
pub type Answers = JoinHandle<Result<Vec<f32>, Failure>>;

/// What a run costs on a stage: a second, whatever it holds, so that it pays to run together whatever waits.
pub const RUN: Duration = Duration::from_secs(1);

impl Stage {
    /// A stage with room for so many rows, of a thousand bytes each.
    pub fn new(max_rows: usize) -> Self {
        Self::with_instances(max_rows, 1)
    }

    /// The same with several instances.
    pub fn with_instances(max_rows: usize, instances: usize) -> Self {
        let (tell, started) = tokio::sync::mpsc::unbounded_channel();
        let (script, receiver) = mpsc::channel();
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
        let opened = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let runner = || ScriptedRunner {
            started: tell.clone(),
            script: std::sync::Arc::clone(&receiver),
            opened: std::sync::Arc::clone(&opened),
        };
        let settings = SchedulerSettings {
            room: Amount {
                rows: max_rows,
                bytes: max_rows * 1000,
            },
            batch: BatchLimits {
                max_rows: 8,
                max_cells: 100,
                same_width: false,
            },
            max_width: 1000,
        };
        let cost = |rows: usize| ShapeCost {
            rows,
            width: 1,
            took: RUN,
        };
        let scheduler = Scheduler::start(
            "scripted",
            (0..instances).map(|_| Box::new(runner()) as Box<dyn Runner>).collect(),
            None,
            &[cost(1), cost(100)],
            settings,
            ModelMetrics::unregistered(),
        );
        Self {
            scheduler: scheduler.expect("a thread"),
            started,
            script,
            opened,
        }
    }

    /// Submits rows with these options, and waits until they are in the queue.
    pub async fn submit_as(&self, ids: &[u32], options: SubmitOptions) -> Answers {
        let room = self.scheduler.reserve(options, sizes(ids.len()));
        let inputs = ids.iter().map(|&id| ModelInput::Features(vec![id])).collect();
        let answer = tokio::spawn(async move {
            let rows = room?.submit(inputs).await?;
            Ok(rows.into_iter().map(|row| row.values[0]).collect())
        });
        // One turn of the single-threaded runtime polls the new task up to its wait.
        tokio::task::yield_now().await;
        answer
    }

    /// Submits rows of the one client that most tests have.
    pub async fn submit(&self, ids: &[u32], deadline: Instant) -> Answers {
        let options = SubmitOptions { deadline, ..options() };
        self.submit_as(ids, options).await
    }

    /// Submits a row that occupies an instance until the script goes on.
    pub async fn occupy(&mut self) -> Answers {
        let answer = self.submit(&[0], later()).await;
        assert_eq!(self.started().await, [0]);
        answer
    }

    /// The ids of the batch that started next.
    pub async fn started(&mut self) -> Vec<u32> {
        self.started.recv().await.expect("the instance lives")
    }

    /// The ids of a batch that has started and that nobody asked for yet, if there is one.
    pub fn started_by_now(&mut self) -> Option<Vec<u32>> {
        self.started.try_recv().ok()
    }

    /// Lets a run that has started end.
    pub fn go(&self, script: Script) {
        self.script.send(script).expect("the instance lives");
    }
}

/// The sizes of so many small texts.
pub fn sizes(rows: usize) -> impl ExactSizeIterator<Item = usize> {
    std::iter::repeat_n(10, rows)
}

/// A deadline that no test reaches.
pub fn later() -> Instant {
    Instant::now() + Duration::from_mins(10)
}

/// The options of an ordinary request, by a client that is no connection.
pub fn options() -> SubmitOptions {
    SubmitOptions {
        deadline: later(),
        priority: Priority::Normal,
        client: ClientKey(u64::MAX),
        weight: Weight::default(),
    }
}
