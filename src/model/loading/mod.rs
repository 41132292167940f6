//! Loading: turns a verified folder into a model that may serve. Opens sessions, checks inputs, output and number of
//! labels, warms up, compares golden examples.
//!
//! Slow and blocking: called from a thread of its own, after the ports are open. Every run has a limit. A tokenizer
//! can't be ended, so it has a thread that is given up.
//!
//! In reading order: [`load_types`] (what a load is given and gives; [`effort`]: how
//! much it examines) → `attempt.rs` (its steps; `opening.rs`: the first
//! of them) → [`cost_probe`] (what
//! runs cost) → [`golden`] (whether the answers are right) → `native_check.rs` (whether a sum of
//! our own may stand in for ONNX Runtime) → [`wide_trial`] (a session with more threads, later) → [`idle_priority`] (loads
//! while the server serves) and [`side_by_side`](crate::model::side_by_side) (loads while it does not).

mod attempt;
pub mod cost_probe;
pub mod effort;
pub mod golden;
pub mod idle_priority;
pub mod load_types;
mod native_check;
mod opening;
pub mod wide_trial;

pub use self::effort::Effort;
pub use self::load_types::{Around, FastPath, Initialized, InstanceSettings, Limits, LoadTimes, SHORTEST_LIMIT};
use crate::model::model_error::ModelError;
use crate::model::onnx::RunLimit;
use crate::model::repository::VerifiedModel;
use attempt::Load;

/// Loads a verified model, warms it up and checks its golden examples.
///
/// Several sessions share their weights. When ONNX Runtime optimises the graph it may change a weight in place (it
/// transposes some) without noticing that the shared copy stays as it was. The golden examples fail then, and the model
/// is loaded again with weights of its own for each session.
pub fn initialize(verified: &VerifiedModel, settings: InstanceSettings) -> Result<Initialized, ModelError> {
    initialize_in(verified, settings, Around::Quiet, &Limits::default())
}

/// Like [`initialize`], told what else the machine does, and within limits.
pub fn initialize_in(
    verified: &VerifiedModel,
    settings: InstanceSettings,
    around: Around,
    limits: &Limits,
) -> Result<Initialized, ModelError> {
    let share = settings.count > 1 || settings.idle_threads > settings.intra_threads;
    let limit = RunLimit::new(limits.run, limits.off.clone());
    let attempt = |share| Load::new(verified, settings, (around, limits.effort), share, &limit);
    let first = attempt(share).and_then(Load::run);
    let Err(problem) = &first else { return first };
    if !share || limit.was_hit() || limits.off.is_off() {
        return first;
    }
    let second = attempt(false).and_then(Load::run);
    if second.is_ok() {
        let model = &verified.manifest.name;
        tracing::warn!(model, %problem, "its sessions can't share their weights");
    }
    second
}
