//! Opens sessions, and runs them within a limit.

use std::sync::Arc;

use ort::environment::Environment;
use ort::ep::CPU;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputs, SessionOutputs};

use super::bytes::{OnnxBytes, Origin};
use super::providers::Providers;
use super::rewrite;
use super::watch::{RunLimit, Stoppable, Watched};
use super::weights::SharedWeights;
use super::words::missing_locale;
use crate::model::runner::RunError;

/// The settings of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Threads of ONNX Runtime inside one run.
    pub intra_threads: usize,
    /// Whether the other threads spin while they wait for the next part of a run. They stop with the run.
    spinning: bool,
}

impl SessionSettings {
    /// A session that runs beside others. Threads that spin would take the processor from them and from the network.
    pub fn beside_others(intra_threads: usize) -> Self {
        Self {
            intra_threads,
            spinning: false,
        }
    }

    /// A session that has the machine to itself while it runs. To wake a sleeping thread for each part of a run would
    /// take longer than many parts do.
    pub fn wide(intra_threads: usize) -> Self {
        Self {
            intra_threads,
            spinning: true,
        }
    }
}

/// Opens sessions of one model that are all alike.
#[derive(Clone)]
pub(super) struct Opener {
    pub environment: &'static Environment,
    pub origin: Origin,
    pub weights: Option<SharedWeights>,
    pub providers: Providers,
    pub settings: SessionSettings,
    pub limit: RunLimit,
}

/// Runs a session. Ends the run when its limit has passed or it is called off.
pub(super) fn run_within<'s, 'i, 'v: 'i, const N: usize>(
    session: &'s mut Session,
    options: &'s Arc<RunOptions>,
    limit: &RunLimit,
    inputs: impl Into<SessionInputs<'i, 'v, N>>,
) -> Result<SessionOutputs<'s>, RunError> {
    let fail = |error: ort::Error| RunError(error.to_string());
    let ended = || RunError(format!("the run was ended: it may take {:?}", limit.get()));
    if limit.is_spent() {
        return Err(ended());
    }
    let watched = Watched::new(Stoppable::Run(Arc::clone(options)), limit);
    let outputs = session.run_with_options(inputs, &**options);
    // A run that was ended has an error of our own; one that finished just in time counts.
    if watched.over() {
        options.unterminate().map_err(fail)?;
        if outputs.is_err() {
            return Err(ended());
        }
    }
    outputs.map_err(fail)
}

impl Opener {
    /// A session of these bytes. If the machine does not have [`USUAL_LOCALE`], a copy of the graph uses [`LOCALE`]
    /// instead.
    pub fn session(&self, bytes: &OnnxBytes) -> Result<Session, ort::Error> {
        let opened = self.session_of(&bytes.model, bytes);
        let lacking = |error: &ort::Error| missing_locale(&error.to_string()) == Some(USUAL_LOCALE);
        if !opened.as_ref().is_err_and(lacking) {
            return opened;
        }
        let changed = rewrite::with_locale(&bytes.model, LOCALE);
        let again = changed.and_then(|model| self.session_of(&model, bytes).ok());
        again.map_or(opened, Ok)
    }

    fn session_of(&self, model: &[u8], bytes: &OnnxBytes) -> Result<Session, ort::Error> {
        let mut builder = Session::builder(self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.settings.intra_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(self.settings.spinning)?
            .with_config_entry("session.force_spinning_stop", "1")?
            // Texts have all lengths: memory planned for each shape would be kept for good.
            .with_memory_pattern(false)?
            // A failure comes back as an error and is logged once; here ONNX Runtime would also write it to stderr, in
            // a form of its own.
            .with_log_level(LogLevel::Fatal)?
            .with_config_entry("session.use_env_allocators", "0")?;
        builder = self
            .providers
            .apply(self.environment, builder, self.settings.intra_threads)?;
        if self.settings.spinning && self.providers.is_cpu() {
            // It runs seldom: what a run takes goes back after it.
            builder = builder.with_execution_providers([CPU::default().with_arena_allocator(false).build()])?;
        }
        if let Some(weights) = &self.weights {
            builder = weights.lend_to(builder)?;
        }
        for (name, bytes) in &bytes.external {
            builder = builder.with_external_initializer_file_in_memory(name, Arc::clone(bytes))?;
        }
        let _watched = Watched::new(Stoppable::Load(builder.canceler()), &self.limit);
        builder.commit_from_memory(model)
    }
}

/// The locale of graphs that name none: exporters leave it out, and container images seldom have it.
pub const USUAL_LOCALE: &str = "en_US.UTF-8";
/// A locale that every machine with a recent C library has, and that folds every letter. It replaces [`USUAL_LOCALE`]
/// where that is missing: both fold by Unicode's rules.
pub const LOCALE: &str = "C.UTF-8";
