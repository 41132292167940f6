//! Loading: from a verified folder to a model that may serve: sessions, input and output names, types and label count,
//! warm-up, golden examples.
//!
//! Slow and blocking: called from a thread of its own, after the ports are open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cost::{self, ShapeBounds, ShapeCost};
use super::golden::{self, Report, Subject};
use super::manifest::{Manifest, Tier, Truncation};
use super::onnx::{OnnxRunner, Runtime, SessionSettings};
use super::postprocess::{Classification, NotFinite, Postprocessor};
use super::preprocess::{EncodeError, Encoding, ModelInput, Preprocessor};
use super::repository::VerifiedModel;
use super::{ModelError, RunError, Runner};

/// How many instances a model gets, and how each is set up.
#[derive(Clone, Copy, Debug)]
pub struct InstanceSettings {
    /// Sessions, each with a thread of its own.
    pub count: usize,
    /// Threads inside one run.
    pub intra_threads: usize,
    /// The most cells, rows × width, of a batch: bounds what warm-up runs and what is measured.
    pub max_cells: usize,
}

/// A loaded model: the handler's steps, but for inference, whose place is the scheduler.
pub struct Model {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its fingerprint.
    pub fingerprint: String,
    preprocessor: Preprocessor,
    postprocessor: Postprocessor,
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

/// Loads a verified model, warms it up and checks its golden examples.
pub fn initialize(verified: &VerifiedModel, settings: InstanceSettings) -> Result<Initialized, ModelError> {
    let VerifiedModel {
        folder,
        manifest,
        fingerprint,
    } = verified;
    let runtime = Runtime::get().map_err(|problem| ModelError::new(folder, problem))?;
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
    let preprocessor = Preprocessor::load(manifest, folder)?;
    let mut times = LoadTimes {
        preprocessor: lap(),
        ..LoadTimes::default()
    };
    let path = folder.join(&manifest.onnx.file);
    let session = SessionSettings {
        intra_threads: settings.intra_threads,
    };
    let mut runners = Vec::with_capacity(settings.count);
    for _ in 0..settings.count.max(1) {
        let runner = OnnxRunner::load(runtime, &path, manifest, preprocessor.pad_id(), session)
            .map_err(|problem| ModelError::new(&path, problem))?;
        runners.push(runner);
    }
    times.sessions = lap();
    let postprocessor = Postprocessor {
        output_kind: manifest.onnx.output_kind,
        temperature: manifest.calibration.temperature,
    };
    let failed = |problem: &dyn std::fmt::Display| ModelError::new(&path, format!("warm-up failed: {problem}"));
    let sample = cost::sample(&preprocessor).map_err(|error| failed(&error))?;
    let bounds = ShapeBounds::new(manifest, settings.max_cells);
    for runner in &mut runners {
        warm_up(runner, &sample, bounds).map_err(|error| failed(&error))?;
    }
    times.warm_up = lap();
    let costs =
        cost::measure(&mut runners[0], &sample, bounds, cost::BUDGET, Instant::now).map_err(|error| failed(&error))?;
    times.measuring = lap();
    let golden_path = folder.join(&manifest.golden.file);
    let examples = golden::read(&golden_path)?;
    let subject = Subject {
        manifest,
        preprocessor: &preprocessor,
        postprocessor,
        runner: &mut runners[0],
    };
    let golden = golden::check(subject, &examples).map_err(|problem| ModelError::new(&golden_path, problem))?;
    times.golden = lap();
    Ok(Initialized {
        model: Arc::new(Model {
            manifest: manifest.clone(),
            fingerprint: fingerprint.clone(),
            preprocessor,
            postprocessor,
        }),
        runners: runners
            .into_iter()
            .map(|runner| Box::new(runner) as Box<dyn Runner>)
            .collect(),
        golden,
        costs,
        times,
    })
}

/// Runs the smallest shape and the largest ones, so that the first caller does not pay for what ONNX Runtime does once,
/// and so that the memory which the process needs is its own before it serves.
fn warm_up(runner: &mut dyn Runner, sample: &ModelInput, bounds: ShapeBounds) -> Result<(), RunError> {
    for (rows, width) in bounds.largest().into_iter().chain([(1, 1)]) {
        let row = cost::of_width(sample, width);
        let batch: Vec<&ModelInput> = std::iter::repeat_n(&row, rows).collect();
        runner.run(&batch)?;
    }
    Ok(())
}

impl Model {
    /// The tier that it serves.
    pub fn tier(&self) -> Tier {
        self.manifest.tier
    }

    /// Turns a text into the model's input. `truncation` overrides the model's own setting.
    pub fn preprocess(&self, text: &str, truncation: Option<Truncation>) -> Result<Encoding, EncodeError> {
        self.preprocessor.encode(text, truncation)
    }

    /// Whether preprocessing takes some nanoseconds a byte, whatever the text.
    pub fn preprocesses_cheaply(&self) -> bool {
        !matches!(self.preprocessor, Preprocessor::Tokenizer(_))
    }

    /// Turns a row of raw outputs into an answer.
    pub fn postprocess(&self, row: &[f32]) -> Result<Classification, NotFinite> {
        self.postprocessor.classify(row)
    }
}
