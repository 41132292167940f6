//! Faults on demand, for tests: texts that make an instance panic, fail, dawdle, or wait for the others.
//!
//! Only in builds with the feature `fault-injection`, which a release build refuses. Knows only models' inputs, so that
//! a fault takes the way of any text: a row is at fault if it equals what preprocessing makes of one of these texts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ndarray::Array2;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::model::input::ModelInput;
use crate::model::preprocess::Preprocessor;
use crate::model::runner::{RunError, Runner};

/// A row of this text makes its instance panic.
pub const PANIC: &str = "tandem-fault:panic";
/// A row of this text makes its run fail.
pub const FAIL: &str = "tandem-fault:fail";
/// A row of this text keeps its instance busy for [`DAWDLE`].
pub const SLOW: &str = "tandem-fault:slow";
/// A run with a row of this text ends when [`let_go`] is called.
pub const HOLD: &str = "tandem-fault:hold";
/// A run with a row of this text ends when every instance of the model runs one at the same time.
pub const MEET: &str = "tandem-fault:meet";
/// Preprocessing a text that begins like this panics.
pub const PREPROCESS: &str = "tandem-fault:preprocess";

/// The time that a slow row takes.
pub const DAWDLE: Duration = Duration::from_millis(300);
/// How long a run waits for other instances, or to be let go, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

static PANICS: AtomicUsize = AtomicUsize::new(0);
static REOPENED: AtomicUsize = AtomicUsize::new(0);
static MEETING: AtomicUsize = AtomicUsize::new(0);
static LET_GO: Gathering = Gathering::new();

/// How many instances have panicked in this process, and how many were opened to replace one.
pub fn panics() -> (usize, usize) {
    (PANICS.load(Ordering::SeqCst), REOPENED.load(Ordering::SeqCst))
}

/// Ends every run that is held.
pub fn let_go() {
    LET_GO.all_are_here();
}

/// How many runs are held.
pub fn held_runs() -> usize {
    LET_GO.state.lock().here
}

/// How many runs wait for other instances.
pub fn meeting_runs() -> usize {
    MEETING.load(Ordering::SeqCst)
}

/// Panics if the text asks for it.
pub fn before_preprocessing(text: &str) {
    assert!(!text.starts_with(PREPROCESS), "injected");
}

/// The instances of a model with these faults added.
pub fn wrap(runners: Vec<Box<dyn Runner>>, preprocessor: &Preprocessor) -> Vec<Box<dyn Runner>> {
    tracing::warn!("this build takes texts that make it fail: it is for tests alone");
    let ids = |text| match preprocessor.encode(text, None, None) {
        Ok(encoding) => encoding.input.golden_ids(),
        Err(error) => panic!("a text of faults can't be encoded: {error}"),
    };
    let script = Arc::new(Script {
        panic: ids(PANIC),
        fail: ids(FAIL),
        slow: ids(SLOW),
        hold: ids(HOLD),
        meet: ids(MEET),
        meeting: Gathering::new(),
        instances: runners.len(),
    });
    let wrapped = runners.into_iter().map(|inner| {
        let script = Arc::clone(&script);
        Box::new(FaultyRunner { inner, script }) as Box<dyn Runner>
    });
    wrapped.collect()
}

/// The ids of the texts at fault, as golden examples list them: Explain asks for features in an order of its own.
struct Script {
    panic: Vec<u32>,
    fail: Vec<u32>,
    slow: Vec<u32>,
    hold: Vec<u32>,
    meet: Vec<u32>,
    meeting: Gathering,
    instances: usize,
}

struct FaultyRunner {
    inner: Box<dyn Runner>,
    script: Arc<Script>,
}

impl FaultyRunner {
    fn strike(&self, inputs: &[&ModelInput]) -> Result<(), RunError> {
        let script = &self.script;
        let ids: Vec<Vec<u32>> = inputs.iter().map(|input| input.golden_ids()).collect();
        let has = |fault: &Vec<u32>| ids.contains(fault);
        if has(&script.hold) {
            LET_GO.wait()?;
        }
        if has(&script.meet) {
            MEETING.fetch_add(1, Ordering::SeqCst);
            let met = script.meeting.meet(script.instances);
            MEETING.fetch_sub(1, Ordering::SeqCst);
            met?;
        }
        if has(&script.slow) {
            std::thread::sleep(DAWDLE);
        }
        if has(&script.fail) {
            return Err(RunError("injected".into()));
        }
        if has(&script.panic) {
            PANICS.fetch_add(1, Ordering::SeqCst);
            panic!("injected");
        }
        Ok(())
    }
}

impl Runner for FaultyRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.strike(inputs)?;
        self.inner.run(inputs)
    }

    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.strike(inputs)?;
        self.inner.run_alone(inputs)
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        let inner = self.inner.reopen()?;
        REOPENED.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Self {
            inner,
            script: Arc::clone(&self.script),
        }))
    }
}

/// A place where threads wait for each other.
struct Gathering {
    state: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    here: usize,
    round: usize,
}

impl Gathering {
    const fn new() -> Self {
        Self {
            state: Mutex::new(Waiting { here: 0, round: 0 }),
            changed: Condvar::new(),
        }
    }

    /// Waits until `expected` threads are here.
    fn meet(&self, expected: usize) -> Result<(), RunError> {
        let mut state = self.state.lock();
        state.here += 1;
        if state.here >= expected {
            state.here = 0;
            state.round += 1;
            self.changed.notify_all();
            return Ok(());
        }
        self.wait_from(state)
    }

    /// Waits for the end of the round.
    fn wait(&self) -> Result<(), RunError> {
        let mut state = self.state.lock();
        state.here += 1;
        self.wait_from(state)
    }

    fn wait_from(&self, mut state: MutexGuard<'_, Waiting>) -> Result<(), RunError> {
        let round = state.round;
        let waited = self
            .changed
            .wait_while_for(&mut state, |state| state.round == round, PATIENCE);
        if waited.timed_out() {
            state.here = 0;
            return Err(RunError("nobody came".into()));
        }
        Ok(())
    }

    fn all_are_here(&self) {
        let mut state = self.state.lock();
        state.here = 0;
        state.round += 1;
        self.changed.notify_all();
    }
}
