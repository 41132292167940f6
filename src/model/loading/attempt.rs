//! One try to load a model, step by step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cost_probe::{self, ShapeBounds, ShapeCost};
use super::golden::{self, Report, Subject};
use super::idle_priority::{self, Patience};
use super::load_types::{Around, Initialized, InstanceSettings, LoadTimes, SHORTEST_LIMIT};
use super::native_check;
use crate::model::linear::NativeRunner;
use crate::model::loaded::Model;
use crate::model::manifest::{Manifest, Preprocess};
use crate::model::model_error::ModelError;
use crate::model::neighbours::{self, Neighbours};
use crate::model::onnx::{OnnxBytes, OnnxRunner, RunLimit, Runtime, SessionSettings, SharedWeights, Source};
use crate::model::postprocess::Postprocessor;
use crate::model::preprocess::Preprocessor;
use crate::model::repository::VerifiedModel;
use crate::model::runner::{RunError, Runner};
use crate::model::runtime::thread_time::own_clock;
use crate::model::runtime::wide_session::{self, with_wide};
use crate::model::sample::Sample;
use crate::model::text_cost::{self, TextCost};
use crate::model::warm_up::{PATIENCE_WITH_POSITIONS, fewer_tokens, tokens_taken, warm_up};
use crate::model::{files, own_texts, sample, table};

/// The limit of a run, in times the longest run that was measured.
const PATIENCE_WITH_RUNS: u32 = 20;

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
    verified: &'a VerifiedModel,
    settings: InstanceSettings,
    around: Around,
    limit: &'a RunLimit,
    /// The limit of runs when the load begins; later limits are no longer than this.
    longest: Duration,
    runtime: &'static Runtime,
    /// The path of the ONNX file, for errors.
    path: PathBuf,
    bytes: OnnxBytes,
    /// The weights that all sessions share, if they do.
    weights: Option<SharedWeights>,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        verified: &'a VerifiedModel,
        settings: InstanceSettings,
        around: Around,
        share: bool,
        limit: &'a RunLimit,
    ) -> Result<Self, ModelError> {
        let VerifiedModel { folder, manifest, .. } = verified;
        let runtime = Runtime::get().map_err(|problem| ModelError::new(folder, problem))?;
        let bytes = OnnxBytes::read(folder, manifest)?;
        Ok(Self {
            verified,
            settings,
            around,
            limit,
            longest: limit.get(),
            runtime,
            path: folder.join(&manifest.onnx.file),
            weights: share.then(|| SharedWeights::read(&bytes)).flatten(),
            bytes,
        })
    }

    /// Does all steps.
    pub(super) fn run(self) -> Result<Initialized, ModelError> {
        let mut narrow = match self.around {
            // Sessions with one thread start no threads, so they may be opened at idle priority.
            Around::Busy { .. } if self.settings.intra_threads == 1 => {
                idle_priority::when_idle(|patience| self.open_narrow(patience))
            }
            Around::Quiet | Around::Busy { .. } => idle_priority::here(|patience| self.open_narrow(patience)),
        }?;
        self.limit.set(self.longest);
        let clock = Instant::now();
        let wide = if self.tries_wide() {
            self.open_wide(&mut narrow)?
        } else {
            None
        };
        narrow.times.measuring += clock.elapsed();
        self.limit.serve(self.limit_of_serving(&narrow));
        Ok(self.finish(narrow, wide))
    }

    /// Whether a wide session may pay for batches that run alone.
    fn tries_wide(&self) -> bool {
        self.settings.idle_threads > self.settings.intra_threads
    }

    fn open(
        &self,
        preprocessor: &Preprocessor,
        intra_threads: usize,
        limit: &RunLimit,
    ) -> Result<OnnxRunner, ModelError> {
        let source = Source {
            bytes: &self.bytes,
            manifest: &self.verified.manifest,
            pad_id: preprocessor.pad_id(),
            weights: self.weights.as_ref(),
            limit,
        };
        OnnxRunner::load(self.runtime, source, SessionSettings { intra_threads })
            .map_err(|problem| ModelError::new(&self.path, problem))
    }

    fn failed(&self, problem: &RunError) -> ModelError {
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
        let VerifiedModel {
            folder, manifest: told, ..
        } = self.verified;
        let mut times = LoadTimes::default();
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
        self.limit
            .set(self.longest.min(patience.left().unwrap_or(self.longest)));
        let preprocessor = Arc::new(Preprocessor::load(told, folder)?);
        let sample = sample::of(self.verified, &preprocessor, self.limit)?;
        times.preprocessor = lap();
        let mut runners = (0..self.settings.count.max(1))
            .map(|_| self.open(&preprocessor, self.settings.intra_threads, self.limit))
            .collect::<Result<Vec<_>, _>>()?;
        let sample = self.fit_table(&mut patience.runner(&mut runners[0]), &preprocessor, sample)?;
        let (manifest, preprocessor) = self.fit_tokens(patience, &mut runners[0], preprocessor, &sample)?;
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
        let manifest = manifest.with_batch(neighbours.batch);
        let bounds = ShapeBounds::new(&manifest, self.settings.max_cells);
        let golden = self.check_golden(
            &manifest,
            &preprocessor,
            &postprocessor,
            &mut patience.runner(&mut runners[0]),
        )?;
        let native = native_check::recognised(self.settings.fast_path, &manifest, &self.bytes, self.limit);
        let passes = |native: &mut NativeRunner| self.check_golden(&manifest, &preprocessor, &postprocessor, native);
        let native = native_check::held(native, passes, &mut runners[0], &preprocessor, &sample);
        let mut runners = native_check::instances(native.as_ref(), runners);
        times.golden = lap();
        let mut slowest = Duration::ZERO;
        for runner in &mut runners {
            let took =
                warm_up(&mut patience.runner(runner.as_mut()), &sample, bounds).map_err(|error| self.failed(&error))?;
            slowest = slowest.max(took);
        }
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
            sample,
            golden,
            costs,
            text_cost,
            slowest,
            times,
        })
    }

    fn fit_table(
        &self,
        runner: &mut dyn Runner,
        preprocessor: &Preprocessor,
        sample: Sample,
    ) -> Result<Sample, ModelError> {
        table::fit(runner, preprocessor, sample, self.limit).map_err(|problem| ModelError::new(&self.path, problem))
    }

    /// The manifest with no more tokens than the graph takes, and a preprocessor that keeps to it.
    fn fit_tokens(
        &self,
        patience: &Patience,
        runner: &mut OnnxRunner,
        preprocessor: Arc<Preprocessor>,
        sample: &Sample,
    ) -> Result<(Manifest, Arc<Preprocessor>), ModelError> {
        let mut manifest = self.verified.manifest.clone();
        let Preprocess::Tokenizer(reading) = &mut manifest.preprocess else {
            return Ok((manifest, preprocessor));
        };
        let (told, pad_id) = (reading.max_tokens, preprocessor.pad_id());
        let taken = if told > cost_probe::WIDEST_PROBE {
            // A row this long leaves much memory with its session, so it runs in a session that is closed afterwards.
            let short = self.limit.beside(self.longest.min(PATIENCE_WITH_POSITIONS));
            let mut other = self.open(&preprocessor, self.settings.intra_threads, &short)?;
            tokens_taken(&mut patience.runner(&mut other), sample, told, pad_id, || {
                short.was_hit()
            })
        } else {
            tokens_taken(&mut patience.runner(runner), sample, told, pad_id, || {
                self.limit.was_hit()
            })
        };
        reading.max_tokens = taken.map_err(|error| self.failed(&error))?;
        if reading.max_tokens == told {
            return Ok((manifest, preprocessor));
        }
        let preprocessor = Arc::new(Preprocessor::load(&manifest, &self.verified.folder)?);
        self.fit_table(&mut patience.runner(runner), &preprocessor, sample.clone())?;
        Ok((manifest, preprocessor))
    }

    fn check_golden(
        &self,
        manifest: &Manifest,
        preprocessor: &Preprocessor,
        postprocessor: &Postprocessor,
        runner: &mut dyn Runner,
    ) -> Result<Report, ModelError> {
        let Some(expected) = &manifest.golden else {
            return Ok(Report::default());
        };
        let path = self.verified.folder.join(&expected.file);
        let bytes = self.verified.read(&expected.file, files::MOST_OF_GOLDEN)?;
        let examples = golden::read(&path, &bytes)?;
        let subject = Subject {
            manifest,
            golden: expected,
            preprocessor,
            postprocessor,
            runner,
        };
        golden::check(subject, &examples).map_err(|problem| ModelError::new(&path, problem))
    }

    /// Measures the runs of an instance. Leaves a part of the time budget for the wide session, if that is tried.
    fn measure(
        &self,
        runner: &mut dyn Runner,
        sample: &Sample,
        bounds: ShapeBounds,
    ) -> Result<Vec<ShapeCost>, ModelError> {
        let for_wide = if self.tries_wide() {
            cost_probe::BUDGET / 4
        } else {
            Duration::ZERO
        };
        let clock = self.around.clock(self.settings.intra_threads);
        cost_probe::measure(
            runner,
            sample,
            bounds,
            cost_probe::BUDGET.saturating_sub(for_wide),
            clock,
        )
        .map_err(|error| self.failed(&error))
    }

    /// A wide session for batches that run alone, and the size of a batch in cells from which on it pays. `None` if it
    /// does not pay, or if answers would differ on it.
    fn open_wide(&self, narrow: &mut Narrow) -> Result<Option<(OnnxRunner, usize)>, ModelError> {
        let mut runner = self.open(&narrow.preprocessor, self.settings.idle_threads, self.limit)?;
        warm_up(&mut runner, &narrow.sample, narrow.bounds).map_err(|error| self.failed(&error))?;
        let from_cells = match self.around {
            Around::Busy { wide_from_cells } => wide_from_cells,
            Around::Quiet => {
                let first = &mut narrow.runners[0];
                wide_session::pays(
                    first.as_mut(),
                    &mut runner,
                    &narrow.costs,
                    &narrow.sample,
                    narrow.bounds,
                )
                .map_err(|error| self.failed(&error))?
            }
        };
        let Some(from_cells) = from_cells else { return Ok(None) };
        let moved = neighbours::moved_elsewhere(&mut runner, &narrow.alone, narrow.neighbours);
        if let Some(moved) = moved {
            let model = &narrow.manifest.name;
            tracing::warn!(
                model,
                moved,
                "its answers move with the number of threads, so idle_threads is 1 for it"
            );
            return Ok(None);
        }
        Ok(Some((runner, from_cells)))
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

    fn finish(self, narrow: Narrow, wide: Option<(OnnxRunner, usize)>) -> Initialized {
        let told = &self.verified.manifest;
        let wide_from_cells = wide.as_ref().map(|(_, from_cells)| *from_cells);
        let runners = with_wide(narrow.runners, wide);
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
                own_texts: narrow.own_texts,
                limit: self.limit.clone(),
                neighbours: narrow.neighbours,
                fewer,
            }),
            wide_from_cells,
            runners,
            // Faults are injected into instances.
            native: narrow.native.filter(|_| !cfg!(feature = "fault-injection")),
            golden: narrow.golden,
            costs: narrow.costs,
            times: narrow.times,
        }
    }
}
