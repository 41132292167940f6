//! Automatic roll-back: the task of one canary. It alone decides whether the canary stays, by the counts of requests
//! and comparisons.

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::canary_comparison;
use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::canary::verdict::{Fault, Seen, Tally};
use crate::service::catalog::circuit_breaker::{Finding, REST};
use crate::service::catalog::model_version::{ModelState, ModelVersion};
use crate::service::catalog::pin_book::PinBook;
use crate::service::catalog::pins::RolledBack;
use crate::service::lifecycle::commands::Commands;
use crate::service::lifecycle::examination::examine;
use crate::service::lifecycle::owner::Handles;

/// An examination under way, and the reason for it.
type Examination<'a> = Pin<Box<dyn Future<Output = (Finding, String)> + Send + 'a>>;

/// Watches a canary until it has ended, or until `end`.
pub async fn look_after(
    watch: Arc<CanaryWatch>,
    handles: Handles,
    pins: PinBook,
    commands: Commands,
    end: CancellationToken,
) {
    let fault = tokio::select! {
        fault = decide(&watch, &handles) => fault,
        () = watch.over() => None,
        () = end.cancelled() => None,
    };
    // A roll-back that has begun is finished, even after `end`.
    if let Some(fault) = fault {
        roll_back(&watch, &handles, &pins, &commands, fault).await;
    }
}

/// Compares and counts until the canary does not stay; returns why. `None` if it never serves.
async fn decide(watch: &CanaryWatch, handles: &Handles) -> Option<(Fault, String)> {
    let canary = serving_canary(watch, handles).await?;
    let comparing = canary_comparison::compare_all(watch, &canary, &handles.catalog);
    let judging = judge(watch, handles, &canary);
    tokio::pin!(comparing, judging);
    tokio::select! {
        () = &mut comparing => Some(judging.await),
        fault = &mut judging => Some(fault),
    }
}

/// The canary, once it serves; `None` if it never does.
async fn serving_canary(watch: &CanaryWatch, handles: &Handles) -> Option<Arc<ModelVersion>> {
    let mut changes = handles.health.watch();
    loop {
        let canary = handles.catalog.load().version(&watch.model, &watch.version)?;
        match &*canary.state() {
            ModelState::Serving(_) => return Some(canary),
            ModelState::Failed(_) => return None,
            ModelState::Loading => {}
        }
        changes.changed().await.ok()?;
    }
}

/// Waits for a fault for which the canary does not stay. Where it failed only few callers, their texts may be at fault:
/// then the canary is first examined on texts that the stable version answers, and rests after that.
async fn judge(watch: &CanaryWatch, handles: &Handles, canary: &ModelVersion) -> (Fault, String) {
    let mut examination: Option<Examination<'_>> = None;
    let mut rests_until = None;
    loop {
        let (fault, why) = tokio::select! {
            fault = watch.fault() => fault,
            (finding, why) = pending_or(examination.as_mut()) => {
                examination = None;
                if finding == Finding::Broken {
                    return (Fault::Failures, format!("{why}, and it fails on texts of the server's own"));
                }
                rests_until = Some(tokio::time::Instant::now() + REST);
                let (model, version, finding) = (&watch.model, &watch.version, finding.name());
                tracing::warn!(
                    model,
                    version,
                    why,
                    finding,
                    "the canary failed few callers, and was examined: it stays"
                );
                continue;
            }
        };
        if fault != Fault::Failures || watch.failed_several() {
            return (fault, why);
        }
        let rests = rests_until.is_some_and(|until| tokio::time::Instant::now() < until);
        if examination.is_none() && !rests {
            examination = Some(Box::pin(async {
                let texts = handles
                    .catalog
                    .load()
                    .stable(&watch.model)
                    .and_then(|stable| stable.model());
                let texts = texts.map(|stable| stable.own_texts().to_vec()).unwrap_or_default();
                (examine(canary, &texts, &handles.metrics).await, why)
            }));
        }
    }
}

/// The output of a future; with `None`, never ready.
async fn pending_or<F: Future + Unpin>(future: Option<&mut F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Ends a canary that did badly: from now on only requests that name it get it. Only an operator can make it the canary
/// again.
async fn roll_back(
    watch: &CanaryWatch,
    handles: &Handles,
    pins: &PinBook,
    commands: &Commands,
    (fault, why): (Fault, String),
) {
    if !watch.end() {
        return;
    }
    let CanaryWatch { model, version, .. } = watch;
    let Seen { canary, stable, .. } = watch.seen();
    let (Tally { requests, failed }, fault_name) = (canary, fault.name());
    tracing::error!(
        model,
        version,
        fault = fault_name,
        why,
        requests,
        failed,
        stable_requests = stable.requests,
        stable_failed = stable.failed,
        "the canary was rolled back"
    );
    handles.metrics.versions().canary_rolled_back(model, fault_name);
    let rolled_back = RolledBack {
        version: version.clone(),
        reason: why,
    };
    pins.change(model, move |pins| pins.roll_back(rolled_back.clone()));
    handles.health.tell();
    // Those who ask are told at once. The file follows the commands that are under way.
    commands.write_pins().await;
}
