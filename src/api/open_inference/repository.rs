//! The names that there are, with their states; and what an operator says: load, unload.

use super::names::{self, Named};
use super::request::quoted;
use crate::api::target_name::TargetName;
use crate::error::{Error, Reason};
use crate::model::model_name::ModelName;
use crate::service::Service;
use crate::service::catalog::health::ServingState;
use crate::service::lifecycle::report::Verdict;

/// A name that may be asked.
pub struct Entry {
    pub name: String,
    /// The version of a model; empty for a task, which has none.
    pub version: String,
    /// As Triton names states.
    pub state: &'static str,
    /// Why it is not ready, or what an operator should know.
    pub reason: String,
}

const READY: &str = "READY";

fn state_name(state: ServingState) -> &'static str {
    match state {
        ServingState::Serving => READY,
        ServingState::Loading => "LOADING",
        ServingState::Draining | ServingState::Failed => "UNAVAILABLE",
    }
}

/// Every model in each of its loaded versions, and in its newest if that was refused; then tasks. There is one
/// repository, whose name is empty.
pub fn index(service: &Service, repository: &str, only_ready: bool) -> Result<Vec<Entry>, Error> {
    check_repository(repository)?;
    let reports = service.model_reports().into_iter().map(|report| Entry {
        name: report.model.name.to_string(),
        version: report.model.version.to_string(),
        state: state_name(report.state),
        reason: report.message,
    });
    let mut entries: Vec<Entry> = reports.collect();
    entries.extend(service.refused_versions().into_iter().map(|(name, refused)| Entry {
        name,
        version: refused.version,
        state: "UNAVAILABLE",
        reason: format!("{}: {}", refused.refusal.stage.name(), refused.refusal),
    }));
    // A task may have gone since the list was made.
    let names = TargetName::all(&service.catalog()).into_iter();
    let names = names.filter_map(|name| names::find(service, &name, "").ok());
    let tasks = names.filter(|named| matches!(named.target, TargetName::Task { .. }));
    entries.extend(tasks.map(|named| {
        let state = named.state(service);
        Entry {
            state: state_name(state),
            reason: reason_of_task(&named, state),
            name: named.name,
            version: String::new(),
        }
    }));
    entries.sort_by_cached_key(|entry| (entry.version.is_empty(), entry.name.clone()));
    entries.retain(|entry| !only_ready || entry.state == READY);
    Ok(entries)
}

fn reason_of_task(named: &Named, state: ServingState) -> String {
    if state == ServingState::Serving {
        return String::new();
    }
    let models: Vec<&str> = named.versions.iter().map(|version| version.name()).collect();
    format!("of {}, one is {}", models.join(", "), state.name())
}

fn check_repository(repository: &str) -> Result<(), Error> {
    if repository.is_empty() {
        return Ok(());
    }
    let problem = "must be empty: there is one repository";
    Err(Error::invalid_field("repository_name", problem))
}

/// Loads `name@version` beside the version that serves; for `name`, looks for a newer version, and serves it.
pub async fn load(service: &Service, repository: &str, model: &str) -> Result<(), Error> {
    check_repository(repository)?;
    let ModelName { name, version } = parse(model)?;
    if let Some(version) = version {
        return service.load_version(&name, &version).await.map(drop);
    }
    let report = service.reload().await;
    if let Some(problem) = &report.problem {
        return Err(Error::new(Reason::VersionRefused, problem.clone()));
    }
    let outcome = report.outcomes.iter().find(|outcome| outcome.model == name);
    match outcome.map(|outcome| &outcome.verdict) {
        Some(Verdict::Refused(refusal) | Verdict::RefusedBefore(refusal)) => {
            let problem = format!("model_name: `{name}` was refused ({}): {refusal}", refusal.stage.name());
            Err(Error::new(Reason::VersionRefused, problem))
        }
        Some(Verdict::Unchanged | Verdict::Held { .. } | Verdict::Exchanged { .. }) => Ok(()),
        Some(Verdict::Gone) => Err(gone(&name)),
        None if service.catalog().models().contains_key(&name) => Ok(()),
        None => Err(gone(&name)),
    }
}

fn gone(name: &str) -> Error {
    let problem = format!("model_name: the repository has no model `{name}`");
    Error::new(Reason::ModelNotFound, problem)
}

/// Unloads `name@version`.
pub async fn unload(service: &Service, repository: &str, model: &str) -> Result<(), Error> {
    check_repository(repository)?;
    let ModelName { name, version } = parse(model)?;
    let Some(version) = version else {
        let problem = "must be name@version: a model without a version stays, since its tasks need it";
        return Err(Error::invalid_field("model_name", problem));
    };
    service.unload_version(&name, &version).await.map(drop)
}

fn parse(model: &str) -> Result<ModelName, Error> {
    ModelName::parse(model).ok_or_else(|| {
        let problem = format!(
            "{} must be name or name@version, as the index lists models",
            quoted(model)
        );
        Error::invalid_field("model_name", problem)
    })
}
