//! The ONNX Runtime library and its environment.

use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::plugins::Plugins;

/// The ONNX Runtime library, loaded, with its environment; one in a process.
pub struct Runtime {
    pub(super) environment: Environment,
    /// The path of the library.
    pub library: PathBuf,
    /// Its version, for instance `1.28.0`.
    pub version: String,
    /// The plugins of execution providers that were registered.
    pub(super) plugins: Plugins,
}

impl Runtime {
    /// The process's runtime; the first call loads it. The error is one line.
    pub fn get() -> Result<&'static Runtime, String> {
        static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
        RUNTIME.get_or_init(Self::load).as_ref().map_err(String::clone)
    }

    #[cfg(feature = "ort-dynamic")]
    fn load() -> Result<Self, String> {
        let library = crate::model::runtime::library::locate();
        let builder = ort::init_from(&library).map_err(|error| {
            let cause = innermost(&error);
            format!(
                "ONNX Runtime can't be loaded: {cause}; set {} to libonnxruntime 1.24 or newer, or put it beside the program",
                crate::model::runtime::library::LIBRARY_VARIABLE
            )
        })?;
        let library = crate::model::runtime::library::loaded_path(library);
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
        // What fails comes back as an error; a provider that fails to load would be told on standard error too, in a form of its own.
        environment.set_log_level(LogLevel::Fatal);
        Ok(Self {
            environment,
            library,
            version,
            plugins: Plugins::default(),
        })
    }
}

/// The part of the error for people: the loader's message names the file, and ort's message on a library that is too
/// old names both versions.
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

/// The version that a library reports. `ort` reads it too, but does not give it.
#[cfg(feature = "ort-dynamic")]
#[expect(unsafe_code, reason = "a symbol of a library is called")]
fn version_of(library: &Path) -> Option<String> {
    // SAFETY: the library was loaded before, so this runs no initialisers. The function is the one that every ONNX
    // Runtime exports, with the type that ort's own bindings give it, and the string that it returns is static.
    unsafe {
        let library = libloading::Library::new(library).ok()?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .ok()?;
        let version = ((*base()).GetVersionString)();
        std::ffi::CStr::from_ptr(version).to_str().ok().map(str::to_owned)
    }
}
