//! Libraries of execution providers that are registered with ONNX Runtime while the program runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use parking_lot::Mutex;

/// The libraries that were registered, and what came of it. They stay until the process ends: sessions may use them.
#[derive(Default)]
pub(super) struct Plugins(Mutex<BTreeMap<PathBuf, Result<(), String>>>);

impl Plugins {
    /// Registers a library, once in a process. The error is a part of a line.
    pub(super) fn register(&self, environment: &Environment, library: &Path) -> Result<(), String> {
        let mut known = self.0.lock();
        let number = known.len();
        let register = || {
            let registered = environment.register_ep_library(format!("tandem-{number}"), library);
            registered.map_err(|error| {
                let problem = super::words::plain(&error.to_string());
                format!(
                    "{} is no library of an execution provider: {problem}",
                    library.display()
                )
            })
        };
        known.entry(library.to_owned()).or_insert_with(register).clone()
    }
}
