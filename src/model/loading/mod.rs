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
pub use self::load_types::{Around, FastPath, Initialized, InstanceSettings, LoadOptions, LoadTimes, SHORTEST_LIMIT};
use crate::model::manifest::LARGE_CELLS;
use crate::model::model_error::ModelError;
use crate::model::onnx::{Missing, Providers, RunLimit, Runtime};
use crate::model::providers::{Provider, ProviderList};
use crate::model::repository::VerifiedModel;
use attempt::Load;

/// Loads a verified model, warms it up and checks its golden examples.
///
/// Several sessions share their weights. When ONNX Runtime optimises the graph it may change a weight in place (it
/// transposes some) without noticing that the shared copy stays as it was. The golden examples fail then, and the model
/// is loaded again with weights of its own for each session.
pub fn initialize(verified: &VerifiedModel, settings: InstanceSettings) -> Result<Initialized, ModelError> {
    initialize_in(verified, settings, Around::Quiet, &LoadOptions::default())
}

/// Like [`initialize`], told what else the machine does, how to load, and within limits.
///
/// A graph runs on the execution providers that its folder or the settings name. Where one that may be left out is missing, can't run the graph or
/// gives wrong answers, the model is loaded without it, and a warning says so.
pub fn initialize_in(
    verified: &VerifiedModel,
    settings: InstanceSettings,
    around: Around,
    options: &LoadOptions,
) -> Result<Initialized, ModelError> {
    let mut list = verified.providers.clone();
    let mut left_out: Vec<(Provider, String)> = Vec::new();
    loop {
        let (rest, provider, problem) = match find(verified, &list)? {
            Err(Missing { at, problem }) => {
                let name = &list.all()[at].name;
                if list.is_required(at) {
                    let problem = format!("execution provider {name}: {problem}");
                    return Err(ModelError::new(&verified.folder, problem));
                }
                let (rest, provider) = list.without(at);
                (rest, provider, problem)
            }
            Ok(providers) => {
                let loaded = load_on(verified, settings, around, options, &providers);
                let error = match loaded {
                    Ok(initialized) => {
                        for (provider, problem) in left_out {
                            let (model, provider) = (&verified.manifest.name, provider.name);
                            tracing::warn!(model, provider, problem, "an execution provider is left out");
                        }
                        return Ok(initialized);
                    }
                    Err(error) if providers.is_cpu() => return Err(error),
                    Err(error) => {
                        let version = Runtime::get().map_or("", |runtime| &runtime.version);
                        let names = providers.names().join(", ");
                        let problem = format!("on {names} of ONNX Runtime {version}: {}", error.problem);
                        ModelError { problem, ..error }
                    }
                };
                match list.without_first_optional() {
                    Some((rest, provider)) if !options.off.is_off() => (rest, provider, error.to_string()),
                    _ => return Err(error),
                }
            }
        };
        left_out.push((provider, problem));
        list = rest;
    }
}

/// The providers of a list, or which of them is missing.
fn find(verified: &VerifiedModel, list: &ProviderList) -> Result<Result<Providers, Missing>, ModelError> {
    if list.is_cpu() {
        return Ok(Ok(Providers::default()));
    }
    let runtime = Runtime::get().map_err(|problem| ModelError::new(&verified.folder, problem))?;
    Ok(Providers::find(runtime, list))
}

fn load_on(
    verified: &VerifiedModel,
    mut settings: InstanceSettings,
    around: Around,
    options: &LoadOptions,
    providers: &Providers,
) -> Result<Initialized, ModelError> {
    if !providers.compute_here() {
        settings.max_cells = settings.max_cells.max(LARGE_CELLS);
        if options.count_by_processors {
            // Each would have a copy of the weights on the device, which runs one batch at a time in any case.
            settings.count = 1;
        }
    }
    // What other providers make of weights is their own.
    let share = providers.is_cpu() && (settings.count > 1 || settings.idle_threads > settings.intra_threads);
    let limit = RunLimit::new(options.run, options.off.clone());
    let attempt = |share| Load::new(verified, settings, (around, options), (providers, share), &limit);
    let first = attempt(share).and_then(Load::run);
    let Err(problem) = &first else { return first };
    if !share || limit.was_hit() || options.off.is_off() {
        return first;
    }
    let second = attempt(false).and_then(Load::run);
    if second.is_ok() {
        let model = &verified.manifest.name;
        tracing::warn!(model, %problem, "its sessions can't share their weights");
    }
    second
}
