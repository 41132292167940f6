//! Swap: a version is loaded from the repository with the checks of a reload, and one catalog takes the place of
//! another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::candidate::{self, Candidate};
use super::commands::Warning;
use super::owner::Owner;
use crate::error::{Error, Reason};
use crate::low_priority::LowPriority;
use crate::model::repository;
use crate::service::catalog::Catalog;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::catalog::sources;
use crate::service::catalog::versions::Versions;

/// The version `name@version`: the loaded one, or else loaded now from the repository, with every check but the last,
/// whether it fits with the other versions.
pub fn find_or_load(owner: &mut Owner, name: &str, version: &str) -> Result<Arc<ModelVersion>, Error> {
    if let Some(found) = owner.catalog().version(name, version) {
        if found.loaded().is_some() {
            return Ok(found);
        }
        let problem = format!("version `{version}` of `{name}` does not serve");
        return Err(Error::new(Reason::RolloutConflict, problem));
    }
    let model = sources::repository(&owner.settings).map(|repository| repository.join(name));
    let folders = model.and_then(|model| repository::versions_in(&model).ok());
    let folder = folders
        .unwrap_or_default()
        .into_iter()
        .find(|folder| folder.file_name() == Some(version.as_ref()));
    let folder = folder.ok_or_else(|| {
        let problem = format!("version: the repository has no version `{version}` of `{name}`");
        Error::new(Reason::ModelNotFound, problem)
    })?;
    let candidate = read(owner, &folder).map_err(|refusal| refused(version, refusal))?;
    let loaded = candidate
        .agrees()
        .and_then(|()| owner.loader.load_beside(&candidate.version));
    match loaded {
        Ok(()) => Ok(candidate.version),
        Err(refusal) => {
            owner.retirement.retire(vec![candidate.version]);
            Err(refused(version, refusal))
        }
    }
}

fn read(owner: &Owner, folder: &Path) -> Result<Candidate, Refusal> {
    let verified = sources::read(&owner.settings, folder, Some(LowPriority::Loading), &|| {
        owner.is_stopping()
    });
    let verified = verified.map_err(|error| Refusal::of_file(Stage::NotReady, &error, folder))?;
    Ok(Candidate::new(verified, &owner.catalog()))
}

/// Changes a model's versions and exchanges the catalog; retires the versions that the next one lacks. If the change
/// does not fit, everything stays as it was, and `version` is retired if it was new. The warning names the tasks whose cascade
/// was calibrated and is not for the versions that serve now.
pub fn change(
    owner: &mut Owner,
    version: Arc<ModelVersion>,
    change: impl FnOnce(&mut Versions),
) -> Result<Warning, Error> {
    let before = owner.catalog();
    let mut models: BTreeMap<String, Versions> = before.models().clone();
    if let Some(versions) = models.get_mut(version.name()) {
        change(versions);
    }
    let outcome = candidate::over(models, &before, &owner.settings).map(Arc::new);
    let (leaving, outcome) = match outcome {
        Ok(next) => {
            drop(owner.store.swap(Arc::clone(&next)));
            owner.loader.tell_state(&version);
            (gone(&before, &next), Ok(of_cascades(&before, &next)))
        }
        Err(refusal) => {
            let is_new = !before.holds(&version);
            let leaving = is_new.then(|| Arc::clone(&version)).into_iter().collect();
            (leaving, Err(refused(version.version(), refusal)))
        }
    };
    // Drop these, so that the versions that left can end.
    drop((before, version));
    owner.retirement.retire(leaving);
    outcome
}

fn of_cascades(before: &Catalog, next: &Catalog) -> Warning {
    let lost = next.uncalibrated_since(before);
    let tasks: Vec<String> = lost.iter().map(|task| format!("`{task}`")).collect();
    (!tasks.is_empty()).then(|| {
        format!(
            "the cascade of {} is not calibrated for these versions: `tandem calibrate`, then a reload; until then ROUTE_CASCADE is \
             refused, or goes by a min_confidence that was set for others",
            tasks.join(", ")
        )
    })
}

/// The versions of `before` that `next` lacks.
pub fn gone(before: &Catalog, next: &Catalog) -> Vec<Arc<ModelVersion>> {
    before
        .versions()
        .filter(|version| !next.holds(version))
        .cloned()
        .collect()
}

fn refused(version: &str, refusal: Refusal) -> Error {
    let Refusal { stage, problem } = refusal;
    Error::new(
        Reason::VersionRefused,
        format!("version `{version}` was refused ({}): {problem}", stage.name()),
    )
    .with_fact("stage", stage.name())
}
