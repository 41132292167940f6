//! What became of a reload, model by model.

use crate::service::catalog::refusal::Refusal;

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

impl ReloadReport {
    /// With what became of each model by name.
    pub fn sorted(mut self) -> Self {
        self.outcomes.sort_by(|a, b| a.model.cmp(&b.model));
        self
    }
}
