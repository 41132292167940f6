//! What became of a reload, model by model.

use std::path::Path;

use crate::model::ModelError;
use crate::service::slot::Slot;

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
    pub(in crate::service) fn of_file(stage: Stage, error: &ModelError, folder: &Path) -> Self {
        let file = Path::new(&error.path).strip_prefix(folder).unwrap_or(Path::new(""));
        // What the runtime says may name the file again, with its whole path.
        let problem = error.problem.replace(&format!("{}/", folder.display()), "");
        let problem = match file.as_os_str().is_empty() {
            true => problem,
            false => format!("{}: {problem}", file.display()),
        };
        Self { stage, problem }
    }

    /// It could not be loaded out of `folder`.
    pub(in crate::service) fn load(error: &ModelError, folder: &Path) -> Self {
        Self::of_file(Stage::Load, error, folder)
    }

    /// The same as the failure of a start.
    pub(in crate::service) fn into_model_error(self, slot: &Slot) -> ModelError {
        ModelError::new(&slot.verified.folder, self.problem)
    }
}

/// What became of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest version serves already.
    Unchanged,
    /// An operator said which version is stable: it serves, and a newer one was left alone.
    Held {
        /// The newer one.
        newest: String,
    },
    /// The newest version serves from now on.
    Exchanged {
        /// The version that served before; nothing for a new model.
        from: Option<String>,
    },
    /// The newest version was refused; what served before still does.
    Refused(Refusal),
    /// The newest version was refused before, and its files are the same: it was not tried again.
    RefusedBefore(Refusal),
    /// There is no version of it in the repository any more; it still serves.
    Gone,
}

/// What became of one model in a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The model.
    pub model: String,
    /// The version that was looked at: the newest one.
    pub version: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// What became of each model, by name.
    pub outcomes: Vec<Outcome>,
    /// Why nothing could be looked at, in one line; absent if it could.
    pub problem: Option<String>,
    /// The tasks whose calibration was read anew and is another one.
    pub recalibrated: Vec<String>,
}
