//! Routing: which model answers a request, and why. Decides by names and configuration first, by the models' state
//! last.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use super::cascade::{CascadePlan, Threshold};
use super::target::ModelTarget;
use super::validate::{CascadeOptions, Target, ValidExplain, ValidInput};
use crate::config::settings::WindowSettings;
use crate::error::{Error, Reason};
use crate::model::Tier;
use crate::model::manifest::{ProblemType, Truncation};
use crate::service::catalog::Catalog;
use crate::service::catalog::canary::Arm;
use crate::service::catalog::canary::split::gets_canary;
use crate::service::catalog::gears::{Gear, Gears};
use crate::service::catalog::model_version::{ModelState, ModelVersion};
use crate::service::catalog::task::Task;
use crate::service::catalog::versions::{Canary, Versions};
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::messages::{ClientKey, Route};

/// The most models that an error names.
const MAX_LISTED_MODELS: usize = 20;

/// Which models answer a request.
pub enum Plan {
    /// One model.
    Single(ModelTarget),
    /// Both tiers of a task.
    Cascade(Box<CascadePlan>),
}

/// The models that answer a request, and what its task says of long texts and of answers that are not sure.
pub struct Chosen {
    pub plan: Plan,
    pub rules: WindowRules,
    /// The confidence below which an answer is withheld; `None` where every answer is given.
    pub answer_from: Option<f32>,
}

/// What the task of a request says of texts that are too long.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowRules {
    /// What happens to them; absent for each model's own setting.
    pub truncation: Option<Truncation>,
    pub settings: WindowSettings,
}

impl WindowRules {
    fn of(task: &Task) -> Self {
        Self {
            truncation: task.truncation,
            settings: task.windows,
        }
    }
}

impl Plan {
    /// What happens to texts that are too long, where the models do not decide it each for itself: windows, if one of them
    /// has that as its own setting, since both must read the same.
    pub fn truncation(&self) -> Option<Truncation> {
        let in_windows = |target: &ModelTarget| target.loaded.model.manifest.truncation() == Some(Truncation::Windows);
        self.targets().any(in_windows).then_some(Truncation::Windows)
    }

    /// The same, where confidence decides; `None` where a forecast of the gain does.
    pub fn told_confidence(&self) -> Option<f32> {
        let by_gain = |plan: &CascadePlan| plan.own_threshold && plan.setup.gain.is_some();
        match self {
            Plan::Cascade(cascade) if by_gain(cascade) => None,
            _ => self.min_confidence(),
        }
    }

    /// For a cascade, the confidence from which on fast answers stand.
    pub fn min_confidence(&self) -> Option<f32> {
        match self {
            Plan::Cascade(cascade) => cascade.threshold.confidence(),
            Plan::Single(_) => None,
        }
    }

    /// The models that may be asked, fast before deep.
    pub fn targets(&self) -> impl Iterator<Item = &ModelTarget> {
        let (first, second) = match self {
            Plan::Single(target) => (target, None),
            Plan::Cascade(plan) => (&plan.fast, Some(&plan.deep)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Chooses which models answer a client's request.
pub fn plan(input: &ValidInput, catalog: &Catalog, client: ClientKey) -> Result<Chosen, Error> {
    let chosen = match &input.target {
        Target::Model { name, version } => {
            let (version, arm) = named(catalog, &input.task, name, version.as_deref(), client)?;
            // The task that the request names, or else the first that the model serves.
            let task = Some(input.task.as_str()).filter(|task| !task.is_empty());
            let first = || catalog.tasks_of(&version).first().copied();
            let task = task.or_else(|| first().filter(|_| version.verified.manifest.heads.is_empty()));
            let rules = task.and_then(|task| catalog.task(task)).map(WindowRules::of);
            Chosen {
                plan: Plan::Single(target(&version, arm.as_ref(), task.unwrap_or_default())?),
                rules: rules.unwrap_or_default(),
                answer_from: None,
            }
        }
        Target::Route(route) => {
            let (task, arm) = task(catalog, &input.task)?.for_client(client);
            let plan = by_route(catalog, task, arm.as_ref(), input, *route)?;
            Chosen {
                rules: WindowRules::of(task),
                answer_from: answer_from(task, &plan, input.cascade)?,
                plan,
            }
        }
    };
    check_pairs(&chosen.plan, input)?;
    Ok(chosen)
}

/// The confidence below which an answer of this plan is withheld.
fn answer_from(task: &Task, plan: &Plan, options: CascadeOptions) -> Result<Option<f32>, Error> {
    let abstention = &task.abstention;
    // What was measured of the cascade holds for its own threshold.
    let as_measured = plan.min_confidence().is_some() && options.min_confidence.is_none();
    match options.min_precision {
        Some(_) if plan.min_confidence().is_none() => Err(Error::invalid_field(
            "min_precision",
            "applies to ROUTE_CASCADE only, which is not this task's default route",
        )),
        Some(precision) => abstention
            .by_precision(precision)
            .map(Some)
            .map_err(|problem| Error::new(Reason::CascadeNotCalibrated, format!("min_precision: {problem}"))),
        None if as_measured => Ok(abstention.of_cascade()),
        None => Ok(abstention.of_any_route()),
    }
}

/// Checks that every model that may be asked accepts pairs, if the texts are pairs.
fn check_pairs(plan: &Plan, input: &ValidInput) -> Result<(), Error> {
    let single = |target: &&ModelTarget| !target.loaded.model.takes_pairs();
    if input.texts.are_pairs()
        && let Some(target) = plan.targets().find(single)
    {
        let problem = format!("the model `{}` takes single texts, not pairs", target.model.name);
        return Err(Error::invalid_field("text_pairs", problem));
    }
    Ok(())
}

/// Chooses the model whose answers are explained: the named one, or the task's fast or deep one; by default the fast
/// one.
pub fn explained(input: &ValidExplain, catalog: &Catalog, client: ClientKey) -> Result<ModelTarget, Error> {
    match &input.target {
        Target::Model { name, version } => {
            let (version, arm) = named(catalog, &input.task, name, version.as_deref(), client)?;
            target(&version, arm.as_ref(), &input.task)
        }
        Target::Route(route) => {
            let wanted = if *route == Route::Deep { Tier::Deep } else { Tier::Fast };
            let (task, arm) = task(catalog, &input.task)?.for_client(client);
            let name = catalog.task_name(&input.task).unwrap_or_default();
            target(tier(task, &input.task, wanted)?, arm.as_ref(), name)
        }
    }
}

fn task<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Task, Error> {
    catalog.task(name).ok_or_else(|| {
        let known = catalog.task_names().collect::<Vec<_>>().join(", ");
        if name.is_empty() {
            Error::invalid_field("task", format!("this server has several tasks, name one of: {known}"))
        } else {
            Error::new(
                Reason::TaskNotFound,
                format!("task: there is no task `{name}`, the tasks are: {known}"),
            )
        }
    })
}

fn by_route(
    catalog: &Catalog,
    task: &Task,
    arm: Option<&Arm>,
    input: &ValidInput,
    route: Route,
) -> Result<Plan, Error> {
    let route = if route == Route::Default {
        task.default_route
    } else {
        route
    };
    let options = input.cascade;
    if route != Route::Cascade && options.min_confidence.is_some() {
        let problem = "applies to ROUTE_CASCADE only, which is not this task's default route";
        return Err(Error::invalid_field("min_confidence", problem));
    }
    let allow_fallback = options.allow_fallback.unwrap_or(task.allow_fallback);
    let name = catalog.task_name(&input.task).unwrap_or_default();
    let target = |version| target(version, arm, name);
    let asked_confidence = match route {
        Route::Fast => return Ok(Plan::Single(target(tier(task, &input.task, Tier::Fast)?)?)),
        Route::Deep | Route::Default if !allow_fallback => {
            return Ok(Plan::Single(target(tier(task, &input.task, Tier::Deep)?)?));
        }
        Route::Deep | Route::Default => None,
        Route::Cascade => options.min_confidence,
    };
    let (fast, deep) = (
        tier(task, &input.task, Tier::Fast)?,
        tier(task, &input.task, Tier::Deep)?,
    );
    let setup = task
        .cascade
        .clone()
        .ok_or_else(|| Error::new(Reason::Internal, "a task of two tiers was not set up"))?;
    let deep = target(deep)?;
    if route == Route::Cascade && deep.head.manifest.problem_type == ProblemType::Regression {
        return Err(Error::new(
            Reason::CascadeNotCalibrated,
            format!(
                "route: {} has no cascade: its models give numbers, of which none is surer than another; ask for the fast or the deep one",
                spoken(&input.task)
            ),
        ));
    }
    let gear = match (&task.gears, route, asked_confidence) {
        // What a precision was measured at is the task's own threshold.
        (Some(gears), Route::Cascade, None) if options.min_precision.is_none() => Some(in_gear(gears, task, &deep)),
        _ => None,
    };
    let by_load = gear.map(|gear| gear.threshold);
    let threshold = match (route, asked_confidence.or(by_load).or(setup.min_confidence)) {
        (Route::Cascade, Some(min_confidence)) => Threshold::From(min_confidence),
        (Route::Cascade, None) => return Err(not_calibrated(input)),
        _ => Threshold::None,
    };
    let own_threshold = options.min_confidence.is_none() && threshold.confidence() == setup.min_confidence;
    Ok(Plan::Cascade(Box::new(CascadePlan {
        fast: target(fast)?,
        deep,
        setup,
        threshold,
        allow_fallback,
        task: name.to_owned(),
        own_threshold,
        gear,
        audit_share: task.audit_share,
        watch: Arc::clone(&task.watch),
    })))
}

/// The threshold that the load of the deep model chooses.
fn in_gear(gears: &Gears, task: &Task, deep: &ModelTarget) -> Gear {
    let wait = deep.loaded.scheduler.backlog();
    gears.choose(&task.watch.gear, wait, Instant::now())
}

fn tier<'a>(task: &'a Task, name: &str, tier: Tier) -> Result<&'a Arc<ModelVersion>, Error> {
    let model = match tier {
        Tier::Fast => &task.fast,
        Tier::Deep => &task.deep,
    };
    model.as_ref().ok_or_else(|| {
        Error::new(
            Reason::TierNotConfigured,
            format!("route: {} has no {} model", spoken(name), tier.name()),
        )
    })
}

fn not_calibrated(input: &ValidInput) -> Error {
    Error::new(
        Reason::CascadeNotCalibrated,
        format!(
            "route: the cascade of {} is not calibrated for its models; run `tandem calibrate`, or set min_confidence",
            spoken(&input.task)
        ),
    )
}

fn spoken(task: &str) -> String {
    if task.is_empty() {
        "the default task".to_owned()
    } else {
        format!("the task `{task}`")
    }
}

/// A version as a target that answers for a task, with the canary's arm if the canary is of the same model.
fn target(version: &Arc<ModelVersion>, arm: Option<&Arm>, task: &str) -> Result<ModelTarget, Error> {
    let loaded = loaded_or_error(version)?;
    let head = loaded.of_task(task).ok_or_else(|| no_such_head(version))?;
    Ok(ModelTarget {
        head: Arc::clone(head),
        loaded,
        model: version.model_ref(),
        arm: arm.filter(|arm| arm.watch.model == version.name()).cloned(),
        version: Arc::clone(version),
        shared: None,
    })
}

/// The model `name`, in the named version or else in the client's. It must serve the task `of_task`, unless that is
/// empty.
fn named(
    catalog: &Catalog,
    of_task: &str,
    name: &str,
    version: Option<&str>,
    client: ClientKey,
) -> Result<(Arc<ModelVersion>, Option<Arm>), Error> {
    let (clients, arm) = match catalog.models().get(name).and_then(Versions::live_canary) {
        Some(Canary {
            version: tried,
            share,
            watch,
        }) if version.is_none() => {
            let canary = gets_canary(client, name, tried.version(), *share);
            let watch = Arc::clone(watch);
            (canary.then(|| Arc::clone(tried)), Some(Arm { watch, canary }))
        }
        _ => (None, None),
    };
    let stable = catalog.stable(name).ok_or_else(|| no_such_model(catalog, name))?;
    let found = match version {
        None => Some(clients.unwrap_or_else(|| Arc::clone(&stable))),
        Some(version) => catalog.version(name, version),
    };
    let found = found.ok_or_else(|| {
        let (version, serving) = (version.unwrap_or_default(), stable.version());
        Error::new(
            Reason::ModelNotFound,
            format!("model: `{name}` has no version `{version}` here, version `{serving}` serves"),
        )
    })?;
    if !of_task.is_empty() {
        task(catalog, of_task)?;
        if !catalog.tasks_of(&found).contains(&of_task) {
            return Err(Error::invalid_field(
                "model",
                format!("does not serve the task `{of_task}`"),
            ));
        }
    }
    Ok((found, arm))
}

/// Lists the models that there are, up to a bound: a repository may hold hundreds.
fn no_such_model(catalog: &Catalog, name: &str) -> Error {
    let known: Vec<&str> = catalog.models().keys().map(|known| &**known).collect();
    let mut listed = known[..known.len().min(MAX_LISTED_MODELS)].join(", ");
    if known.len() > MAX_LISTED_MODELS {
        let _ = write!(listed, " and {} more", known.len() - MAX_LISTED_MODELS);
    }
    Error::new(
        Reason::ModelNotFound,
        format!("model: there is no model `{name}`, the models are: {listed}"),
    )
}

/// A model with heads answers for tasks alone.
fn no_such_head(version: &ModelVersion) -> Error {
    let tasks: Vec<&str> = version.verified.manifest.tasks().collect();
    let (name, tier) = (version.name(), version.verified.manifest.tier.name());
    let (first, tasks) = (tasks.first().copied().unwrap_or_default(), tasks.join(", "));
    let problem = format!(
        "the model `{name}` has several heads, name the task of one of them: {tasks}; where only models have names, `{first}:{tier}` is one"
    );
    Error::invalid_field("task", problem)
}

fn loaded_or_error(version: &ModelVersion) -> Result<Arc<LoadedModel>, Error> {
    let name = version.name();
    match &*version.state() {
        ModelState::Serving(loaded) => Ok(Arc::clone(loaded)),
        ModelState::Loading => Err(Error::new(
            Reason::ModelLoading,
            format!("the model `{name}` is being loaded"),
        )),
        ModelState::Failed(_) => Err(Error::new(
            Reason::ModelFailed,
            format!("the model `{name}` is not available"),
        )),
    }
}
