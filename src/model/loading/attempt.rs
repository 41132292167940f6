//! One try to load a model, step by step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cost_probe::{self, ShapeBounds, ShapeCost};
use super::effort::Effort;
use super::golden::{self, Report, Subject};
use super::idle_priority::{self, Patience};
use super::load_types::{Around, Initialized, InstanceSettings, LoadOptions, LoadTimes, SHORTEST_LIMIT};
use super::native_check;
use super::wide_trial::WideTrial;
use crate::model::device_memory::DeviceMemory;
use crate::model::input::BatchBounds;
use crate::model::linear::NativeRunner;
use crate::model::loaded::Model;
use crate::model::manifest::Manifest;
use crate::model::model_error::ModelError;
use crate::model::neighbours::{self, Neighbours};
use crate::model::onnx::{OnnxBytes, Providers, RunLimit, Runtime, SharedWeights};
use crate::model::postprocess::Postprocessor;
use crate::model::preprocess::Preprocessor;
use crate::model::providers::Assigned;
use crate::model::repository::VerifiedModel;
use crate::model::runner::{RunError, Runner};
use crate::model::runtime::thread_time::own_clock;
use crate::model::runtime::wide_session::{WideSlot, with_wide};
use crate::model::sample::Sample;
use crate::model::text_cost::{self, TextCost};
use crate::model::warm_up::{fewer_tokens, warm_up};
use crate::model::{files, own_texts, side_by_side};

/// The width of the widest row on which sessions are compared.
const WIDEST_COMPARED: usize = 128;

/// The limit of a run, in times the longest run that was measured.
const PATIENCE_WITH_RUNS: u32 = 20;

/// What runs a model whose weights the program adds up itself.
const NATIVE: &str = "native";

/// A model with all that it needs to serve, but the wide session.
struct Narrow {
    manifest: Manifest,
    bounds: ShapeBounds,
    neighbours: Neighbours,
    own_texts: Vec<String>,
    /// Rows with the outputs that they had on the first session when each ran alone.
    alone: Vec<neighbours::Alone>,
    preprocessor: Arc<Preprocessor>,
    postprocessor: Postprocessor,
    runners: Vec<Box<dyn Runner>>,
    native: Option<NativeRunner>,
    assigned: Vec<Assigned>,
    sample: Sample,
    golden: Report,
    costs: Vec<ShapeCost>,
    text_cost: TextCost,
    /// The longest run of the warm-up.
    slowest: Duration,
    times: LoadTimes,
}

/// One try to load a model, with what all of its steps need.
pub(super) struct Load<'a> {
    pub(super) verified: &'a VerifiedModel,
    pub(super) settings: InstanceSettings,
    pub(super) around: Around,
    pub(super) effort: Effort,
    pub(super) limit: &'a RunLimit,
    /// The limit of runs when the load begins; later limits are no longer than this.
    pub(super) longest: Duration,
    pub(super) runtime: &'static Runtime,
    /// The path of the ONNX file, for errors.
    pub(super) path: PathBuf,
    pub(super) bytes: OnnxBytes,
    /// The weights that all sessions share, if they do.
    pub(super) weights: Option<SharedWeights>,
    pub(super) providers: Providers,
    pub(super) memory: DeviceMemory,
    /// Whether golden examples are only measured.
    measure_golden: bool,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        verified: &'a VerifiedModel,
        settings: InstanceSettings,
        (around, options): (Around, &LoadOptions),
        (providers, share): (&Providers, bool),
        limit: &'a RunLimit,
    ) -> Result<Self, ModelError> {
        let VerifiedModel { folder, manifest, .. } = verified;
        let runtime = Runtime::get().map_err(|problem| ModelError::new(folder, problem))?;
        let bytes = OnnxBytes::read(folder, manifest)?;
        Ok(Self {
            verified,
            settings,
            around,
            effort: options.effort,
            limit,
            longest: limit.get(),
            runtime,
            path: folder.join(&manifest.onnx.file),
            weights: share.then(|| SharedWeights::read(&bytes)).flatten(),
            bytes,
            providers: providers.clone(),
            memory: DeviceMemory::of(providers.devices()),
            measure_golden: options.measure_golden,
        })
    }

    /// Does all steps.
    pub(super) fn run(self) -> Result<Initialized, ModelError> {
        let narrow = match self.around {
            // Sessions with one thread start no threads, so they may be opened at idle priority. Other providers may start some.
            Around::Busy if self.settings.intra_threads == 1 && self.providers.is_cpu() => {
                idle_priority::when_idle(|patience| self.open_narrow(patience))
            }
            Around::Quiet | Around::Busy => idle_priority::here(|patience| self.open_narrow(patience)),
        }?;
        self.limit.set(self.longest);
        self.limit.serve(self.limit_of_serving(&narrow));
        Ok(self.finish(narrow))
    }

    pub(super) fn failed(&self, problem: &RunError) -> ModelError {
        ModelError::new(&self.path, format!("warm-up failed: {problem}"))
    }

    /// All steps but those of the wide session.
    fn open_narrow(&self, patience: &Patience) -> Result<Narrow, ModelError> {
        let narrow = self.try_narrow(patience);
        if narrow.is_err() && self.limit.was_hit() {
            // At idle priority a run takes as long as other threads leave it waiting.
            patience.give_up();
        }
        narrow
    }

    fn try_narrow(&self, patience: &Patience) -> Result<Narrow, ModelError> {
        let told = &self.verified.manifest;
        let mut times = LoadTimes::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        self.limit
            .set(self.longest.min(patience.left().unwrap_or(self.longest)));
        let (preparing, runners) = self.prepare_and_open();
        let (preprocessor, sample, took) = preparing?;
        times.preprocessor = took;
        let mut runners = runners?;
        let assigned = self.assigned(&runners)?;
        for runner in &mut runners {
            runner.pad_with(preprocessor.pad_id());
        }
        let sample = self.fit_table(&mut patience.runner(&mut runners[0]), &preprocessor, sample)?;
        let (manifest, preprocessor) = self.fit_tokens(patience, &mut runners[0], preprocessor, &sample)?;
        let manifest = self.with_its_batches(manifest, &runners[0]);
        times.sessions = lap();
        let postprocessor = Postprocessor::new(told);
        let mut patient: Vec<_> = runners.iter_mut().map(|runner| patience.runner(runner)).collect();
        let mut at_once = self.at_once(&mut patient);
        let told_bounds = ShapeBounds::new(&manifest, self.settings.max_cells);
        let own_texts = own_texts::answered(at_once[0], &preprocessor, &postprocessor);
        let most = BatchBounds {
            rows: manifest.limits.most_texts(),
            cells: self.settings.max_cells,
        };
        let widest = told_bounds.width.min(WIDEST_COMPARED);
        let how = (manifest.limits.batch, self.effort == Effort::Full);
        let (neighbours, alone) = neighbours::measure(&mut at_once, &preprocessor, &sample, most, widest, how);
        times.neighbours = lap();
        let manifest = manifest.with_batch(neighbours.batch);
        let bounds = ShapeBounds::new(&manifest, self.settings.max_cells);
        let golden = self.check_golden(&manifest, &preprocessor, &postprocessor, &mut at_once)?;
        let fast_path = self.fast_path();
        let native = native_check::recognised(fast_path, &manifest, &self.bytes, self.limit);
        let passes =
            |native: &mut NativeRunner| self.check_golden(&manifest, &preprocessor, &postprocessor, &mut [native]);
        let native = native_check::held(native, passes, &mut runners[0], &preprocessor, &sample);
        let assigned = if native.is_some() {
            Assigned::all(NATIVE)
        } else {
            assigned
        };
        let mut runners = native_check::instances(native.as_ref(), runners);
        times.golden = lap();
        // Now that it is known which rows may share a batch, and so how large the largest batch is.
        let slowest = self.warm_up(patience, &mut runners, &sample, bounds)?;
        times.warm_up = lap();
        let costs = self.measure(&mut patience.runner(runners[0].as_mut()), &sample, bounds)?;
        let text_cost = text_cost::of_texts(&preprocessor, manifest.max_text_bytes(), own_clock());
        times.measuring = lap();
        Ok(Narrow {
            manifest,
            bounds,
            neighbours,
            own_texts,
            alone,
            preprocessor,
            postprocessor,
            runners,
            native,
            assigned,
            sample,
            golden,
            costs,
            text_cost,
            slowest,
            times,
        })
    }

    /// The runners that may work at the same time: all, if the machine has nothing else to do.
    fn at_once<'r, R: Runner>(&self, runners: &'r mut [R]) -> Vec<&'r mut dyn Runner> {
        let all = runners.iter_mut().map(|runner| runner as &mut dyn Runner);
        match self.around {
            Around::Quiet => all.collect(),
            Around::Busy => all.take(1).collect(),
        }
    }

    fn check_golden(
        &self,
        manifest: &Manifest,
        preprocessor: &Preprocessor,
        postprocessor: &Postprocessor,
        runners: &mut [&mut dyn Runner],
    ) -> Result<Report, ModelError> {
        let Some(expected) = &manifest.golden else {
            return Ok(Report::default());
        };
        let path = self.verified.folder.join(&expected.file);
        let bytes = self.verified.read(&expected.file, files::MOST_OF_GOLDEN)?;
        let examples = golden::read(&path, &bytes)?;
        let tolerances = expected.on(&self.providers.names());
        let subject = Subject {
            manifest,
            golden: &tolerances,
            labels_alone: self.measure_golden,
            preprocessor,
            postprocessor,
            cells: self.settings.max_cells,
        };
        golden::check(subject, runners, &examples, self.effort).map_err(|problem| ModelError::new(&path, problem))
    }

    /// Warms the instances up, at the same time if the machine has nothing else to do. Gives the time of the longest run.
    fn warm_up(
        &self,
        patience: &Patience,
        runners: &mut [Box<dyn Runner>],
        sample: &Sample,
        bounds: ShapeBounds,
    ) -> Result<Duration, ModelError> {
        let at_once = match self.around {
            Around::Quiet => runners.len().max(1),
            Around::Busy => 1,
        };
        let mut slowest = Duration::ZERO;
        for some in runners.chunks_mut(at_once) {
            let mut patient: Vec<_> = some.iter_mut().map(|runner| patience.runner(runner.as_mut())).collect();
            let mut patient: Vec<_> = patient.iter_mut().map(|runner| runner as &mut dyn Runner).collect();
            for took in side_by_side::on_each(&mut patient, |runner| warm_up(runner, sample, bounds)) {
                slowest = slowest.max(took.map_err(|error| self.failed(&error))?);
            }
        }
        Ok(slowest)
    }

    /// Measures the runs of an instance.
    fn measure(
        &self,
        runner: &mut dyn Runner,
        sample: &Sample,
        bounds: ShapeBounds,
    ) -> Result<Vec<ShapeCost>, ModelError> {
        let clock = self.around.clock(self.settings.intra_threads, &self.providers);
        cost_probe::measure(runner, sample, bounds, self.effort.measuring(), clock).map_err(|error| self.failed(&error))
    }

    /// The limit of a run once the model serves.
    fn limit_of_serving(&self, narrow: &Narrow) -> Duration {
        let measured = narrow.costs.iter().map(|cost| cost.took);
        let slowest = measured.fold(narrow.slowest, Duration::max);
        // For rows that are wider than any that ran, the time is scaled by the square of the width.
        let wider = narrow.bounds.wider;
        let square = u32::try_from(wider.saturating_mul(wider)).unwrap_or(u32::MAX);
        slowest
            .saturating_mul(square)
            .saturating_mul(PATIENCE_WITH_RUNS)
            .max(SHORTEST_LIMIT)
            .min(self.longest)
    }

    fn finish(self, narrow: Narrow) -> Initialized {
        let told = &self.verified.manifest;
        let threads = self.settings.idle_threads;
        // A wide session pays, if at all, for batches that run alone.
        let may_pay = threads > self.settings.intra_threads && self.providers.compute_here();
        let wide = may_pay.then(|| WideTrial {
            slot: WideSlot::default(),
            threads,
            manifest: told.clone(),
            bytes: self.bytes,
            weights: self.weights,
            providers: self.providers,
            pad_id: narrow.preprocessor.pad_id(),
            limit: self.limit.clone(),
            runtime: self.runtime,
            sample: narrow.sample,
            bounds: narrow.bounds,
            neighbours: narrow.neighbours,
            alone: narrow.alone,
            costs: narrow.costs.clone(),
        });
        let runners = match &wide {
            Some(wide) => with_wide(narrow.runners, &wide.slot),
            None => narrow.runners,
        };
        #[cfg(feature = "fault-injection")]
        let runners = crate::model::runtime::faults::wrap(runners, &narrow.preprocessor);
        let fewer =
            (narrow.manifest.max_token_count() < told.max_token_count()).then(|| fewer_tokens(&narrow.manifest, told));
        Initialized {
            model: Arc::new(Model {
                manifest: narrow.manifest,
                fingerprint: self.verified.fingerprint.clone(),
                preprocessor: narrow.preprocessor,
                postprocessor: narrow.postprocessor,
                text_cost: narrow.text_cost,
                known: narrow.native.as_ref().map(|native| Arc::new(native.known_buckets())),
                own_texts: narrow.own_texts,
                limit: self.limit.clone(),
                neighbours: narrow.neighbours,
                fewer,
                assigned: narrow.assigned,
                device_memory: self.memory,
            }),
            wide,
            runners,
            // Faults are injected into instances.
            native: narrow.native.filter(|_| !cfg!(feature = "fault-injection")),
            golden: narrow.golden,
            costs: narrow.costs,
            max_cells: self.settings.max_cells,
            times: narrow.times,
        }
    }
}
