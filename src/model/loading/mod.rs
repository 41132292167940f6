//! Loading: from a verified folder to a model that may serve: sessions, input and output names, types and label count,
//! warm-up, golden examples.
//!
//! Slow and blocking: called from a thread of its own, after the ports are open. Every run has a limit; a tokenizer, which can't be
//! ended, has a thread that is given up.

pub mod cost_probe;
pub mod golden;
pub mod idle_priority;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::cost_probe::{ShapeBounds, ShapeCost};
use self::golden::{Report, Subject};
use self::idle_priority::Patience;
use crate::model::limited::CallOff;
use crate::model::loaded::Model;
use crate::model::manifest::{Manifest, Preprocess};
use crate::model::model_error::ModelError;
use crate::model::neighbours::{self, Neighbours};
use crate::model::onnx::{OnnxBytes, OnnxRunner, RunLimit, Runtime, SessionSettings, SharedWeights, Source};
use crate::model::postprocess::Postprocessor;
use crate::model::preprocess::Preprocessor;
use crate::model::repository::VerifiedModel;
use crate::model::runner::Runner;
use crate::model::runtime::thread_time::own_clock;
use crate::model::runtime::wide_session::{self, with_idle};
use crate::model::sample::Sample;
use crate::model::text_cost::{self, TextCost};
use crate::model::warm_up::{PATIENCE_WITH_POSITIONS, fewer_tokens, tokens_taken, warm_up};
use crate::model::{files, own_texts, sample, table};

/// A limit of runs is no shorter: the machine may be busy with something else.
pub const SHORTEST_LIMIT: Duration = Duration::from_secs(5);
/// The limit of runs while a model loads, where nobody says another.
const USUAL_LIMIT: Duration = Duration::from_secs(60);
/// How many times as long as the longest run that was measured a run may take.
const PATIENCE_WITH_RUNS: u32 = 20;

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

/// What [`initialize`] gives.
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

/// Loads a verified model, warms it up and checks its golden examples.
///
/// Several sessions share their weights. ONNX Runtime may have changed a weight in place while it optimised the graph
/// (it transposes some), and does not notice that the shared one was not changed; then the golden examples fail, and
/// each session gets weights of its own.
pub fn initialize(verified: &VerifiedModel, settings: InstanceSettings) -> Result<Initialized, ModelError> {
    initialize_in(verified, settings, Around::Quiet, &Limits::default())
}

/// The same, told what else the machine does and what to keep to.
pub fn initialize_in(
    verified: &VerifiedModel,
    mut settings: InstanceSettings,
    around: Around,
    limits: &Limits,
) -> Result<Initialized, ModelError> {
    if matches!(around, Around::Busy { idle_from_cells: None }) {
        settings.idle_threads = 1;
    }
    let share = settings.count > 1 || settings.idle_threads > settings.intra_threads;
    let limit = RunLimit::new(limits.run, limits.off.clone());
    let first = try_initialize(verified, settings, around, share, &limit);
    let Err(problem) = &first else { return first };
    if !share || limit.was_hit() || limits.off.is_off() {
        return first;
    }
    let second = try_initialize(verified, settings, around, false, &limit);
    if second.is_ok() {
        let model = &verified.manifest.name;
        tracing::warn!(model, %problem, "its sessions can't share their weights");
    }
    second
}

fn try_initialize(
    verified: &VerifiedModel,
    settings: InstanceSettings,
    around: Around,
    share: bool,
    limit: &RunLimit,
) -> Result<Initialized, ModelError> {
    let VerifiedModel {
        folder,
        manifest: told,
        fingerprint,
        ..
    } = verified;
    let runtime = Runtime::get().map_err(|problem| ModelError::new(folder, problem))?;
    let try_wide = settings.idle_threads > settings.intra_threads;
    let path = folder.join(&told.onnx.file);
    let bytes = OnnxBytes::read(folder, told)?;
    let weights = share.then(|| SharedWeights::read(&bytes)).flatten();
    let longest = limit.get();
    let open_within = |limit: &RunLimit, preprocessor: &Preprocessor, intra_threads| {
        let source = Source {
            bytes: &bytes,
            manifest: told,
            pad_id: preprocessor.pad_id(),
            weights: weights.as_ref(),
            limit,
        };
        OnnxRunner::load(runtime, source, SessionSettings { intra_threads })
            .map_err(|problem| ModelError::new(&path, problem))
    };
    let open = |preprocessor: &Preprocessor, intra_threads| open_within(limit, preprocessor, intra_threads);
    let failed = |problem: &dyn std::fmt::Display| ModelError::new(&path, format!("warm-up failed: {problem}"));
    let attempt = |patience: &Patience| {
        let mut times = LoadTimes::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        limit.set(longest.min(patience.left().unwrap_or(longest)));
        let mut preprocessor = Arc::new(Preprocessor::load(told, folder)?);
        let sample = sample::of(verified, &preprocessor, limit)?;
        times.preprocessor = lap();
        let mut runners = (0..settings.count.max(1))
            .map(|_| open(&preprocessor, settings.intra_threads))
            .collect::<Result<Vec<_>, _>>()?;
        let fit = |runner: &mut OnnxRunner, preprocessor: &Preprocessor, sample| {
            table::fit(&mut patience.runner(runner), preprocessor, sample, limit)
                .map_err(|problem| ModelError::new(&path, problem))
        };
        let sample = fit(&mut runners[0], &preprocessor, sample)?;
        let mut manifest = told.clone();
        if let Preprocess::Tokenizer(reading) = &mut manifest.preprocess {
            let (told, pad_id) = (reading.max_tokens, preprocessor.pad_id());
            let taken = if told > cost_probe::WIDEST_PROBE {
                // Such a row leaves much memory with its session, and goes with it.
                let short = limit.beside(longest.min(PATIENCE_WITH_POSITIONS));
                let mut other = open_within(&short, &preprocessor, settings.intra_threads)?;
                tokens_taken(&mut patience.runner(&mut other), &sample, told, pad_id, || {
                    short.was_hit()
                })
            } else {
                tokens_taken(&mut patience.runner(&mut runners[0]), &sample, told, pad_id, || {
                    limit.was_hit()
                })
            };
            reading.max_tokens = taken.map_err(|error| failed(&error))?;
            if reading.max_tokens < told {
                preprocessor = Arc::new(Preprocessor::load(&manifest, folder)?);
                fit(&mut runners[0], &preprocessor, sample.clone())?;
            }
        }
        times.sessions = lap();
        let postprocessor = Postprocessor::new(told);
        let own_texts = own_texts::answered(&mut patience.runner(&mut runners[0]), &preprocessor, &postprocessor);
        let (neighbours, alone) = neighbours::measure(
            &mut patience.runner(&mut runners[0]),
            &preprocessor,
            &sample,
            manifest.limits.max_batch_size,
            manifest.limits.batch,
        );
        let manifest = &manifest.with_batch(neighbours.batch);
        let bounds = ShapeBounds::new(manifest, settings.max_cells);
        let golden = match &manifest.golden {
            Some(expected) => {
                let golden_path = folder.join(&expected.file);
                let examples = golden::read(&golden_path, &verified.read(&expected.file, files::MOST_OF_GOLDEN)?)?;
                let subject = Subject {
                    manifest,
                    golden: expected,
                    preprocessor: &preprocessor,
                    postprocessor: &postprocessor,
                    runner: &mut patience.runner(&mut runners[0]),
                };
                golden::check(subject, &examples).map_err(|problem| ModelError::new(&golden_path, problem))?
            }
            None => Report::default(),
        };
        times.golden = lap();
        let mut slowest = Duration::ZERO;
        for runner in &mut runners {
            let took = warm_up(&mut patience.runner(runner), &sample, bounds).map_err(|error| failed(&error))?;
            slowest = slowest.max(took);
        }
        times.warm_up = lap();
        let for_wide = if try_wide {
            cost_probe::BUDGET / 4
        } else {
            Duration::ZERO
        };
        let clock = clock_for(around, settings.intra_threads);
        let costs = cost_probe::measure(
            &mut patience.runner(&mut runners[0]),
            &sample,
            bounds,
            cost_probe::BUDGET - for_wide,
            clock,
        )
        .map_err(|error| failed(&error))?;
        let text_cost = text_cost::of_texts(&preprocessor, manifest.max_text_bytes(), own_clock());
        times.measuring = lap();
        Ok(Narrow {
            manifest: manifest.clone(),
            bounds,
            neighbours,
            own_texts,
            alone,
            preprocessor,
            postprocessor,
            runners,
            sample,
            golden,
            costs,
            text_cost,
            slowest,
            times,
        })
    };
    let narrow = |patience: &Patience| {
        let narrow = attempt(patience);
        if narrow.is_err() && limit.was_hit() {
            // In idle moments a run takes as long as others leave it.
            patience.give_up();
        }
        narrow
    };
    let Narrow {
        manifest,
        bounds,
        neighbours,
        own_texts,
        alone,
        preprocessor,
        postprocessor,
        mut runners,
        sample,
        golden,
        costs,
        text_cost,
        slowest,
        mut times,
    } = match around {
        // Sessions of one thread start none.
        Around::Busy { .. } if settings.intra_threads == 1 => idle_priority::when_idle(narrow),
        Around::Quiet | Around::Busy { .. } => idle_priority::here(narrow),
    }?;
    limit.set(longest);
    let clock = Instant::now();
    let mut wide = None;
    if try_wide {
        let mut runner = open(&preprocessor, settings.idle_threads)?;
        warm_up(&mut runner, &sample, bounds).map_err(|error| failed(&error))?;
        let from_cells = match around {
            Around::Busy { idle_from_cells } => idle_from_cells,
            Around::Quiet => wide_session::pays(&mut runners[0], &mut runner, &costs, &sample, bounds)
                .map_err(|error| failed(&error))?,
        };
        let moved = from_cells.and_then(|_| neighbours::moved_elsewhere(&mut runner, &alone, neighbours));
        if let Some(moved) = moved {
            let model = &manifest.name;
            tracing::warn!(
                model,
                moved,
                "its answers move with the number of threads, so idle_threads is 1 for it"
            );
        }
        let from_cells = from_cells.filter(|_| moved.is_none());
        wide = from_cells.map(|from_cells| (runner, from_cells));
    }
    times.measuring += clock.elapsed();
    let idle_from_cells = wide.as_ref().map(|(_, from_cells)| *from_cells);
    let runners = with_idle(runners, wide);
    let slowest = costs.iter().map(|cost| cost.took).fold(slowest, Duration::max);
    // What is wider than was run takes longer by the square of it.
    let square = u32::try_from(bounds.wider.saturating_mul(bounds.wider)).unwrap_or(u32::MAX);
    let slowest = slowest.saturating_mul(square);
    limit.serve(
        slowest
            .saturating_mul(PATIENCE_WITH_RUNS)
            .max(SHORTEST_LIMIT)
            .min(longest),
    );
    let fewer = (manifest.max_token_count() < told.max_token_count()).then(|| fewer_tokens(&manifest, told));
    #[cfg(feature = "fault-injection")]
    let runners = crate::model::runtime::faults::wrap(runners, &preprocessor);
    Ok(Initialized {
        model: Arc::new(Model {
            manifest,
            fingerprint: fingerprint.clone(),
            preprocessor,
            postprocessor,
            text_cost,
            own_texts,
            limit: limit.clone(),
            neighbours,
            fewer,
        }),
        idle_from_cells,
        runners,
        golden,
        costs,
        times,
    })
}

/// All of a model but the session for quiet moments.
struct Narrow {
    manifest: Manifest,
    bounds: ShapeBounds,
    neighbours: Neighbours,
    own_texts: Vec<String>,
    /// Rows with their outputs on the first session.
    alone: Vec<neighbours::Alone>,
    preprocessor: Arc<Preprocessor>,
    postprocessor: Postprocessor,
    runners: Vec<OnnxRunner>,
    sample: Sample,
    golden: Report,
    costs: Vec<ShapeCost>,
    text_cost: TextCost,
    /// The longest run of the warm-up.
    slowest: Duration,
    times: LoadTimes,
}

/// The clock for runs of an instance. The processor's time of this thread is all of a run only where no other thread helps.
fn clock_for(around: Around, intra_threads: usize) -> impl Fn() -> Instant {
    let own = own_clock();
    let by_processor = intra_threads == 1 && matches!(around, Around::Busy { .. });
    move || if by_processor { own() } else { Instant::now() }
}
