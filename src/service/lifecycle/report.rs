//! Report of a reload: what became of each model.

use crate::service::catalog::refusal::Refusal;

/// What became of a model in a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The newest version serves already.
    Unchanged,
    /// The version that the pins make stable serves; a newer one was left alone.
    Held {
        /// The newer version.
        newest: String,
    },
    /// The newest version serves from now on.
    Exchanged {
        /// The version that served before; absent for a new model.
        from: Option<String>,
    },
    /// The newest version was refused; what served before still serves.
    Refused(Refusal),
    /// The newest version was refused before and its files are the same, so it was not tried again.
    RefusedBefore(Refusal),
    /// The repository has no version of the model any more; the loaded one still serves.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub model: String,
    /// The version that the reload looked at.
    pub version: String,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// By the model's name, once sorted.
    pub outcomes: Vec<Outcome>,
    /// Why nothing could be looked at, in one line; absent otherwise.
    pub problem: Option<String>,
    /// The tasks that now use another calibration.
    pub recalibrated: Vec<String>,
}

impl ReloadReport {
    /// The same report, with the outcomes in order of the models' names.
    pub fn sorted(mut self) -> Self {
        self.outcomes.sort_by(|a, b| a.model.cmp(&b.model));
        self
    }
}
