//! What a load is told (its limits, the instances that a model gets, what else the machine does), and what it gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cost_probe::ShapeCost;
use super::golden::Report;
use crate::model::limited::CallOff;
use crate::model::loaded::Model;
use crate::model::runner::Runner;
use crate::model::runtime::thread_time::own_clock;

/// A limit of runs is no shorter: the machine may be busy with something else.
pub const SHORTEST_LIMIT: Duration = Duration::from_secs(5);

/// The limit of runs while a model loads, where nobody says another.
const USUAL_LIMIT: Duration = Duration::from_secs(60);

/// What a load keeps to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a run may take before it is known how long runs take; no longer afterwards.
    pub run: Duration,
    /// Ends the load.
    pub off: CallOff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            run: USUAL_LIMIT,
            off: CallOff::default(),
        }
    }
}

/// How many instances a model gets, and how each is set up.
#[derive(Clone, Copy, Debug)]
pub struct InstanceSettings {
    /// Sessions, each with a thread of its own.
    pub count: usize,
    /// Threads inside one run.
    pub intra_threads: usize,
    /// Threads inside a run that has the machine to itself, where they make it shorter; no more than `intra_threads`: none.
    pub idle_threads: usize,
    /// The most cells, rows × width, of a batch: bounds what warm-up runs and what is measured.
    pub max_cells: usize,
}

/// What the machine does while a model is loaded.
#[derive(Clone, Copy, Debug)]
pub enum Around {
    /// Nothing else: runs take as long as they take.
    Quiet,
    /// It serves. What takes longer while others run is not measured by the clock on the wall: costs are taken in processor
    /// time, and whether more threads pay is what the version before found when it was quiet.
    Busy {
        /// The size of a batch from which on more threads run what is alone; nothing if they do not pay.
        idle_from_cells: Option<usize>,
    },
}

impl Around {
    /// The clock for runs of an instance of so many threads. The processor's time of this thread is all of a run only where no
    /// other thread helps.
    pub(super) fn clock(self, intra_threads: usize) -> impl Fn() -> Instant {
        let own = own_clock();
        let by_processor = intra_threads == 1 && matches!(self, Self::Busy { .. });
        move || if by_processor { own() } else { Instant::now() }
    }
}

/// What [`initialize`](super::load::initialize) gives.
pub struct Initialized {
    /// The model.
    pub model: Arc<Model>,
    /// Its instances.
    pub runners: Vec<Box<dyn Runner>>,
    /// How it did on its golden examples.
    pub golden: Report,
    /// What runs of an instance take on this machine, while nothing else runs; never empty.
    pub costs: Vec<ShapeCost>,
    /// The size of a batch, in cells, from which on more threads run what is alone; nothing if they do not pay.
    pub idle_from_cells: Option<usize>,
    /// Where the time went.
    pub times: LoadTimes,
}

/// Where the time of a load went.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadTimes {
    /// Reading the tokenizer.
    pub preprocessor: Duration,
    /// Opening the sessions.
    pub sessions: Duration,
    /// Running each session at the largest shapes.
    pub warm_up: Duration,
    /// Measuring the costs.
    pub measuring: Duration,
    /// The golden examples.
    pub golden: Duration,
}
