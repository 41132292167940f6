//! Target name: what a protocol of others means by the name of a model. Such protocols know models only, so each task
//! has names among them: `sentiment` for the task by its default route, `sentiment:fast`, `sentiment:deep` and
//! `sentiment:cascade` for its routes. `a-model` and `a-model@3` are a model and one version of it.
//!
//! A model whose name is a task's too is meant by that name alone; the task is `name:default` then.

use std::fmt::Write;
use std::sync::Arc;

use crate::error::{Error, Reason};
use crate::model::manifest::Manifest;
use crate::model::model_name::ModelName;
use crate::service::catalog::Catalog;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::task::Task;
use crate::service::messages::{PredictInput, Route};

/// The most names that an error lists.
const MAX_LISTED_NAMES: usize = 20;

/// The routes by their names.
const ROUTES: [(&str, Route); 4] = [
    ("default", Route::Default),
    ("fast", Route::Fast),
    ("deep", Route::Deep),
    ("cascade", Route::Cascade),
];

/// What a name means: a model, or a task by a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetName {
    /// `name` or `name@version`.
    Model(String),
    /// A task by its name, which is empty for the default task.
    Task { name: String, route: Route },
}

impl TargetName {
    /// What `name` means to the models and tasks of this moment. An empty name is the default task by its default
    /// route.
    pub fn find(name: &str, catalog: &Catalog) -> Result<Self, Error> {
        let (stem, route) = match name.split_once(':') {
            None => (name, None),
            Some((stem, route)) => (stem, Some(route)),
        };
        let is_model = || ModelName::parse(name).is_some_and(|model| model_version(&model, catalog).is_some());
        let task = |route| {
            let found = name.is_empty() || catalog.tasks().contains_key(stem);
            found.then(|| Self::Task {
                name: stem.to_owned(),
                route,
            })
        };
        let found = match route {
            None if is_model() => Some(Self::Model(name.to_owned())),
            None => task(Route::Default),
            Some(route) => {
                let route = ROUTES.iter().find(|(known, _)| *known == route);
                route.and_then(|&(_, route)| task(route))
            }
        };
        found.ok_or_else(|| no_such_name(name, catalog))
    }

    /// Has a request ask for it.
    pub fn ask(self, input: PredictInput) -> PredictInput {
        match self {
            Self::Model(model) => PredictInput { model, ..input },
            Self::Task { name, route } => PredictInput {
                task: name,
                route,
                ..input
            },
        }
    }

    /// Its own name. The default task's is found out.
    pub fn name(&self, catalog: &Catalog) -> String {
        match self {
            Self::Model(model) => model.clone(),
            Self::Task { name, route } => {
                let name = catalog.task_name(name).unwrap_or_default();
                match ROUTES.iter().find(|(_, known)| known == route) {
                    Some((route, _)) if *route != "default" => format!("{name}:{route}"),
                    _ => name.to_owned(),
                }
            }
        }
    }

    /// The labels in the order of the model that it names; of a task in the order of its deep model, or else its fast
    /// one. Both tiers of a task have the same labels, but each may have them in an order of its own. Empty if there is
    /// no such thing any more.
    pub fn labels(&self, catalog: &Catalog) -> Vec<String> {
        let version = self.versions(catalog).pop();
        version.map_or_else(Vec::new, |version| {
            self.seen(&version.verified.manifest, catalog).labels
        })
    }

    /// The manifest of one of its models as it sees it: that of a task's head, where the model has heads.
    pub fn seen(&self, manifest: &Manifest, catalog: &Catalog) -> Manifest {
        let task = match self {
            Self::Model(_) => None,
            Self::Task { name, .. } => catalog.task_name(name),
        };
        let of_task = task.and_then(|task| manifest.of_task(task));
        of_task.unwrap_or_else(|| manifest.clone())
    }

    /// The stable versions of the models that may answer, fast before deep.
    pub fn versions(&self, catalog: &Catalog) -> Vec<Arc<ModelVersion>> {
        match self {
            Self::Model(model) => {
                let model = ModelName::parse(model);
                model
                    .and_then(|model| model_version(&model, catalog))
                    .into_iter()
                    .collect()
            }
            Self::Task { name, route } => catalog
                .task(name)
                .map_or_else(Vec::new, |task| asked(task, *route).cloned().collect()),
        }
    }

    /// All names that mean something, for a list: the models, the tasks, and the tasks by the routes that they have.
    pub fn all(catalog: &Catalog) -> Vec<String> {
        let models = catalog.models().keys().cloned();
        let tasks = catalog.tasks().iter().flat_map(|(name, task)| {
            let plain = (!catalog.models().contains_key(name)).then(|| name.clone());
            let routes = ROUTES
                .iter()
                .filter(|(_, route)| *route != Route::Default && has(task, *route));
            plain
                .into_iter()
                .chain(routes.map(move |(route, _)| format!("{name}:{route}")))
        });
        models.chain(tasks).collect()
    }
}

fn model_version(ModelName { name, version }: &ModelName, catalog: &Catalog) -> Option<Arc<ModelVersion>> {
    match version {
        None => catalog.stable(name),
        Some(version) => catalog.version(name, version),
    }
}

/// The models of a task that a route may ask, fast before deep.
fn asked(task: &Task, route: Route) -> impl Iterator<Item = &Arc<ModelVersion>> {
    let route = if route == Route::Default {
        task.default_route
    } else {
        route
    };
    let fast = task
        .fast
        .as_ref()
        .filter(|_| route != Route::Deep || task.allow_fallback);
    let deep = task.deep.as_ref().filter(|_| route != Route::Fast);
    fast.into_iter().chain(deep)
}

/// Whether a task has this route.
fn has(task: &Task, route: Route) -> bool {
    match route {
        Route::Default => true,
        Route::Fast => task.fast.is_some(),
        Route::Deep => task.deep.is_some(),
        Route::Cascade => task.cascade.as_ref().is_some_and(|setup| setup.calibrated),
    }
}

/// Lists the names that there are, up to a bound.
fn no_such_name(name: &str, catalog: &Catalog) -> Error {
    let known = TargetName::all(catalog);
    let mut listed = known[..known.len().min(MAX_LISTED_NAMES)].join(", ");
    if known.len() > MAX_LISTED_NAMES {
        let _ = write!(listed, " and {} more", known.len() - MAX_LISTED_NAMES);
    }
    let name = quoted(name);
    Error::new(
        Reason::ModelNotFound,
        format!("model: there is no model or task {name}, there are: {listed}"),
    )
}

/// A name as an error tells it: short, and on one line.
fn quoted(name: &str) -> String {
    const MAX_BYTES: usize = 80;
    let name = name[..name.floor_char_boundary(MAX_BYTES)].replace(char::is_control, "\u{fffd}");
    format!("`{name}`")
}
