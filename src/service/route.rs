//! Routing: which model answers a request, and why. Decides by names and configuration; the model's state comes last.

use std::sync::Arc;

use super::catalog::{Catalog, ModelState, Serving, Slot, Task};
use super::types::{Decision, ModelRef, Route};
use super::validate::{Target, ValidInput};
use crate::error::{Error, Reason};
use crate::model::Tier;

/// Who answers.
#[derive(Clone)]
pub struct Plan {
    /// The model, ready to be asked.
    pub serving: Serving,
    /// Its name, version and fingerprint.
    pub model: ModelRef,
    /// Why it answers.
    pub decision: Decision,
}

/// Chooses the model for a request.
pub fn plan(input: &ValidInput, catalog: &Catalog) -> Result<Plan, Error> {
    let slot = match &input.target {
        Target::Model { name, version } => named(catalog, input, name, version.as_deref())?,
        Target::Route(route) => by_route(task(catalog, &input.task)?, &input.task, *route)?,
    };
    Ok(Plan {
        serving: serving(&slot)?,
        model: slot.model_ref(),
        decision: Decision::Requested,
    })
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

fn by_route(task: &Task, name: &str, route: Route) -> Result<Arc<Slot>, Error> {
    let route = if route == Route::Default {
        task.default_route
    } else {
        route
    };
    let (slot, tier) = match route {
        Route::Fast => (&task.fast, Tier::Fast),
        Route::Deep | Route::Default | Route::Cascade => (&task.deep, Tier::Deep),
    };
    slot.clone().ok_or_else(|| {
        let name = if name.is_empty() {
            "the default task".to_owned()
        } else {
            format!("the task `{name}`")
        };
        Error::new(
            Reason::TierNotConfigured,
            format!("route: {name} has no {} model", tier.name()),
        )
    })
}

fn named(catalog: &Catalog, input: &ValidInput, name: &str, version: Option<&str>) -> Result<Arc<Slot>, Error> {
    let slot = catalog
        .slot(name)
        .ok_or_else(|| Error::new(Reason::ModelNotFound, format!("model: there is no model `{name}`")))?;
    let serving = &slot.verified.manifest.version;
    if let Some(version) = version.filter(|version| version != serving) {
        return Err(Error::new(
            Reason::ModelNotFound,
            format!("model: `{name}` has no version `{version}` here, version `{serving}` serves"),
        ));
    }
    if !input.task.is_empty() {
        task(catalog, &input.task)?;
        if !catalog.tasks_of(slot).contains(&input.task.as_str()) {
            return Err(Error::invalid_field(
                "model",
                format!("does not serve the task `{}`", input.task),
            ));
        }
    }
    Ok(Arc::clone(slot))
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
