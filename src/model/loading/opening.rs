//! The first steps of a load: a preprocessor, open sessions, and as many tokens as the graph takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Load;
use super::cost_probe;
use super::idle_priority::Patience;
use super::load_types::{Around, FastPath};
use crate::model::manifest::{Manifest, Preprocess};
use crate::model::model_error::ModelError;
use crate::model::onnx::{OnnxRunner, RunLimit, SessionSettings, Source};
use crate::model::preprocess::Preprocessor;
use crate::model::providers::Assigned;
use crate::model::repository::VerifiedModel;
use crate::model::runner::Runner;
use crate::model::sample::{self, Sample};
use crate::model::warm_up::{PATIENCE_WITH_POSITIONS, tokens_taken};
use crate::model::{side_by_side, table};

/// The largest ONNX file, with the files of its weights, of which two sessions are opened at once, in bytes.
const MOST_FOR_TWO: usize = 256 << 20;

/// A preprocessor, a sample of its rows, and the time that both took.
type Prepared = (Arc<Preprocessor>, Sample, Duration);

impl Load<'_> {
    /// The preprocessor with a sample, and the time that they took; and the instances, which don't know yet what pads
    /// rows. All at once, if the machine has nothing else to do.
    pub(super) fn prepare_and_open(&self) -> (Result<Prepared, ModelError>, Result<Vec<OnnxRunner>, ModelError>) {
        let VerifiedModel { folder, manifest, .. } = self.verified;
        let prepare = || {
            let started = Instant::now();
            let preprocessor = Arc::new(Preprocessor::load(manifest, folder)?);
            let sample = sample::of(self.verified, &preprocessor, self.limit)?;
            Ok((preprocessor, sample, started.elapsed()))
        };
        match self.around {
            Around::Quiet => side_by_side::both(prepare, || self.open_all()),
            Around::Busy => match prepare() {
                Ok(prepared) => (Ok(prepared), self.open_all()),
                Err(problem) => (Err(problem), Ok(Vec::new())),
            },
        }
    }

    /// The instances; two are opened at once, if the machine has nothing else to do and memory for two copies of the file
    /// that ONNX Runtime makes meanwhile.
    fn open_all(&self) -> Result<Vec<OnnxRunner>, ModelError> {
        let one = || self.open(0, self.settings.intra_threads, self.limit);
        let small = self.bytes.size() <= MOST_FOR_TWO;
        let at_once = if self.around == Around::Quiet && small { 2 } else { 1 };
        side_by_side::make(self.settings.count.max(1), at_once, one)
    }

    pub(super) fn open(&self, pad_id: u32, intra_threads: usize, limit: &RunLimit) -> Result<OnnxRunner, ModelError> {
        let source = Source {
            bytes: &self.bytes,
            manifest: &self.verified.manifest,
            pad_id,
            weights: self.weights.as_ref(),
            providers: &self.providers,
            memory: &self.memory,
            limit,
        };
        OnnxRunner::load(self.runtime, source, SessionSettings::beside_others(intra_threads))
            .map_err(|problem| ModelError::new(&self.path, problem))
    }

    /// What runs the graph of the instances. The error names the providers if they take no part of it.
    pub(super) fn assigned(&self, runners: &[OnnxRunner]) -> Result<Vec<Assigned>, ModelError> {
        let names = self.providers.names();
        let mut assigned = runners.first().map(OnnxRunner::assigned).unwrap_or_default();
        if assigned.is_empty() {
            assigned = names.iter().flat_map(|name| Assigned::all(name)).collect();
        }
        let takes_part = |name: &&str| assigned.iter().any(|assigned| assigned.provider == *name);
        if !names.is_empty() && !names.iter().any(takes_part) {
            let problem = format!("{} can run no part of its graph", names.join(", "));
            return Err(ModelError::new(&self.path, problem));
        }
        Ok(assigned)
    }

    /// The manifest with the largest batches that the hardware gains by, where nobody said how large they may be.
    pub(super) fn with_its_batches(&self, manifest: Manifest, runner: &OnnxRunner) -> Manifest {
        if self.providers.compute_here() {
            manifest
        } else {
            manifest.with_large_batches(runner.fixed_rows())
        }
    }

    /// What runs a model of `tandem train`: a provider that somebody chose gets its graph.
    pub(super) fn fast_path(&self) -> FastPath {
        if self.providers.is_cpu() {
            self.settings.fast_path
        } else {
            FastPath::Onnx
        }
    }

    pub(super) fn fit_table(
        &self,
        runner: &mut dyn Runner,
        preprocessor: &Preprocessor,
        sample: Sample,
    ) -> Result<Sample, ModelError> {
        table::fit(runner, preprocessor, sample, self.limit).map_err(|problem| ModelError::new(&self.path, problem))
    }

    /// The manifest with no more tokens than the graph takes, and a preprocessor that keeps to it.
    pub(super) fn fit_tokens(
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
            let mut other = self.open(pad_id, self.settings.intra_threads, &short)?;
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
}
