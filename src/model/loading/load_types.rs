//! What a load is given (limits, instances, what else the machine does), and what it gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cost_probe::ShapeCost;
use super::effort::Effort;
use super::golden::Report;
use super::wide_trial::WideTrial;

use crate::model::limited::CallOff;
use crate::model::linear::NativeRunner;
use crate::model::loaded::Model;
use crate::model::onnx::Providers;
use crate::model::runner::Runner;
use crate::model::runtime::thread_time::own_clock;

/// The shortest limit of a run: the machine may be busy with something else.
pub const SHORTEST_LIMIT: Duration = Duration::from_secs(5);

/// The limit of runs while a model loads, unless the caller names another.
const USUAL_LIMIT: Duration = Duration::from_mins(1);

/// How a model is loaded, and what bounds it.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The longest that a run may take until runs were measured; the limit afterwards is no longer than this.
    pub run: Duration,
    /// Calls the load off.
    pub off: CallOff,
    pub effort: Effort,
    /// Whether the number of instances was chosen by the number of processors. Where a graph runs elsewhere, there is one.
    pub count_by_processors: bool,
    /// Whether golden examples are only measured: their labels must agree, however far their numbers are.
    pub measure_golden: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            run: USUAL_LIMIT,
            off: CallOff::default(),
            effort: Effort::default(),
            count_by_processors: false,
            measure_golden: false,
        }
    }
}

/// What runs a model that `tandem train` made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FastPath {
    /// This program itself. Each load compares it with ONNX Runtime first.
    #[default]
    Native,
    /// ONNX Runtime, as for any other model.
    Onnx,
}

/// How many instances a model gets, and the threads of each.
#[derive(Clone, Copy, Debug)]
pub struct InstanceSettings {
    /// The number of sessions, each with a thread of its own.
    pub count: usize,
    /// Threads of ONNX Runtime inside one run.
    pub intra_threads: usize,
    /// Threads inside a run that has the machine to itself, if they make it shorter: those of the wide session. There
    /// is none if this is no more than `intra_threads`.
    pub idle_threads: usize,
    /// The most cells of a batch on the processor, rows × width: bounds the shapes that warm-up runs and that are measured.
    pub max_cells: usize,
    pub fast_path: FastPath,
}

/// What the machine does while a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// It serves nobody yet: times by the clock are right, and all cores may be used.
    Quiet,
    /// It serves requests. Costs are measured in processor time, since the clock counts other runs too.
    Busy,
}

impl Around {
    /// The clock for runs of an instance with this many threads. The processor time of the calling thread is right only
    /// if no other thread helps with the run, and no other hardware.
    pub(super) fn clock(self, intra_threads: usize, providers: &Providers) -> impl Fn() -> Instant + use<> {
        let own = own_clock();
        let by_processor = intra_threads == 1 && providers.is_cpu() && self == Self::Busy;
        move || if by_processor { own() } else { Instant::now() }
    }
}

/// What [`initialize`](super::initialize) gives.
pub struct Initialized {
    pub model: Arc<Model>,
    pub runners: Vec<Box<dyn Runner>>,
    /// The same model, if it runs without ONNX Runtime.
    pub native: Option<NativeRunner>,
    /// The outcome of its golden examples.
    pub golden: Report,
    /// What runs of an instance take on this machine while nothing else runs; never empty.
    pub costs: Vec<ShapeCost>,
    /// The most cells of a batch: those of its settings, or more where other hardware runs it.
    pub max_cells: usize,
    /// A session with more threads, to be opened once the model serves; `None` if none is wanted.
    pub wide: Option<WideTrial>,
    pub times: LoadTimes,
}

/// How long each step of a load took.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadTimes {
    pub preprocessor: Duration,
    pub sessions: Duration,
    /// Running each session on the largest shapes.
    pub warm_up: Duration,
    /// Measuring what runs cost.
    pub measuring: Duration,
    /// Finding out whether a row's neighbours in a batch matter.
    pub neighbours: Duration,
    pub golden: Duration,
}
