//! The catalog: which models and tasks there are, and the state of each model. Built from verified manifests, before
//! anything is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cache::AnswerCache;
use super::calibration::CascadeSetup;
use super::observe::CascadeWatch;
use super::types::{ModelRef, Route};
use crate::batching::Scheduler;
use crate::config::settings::{RouteSetting, Settings, TaskSettings};
use crate::model::Tier;
use crate::model::load::Model;
use crate::model::repository::VerifiedModel;
use crate::telemetry::metrics::ModelMetrics;

/// The models and tasks of a server.
pub struct Catalog {
    slots: BTreeMap<String, Arc<Slot>>,
    tasks: BTreeMap<String, Task>,
    default_task: Option<String>,
}

/// The place of one model.
pub struct Slot {
    /// The files, checked.
    pub verified: VerifiedModel,
    state: ArcSwap<ModelState>,
}

/// The state of a model.
pub enum ModelState {
    /// Being loaded, verified or warmed up.
    Loading,
    /// Taking requests.
    Serving(Serving),
    /// Could not be loaded, or failed since; why, for people.
    Failed(String),
}

/// A model that takes requests.
#[derive(Clone)]
pub struct Serving {
    /// Its pre- and postprocessing.
    pub model: Arc<Model>,
    /// Its queue and instances.
    pub scheduler: Scheduler,
    /// Its metrics.
    pub metrics: ModelMetrics,
    /// Where its answers are kept; none if they are not.
    pub cache: Option<Arc<AnswerCache>>,
}

/// The models that decide one task.
#[derive(Clone)]
pub struct Task {
    /// Its fast model.
    pub fast: Option<Arc<Slot>>,
    /// Its deep model.
    pub deep: Option<Arc<Slot>>,
    /// The route of requests that name none: never [`Route::Default`].
    pub default_route: Route,
    /// Whether the fast model may answer where the deep one can't, unless a request says.
    pub allow_fallback: bool,
    /// What its cascade works with; only and always where it has both tiers.
    pub cascade: Option<Arc<CascadeSetup>>,
    /// What is kept of its cascade.
    pub watch: Arc<CascadeWatch>,
}

impl Catalog {
    /// Puts models and tasks together. The error is one line that names the key.
    pub fn new(models: Vec<VerifiedModel>, settings: &Settings) -> Result<Self, String> {
        let slots: BTreeMap<String, Arc<Slot>> = models
            .into_iter()
            .map(|verified| (verified.manifest.name.clone(), Arc::new(Slot::new(verified))))
            .collect();
        let mut tasks = BTreeMap::new();
        for (name, configured) in &settings.tasks {
            tasks.insert(name.clone(), configured_task(name, configured, settings, &slots)?);
        }
        for slot in slots.values() {
            let name = &slot.verified.manifest.task;
            if settings.tasks.get(name).is_some_and(TaskSettings::names_models) {
                continue;
            }
            let task = tasks
                .entry(name.clone())
                .or_insert_with(|| Task::empty(settings.default_route));
            task.put(Arc::clone(slot)).map_err(|other| {
                format!(
                    "tasks.{name}: `{other}` and `{}` are both {}; say in [tasks.{name}] which serves it",
                    slot.verified.manifest.name,
                    slot.verified.manifest.tier.name(),
                )
            })?;
        }
        for (name, task) in &mut tasks {
            task.finish(name, settings)?;
        }
        let default_task = default_task(&tasks, settings)?;
        Ok(Self {
            slots,
            tasks,
            default_task,
        })
    }

    /// The models, by name.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values()
    }

    /// A model by name.
    pub fn slot(&self, name: &str) -> Option<&Arc<Slot>> {
        self.slots.get(name)
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

    /// The tasks that a model serves.
    pub fn tasks_of(&self, slot: &Slot) -> Vec<&str> {
        let serves = |task: &Task| task.slots().any(|other| std::ptr::eq(&raw const **other, slot));
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

fn configured_task(
    name: &str,
    configured: &TaskSettings,
    settings: &Settings,
    slots: &BTreeMap<String, Arc<Slot>>,
) -> Result<Task, String> {
    let mut task = Task {
        allow_fallback: configured.allow_fallback,
        ..Task::empty(configured.default_route.unwrap_or(settings.default_route))
    };
    for (tier, model) in [(Tier::Fast, &configured.fast), (Tier::Deep, &configured.deep)] {
        let Some(model) = model else { continue };
        let key = format!("tasks.{name}.{}", tier.name());
        let slot = slots
            .get(model)
            .ok_or_else(|| format!("{key}: there is no model `{model}` in the repository"))?;
        let found = slot.verified.manifest.tier;
        if found != tier {
            return Err(format!(
                "{key}: the manifest of `{model}` says that it is {}",
                found.name()
            ));
        }
        // Both tiers are empty before.
        let _ = task.put(Arc::clone(slot));
    }
    Ok(task)
}

impl Task {
    fn empty(default_route: RouteSetting) -> Self {
        let default_route = match default_route {
            RouteSetting::Fast => Route::Fast,
            RouteSetting::Deep => Route::Deep,
            RouteSetting::Cascade => Route::Cascade,
        };
        Self {
            fast: None,
            deep: None,
            default_route,
            allow_fallback: false,
            cascade: None,
            watch: Arc::default(),
        }
    }

    /// Checks what only a whole task can be checked for, and sets its cascade up. The error names the key.
    fn finish(&mut self, name: &str, settings: &Settings) -> Result<(), String> {
        let told = |problem| format!("tasks.{name}: {problem}");
        if self.slots().next().is_none() {
            return Err(told(
                "no model's manifest is for this task, and it names none; set fast, deep or both".to_owned(),
            ));
        }
        self.check_labels().map_err(told)?;
        match (&self.fast, &self.deep) {
            (Some(fast), Some(deep)) => {
                let setup = CascadeSetup::find(name, settings, &fast.verified, &deep.verified)?;
                self.cascade = Some(Arc::new(setup));
            }
            _ if self.allow_fallback => {
                return Err(format!("tasks.{name}.allow_fallback: the task has one tier only"));
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, slot: Arc<Slot>) -> Result<(), String> {
        let place = match slot.verified.manifest.tier {
            Tier::Fast => &mut self.fast,
            Tier::Deep => &mut self.deep,
        };
        match place {
            Some(other) => Err(other.verified.manifest.name.clone()),
            None => {
                *place = Some(slot);
                Ok(())
            }
        }
    }

    /// The models of the task.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.fast.iter().chain(&self.deep)
    }

    fn check_labels(&self) -> Result<(), String> {
        let (Some(fast), Some(deep)) = (&self.fast, &self.deep) else {
            return Ok(());
        };
        let sorted = |slot: &Slot| {
            let mut labels = slot.verified.manifest.labels.clone();
            labels.sort();
            labels
        };
        if sorted(fast) == sorted(deep) {
            return Ok(());
        }
        Err(format!(
            "the labels of `{}` and `{}` are not the same set",
            fast.verified.manifest.name, deep.verified.manifest.name
        ))
    }
}

impl Slot {
    fn new(verified: VerifiedModel) -> Self {
        Self {
            verified,
            state: ArcSwap::from_pointee(ModelState::Loading),
        }
    }

    /// The state that the model is in.
    pub fn state(&self) -> Arc<ModelState> {
        self.state.load_full()
    }

    /// Changes the state; `Service::set_model_state` tells those who watch.
    pub(super) fn set_state(&self, state: ModelState) {
        self.state.store(Arc::new(state));
    }

    /// The model's name, version and fingerprint.
    pub fn model_ref(&self) -> ModelRef {
        let manifest = &self.verified.manifest;
        ModelRef {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            fingerprint: self.verified.fingerprint.clone(),
            tier: manifest.tier,
        }
    }
}
