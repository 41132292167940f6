//! The catalog: which models and tasks there are at one moment. It never changes: a reload puts the next one in its place,
//! and a request keeps the one that it was routed by, so that a cascade's models, threshold and names belong together.
//!
//! In reading order: [`model_version`] (one version, with its [`circuit_breaker`]) → [`versions`] (all of one model, with its
//! [`canary`]) → [`task`] (which models decide what, with their [`cascade_calibration`] and its [`escalation_drift`]) → [`store`] (the
//! catalog of now) → [`health`] (what it adds up to). Where they come from: [`sources`], [`pins`] (as operators said), [`refusal`] (why not).

pub mod canary;
pub mod cascade_calibration;
pub mod circuit_breaker;
pub mod escalation_drift;
pub mod health;
pub mod model_version;
pub mod pins;
pub mod refusal;
pub mod sources;
pub mod store;
pub mod task;
pub mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::settings::Settings;
use crate::model::repository::VerifiedModel;
pub use model_version::{ModelState, ModelVersion};
use task::{Task, add_trials, tasks_over};
use versions::Versions;

/// The models and tasks of a server.
pub struct Catalog {
    models: BTreeMap<String, Versions>,
    tasks: BTreeMap<String, Task>,
    default_task: Option<String>,
}

impl Catalog {
    /// Puts models and tasks together, before anything is loaded. The error is one line that names the key.
    pub fn new(models: Vec<VerifiedModel>, settings: &Settings) -> Result<Self, String> {
        let models = models
            .into_iter()
            .map(|verified| {
                let name = verified.manifest.name.clone();
                (name, Versions::only(Arc::new(ModelVersion::new(verified))))
            })
            .collect();
        Self::over(models, settings)
    }

    /// Puts versions and tasks together. Calibrations are read anew. The error is one line that names the key.
    pub fn over(models: BTreeMap<String, Versions>, settings: &Settings) -> Result<Self, String> {
        let mut tasks = tasks_over(&models, settings)?;
        add_trials(&mut tasks, &models, settings)?;
        let default_task = default_task(&tasks, settings)?;
        Ok(Self {
            models,
            tasks,
            default_task,
        })
    }

    /// Says in the log which calibrations are there and not used.
    pub fn tell_unused_calibrations(&self) {
        for (task, Task { cascade, .. }) in &self.tasks {
            if let Some(why) = cascade.as_ref().and_then(|setup| setup.unused.as_ref()) {
                tracing::warn!(
                    task,
                    why,
                    "the calibration of the cascade is not used; `tandem calibrate` makes a new one"
                );
            }
        }
    }

    /// Keeps what was seen of a task's cascade, where the task stayed as it was.
    pub fn keep_watches(mut self, before: &Self) -> Self {
        for (name, task) in &mut self.tasks {
            if let Some(old) = before.tasks.get(name).filter(|old| old.is_like(task)) {
                task.watch = Arc::clone(&old.watch);
            }
        }
        self
    }

    /// The models, by name.
    pub fn models(&self) -> &BTreeMap<String, Versions> {
        &self.models
    }

    /// Every version of every model that is here, by name, the stable one first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<ModelVersion>> {
        self.models.values().flat_map(Versions::all)
    }

    /// Whether this is the stable version of its model.
    pub fn is_stable(&self, version: &ModelVersion) -> bool {
        let versions = self.models.get(version.name());
        versions.is_some_and(|versions| std::ptr::eq(Arc::as_ptr(&versions.stable), version))
    }

    /// Whether this very version is here.
    pub fn holds(&self, version: &Arc<ModelVersion>) -> bool {
        let versions = self.models.get(version.name());
        versions.is_some_and(|versions| versions.all().any(|other| Arc::ptr_eq(other, version)))
    }

    /// The stable version of a model.
    pub fn stable(&self, name: &str) -> Option<Arc<ModelVersion>> {
        self.models.get(name).map(|versions| Arc::clone(&versions.stable))
    }

    /// A version of a model.
    pub fn version(&self, name: &str, version: &str) -> Option<Arc<ModelVersion>> {
        let mut versions = self.models.get(name)?.all();
        versions.find(|known| known.version() == version).cloned()
    }

    /// The tasks, by name.
    pub fn tasks(&self) -> &BTreeMap<String, Task> {
        &self.tasks
    }

    /// The names of the tasks.
    pub fn task_names(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// A task by name, or the default one for an empty name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.get(self.task_name(name)?)
    }

    /// The name of the task that a name stands for: the default one's for an empty name; nothing if there is none.
    pub fn task_name<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if name.is_empty() {
            self.default_task.as_deref()
        } else {
            Some(name)
        }
    }

    /// The tasks that a model serves, in any of its versions.
    pub fn tasks_of(&self, version: &ModelVersion) -> Vec<&str> {
        let serves = |task: &Task| task.models().any(|other| other.name() == version.name());
        let serving = self.tasks.iter().filter(|(_, task)| serves(task));
        serving.map(|(name, _)| name.as_str()).collect()
    }
}

fn default_task(tasks: &BTreeMap<String, Task>, settings: &Settings) -> Result<Option<String>, String> {
    match &settings.default_task {
        Some(name) if tasks.contains_key(name) => Ok(Some(name.clone())),
        Some(name) => {
            let known: Vec<&str> = tasks.keys().map(String::as_str).collect();
            Err(format!("default_task is `{name}`, the tasks are {}", known.join(", ")))
        }
        None if tasks.len() == 1 => Ok(tasks.keys().next().cloned()),
        None => Ok(None),
    }
}
