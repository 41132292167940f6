//! Model information: every loaded version, in pages, and one by its name. Changes nothing.

use std::sync::Arc;

use super::model_report::{ModelReport, Reporter};
use crate::config::Settings;
use crate::error::{Error, Reason};
use crate::model::model_name::ModelName;
use crate::model::repository::version_order;
use crate::service::catalog::Catalog;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::pins::ModelPins;
use crate::service::catalog::refusal::RefusedVersion;
use crate::service::catalog::task::Task;
use crate::service::catalog::versions::{Canary, Versions};
use crate::service::lifecycle::Lifecycle;
use crate::service::lifecycle::rollout::operations::previous_version;

/// The versions on a page, where the request gives no size.
const DEFAULT_PAGE: usize = 50;
/// The most versions on a page.
const MAX_PAGE: usize = 200;

/// Which requests a version serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Those that name no version.
    Stable,
    /// A share of those that name no version.
    Canary,
    /// Those that name it.
    Pinned,
}

/// The versions of a model, and which requests each serves.
pub struct ModelVersions {
    pub name: String,
    /// Every loaded version, the stable one first.
    pub loaded: Vec<ModelDetails>,
    /// The newest version, if it was refused.
    pub refused: Option<RefusedVersion>,
    pub canary: Option<Canary>,
    /// What operators chose.
    pub pins: ModelPins,
    /// The version that a roll-back would go to.
    pub previous: Option<String>,
}

/// One version, and the report on it.
pub struct ModelDetails {
    pub version: Arc<ModelVersion>,
    pub report: ModelReport,
    pub role: Role,
}

/// A task, by its name.
pub struct TaskDetails {
    pub name: String,
    /// Whether requests that name no task get it.
    pub is_default: bool,
    pub task: Task,
}

/// A part of all loaded versions.
pub struct ModelPage {
    pub models: Vec<ModelDetails>,
    /// All tasks, on the first page; none on others.
    pub tasks: Vec<TaskDetails>,
    /// The token of the next page; empty on the last one.
    pub next_page_token: String,
}

/// Reads one snapshot of the catalog, with what else is known of its models.
pub struct Inventory<'a> {
    pub catalog: &'a Catalog,
    /// Makes the report on one version.
    pub reporter: &'a Reporter,
    /// Knows the pins and the refused versions.
    pub lifecycle: &'a Lifecycle,
    /// Say where the models are now.
    pub settings: &'a Settings,
}

impl Inventory<'_> {
    /// A page of all loaded versions, by name, then version. The token names the last version of the page before, so it
    /// stays valid when versions come and go.
    pub fn list(&self, page_size: i32, page_token: &str) -> Result<ModelPage, Error> {
        let size = match usize::try_from(page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => return Err(Error::invalid_field("page_size", "must not be negative")),
        };
        let bad_token = || Error::invalid_field("page_token", "must be the next_page_token of an answer, as it was");
        let after = match page_token {
            "" => None,
            token => match ModelName::parse(token) {
                Some(ModelName {
                    name,
                    version: Some(version),
                }) => Some((name, version)),
                _ => return Err(bad_token()),
            },
        };
        let mut rest = in_order(self.catalog).into_iter().filter(|(_, model)| {
            let (name, version) = (model.name(), model.version());
            after.as_ref().is_none_or(|(last_name, last_version)| {
                let later_version = || version_order(version) > version_order(last_version);
                name > last_name.as_str() || (name == last_name && later_version())
            })
        });
        let models: Vec<ModelDetails> = (&mut rest)
            .take(size)
            .map(|(versions, version)| self.details(&version, versions))
            .collect();
        let next_page_token = match (rest.next(), models.last()) {
            (Some(_), Some(last)) => format!("{}@{}", last.report.model.name, last.report.model.version),
            _ => String::new(),
        };
        Ok(ModelPage {
            models,
            tasks: if after.is_none() { self.tasks() } else { Vec::new() },
            next_page_token,
        })
    }

    /// The tasks, by name.
    pub fn tasks(&self) -> Vec<TaskDetails> {
        let default = self.catalog.task_name("");
        let tasks = self.catalog.tasks().iter().map(|(name, task)| TaskDetails {
            name: name.clone(),
            is_default: default == Some(name),
            task: task.clone(),
        });
        tasks.collect()
    }

    /// One version of a model, all of them, and the tasks that they serve.
    pub fn get(&self, name: &str) -> Result<(ModelDetails, ModelVersions, Vec<TaskDetails>), Error> {
        let problem = "must be `name` or `name@version`, each of them [a-z0-9][a-z0-9_-]{0,62}";
        let parsed = ModelName::parse(name).ok_or_else(|| Error::invalid_field("name", problem))?;
        let not_found = |what: String| Error::new(Reason::ModelNotFound, format!("name: there is no {what}"));
        let versions = self.catalog.models().get(&parsed.name);
        let versions = versions.ok_or_else(|| not_found(format!("model `{}`", parsed.name)))?;
        let found = match &parsed.version {
            None => Some(&versions.stable),
            Some(version) => versions.all().find(|known| known.version() == version),
        };
        let found = found.ok_or_else(|| not_found(format!("version `{name}` loaded")))?;
        let of_it = self.catalog.tasks_of(found);
        let tasks = self
            .tasks()
            .into_iter()
            .filter(|task| of_it.contains(&task.name.as_str()));
        Ok((
            self.details(found, versions),
            self.all_versions(parsed.name.clone(), versions),
            tasks.collect(),
        ))
    }

    fn all_versions(&self, name: String, versions: &Versions) -> ModelVersions {
        let loaded = versions.all().map(|version| self.details(version, versions));
        let pins = self.lifecycle.pins();
        ModelVersions {
            loaded: loaded.collect(),
            refused: self.lifecycle.refused().of(&name),
            canary: versions.live_canary().cloned(),
            pins: pins.of(&name),
            previous: previous_version(&name, self.catalog, pins, self.settings),
            name,
        }
    }

    fn details(&self, version: &Arc<ModelVersion>, versions: &Versions) -> ModelDetails {
        let canary = versions.live_canary().map(|canary| &canary.version);
        let role = if Arc::ptr_eq(version, &versions.stable) {
            Role::Stable
        } else if canary.is_some_and(|canary| Arc::ptr_eq(canary, version)) {
            Role::Canary
        } else {
            Role::Pinned
        };
        ModelDetails {
            version: Arc::clone(version),
            report: self.reporter.report(version, self.catalog),
            role,
        }
    }
}

/// Every loaded version, by name, then version.
fn in_order(catalog: &Catalog) -> Vec<(&Versions, Arc<ModelVersion>)> {
    let of = |versions| {
        let mut all: Vec<Arc<ModelVersion>> = Versions::all(versions).cloned().collect();
        all.sort_by_cached_key(|version| version_order(version.version()));
        all.into_iter().map(move |version| (versions, version))
    };
    catalog.models().values().flat_map(of).collect()
}
