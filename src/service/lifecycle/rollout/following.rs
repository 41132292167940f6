//! Several servers as one: what another server was told about versions, this one does too. The servers share the file of
//! pins, and each looks at it (`labels_poll_interval`). There is no coordinator: whoever is told writes the file, and a
//! server that can't do what it says keeps what it serves, says so, and tries again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::operations::operate;
use crate::error::{Error, Reason};
use crate::service::catalog::pins::ModelPins;
use crate::service::catalog::refusal::{Refusal, RefusedVersion, Stage};
use crate::service::lifecycle::commands::Operation;
use crate::service::lifecycle::owner::Owner;
use crate::service::lifecycle::reload;
use crate::service::lifecycle::unfollowed::Tried;

/// How long a server waits before it tries again what it could not do: a version that fails its checks takes the machine
/// from the one that serves each time.
const AGAIN: Duration = Duration::from_mins(1);

/// Does what the shared file says and this server has not done.
pub fn follow(owner: &mut Owner, now: Instant) {
    // What was fetched since the last look may have what was lacking then.
    let is_new = owner.follow_store();
    let mut newest = is_new && std::mem::take(&mut owner.unfollowed.newest);
    let Some(told) = told(owner) else { return };
    let settled = |model: &String, _: &mut Tried| is_new || !told.iter().any(|(other, _)| other == model);
    let settled: Vec<_> = owner.unfollowed.models.extract_if(.., settled).collect();
    for (model, tried) in settled {
        forgive(owner, &model, &tried.version);
    }
    for (model, pins) in told {
        let tried = owner.unfollowed.models.get(&model);
        if owner.is_stopping() || tried.is_some_and(|tried| tried.pins == pins && now < tried.at + AGAIN) {
            continue;
        }
        owner.follows = true;
        let done = do_as_told(owner, &model, &pins);
        owner.follows = false;
        match done {
            Ok(()) => {
                newest |= pins.stable.is_none() && owner.pins.of(&model).stable.is_some();
                if let Some(tried) = owner.unfollowed.models.remove(&model) {
                    forgive(owner, &model, &tried.version);
                }
                tracing::info!(model, stable = pins.stable, "labels_file was followed");
                owner.pins.adopt(&model, pins);
                owner.health.tell();
            }
            Err((version, error)) => could_not(owner, model, pins, version, error, now),
        }
    }
    if newest {
        // A model whose version was pinned gets the newest again; of a store the newest that is fetched by the next look.
        reload::reload(owner, true);
        if owner.fetched.is_some() && !is_new {
            owner.unfollowed.newest = true;
            owner.unfollowed.lacks.store(true, Ordering::Relaxed);
        }
    }
}

/// What the file says of models of which this server does something else; `None`, and a line in the log, if it can't be
/// read.
fn told(owner: &mut Owner) -> Option<Vec<(String, ModelPins)>> {
    let told = match owner.pins.told_elsewhere() {
        Ok(told) => told,
        Err(problem) => {
            if owner.unfollowed.file.as_ref() != Some(&problem) {
                tracing::error!(problem, "labels_file can't be followed, what it said holds");
            }
            owner.unfollowed.file = Some(problem);
            return None;
        }
    };
    if owner.unfollowed.file.take().is_some() {
        tracing::info!("labels_file can be followed again");
    }
    // A canary that could not be had at the start is one in the pins alone.
    let catalog = owner.catalog();
    let absent = owner.pins.all().models.into_iter().filter(|(model, pins)| {
        let versions = catalog.models().get(model);
        pins.canary.is_some()
            && versions.is_some_and(|versions| versions.canary.is_none())
            && !told.iter().any(|(other, _)| other == model)
    });
    let absent: Vec<_> = absent.collect();
    Some(told.into_iter().chain(absent).collect())
}

/// Notes and tells what could not be done, once for what the file says.
fn could_not(owner: &mut Owner, model: String, pins: ModelPins, version: String, error: Error, now: Instant) {
    if error.reason == Reason::ModelNotFound && owner.fetched.is_some() {
        owner.unfollowed.lacks.store(true, Ordering::Relaxed);
    }
    let problem = error.message;
    let tried = owner.unfollowed.models.get(&model);
    if tried.is_none_or(|tried| tried.pins != pins) {
        tracing::error!(
            model,
            version,
            problem,
            "labels_file can't be followed, what served serves on"
        );
    }
    let refusal = Refusal::new(Stage::Load, problem);
    let refused = RefusedVersion {
        version: version.clone(),
        refusal,
    };
    owner.refused.set(&model, Some(refused));
    owner.unfollowed.models.insert(model, Tried { pins, at: now, version });
}

/// A version that could not be had and is not wanted any more, or could be had now, does not count as refused.
fn forgive(owner: &Owner, model: &str, version: &str) {
    if owner
        .refused
        .of(model)
        .is_some_and(|refused| refused.version == version)
    {
        owner.refused.set(model, None);
    }
}

/// Brings a model to what these pins say. Versions are loaded first, so that nothing ends before what takes its place is
/// here. The error names the version that could not be had.
fn do_as_told(owner: &mut Owner, model: &str, pins: &ModelPins) -> Result<(), (String, Error)> {
    let operate = |owner: &mut Owner, version: &str, operation| match operate(owner, model, operation) {
        Ok(_) => Ok(()),
        Err(error) => Err((version.to_owned(), error)),
    };
    // A model that this server does not serve is no matter of its own.
    let Some(stable) = owner.catalog().stable(model).map(|stable| stable.version().to_owned()) else {
        return Ok(());
    };
    if let Some(version) = pins.stable.as_ref().filter(|version| **version != stable) {
        let version = version.clone();
        operate(owner, &version.clone(), Operation::MakeStable { version })?;
    }
    let catalog = owner.catalog();
    let canary = catalog.models().get(model).and_then(|versions| versions.live_canary());
    let canary = canary.map(|canary| (canary.version.version().to_owned(), canary.share));
    drop(catalog);
    let wanted = pins
        .canary
        .as_ref()
        .map(|canary| (canary.version.clone(), canary.share));
    match (canary, wanted) {
        (canary, Some((version, share))) if canary.as_ref() != Some(&(version.clone(), share)) => {
            operate(owner, &version.clone(), Operation::SetCanary { version, share })
        }
        (Some((version, _)), None) => operate(owner, &version.clone(), Operation::EndCanary { version }),
        _ => Ok(()),
    }
}
