//! Tasks: which models answer for each task. A task is checked as a whole: its tiers, their labels, and the calibration
//! of its cascade.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::abstention::Abstention;
use super::canary::split::gets_canary;
use super::canary::{Arm, CanaryWatch};
use super::cascade_calibration::CascadeSetup;
use super::escalation_drift::CascadeWatch;
use super::gears::Gears;
use super::model_version::ModelVersion;
use super::versions::{Canary, Versions};
use crate::config::settings::{RouteSetting, Settings, TaskSettings, WindowSettings};
use crate::model::Tier;
use crate::model::manifest::{ProblemType, Truncation};
use crate::model::pooling::Pooling;
use crate::service::messages::{ClientKey, Route};

/// A task, with the models that answer for it.
#[derive(Clone)]
pub struct Task {
    pub fast: Option<Arc<ModelVersion>>,
    pub deep: Option<Arc<ModelVersion>>,
    /// The route of requests that name none. Never [`Route::Default`].
    pub default_route: Route,
    /// Whether the fast model may answer where the deep one can't. A request may override it.
    pub allow_fallback: bool,
    /// What happens to texts that are too long; absent for each model's own setting. A request may override it.
    pub truncation: Option<Truncation>,
    /// How its texts are read in windows.
    pub windows: WindowSettings,
    /// The values of its cascade; present exactly where it has both tiers.
    pub cascade: Option<Arc<CascadeSetup>>,
    /// How its cascade's threshold follows the load; absent if it doesn't.
    pub gears: Option<Arc<Gears>>,
    /// The share of its cascade's texts that is audited; absent if none is.
    pub audit_share: Option<f64>,
    /// Which of its answers are withheld.
    pub abstention: Arc<Abstention>,
    /// The counts of its cascade.
    pub watch: Arc<CascadeWatch>,
    /// The same task with a canary in the place of a stable version, and which clients get it.
    pub trial: Option<Arc<Trial>>,
}

/// A task with a canary.
pub struct Trial {
    /// The share of the clients that get it, above 0 and at most 1.
    pub share: f64,
    /// How the canary does.
    pub watch: Arc<CanaryWatch>,
    /// The task with the canary in it.
    pub task: Task,
}

impl Trial {
    /// Whether a client gets the canary.
    pub fn takes(&self, client: ClientKey) -> bool {
        gets_canary(client, &self.watch.model, &self.watch.version, self.share)
    }
}

/// Adds to each task its form for clients that get a canary. The error is one line that names the key of the
/// configuration.
pub fn add_trials(
    tasks: &mut BTreeMap<String, Task>,
    models: &BTreeMap<String, Versions>,
    settings: &Settings,
) -> Result<(), String> {
    for (model, versions) in models {
        let Some(Canary { version, share, watch }) = versions.live_canary() else {
            continue;
        };
        let mut with_canary = models.clone();
        with_canary.insert(model.clone(), Versions::only(Arc::clone(version)));
        for (name, tried) in tasks_over(&with_canary, settings)? {
            let concerned = tried.models().any(|other| Arc::ptr_eq(other, version));
            let Some(task) = tasks.get_mut(&name).filter(|_| concerned) else {
                continue;
            };
            if let Some(other) = &task.trial {
                return Err(format!(
                    "tasks.{name}: `{model}` and `{}` both have a canary",
                    other.watch.model
                ));
            }
            task.trial = Some(Arc::new(Trial {
                share: *share,
                watch: Arc::clone(watch),
                task: tried,
            }));
        }
    }
    Ok(())
}

/// The tasks of a server with these models. The error is one line that names the key of the configuration.
pub fn tasks_over(models: &BTreeMap<String, Versions>, settings: &Settings) -> Result<BTreeMap<String, Task>, String> {
    let mut tasks = BTreeMap::new();
    for (name, configured) in &settings.tasks {
        tasks.insert(name.clone(), configured_task(name, configured, settings, models)?);
    }
    for Versions { stable, .. } in models.values() {
        // The task of a model without a manifest is only a guess: where the configuration gives the model to a task,
        // that holds.
        let own = Some(stable.name().to_owned());
        let names_it = |task: &TaskSettings| task.fast == own || task.deep == own;
        if !stable.verified.has_manifest() && settings.tasks.values().any(names_it) {
            continue;
        }
        for name in stable.verified.manifest.tasks() {
            if settings.tasks.get(name).is_some_and(TaskSettings::names_models) {
                continue;
            }
            let task = tasks
                .entry(name.to_owned())
                .or_insert_with(|| Task::empty(settings.default_route));
            task.put(Arc::clone(stable)).map_err(|other| {
                format!(
                    "tasks.{name}: `{other}` and `{}` are both {}; say in [tasks.{name}] which serves it",
                    stable.name(),
                    stable.verified.manifest.tier.name(),
                )
            })?;
        }
    }
    for (name, task) in &mut tasks {
        task.finish(name, settings)?;
    }
    Ok(tasks)
}

fn configured_task(
    name: &str,
    configured: &TaskSettings,
    settings: &Settings,
    models: &BTreeMap<String, Versions>,
) -> Result<Task, String> {
    let mut task = Task {
        allow_fallback: configured.allow_fallback,
        truncation: configured.truncation,
        windows: configured.windows,
        ..Task::empty(configured.default_route.unwrap_or(settings.default_route))
    };
    for (tier, model) in [(Tier::Fast, &configured.fast), (Tier::Deep, &configured.deep)] {
        let Some(model) = model else { continue };
        let key = format!("tasks.{name}.{}", tier.name());
        let stable = models
            .get(model)
            .map(|versions| &versions.stable)
            .ok_or_else(|| format!("{key}: there is no model `{model}` in the repository"))?;
        let found = stable.verified.manifest.tier;
        if found != tier {
            return Err(format!(
                "{key}: the manifest of `{model}` says that it is {}",
                found.name()
            ));
        }
        if !stable.verified.manifest.answers(name) {
            return Err(format!("{key}: {}", no_head(name, stable)));
        }
        // No conflict: both tiers were empty.
        let _ = task.put(Arc::clone(stable));
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
            truncation: None,
            windows: WindowSettings::default(),
            cascade: None,
            gears: None,
            audit_share: None,
            abstention: Arc::default(),
            watch: Arc::default(),
            trial: None,
        }
    }

    /// Makes the checks that need the whole task, and sets up its cascade. The error names the key of the
    /// configuration.
    fn finish(&mut self, name: &str, settings: &Settings) -> Result<(), String> {
        let in_task = |problem| format!("tasks.{name}: {problem}");
        if self.models().next().is_none() {
            return Err(in_task(
                "no model's manifest is for this task, and it names none; set fast, deep or both".to_owned(),
            ));
        }
        self.check_labels(name).map_err(in_task)?;
        self.check_pooling(name).map_err(in_task)?;
        if settings.tasks.get(name).is_none_or(|task| task.default_route.is_none()) {
            // A task with one tier: that tier answers requests that name no route.
            match (&self.fast, &self.deep) {
                (Some(_), None) => self.default_route = Route::Fast,
                (None, Some(_)) => self.default_route = Route::Deep,
                _ => {}
            }
        }
        match (&self.fast, &self.deep) {
            (Some(fast), Some(deep)) => {
                let seen = |model: &ModelVersion| model.verified.of_task(name).ok_or_else(|| no_head(name, model));
                let setup = CascadeSetup::find(name, settings, &seen(fast)?, &seen(deep)?)?;
                self.cascade = Some(Arc::new(setup));
            }
            _ if self.allow_fallback => {
                return Err(format!("tasks.{name}.allow_fallback: the task has one tier only"));
            }
            _ => {}
        }
        let configured = settings.tasks.get(name);
        if let Some(set) = configured.and_then(|task| task.cascade.gears.as_ref()) {
            let gears = Gears::find(set, self.cascade.as_deref());
            self.gears = gears
                .map_err(|problem| format!("tasks.{name}.cascade.gears: {problem}"))?
                .map(Arc::new);
        }
        self.audit_share = configured.and_then(|task| task.cascade.audit_share);
        if self.audit_share.is_some() && self.cascade.is_none() {
            return Err(format!(
                "tasks.{name}.cascade.audit_share: the task has one tier only, and no cascade"
            ));
        }
        let set = configured.map(|task| &task.abstain);
        let number = |model: &Arc<ModelVersion>| is_number(model, name);
        if set.is_some_and(|set| set.min_confidence.is_some()) && self.models().any(number) {
            return Err(format!(
                "tasks.{name}.abstain.min_confidence: the answers are numbers, of which none is surer than another"
            ));
        }
        let abstention = Abstention::new(set, self.cascade.as_deref())
            .map_err(|problem| format!("tasks.{name}.abstain.{problem}"))?;
        if self.gears.is_some() && abstention.is_calibrated() {
            return Err(format!(
                "tasks.{name}.cascade.gears: the task withholds answers by what was measured at its own threshold, which gears \
                 would leave; set abstain.min_confidence, or leave gears out"
            ));
        }
        self.abstention = Arc::new(abstention);
        Ok(())
    }

    fn put(&mut self, model: Arc<ModelVersion>) -> Result<(), String> {
        let place = match model.verified.manifest.tier {
            Tier::Fast => &mut self.fast,
            Tier::Deep => &mut self.deep,
        };
        match place {
            Some(other) => Err(other.name().to_owned()),
            None => {
                *place = Some(model);
                Ok(())
            }
        }
    }

    /// The task for this client, and, while there is a canary, which of the two versions the client gets.
    pub fn for_client(&self, client: ClientKey) -> (&Task, Option<Arm>) {
        match self.trial.as_ref().filter(|trial| !trial.watch.ended()) {
            None => (self, None),
            Some(trial) => {
                let canary = trial.takes(client);
                let watch = Arc::clone(&trial.watch);
                (if canary { &trial.task } else { self }, Some(Arm { watch, canary }))
            }
        }
    }

    /// The models of the task, fast before deep.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelVersion>> {
        self.fast.iter().chain(&self.deep)
    }

    /// Whether both have the same models and the same cascade values.
    pub fn is_like(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<ModelVersion>>, b: &Option<Arc<ModelVersion>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same(&self.fast, &other.fast)
            && same(&self.deep, &other.deep)
            && self.cascade == other.cascade
            && self.abstention == other.abstention
            && self.gears == other.gears
    }

    /// A number is not surer than another.
    fn check_pooling(&self, name: &str) -> Result<(), String> {
        let number = |model: &&Arc<ModelVersion>| is_number(model, name);
        match self.models().find(number) {
            Some(model) if self.windows.pooling == Some(Pooling::FirstConfident) => Err(format!(
                "windows.pooling is first-confident, but the answers of `{}` are numbers, of which none is surer than another",
                model.name()
            )),
            _ => Ok(()),
        }
    }

    fn check_labels(&self, name: &str) -> Result<(), String> {
        let (Some(fast), Some(deep)) = (&self.fast, &self.deep) else {
            return Ok(());
        };
        let seen = |model: &ModelVersion| {
            let manifest = model.verified.manifest.of_task(name);
            let mut manifest = manifest.ok_or_else(|| no_head(name, model))?;
            manifest.labels.sort();
            Ok::<_, String>((manifest.problem_type, manifest.labels))
        };
        let (of_fast, of_deep) = (seen(fast)?, seen(deep)?);
        if of_fast.0 != of_deep.0 {
            return Err(format!(
                "`{}` and `{}` do not have the same problem_type",
                fast.name(),
                deep.name()
            ));
        }
        if of_fast.1 == of_deep.1 {
            return Ok(());
        }
        Err(format!(
            "the labels of `{}` and `{}` are not the same set",
            fast.name(),
            deep.name()
        ))
    }
}

/// Whether what the model answers for the task is a number.
fn is_number(model: &ModelVersion, task: &str) -> bool {
    let manifest = model.verified.manifest.of_task(task);
    manifest.is_some_and(|manifest| manifest.problem_type == ProblemType::Regression)
}

fn no_head(task: &str, model: &ModelVersion) -> String {
    let tasks: Vec<&str> = model.verified.manifest.tasks().collect();
    format!(
        "`{}` has heads for {}, and none for `{task}`",
        model.name(),
        tasks.join(", ")
    )
}
