//! Loading: from a verified folder to a model that may serve: sessions, input and output names, types and label count,
//! warm-up, golden examples.
//!
//! Slow and blocking: called from a thread of its own, after the ports are open. Every run has a limit; a tokenizer, which can't be
//! ended, has a thread that is given up.

mod attempt;
pub mod cost_probe;
pub mod golden;
pub mod idle_priority;
pub mod load_types;

pub use self::load_types::{Around, Initialized, InstanceSettings, Limits, LoadTimes, SHORTEST_LIMIT};
use crate::model::model_error::ModelError;
use crate::model::onnx::RunLimit;
use crate::model::repository::VerifiedModel;
use attempt::Load;

/// Loads a verified model, warms it up and checks its golden examples.
///
/// Several sessions share their weights. ONNX Runtime may have changed a weight in place while it optimised the graph
/// (it transposes some), and does not notice that the shared one was not changed; then the golden examples fail, and
/// each session gets weights of its own.
pub fn initialize(verified: &VerifiedModel, settings: InstanceSettings) -> Result<Initialized, ModelError> {
    initialize_in(verified, settings, Around::Quiet, &Limits::default())
}

/// The same, told what else the machine does and what to keep to.
pub fn initialize_in(
    verified: &VerifiedModel,
    mut settings: InstanceSettings,
    around: Around,
    limits: &Limits,
) -> Result<Initialized, ModelError> {
    if matches!(around, Around::Busy { idle_from_cells: None }) {
        settings.idle_threads = 1;
    }
    let share = settings.count > 1 || settings.idle_threads > settings.intra_threads;
    let limit = RunLimit::new(limits.run, limits.off.clone());
    let first = Load::new(verified, settings, around, share, &limit).and_then(Load::run);
    let Err(problem) = &first else { return first };
    if !share || limit.was_hit() || limits.off.is_off() {
        return first;
    }
    let second = Load::new(verified, settings, around, false, &limit).and_then(Load::run);
    if second.is_ok() {
        let model = &verified.manifest.name;
        tracing::warn!(model, %problem, "its sessions can't share their weights");
    }
    second
}
