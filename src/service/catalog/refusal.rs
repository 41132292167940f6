//! Refusals: why a version does not serve.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::ModelError;
use crate::telemetry::metrics::Metrics;

/// The step at which a version was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its manifest or checksums are wrong, or files are missing. The version may still be on its way.
    NotReady,
    /// Its labels, tier or task differ from those of the version that it replaces, or its labels from the other tier's.
    Mismatch,
    /// It would leave the task's cascade without a calibration.
    Uncalibrated,
    /// It does not fit into RAM.
    Memory,
    /// It does not load, or fails its warm-up or its golden examples.
    Load,
    /// In the trial on copies of live requests it did worse than allowed.
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Refusal {
    /// The step at which it failed.
    pub stage: Stage,
    /// What is wrong, in one line. Names files of the version, never other paths.
    pub problem: String,
}

impl Refusal {
    pub fn new(stage: Stage, problem: impl Into<String>) -> Self {
        Self {
            stage,
            problem: problem.into(),
        }
    }

    /// The refusal of a version in `folder` one of whose files is wrong.
    pub fn of_file(stage: Stage, error: &ModelError, folder: &Path) -> Self {
        let file = Path::new(&error.path).strip_prefix(folder).unwrap_or(Path::new(""));
        // ONNX Runtime's message may name the file again, with its whole path.
        let problem = error.problem.replace(&format!("{}/", folder.display()), "");
        let problem = if file.as_os_str().is_empty() {
            problem
        } else {
            format!("{}: {problem}", file.display())
        };
        Self { stage, problem }
    }

    /// The refusal of a version in `folder` that could not be loaded.
    pub fn load(error: &ModelError, folder: &Path) -> Self {
        Self::of_file(Stage::Load, error, folder)
    }

    /// The same as the error of a start, for the version in `folder`.
    pub fn into_model_error(self, folder: &Path) -> ModelError {
        ModelError::new(folder, self.problem)
    }
}

/// A version that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedVersion {
    pub version: String,
    pub refusal: Refusal,
}

/// The newest versions that were refused, by model; cheap to clone.
#[derive(Clone)]
pub struct RefusedVersions {
    by_model: Arc<Mutex<BTreeMap<String, RefusedVersion>>>,
    metrics: Metrics,
}

impl RefusedVersions {
    /// Begins with those that a start refused.
    pub fn new(refused: BTreeMap<String, RefusedVersion>, metrics: Metrics) -> Self {
        for model in refused.keys() {
            metrics.versions().set_refused(model, true);
        }
        Self {
            by_model: Arc::new(Mutex::new(refused)),
            metrics,
        }
    }

    pub fn all(&self) -> BTreeMap<String, RefusedVersion> {
        self.by_model.lock().clone()
    }

    /// The refused version of one model.
    pub fn of(&self, model: &str) -> Option<RefusedVersion> {
        self.by_model.lock().get(model).cloned()
    }

    /// Sets the refused version of a model, or that there is none.
    pub fn set(&self, model: &str, refused: Option<RefusedVersion>) {
        self.metrics.versions().set_refused(model, refused.is_some());
        let mut by_model = self.by_model.lock();
        match refused {
            Some(refused) => drop(by_model.insert(model.to_owned(), refused)),
            None => drop(by_model.remove(model)),
        }
    }
}
