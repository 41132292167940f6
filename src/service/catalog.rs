//! The catalog: which models and tasks there are at one moment. It never changes: a reload puts the next one in its place,
//! and a request keeps the one that it was routed by, so that a cascade's models, threshold and names belong together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reload::RefusedVersion;
use super::rollout::watch::CanaryWatch;
use super::slot::Slot;
pub use super::slot::{ModelState, Serving};
pub use super::task::Task;
use super::task::{add_trials, tasks_over};
use super::types::ModelRef;
use crate::config::settings::Settings;
use crate::model::repository::VerifiedModel;

/// The models and tasks of a server.
pub struct Catalog {
    models: BTreeMap<String, Versions>,
    tasks: BTreeMap<String, Task>,
    default_task: Option<String>,
    /// The newest versions that a start could not use; older ones serve in their place.
    pub(super) refused: BTreeMap<String, RefusedVersion>,
}

/// What there is of one model.
#[derive(Clone)]
pub struct Versions {
    /// The version that tasks use, and that requests get which name none.
    pub stable: Arc<Slot>,
    /// The version that a share of the clients gets.
    pub canary: Option<Canary>,
    /// Further versions that are loaded; only requests that name them get them.
    pub others: Vec<Arc<Slot>>,
}

/// A version that a share of the clients gets, until its watch has ended.
#[derive(Clone)]
pub struct Canary {
    /// The version.
    pub slot: Arc<Slot>,
    /// The share.
    pub share: f64,
    /// How it does.
    pub watch: Arc<CanaryWatch>,
}

impl Versions {
    /// One version alone.
    pub fn only(stable: Arc<Slot>) -> Self {
        Self {
            stable,
            canary: None,
            others: Vec::new(),
        }
    }

    /// All of them, the stable one first.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let canary = self.canary.as_ref().map(|canary| &canary.slot);
        std::iter::once(&self.stable).chain(canary).chain(&self.others)
    }

    /// The canary, unless it has ended.
    pub fn live_canary(&self) -> Option<&Canary> {
        self.canary.as_ref().filter(|canary| !canary.watch.ended())
    }

    /// Puts a version in the place of the stable one; others of the same name go.
    pub fn exchange(&mut self, stable: Arc<Slot>) {
        self.others.retain(|other| other.version() != stable.version());
        if let Some(canary) = self.canary.take_if(|canary| canary.slot.version() == stable.version()) {
            canary.watch.end();
        }
        self.stable = stable;
    }

    /// Makes a version the canary, or none; the one before stays loaded.
    pub fn set_canary(&mut self, canary: Option<Canary>) {
        if let Some(Canary { slot, watch, .. }) = self.canary.take() {
            if canary.as_ref().is_none_or(|canary| !Arc::ptr_eq(&canary.watch, &watch)) {
                watch.end();
            }
            self.others.push(slot);
        }
        if let Some(canary) = &canary {
            self.others.retain(|other| !Arc::ptr_eq(other, &canary.slot));
        }
        self.canary = canary;
    }
}

impl Catalog {
    /// Puts models and tasks together, before anything is loaded. The error is one line that names the key.
    pub fn new(models: Vec<VerifiedModel>, settings: &Settings) -> Result<Self, String> {
        let models = models
            .into_iter()
            .map(|verified| {
                let name = verified.manifest.name.clone();
                (name, Versions::only(Arc::new(Slot::new(verified))))
            })
            .collect();
        Self::over(models, settings)
    }

    /// Puts slots and tasks together. Calibrations are read anew. The error is one line that names the key.
    pub fn over(models: BTreeMap<String, Versions>, settings: &Settings) -> Result<Self, String> {
        let mut tasks = tasks_over(&models, settings)?;
        add_trials(&mut tasks, &models, settings)?;
        let default_task = default_task(&tasks, settings)?;
        Ok(Self {
            models,
            tasks,
            default_task,
            refused: BTreeMap::new(),
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
    pub(super) fn keep_watches(mut self, before: &Self) -> Self {
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
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.models.values().flat_map(Versions::slots)
    }

    /// Whether this is the stable version of its model.
    pub fn is_stable(&self, slot: &Slot) -> bool {
        let versions = self.models.get(&slot.verified.manifest.name);
        versions.is_some_and(|versions| std::ptr::eq(&*versions.stable, slot))
    }

    /// The stable version of a model.
    pub fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.models.get(name).map(|versions| Arc::clone(&versions.stable))
    }

    /// A version of a model.
    pub fn version(&self, name: &str, version: &str) -> Option<Arc<Slot>> {
        let mut slots = self.models.get(name)?.slots();
        slots.find(|slot| slot.version() == version).cloned()
    }

    /// The very model that a reference names, if it is still here.
    pub fn slot_of(&self, model: &ModelRef) -> Option<&Arc<Slot>> {
        let mut slots = self.models.get(&model.name)?.slots();
        slots.find(|slot| slot.verified.fingerprint == model.fingerprint)
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
    pub fn tasks_of(&self, slot: &Slot) -> Vec<&str> {
        let name = &slot.verified.manifest.name;
        let serves = |task: &Task| task.slots().any(|other| other.verified.manifest.name == *name);
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
