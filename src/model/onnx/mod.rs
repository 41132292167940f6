//! ONNX Runtime: the library, and one session a runner. The only folder that imports `ort`.
//!
//! A session belongs to one thread at a time. Messages of ONNX Runtime go into errors for the log, never to callers.

mod bytes;
mod feeds;
mod inputs;
mod outputs;
mod probe;
mod rewrite;
mod watch;
mod weights;

#[cfg(feature = "ort-dynamic")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ndarray::Array2;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputs, SessionOutputs};

pub use self::bytes::OnnxBytes;
use self::bytes::Origin;
use self::feeds::{Feed, check_fed, feed_for, fixed};
use self::inputs::{Fixed, tensor_for};
use self::outputs::OutputReader;
pub use self::probe::{Probe, Seen};
pub use self::watch::RunLimit;
use self::watch::{Stoppable, Watched};
pub use self::weights::SharedWeights;
use super::manifest::Manifest;
use super::{ModelInput, RunError, Runner};

/// The ONNX Runtime library, loaded, and its environment: one a process.
pub struct Runtime {
    environment: Environment,
    /// Where the library was found.
    pub library: PathBuf,
    /// The library's version, for instance `1.28.0`.
    pub version: String,
}

impl Runtime {
    /// The process's runtime, loaded at the first call. The error is one line.
    pub fn get() -> Result<&'static Runtime, String> {
        static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
        RUNTIME.get_or_init(Self::load).as_ref().map_err(String::clone)
    }

    #[cfg(feature = "ort-dynamic")]
    fn load() -> Result<Self, String> {
        let library = super::library::locate();
        let builder = ort::init_from(&library).map_err(|error| {
            let cause = innermost(&error);
            format!(
                "ONNX Runtime can't be loaded: {cause}; set {} to libonnxruntime 1.24 or newer, or put it beside the program",
                super::library::LIBRARY_VARIABLE
            )
        })?;
        let library = super::library::loaded_path(library);
        let version = version_of(&library).unwrap_or_else(|| "of unknown version".to_owned());
        Self::build(builder, library, version)
    }

    #[cfg(feature = "ort-download")]
    fn load() -> Result<Self, String> {
        let version = format!("1.{}", ort::MINOR_VERSION);
        Self::build(ort::init(), PathBuf::from("linked into the program"), version)
    }

    fn build(builder: ort::environment::EnvironmentBuilder, library: PathBuf, version: String) -> Result<Self, String> {
        let environment = builder
            .with_name("tandem")
            .with_telemetry(false)
            .build()
            .map_err(|error| format!("ONNX Runtime can't start: {error}"))?;
        Ok(Self {
            environment,
            library,
            version,
        })
    }
}

/// What the loader says names the file; what ort says of a library that is too old names both versions.
#[cfg(feature = "ort-dynamic")]
fn innermost(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, path } => {
            let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            format!("{}: {cause}", path.display())
        }
        other => other.to_string(),
    }
}

/// The version that a library says it has; `ort` reads it too, and keeps it to itself.
#[cfg(feature = "ort-dynamic")]
fn version_of(library: &Path) -> Option<String> {
    // SAFETY: the library was loaded before, so this runs no initialisers; the function is the one that every ONNX
    // Runtime exports, with the type that ort's own bindings give it, and the string that it gives is static.
    unsafe {
        let library = libloading::Library::new(library).ok()?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .ok()?;
        let version = ((*base()).GetVersionString)();
        std::ffi::CStr::from_ptr(version).to_str().ok().map(str::to_owned)
    }
}

/// How a session is set up.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Threads inside one run.
    pub intra_threads: usize,
}

/// What the sessions of a model are made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The ONNX file and the files beside it.
    pub bytes: &'a OnnxBytes,
    /// What the graph must look like.
    pub manifest: &'a Manifest,
    /// The id that fills padded rows.
    pub pad_id: u32,
    /// The weights that all sessions use, if they share them.
    pub weights: Option<&'a SharedWeights>,
    /// How long a run may take.
    pub limit: &'a RunLimit,
}

/// A runner that owns one ONNX Runtime session.
pub struct OnnxRunner {
    session: Session,
    options: Arc<RunOptions>,
    open: Opener,
    feeds: Vec<Feed>,
    fixed: Fixed,
    output: OutputReader,
    pad_id: u32,
}

/// Opens sessions of one model, all alike.
#[derive(Clone)]
struct Opener {
    environment: &'static Environment,
    origin: Origin,
    weights: Option<SharedWeights>,
    settings: SessionSettings,
    limit: RunLimit,
}

impl OnnxRunner {
    /// Loads the manifest's ONNX file and checks that its inputs and its output are what the manifest promises.
    pub fn load(runtime: &'static Runtime, source: Source<'_>, settings: SessionSettings) -> Result<Self, String> {
        let Source { manifest, pad_id, .. } = source;
        let open = Opener {
            environment: &runtime.environment,
            origin: source.bytes.origin(),
            weights: source.weights.cloned(),
            settings,
            limit: source.limit.clone(),
        };
        let session = open
            .session(source.bytes)
            .map_err(|error| load_problem(&error.to_string()))?;
        let feeds = session
            .inputs()
            .iter()
            .map(|input| feed_for(input, manifest))
            .collect::<Result<Vec<_>, _>>()?;
        check_fed(&feeds, manifest)?;
        let fixed = fixed(session.inputs(), manifest)?;
        let output = OutputReader::new(session.outputs(), manifest)?;
        let options = RunOptions::new().map_err(|error| error.to_string())?;
        Ok(Self {
            session,
            options: Arc::new(options),
            open,
            feeds,
            fixed,
            output,
            pad_id,
        })
    }

    fn run_session(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        let fail = |error: ort::Error| RunError(error.to_string());
        let feeds = self
            .feeds
            .iter()
            .map(|feed| {
                Ok((
                    feed.name.as_str(),
                    tensor_for(feed.kind, feed.numbers, self.fixed, inputs, self.pad_id)?,
                ))
            })
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(fail)?;
        let outputs = run_within(&mut self.session, &self.options, &self.open.limit, feeds)?;
        let rows = self.fixed.rows.unwrap_or(0).max(inputs.len());
        let mut read = self.output.read(&outputs, rows)?;
        if rows > inputs.len() {
            read = read.slice_move(ndarray::s![..inputs.len(), ..]);
        }
        Ok(read)
    }
}

/// Runs a session, and ends the run when its limit is past or it is called off.
fn run_within<'s, 'i, 'v: 'i, const N: usize>(
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
    // What was ended says so in its own words; what ended by itself just in time counts.
    if watched.over() {
        options.unterminate().map_err(fail)?;
        if outputs.is_err() {
            return Err(ended());
        }
    }
    outputs.map_err(fail)
}

impl Runner for OnnxRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.run_session(inputs)
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        let fail = |error: ort::Error| RunError(error.to_string());
        let bytes = self.open.origin.read().map_err(|error| RunError(error.to_string()))?;
        let session = self.open.session(&bytes).map_err(fail)?;
        Ok(Box::new(Self {
            session,
            options: Arc::new(RunOptions::new().map_err(fail)?),
            open: self.open.clone(),
            feeds: self.feeds.clone(),
            fixed: self.fixed,
            output: self.output.clone(),
            pad_id: self.pad_id,
        }))
    }
}

impl Opener {
    /// A session of these bytes. Where the machine lacks [`USUAL_LOCALE`], [`LOCALE`] takes its place in a copy of them.
    fn session(&self, bytes: &OnnxBytes) -> Result<Session, ort::Error> {
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
            // Threads that spin while they wait for work starve the other sessions and the network.
            .with_intra_op_spinning(false)?
            // Texts come in all lengths: planned memory for each shape would be kept for good.
            .with_memory_pattern(false)?
            // What fails comes back as an error, and is said once; here it would go to stderr too, in a form of its own.
            .with_log_level(LogLevel::Fatal)?
            .with_config_entry("session.use_env_allocators", "0")?;
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

/// The locale of graphs that say nothing of it: exporters leave it out, and images of containers seldom have it.
pub const USUAL_LOCALE: &str = "en_US.UTF-8";
/// The locale that folds every letter on every machine with a C library of the last years. Where [`USUAL_LOCALE`] is missing, this
/// one does its work: both fold by Unicode.
pub const LOCALE: &str = "C.UTF-8";

/// The locale for want of which a graph can't be loaded, if that is what ONNX Runtime says.
fn missing_locale(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("locale with name:")?;
    rest.split(':').next()
}

/// What stops a load, in one line, with the remedy where it is a known one.
fn load_problem(message: &str) -> String {
    match missing_locale(message) {
        Some(locale) => format!(
            "the graph changes the case of texts by the locale `{locale}`, which this machine lacks: export the pipeline with \
             the vectorizer's option locale=\"C.UTF-8\", or install that locale"
        ),
        None => {
            let words: Vec<&str> = message.split_whitespace().collect();
            format!("ONNX Runtime can't load the model: {}", words.join(" "))
        }
    }
}
