//! Operators' commands on versions: load, promote, make a canary of, roll back, unload. One at a time, each with the
//! checks of a reload. Each can be repeated: what already holds is left as it is.

use std::sync::Arc;

use crate::config::Settings;
use crate::error::{Error, Reason};
use crate::model::repository;
use crate::service::catalog::Catalog;
use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::canary::verdict::Bounds;
use crate::service::catalog::pin_book::PinBook;
use crate::service::catalog::pins::{CanaryPin, RolledBack};
use crate::service::catalog::sources;
use crate::service::catalog::task::Task;
use crate::service::catalog::versions::{Canary, Versions};
use crate::service::lifecycle::commands::{Operation, Warning, both};
use crate::service::lifecycle::owner::Owner;
use crate::service::lifecycle::swap::{change, find_or_load};

/// Runs one operation on the versions of a model.
pub fn operate(owner: &mut Owner, name: &str, operation: Operation) -> Result<Warning, Error> {
    if owner.is_stopping() {
        return Err(Error::new(Reason::ServerDraining, "the server is shutting down"));
    }
    match operation {
        Operation::MakeStable { version } => make_stable(owner, name, &version, None),
        Operation::FollowNewest => follow_newest(owner, name),
        Operation::RollBack { version } => roll_back(owner, name, version.as_deref()),
        Operation::SetCanary { version, share } => set_canary(owner, name, &version, share),
        Operation::EndCanary { version } => end_canary(owner, name, &version),
        Operation::LoadBeside { version } => load_beside(owner, name, &version),
        Operation::Unload { version } => unload(owner, name, &version),
    }
}

/// The version that a roll-back of the stable version goes to: the one that was stable before it, or else the one
/// before it in the repository.
pub fn previous_version(name: &str, catalog: &Catalog, pins: &PinBook, settings: &Settings) -> Option<String> {
    let said = pins.of(name).previous;
    let stable = catalog.stable(name)?;
    said.filter(|version| version != stable.version()).or_else(|| {
        let versions = repository::versions_in(&sources::repository(settings)?.join(name)).ok()?;
        let mut names = versions.iter().filter_map(|folder| folder.file_name()?.to_str());
        let order = repository::version_order(stable.version());
        let before = names.rfind(|version| repository::version_order(version) < order);
        before.map(str::to_owned)
    })
}

fn follow_newest(owner: &mut Owner, name: &str) -> Result<Warning, Error> {
    versions_of(owner, name)?;
    let ended = end_canary(owner, name, "")?;
    let pinned = owner.pin(name, |pins| {
        pins.stable = None;
        // Whichever was rolled back may be the newest: whoever says this wants it again.
        pins.rolled_back = None;
    });
    Ok(both(ended, pinned))
}

/// Makes a version stable. `rolled_back` is recorded in the pins where it takes the place of a version that was rolled
/// back.
fn make_stable(
    owner: &mut Owner,
    name: &str,
    version: &str,
    rolled_back: Option<RolledBack>,
) -> Result<Warning, Error> {
    let from = versions_of(owner, name)?.stable.version().to_owned();
    let found = find_or_load(owner, name, version)?;
    let new = from != version;
    let stable = Arc::clone(&found);
    let of_cascades = change(owner, found, move |versions| {
        if let Some(canary) = versions.canary.take() {
            canary.watch.end();
            versions.others.push(canary.version);
        }
        versions.others.retain(|other| !Arc::ptr_eq(other, &stable));
        versions.stable = stable;
    })?;
    if new {
        tracing::info!(model = name, version, from, "a version was made stable");
    }
    let version = version.to_owned();
    let of_pins = owner.pin(name, move |pins| {
        pins.canary = None;
        pins.stable = Some(version.clone());
        match &rolled_back {
            Some(rolled_back) => {
                pins.previous = None;
                pins.rolled_back = Some(rolled_back.clone());
            }
            None => {
                if new {
                    pins.previous = Some(from.clone());
                }
                pins.forgive(&version);
            }
        }
    });
    Ok(both(of_cascades, of_pins))
}

fn roll_back(owner: &mut Owner, name: &str, from: Option<&str>) -> Result<Warning, Error> {
    let versions = versions_of(owner, name)?;
    let meant = |version: &str| from.is_none_or(|from| from == version);
    let by_hand = |version: &str| RolledBack {
        version: version.to_owned(),
        reason: "an operator did".into(),
    };
    let canary = versions.live_canary().map(|canary| canary.version.version().to_owned());
    let stable = versions.stable.version().to_owned();
    // Drop the versions, so that those that are not in the next catalog can end.
    drop(versions);
    if let Some(version) = canary.filter(|canary| meant(canary)) {
        let warning = end_canary(owner, name, &version)?;
        tracing::warn!(model = name, version, "the canary was rolled back by an operator");
        let rolled_back = by_hand(&version);
        let noted = owner.pin(name, move |pins| pins.rolled_back = Some(rolled_back.clone()));
        return Ok(both(warning, noted));
    }
    if !meant(&stable) {
        return Ok(None);
    }
    let previous = previous_version(name, &owner.catalog(), &owner.pins, &owner.settings)
        .ok_or_else(|| conflict(format!("there is no version of `{name}` before `{stable}`")))?;
    let warning = make_stable(owner, name, &previous, Some(by_hand(&stable)))?;
    tracing::warn!(
        model = name,
        version = stable,
        to = previous,
        "a version was rolled back by an operator"
    );
    Ok(warning)
}

fn set_canary(owner: &mut Owner, name: &str, version: &str, share: f64) -> Result<Warning, Error> {
    let versions = versions_of(owner, name)?;
    let stable = versions.stable.version().to_owned();
    if stable == version {
        return Err(conflict(format!(
            "version `{version}` is stable, it can't be the canary too"
        )));
    }
    if let Some(other) = other_canary(&owner.catalog(), name) {
        return Err(conflict(format!(
            "`{other}`, which serves the same task, has a canary: one at a time can be told apart"
        )));
    }
    let known = versions
        .live_canary()
        .filter(|canary| canary.version.version() == version);
    let known = known.map(|canary| Arc::clone(&canary.watch));
    drop(versions);
    let found = find_or_load(owner, name, version)?;
    let begun = || Arc::new(CanaryWatch::new(name, version, Bounds::from(&*owner.settings)));
    let canary = Canary {
        version: Arc::clone(&found),
        share,
        watch: known.unwrap_or_else(begun),
    };
    let of_cascades = change(owner, found, |versions| versions.set_canary(Some(canary)))?;
    tracing::info!(model = name, version, share, "a share of the clients gets the canary");
    let version = version.to_owned();
    let of_pins = owner.pin(name, move |pins| {
        pins.stable.get_or_insert_with(|| stable.clone());
        pins.canary = Some(CanaryPin {
            version: version.clone(),
            share,
        });
        pins.forgive(&version);
    });
    Ok(both(of_cascades, of_pins))
}

/// Ends the canary if it is this version; an empty version ends any. The version stays loaded.
fn end_canary(owner: &mut Owner, name: &str, version: &str) -> Result<Warning, Error> {
    let versions = versions_of(owner, name)?;
    let canary = versions
        .canary
        .filter(|canary| version.is_empty() || canary.version.version() == version);
    let Some(Canary { version, watch, .. }) = canary else {
        return Ok(None);
    };
    if watch.end() {
        tracing::info!(model = name, version = version.version(), "the canary has ended");
    }
    let of_cascades = change(owner, version, |versions| versions.set_canary(None))?;
    Ok(both(of_cascades, owner.pin(name, |pins| pins.canary = None)))
}

fn load_beside(owner: &mut Owner, name: &str, version: &str) -> Result<Warning, Error> {
    let versions = versions_of(owner, name)?;
    if versions.all().any(|known| known.version() == version) {
        return Ok(None);
    }
    let found = find_or_load(owner, name, version)?;
    let other = Arc::clone(&found);
    change(owner, found, |versions| versions.others.push(other))?;
    tracing::info!(model = name, version, "a version was loaded beside the stable one");
    Ok(None)
}

fn unload(owner: &mut Owner, name: &str, version: &str) -> Result<Warning, Error> {
    if versions_of(owner, name)?.stable.version() == version {
        return Err(conflict(format!(
            "version `{version}` is stable: promote another one, or roll it back"
        )));
    }
    let warning = end_canary(owner, name, version)?;
    if let Some(found) = owner.catalog().version(name, version) {
        change(owner, found, |versions| {
            versions.others.retain(|other| other.version() != version);
        })?;
    }
    Ok(warning)
}

/// The loaded versions of a model. The error is for the operator.
fn versions_of(owner: &Owner, name: &str) -> Result<Versions, Error> {
    let found = owner.catalog().models().get(name).cloned();
    found.ok_or_else(|| Error::new(Reason::ModelNotFound, format!("name: there is no model `{name}`")))
}

/// Another model that has a canary and shares a task with this one.
fn other_canary(catalog: &Catalog, name: &str) -> Option<String> {
    let names = |task: &Task| task.models().map(|model| model.name().to_owned()).collect::<Vec<_>>();
    let together = catalog
        .tasks()
        .values()
        .map(names)
        .filter(|names| names.iter().any(|other| other == name));
    together.flatten().find(|other| {
        let versions = catalog.models().get(other);
        other != name && versions.is_some_and(|versions| versions.live_canary().is_some())
    })
}

fn conflict(problem: String) -> Error {
    Error::new(Reason::RolloutConflict, problem)
}
