//! Several servers as one: what another server was told about versions, this one does too. The servers share the file of
//! pins, and each looks at it (`labels_poll_interval`). There is no coordinator: whoever is told writes the file, and a
//! server that can't do what it says keeps what it serves, says so, and tries again.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::operations::operate;
use crate::error::Error;
use crate::service::catalog::pins::ModelPins;
use crate::service::catalog::refusal::{Refusal, RefusedVersion, Stage};
use crate::service::lifecycle::commands::{Commands, Operation};
use crate::service::lifecycle::owner::Owner;
use crate::service::lifecycle::reload;

/// How long a server waits before it tries again what it could not do: a version that fails its checks takes the machine
/// from the one that serves each time.
const AGAIN: Duration = Duration::from_mins(1);

/// Has the lifecycle look at the shared file every `interval`, until `end`. Returns at once if that is zero.
pub async fn look_every(interval: Duration, commands: Commands, end: CancellationToken) {
    if interval.is_zero() {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => commands.follow(),
            () = end.cancelled() => return,
        }
    }
}

/// Does what the shared file says and this server has not done.
pub fn follow(owner: &mut Owner, now: Instant) {
    let told = match owner.pins.told_elsewhere() {
        Ok(told) => told,
        Err(problem) => {
            if owner.unfollowed.file.as_ref() != Some(&problem) {
                tracing::error!(problem, "labels_file can't be followed, what it said holds");
            }
            owner.unfollowed.file = Some(problem);
            return;
        }
    };
    owner.unfollowed.file = None;
    owner
        .unfollowed
        .models
        .retain(|model, _| told.iter().any(|(other, _)| other == model));
    let mut newest = false;
    for (model, pins) in told {
        let tried = owner.unfollowed.models.get(&model);
        if owner.is_stopping() || tried.is_some_and(|(before, at)| *before == pins && now < *at + AGAIN) {
            continue;
        }
        owner.follows = true;
        let done = do_as_told(owner, &model, &pins);
        owner.follows = false;
        match done {
            Ok(()) => {
                newest |= pins.stable.is_none();
                owner.unfollowed.models.remove(&model);
                let refused = owner.refused.of(&model);
                if refused.is_some_and(|refused| pins.stable == Some(refused.version)) {
                    owner.refused.set(&model, None);
                }
                tracing::info!(model, stable = pins.stable, "labels_file was followed");
                owner.pins.adopt(&model, pins);
                owner.health.tell();
            }
            Err((version, error)) => {
                let problem = error.message;
                tracing::error!(
                    model,
                    version,
                    problem,
                    "labels_file can't be followed, what served serves on"
                );
                let refusal = Refusal::new(Stage::Load, problem);
                owner.refused.set(&model, Some(RefusedVersion { version, refusal }));
                owner.unfollowed.models.insert(model, (pins, now));
            }
        }
    }
    if newest {
        // A model whose version was pinned gets the newest again.
        reload::reload(owner, true);
    }
}

/// Brings a model to what these pins say. The error names the version that could not be had.
fn do_as_told(owner: &mut Owner, model: &str, pins: &ModelPins) -> Result<(), (String, Error)> {
    let (stable, canary) = {
        let catalog = owner.catalog();
        // A model that this server does not serve is no matter of its own.
        let Some(versions) = catalog.models().get(model) else {
            return Ok(());
        };
        let canary = versions.live_canary();
        (
            versions.stable.version().to_owned(),
            canary.map(|canary| (canary.version.version().to_owned(), canary.share)),
        )
    };
    let mut operate = |version: &str, operation| match operate(owner, model, operation) {
        Ok(_) => Ok(()),
        Err(error) => Err((version.to_owned(), error)),
    };
    let wanted = pins
        .canary
        .as_ref()
        .map(|canary| (canary.version.clone(), canary.share));
    // One whose share alone is another keeps its counts.
    if let Some((version, _)) = &canary
        && wanted.as_ref().is_none_or(|(wanted, _)| wanted != version)
    {
        operate(
            version,
            Operation::EndCanary {
                version: version.clone(),
            },
        )?;
    }
    if let Some(version) = pins.stable.as_ref().filter(|version| **version != stable) {
        operate(
            version,
            Operation::MakeStable {
                version: version.clone(),
            },
        )?;
    }
    if let Some((version, share)) = wanted.filter(|wanted| canary.as_ref() != Some(wanted)) {
        operate(
            &version,
            Operation::SetCanary {
                version: version.clone(),
                share,
            },
        )?;
    }
    Ok(())
}
