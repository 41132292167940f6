//! Routing: which model answers a request, and why. Decides by names and configuration; the model's state comes last.

use std::fmt::Write;
use std::sync::Arc;

use super::cascade::{Stands, Tandem};
use super::catalog::{Canary, Catalog, ModelState, Serving, Task, Versions};
use super::rollout::share::gets_canary;
use super::rollout::watch::Arm;
use super::slot::Slot;
use super::types::{ClientKey, ModelRef, Route};
use super::validate::{Target, ValidExplain, ValidInput};
use crate::error::{Error, Reason};
use crate::model::Tier;
use crate::model::manifest::ProblemType;

/// The most models that an error names.
const MAX_LISTED_MODELS: usize = 20;

/// Who answers.
pub enum Plan {
    /// One model.
    Single(Asked),
    /// Both tiers of a task.
    Tandem(Box<Tandem>),
}

/// A model that is asked.
#[derive(Clone)]
pub struct Asked {
    /// The model, ready to be asked.
    pub serving: Serving,
    /// Its name, version and fingerprint.
    pub model: ModelRef,
}

impl Plan {
    /// The models that may be asked.
    pub fn asked(&self) -> impl Iterator<Item = &Asked> {
        let (first, second) = match self {
            Plan::Single(asked) => (asked, None),
            Plan::Tandem(tandem) => (&tandem.fast, Some(&tandem.deep)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Chooses who answers a request of a client, and says which version that is where a model has a canary.
pub fn plan(input: &ValidInput, catalog: &Catalog, client: ClientKey) -> Result<(Plan, Option<Arm>), Error> {
    let (plan, arm) = match &input.target {
        Target::Model { name, version } => {
            let (slot, arm) = named(catalog, &input.task, name, version.as_deref(), client)?;
            (Plan::Single(asked(&slot)?), arm)
        }
        Target::Route(route) => {
            let (task, arm) = task(catalog, &input.task)?.for_client(client);
            (by_route(catalog, task, input, *route)?, arm)
        }
    };
    Ok((check_pairs(plan, input)?, arm))
}

/// Whether every model that may be asked takes what is asked.
fn check_pairs(plan: Plan, input: &ValidInput) -> Result<Plan, Error> {
    let single = |asked: &&Asked| !asked.serving.model.takes_pairs();
    if !input.text_pairs.is_empty()
        && let Some(asked) = plan.asked().find(single)
    {
        let problem = format!("the model `{}` takes single texts, not pairs", asked.model.name);
        return Err(Error::invalid_field("text_pairs", problem));
    }
    Ok(plan)
}

/// Chooses whose answers are explained: the model that is named, or the task's fast or deep one; the fast one by default.
pub fn explained(input: &ValidExplain, catalog: &Catalog, client: ClientKey) -> Result<Asked, Error> {
    match &input.target {
        Target::Model { name, version } => asked(&named(catalog, &input.task, name, version.as_deref(), client)?.0),
        Target::Route(route) => {
            let wanted = if *route == Route::Deep { Tier::Deep } else { Tier::Fast };
            let (task, _) = task(catalog, &input.task)?.for_client(client);
            asked(tier(task, &input.task, wanted)?)
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

fn by_route(catalog: &Catalog, task: &Task, input: &ValidInput, route: Route) -> Result<Plan, Error> {
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
    let stands = match route {
        Route::Fast => return Ok(Plan::Single(asked(tier(task, &input.task, Tier::Fast)?)?)),
        Route::Deep | Route::Default if !allow_fallback => {
            return Ok(Plan::Single(asked(tier(task, &input.task, Tier::Deep)?)?));
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
    if route == Route::Cascade && deep.verified.manifest.problem_type != ProblemType::SingleLabel {
        return Err(Error::new(
            Reason::CascadeNotCalibrated,
            format!(
                "route: {} has no cascade: only models of which one label is right can share a request; ask for the fast or the deep one",
                spoken(&input.task)
            ),
        ));
    }
    let stands = match (route, stands.or(setup.min_confidence)) {
        (Route::Cascade, Some(min_confidence)) => Stands::From(min_confidence),
        (Route::Cascade, None) => return Err(not_calibrated(input)),
        _ => Stands::None,
    };
    Ok(Plan::Tandem(Box::new(Tandem {
        fast: asked(fast)?,
        deep: asked(deep)?,
        setup,
        stands,
        allow_fallback,
        task: catalog.task_name(&input.task).unwrap_or_default().to_owned(),
        own_threshold: options.min_confidence.is_none(),
        watch: Arc::clone(&task.watch),
    })))
}

fn tier<'a>(task: &'a Task, name: &str, tier: Tier) -> Result<&'a Arc<Slot>, Error> {
    let slot = match tier {
        Tier::Fast => &task.fast,
        Tier::Deep => &task.deep,
    };
    slot.as_ref().ok_or_else(|| {
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

fn asked(slot: &Arc<Slot>) -> Result<Asked, Error> {
    Ok(Asked {
        serving: serving(slot)?,
        model: slot.model_ref(),
    })
}

/// The model of that name, in the version that is named, or else the client's, if it serves `of_task`, where that is not empty.
fn named(
    catalog: &Catalog,
    of_task: &str,
    name: &str,
    version: Option<&str>,
    client: ClientKey,
) -> Result<(Arc<Slot>, Option<Arm>), Error> {
    let (clients, arm) = match catalog.models().get(name).and_then(Versions::live_canary) {
        Some(Canary { slot, share, watch }) if version.is_none() => {
            let canary = gets_canary(client, name, slot.version(), *share);
            let watch = Arc::clone(watch);
            (canary.then(|| Arc::clone(slot)), Some(Arm { watch, canary }))
        }
        _ => (None, None),
    };
    let stable = catalog.slot(name).ok_or_else(|| no_such_model(catalog, name))?;
    let slot = match version {
        None => Some(clients.unwrap_or_else(|| Arc::clone(&stable))),
        Some(version) => catalog.version(name, version),
    };
    let slot = slot.ok_or_else(|| {
        let (version, serving) = (version.unwrap_or_default(), stable.version());
        Error::new(
            Reason::ModelNotFound,
            format!("model: `{name}` has no version `{version}` here, version `{serving}` serves"),
        )
    })?;
    if !of_task.is_empty() {
        task(catalog, of_task)?;
        if !catalog.tasks_of(&slot).contains(&of_task) {
            return Err(Error::invalid_field(
                "model",
                format!("does not serve the task `{of_task}`"),
            ));
        }
    }
    Ok((slot, arm))
}

/// Names the models that there are, up to a bound: a repository may hold hundreds.
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

fn serving(slot: &Slot) -> Result<Serving, Error> {
    let name = &slot.verified.manifest.name;
    match &*slot.state() {
        ModelState::Serving(serving) => Ok(serving.clone()),
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
