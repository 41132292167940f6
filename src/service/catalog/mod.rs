//! Catalog: the models and tasks at one moment. A catalog never changes: a reload puts the next one in its place, and a
//! request keeps the one that routed it, so that a cascade's models, threshold and names belong together.
//!
//! In reading order: [`model_version`] (one version, with its [`circuit_breaker`]) → [`versions`] (all versions of one
//! model, with its [`canary`]) → [`task`] (the models of one task, with their [`cascade_calibration`], its
//! [`cascade_tables`], its [`escalation_drift`], its [`gears`], its [`audit`] with its [`evidence`] and [`audit_queue`],
//! and which answers it withholds, [`abstention`]; the texts of it that are worth labelling, [`kept`]) → [`store`] (the
//! catalog that serves now) → [`health`] (the states of its versions). Where versions come from: [`sources`] (folders),
//! [`pins`] and [`pin_book`] (what operators chose, and the file of it), [`refusal`] (why one does not serve).

pub mod abstention;
pub mod audit;
pub mod audit_queue;
pub mod canary;
pub mod cascade_calibration;
pub mod cascade_tables;
pub mod circuit_breaker;
pub mod escalation_drift;
pub mod evidence;
pub mod fetched;
pub mod gears;
pub mod health;
pub mod kept;
pub mod model_version;
pub mod pin_book;
pub mod pin_file;
pub mod pin_lock;
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

pub struct Catalog {
    models: BTreeMap<String, Versions>,
    tasks: BTreeMap<String, Task>,
    default_task: Option<String>,
}

impl Catalog {
    /// A catalog of models, before any of them is loaded. The error is one line that names the key of the
    /// configuration.
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

    /// A catalog of versions. Reads the calibrations. The error is one line that names the key of the configuration.
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

    /// Logs which calibrations were found but are not used.
    pub fn tell_unused_calibrations(&self) {
        for (task, Task { cascade, gears, .. }) in &self.tasks {
            if let Some(why) = cascade.as_ref().and_then(|setup| setup.unused.as_ref()) {
                tracing::warn!(
                    task,
                    why,
                    "the calibration of the cascade is not used; `tandem calibrate` makes a new one"
                );
            }
            if let (Some(gears), Some(setup)) = (gears, cascade) {
                let uncertified = gears
                    .thresholds()
                    .iter()
                    .filter(|&&gear| setup.certificate_of(gear).is_none());
                if let Some(highest) = uncertified.copied().reduce(f32::max) {
                    tracing::info!(
                        task,
                        highest,
                        "cascade.gears: nothing is certified of thresholds up to this one"
                    );
                }
            }
        }
    }

    /// Which tasks had a calibrated cascade in `before` and have none here, for all clients or for those of a canary.
    pub fn uncalibrated_since(&self, before: &Self) -> Vec<&str> {
        let calibrated = |task: &Task| {
            let trial = task.trial.as_ref().map(|trial| &trial.task);
            let mut cascades = std::iter::once(task).chain(trial).map(|task| &task.cascade);
            cascades.all(|setup| setup.as_ref().is_some_and(|setup| setup.calibrated))
        };
        let was = |name: &str| before.tasks.get(name).is_some_and(calibrated);
        let lost = self.tasks.iter().filter(|(name, task)| was(name) && !calibrated(task));
        lost.map(|(name, _)| name.as_str()).collect()
    }

    /// Carries over the cascade counts of the tasks that `before` has in the same form.
    pub fn keep_watches(mut self, before: &Self) -> Self {
        for (name, task) in &mut self.tasks {
            if let Some(old) = before.tasks.get(name).filter(|old| old.is_like(task)) {
                task.watch = Arc::clone(&old.watch);
            }
        }
        self
    }

    /// The versions of each model, by name.
    pub fn models(&self) -> &BTreeMap<String, Versions> {
        &self.models
    }

    /// Every version of every model, by name, the stable version first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<ModelVersion>> {
        self.models.values().flat_map(Versions::all)
    }

    /// Whether this is the stable version of its model.
    pub fn is_stable(&self, version: &ModelVersion) -> bool {
        let versions = self.models.get(version.name());
        versions.is_some_and(|versions| std::ptr::eq(Arc::as_ptr(&versions.stable), version))
    }

    /// Whether this very version is in the catalog; another one of the same name and number is not.
    pub fn holds(&self, version: &Arc<ModelVersion>) -> bool {
        let versions = self.models.get(version.name());
        versions.is_some_and(|versions| versions.all().any(|other| Arc::ptr_eq(other, version)))
    }

    /// The stable version of the model `name`.
    pub fn stable(&self, name: &str) -> Option<Arc<ModelVersion>> {
        self.models.get(name).map(|versions| Arc::clone(&versions.stable))
    }

    pub fn version(&self, name: &str, version: &str) -> Option<Arc<ModelVersion>> {
        let mut versions = self.models.get(name)?.all();
        versions.find(|known| known.version() == version).cloned()
    }

    /// The tasks, by name.
    pub fn tasks(&self) -> &BTreeMap<String, Task> {
        &self.tasks
    }

    pub fn task_names(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// The task of that name; the default task for an empty name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.get(self.task_name(name)?)
    }

    /// The name of the task that `name` means: the default task's for an empty name. `None` if there is no such task.
    pub fn task_name<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if name.is_empty() {
            self.default_task.as_deref()
        } else {
            Some(name)
        }
    }

    /// The names of the tasks that a model serves, in any of its versions.
    pub fn tasks_of(&self, version: &ModelVersion) -> Vec<&str> {
        let serves = |task: &Task| task.models().any(|other| other.name() == version.name());
        let tasks = self.tasks.iter().filter(|(_, task)| serves(task));
        tasks.map(|(name, _)| name.as_str()).collect()
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
