//! Report on one version: its state, and what an operator should know about it.

use std::sync::Arc;

use crate::model::providers::Assigned;
use crate::model::repository::VerifiedModel;
use crate::service::catalog::Catalog;
use crate::service::catalog::health::{Health, ServingState};
use crate::service::catalog::model_version::{ModelState, ModelVersion};
use crate::service::catalog::pins::RolledBack;
use crate::service::catalog::refusal::RefusedVersion;
use crate::service::catalog::versions::Versions;
use crate::service::lifecycle::Lifecycle;
use crate::service::messages::ModelRef;

#[derive(Clone, Debug)]
pub struct ModelReport {
    pub model: ModelRef,
    /// Whether it serves requests that name no version.
    pub stable: bool,
    pub state: ServingState,
    /// Why it does not serve, or what an operator should know about it; may be empty.
    pub message: String,
    /// The number of texts that wait in its queue.
    pub queued_texts: usize,
    pub labels: Vec<String>,
    /// The most tokens or features of a text that it reads.
    pub max_token_count: usize,
    /// The names of the tasks that it serves.
    pub tasks: Vec<String>,
    /// Whether it has golden examples: texts with the outputs of the training framework.
    pub verified: bool,
    /// What runs it; empty if it is not loaded.
    pub execution_providers: Vec<Assigned>,
}

/// Makes reports on versions.
pub struct Reporter {
    health: Health,
    lifecycle: Arc<Lifecycle>,
}

impl Reporter {
    /// A reporter on what a lifecycle has loaded.
    pub fn new(health: Health, lifecycle: Arc<Lifecycle>) -> Self {
        Self { health, lifecycle }
    }

    /// The report on a version of this catalog.
    pub fn report(&self, version: &ModelVersion, catalog: &Catalog) -> ModelReport {
        let manifest = &version.verified.manifest;
        let (message, queued_texts) = match &*version.state() {
            ModelState::Serving(loaded) => (self.remark(version, catalog), loaded.scheduler.queued_rows()),
            ModelState::Loading => ("being loaded".to_owned(), 0),
            ModelState::Failed(reason) => (reason.clone(), 0),
        };
        let in_force = version.model();
        ModelReport {
            model: version.model_ref(),
            stable: catalog.is_stable(version),
            state: self.health.state_of(version),
            message,
            queued_texts,
            labels: manifest.labels.clone(),
            max_token_count: in_force
                .as_ref()
                .map_or_else(|| manifest.max_token_count(), |model| model.manifest.max_token_count()),
            tasks: catalog.tasks_of(version).into_iter().map(str::to_owned).collect(),
            verified: version.verified.verified,
            execution_providers: in_force.map(|model| model.assigned.clone()).unwrap_or_default(),
        }
    }

    /// What an operator should know about a version that serves; first of all what does not work.
    fn remark(&self, model_version: &ModelVersion, catalog: &Catalog) -> String {
        let manifest = &model_version.verified.manifest;
        let name = &manifest.name;
        let versions = catalog.models().get(name);
        let stable = catalog.is_stable(model_version);
        if let Some(RefusedVersion { version, refusal }) = self.lifecycle.refused().of(name).filter(|_| stable) {
            return format!("version `{version}` was refused ({}): {refusal}", refusal.stage.name());
        }
        if let Some(canary) = versions.and_then(Versions::live_canary) {
            let (version, percent) = (canary.version.version(), 100.0 * canary.share);
            return match (stable, std::ptr::eq(Arc::as_ptr(&canary.version), model_version)) {
                (true, _) => format!("version `{version}` is the canary, for {percent}% of the clients"),
                (false, true) => format!("the canary, for {percent}% of the clients"),
                (false, false) => String::new(),
            };
        }
        if let Some(RolledBack { version, reason }) = self.lifecycle.pins().of(name).rolled_back.filter(|_| stable) {
            return format!("version `{version}` was rolled back: {reason}");
        }
        let alarms = catalog.tasks_of(model_version).into_iter().filter_map(|name| {
            let found = catalog.task(name)?.watch.audit.findings()?;
            found.remark(name)
        });
        if let Some(alarm) = alarms.into_iter().next() {
            return alarm;
        }
        let remarks = model_version.model().map(|model| model.remarks()).unwrap_or_default();
        let known = known_of(&model_version.verified);
        if known.is_empty() || remarks.is_empty() {
            return known + &remarks;
        }
        format!("{known}; {remarks}")
    }
}

/// What is known about a version before it runs.
fn known_of(verified: &VerifiedModel) -> String {
    if verified.manifest.stand_in {
        return "a stand-in: a placeholder for a model still to come".to_owned();
    }
    if verified.verified {
        return String::new();
    }
    let unverified = "not verified: nobody compared its answers with those of its training framework";
    let assumed = verified.assumed();
    if assumed.is_empty() {
        unverified.to_owned()
    } else {
        format!("{assumed}; {unverified}")
    }
}
