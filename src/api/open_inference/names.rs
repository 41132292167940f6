//! Names: what a request's name and version stand for, and what is told of it. `target_name.rs` says which names there
//! are.

use std::sync::Arc;

use super::request::quoted;
use super::tensors::Output;
use crate::api::target_name::TargetName;
use crate::error::{Error, Reason};
use crate::model::manifest::ProblemType;
use crate::model::model_name::ModelName;
use crate::service::Service;
use crate::service::catalog::health::ServingState;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::messages::Route;

/// What a name stands for.
pub struct Named {
    /// As it was asked, without the version.
    pub name: String,
    pub target: TargetName,
    /// The versions that may answer, fast before deep; at least one.
    pub versions: Vec<Arc<ModelVersion>>,
    /// The labels, in the order of the columns of probabilities.
    pub labels: Vec<String>,
    /// Whether the answers are numbers.
    is_number: bool,
}

/// What `name` stands for, in `version` unless that is empty.
pub fn find(service: &Service, name: &str, version: &str) -> Result<Named, Error> {
    let catalog = service.catalog();
    let mut target = TargetName::find(name, &catalog)?;
    if !version.is_empty() {
        target = in_version(target, name, version)?;
    }
    let versions = target.versions(&catalog);
    match &target {
        TargetName::Model(model) if versions.is_empty() => {
            let problem = format!("model: {} is not loaded", quoted(model));
            return Err(Error::new(Reason::ModelNotFound, problem));
        }
        TargetName::Task { route, .. } if versions.len() < models_of(*route) => {
            let problem = format!("model: {} has no model for this route", quoted(name));
            return Err(Error::new(Reason::TierNotConfigured, problem));
        }
        _ => {}
    }
    Ok(Named {
        name: name.to_owned(),
        labels: target.labels(&catalog),
        is_number: versions
            .iter()
            .any(|version| target.seen(&version.verified.manifest, &catalog).problem_type == ProblemType::Regression),
        target,
        versions,
    })
}

/// How many models a route needs.
fn models_of(route: Route) -> usize {
    match route {
        Route::Default | Route::Fast | Route::Deep => 1,
        Route::Cascade => 2,
    }
}

fn in_version(target: TargetName, name: &str, version: &str) -> Result<TargetName, Error> {
    match target {
        TargetName::Task { .. } => {
            let problem = format!("model_version: {} is a task, which has no versions", quoted(name));
            Err(Error::new(Reason::ModelNotFound, problem))
        }
        TargetName::Model(model) if model.contains('@') => {
            let problem = "is in model_name already: say it once";
            Err(Error::invalid_field("model_version", problem))
        }
        TargetName::Model(model) => {
            let with_version = format!("{model}@{version}");
            let problem = "must match [a-z0-9][a-z0-9_-]{0,62}";
            let known = ModelName::parse(&with_version).is_some();
            known
                .then_some(TargetName::Model(with_version))
                .ok_or_else(|| Error::invalid_field("model_version", problem))
        }
    }
}

impl Named {
    /// The outputs that it has.
    pub fn outputs(&self) -> &'static [Output] {
        if self.is_number {
            &Output::OF_REGRESSIONS
        } else {
            &Output::OF_CLASSIFIERS
        }
    }

    /// Whether it takes pairs, as far as its models are loaded.
    pub fn takes_pairs(&self) -> bool {
        let takes = |version: &Arc<ModelVersion>| version.model().is_some_and(|model| model.takes_pairs());
        self.versions.iter().all(takes)
    }

    /// The state of the model that is worst off.
    pub fn state(&self, service: &Service) -> ServingState {
        let mut states = self.versions.iter().map(|version| service.health().state_of(version));
        let bad = states.find(|state| *state != ServingState::Serving);
        bad.unwrap_or(ServingState::Serving)
    }

    /// The loaded versions of a model; none of a task.
    pub fn version_names(&self, service: &Service) -> Vec<String> {
        let (TargetName::Model(_), Some(version)) = (&self.target, self.versions.first()) else {
            return Vec::new();
        };
        let catalog = service.catalog();
        let versions = catalog
            .models()
            .get(version.name())
            .into_iter()
            .flat_map(|model| model.all());
        versions.map(|version| version.version().to_owned()).collect()
    }
}
