//! Why a version does not serve.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::ModelError;
use crate::telemetry::metrics::Metrics;

/// The step at which a version was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its manifest or checksums are wrong, or files are missing: it may be on its way.
    NotReady,
    /// Labels, tier or task are not those of the version that it replaces, or of the other tier.
    Mismatch,
    /// It would leave the task's cascade without a calibration.
    Uncalibrated,
    /// It does not fit into memory.
    Memory,
    /// It does not load, or fails its warm-up or its golden examples.
    Load,
    /// Beside the version that serves it did worse than allowed.
    Shadow,
    /// The server is stopping.
    Stopping,
}

impl Stage {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Stage::NotReady => "not_ready",
            Stage::Mismatch => "mismatch",
            Stage::Uncalibrated => "uncalibrated",
            Stage::Memory => "memory",
            Stage::Load => "load",
            Stage::Shadow => "shadow",
            Stage::Stopping => "stopping",
        }
    }
}

/// Why a version does not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Refusal {
    /// The step that it did not pass.
    pub stage: Stage,
    /// What is wrong, in one line; names files of the version, never other paths.
    pub problem: String,
}

impl Refusal {
    /// A refusal at a stage.
    pub fn new(stage: Stage, problem: impl Into<String>) -> Self {
        Self {
            stage,
            problem: problem.into(),
        }
    }

    /// A file of the version in `folder` is wrong.
    pub fn of_file(stage: Stage, error: &ModelError, folder: &Path) -> Self {
        let file = Path::new(&error.path).strip_prefix(folder).unwrap_or(Path::new(""));
        // What the runtime says may name the file again, with its whole path.
        let problem = error.problem.replace(&format!("{}/", folder.display()), "");
        let problem = if file.as_os_str().is_empty() {
            problem
        } else {
            format!("{}: {problem}", file.display())
        };
        Self { stage, problem }
    }

    /// It could not be loaded out of `folder`.
    pub fn load(error: &ModelError, folder: &Path) -> Self {
        Self::of_file(Stage::Load, error, folder)
    }

    /// The same as the failure of a start, of the version in `folder`.
    pub fn into_model_error(self, folder: &Path) -> ModelError {
        ModelError::new(folder, self.problem)
    }
}

/// A version that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedVersion {
    /// The version.
    pub version: String,
    /// Why.
    pub refusal: Refusal,
}

/// The newest versions that do not serve, by model; cheap to clone.
#[derive(Clone)]
pub struct RefusedVersions {
    by_model: Arc<Mutex<BTreeMap<String, RefusedVersion>>>,
    metrics: Metrics,
}

impl RefusedVersions {
    /// Those that a start left out.
    pub fn new(refused: BTreeMap<String, RefusedVersion>, metrics: Metrics) -> Self {
        for model in refused.keys() {
            metrics.versions().set_refused(model, true);
        }
        Self {
            by_model: Arc::new(Mutex::new(refused)),
            metrics,
        }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, RefusedVersion> {
        self.by_model.lock().clone()
    }

    /// The one of a model.
    pub fn of(&self, model: &str) -> Option<RefusedVersion> {
        self.by_model.lock().get(model).cloned()
    }

    /// Takes note of what was refused of a model, if anything was.
    pub fn set(&self, model: &str, refused: Option<RefusedVersion>) {
        self.metrics.versions().set_refused(model, refused.is_some());
        let mut by_model = self.by_model.lock();
        match refused {
            Some(refused) => drop(by_model.insert(model.to_owned(), refused)),
            None => drop(by_model.remove(model)),
        }
    }
}
