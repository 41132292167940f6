//! Supervision while the server serves: one task that follows the cores, one that audits cascades, one for each
//! canary, and one examination for each version that had a burst of failures.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::audit;
use super::commands::Commands;
use super::core_watch;
use super::examination::examine_after_failures;
use super::load::SharedWorkers;
use super::owner::Handles;
use super::rollout::auto_rollback::look_after;
use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::circuit_breaker::Finding;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::pin_book::PinBook;
use crate::service::catalog::versions::Versions;

/// Watches the cores, canaries and failing versions.
pub struct Supervision {
    handles: Handles,
    pins: PinBook,
    commands: Commands,
    workers: SharedWorkers,
}

impl Supervision {
    pub fn new(handles: Handles, pins: PinBook, commands: Commands, workers: SharedWorkers) -> Self {
        Self {
            handles,
            pins,
            commands,
            workers,
        }
    }

    /// Runs until `end`. All its tasks have ended when this returns.
    pub async fn run(&self, end: CancellationToken) {
        let mut changes = self.handles.health.watch();
        let mut canaries: Vec<Weak<CanaryWatch>> = Vec::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(core_watch::follow(
            self.handles.clone(),
            self.workers.clone(),
            end.clone(),
        ));
        let metrics = self.handles.metrics.cascade().clone();
        let (audits, kept) = (self.handles.audits.clone(), self.handles.kept.clone());
        tasks.spawn(audit::follow(audits, kept, metrics, end.clone()));
        loop {
            self.start_canaries(&mut canaries, &mut tasks, &end);
            self.start_examinations(&mut tasks, &end);
            tokio::select! {
                // Never an error: `handles` holds the sender.
                _ = changes.changed() => {}
                () = self.handles.health.suspected() => {}
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a task that looked after the cores or a version panicked");
                    }
                }
                () = end.cancelled() => break,
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Starts a task for each canary that has none.
    fn start_canaries(&self, known: &mut Vec<Weak<CanaryWatch>>, tasks: &mut JoinSet<()>, end: &CancellationToken) {
        known.retain(|watch| watch.upgrade().is_some_and(|watch| !watch.ended()));
        let catalog = self.handles.catalog.load();
        for canary in catalog.models().values().filter_map(Versions::live_canary) {
            let is_known = |watch: &Weak<CanaryWatch>| std::ptr::eq(watch.as_ptr(), Arc::as_ptr(&canary.watch));
            if known.iter().any(is_known) {
                continue;
            }
            known.push(Arc::downgrade(&canary.watch));
            let (handles, pins, commands) = (self.handles.clone(), self.pins.clone(), self.commands.clone());
            let watch = Arc::clone(&canary.watch);
            tasks.spawn(look_after(watch, handles, pins, commands, end.clone()));
        }
    }

    /// Starts the examinations that are due.
    fn start_examinations(&self, tasks: &mut JoinSet<()>, end: &CancellationToken) {
        let catalog = self.handles.catalog.load();
        for version in catalog.versions().filter(|version| version.breaker.begin_examination()) {
            let (handles, end) = (self.handles.clone(), end.clone());
            let version = Arc::clone(version);
            let begun = Begun(Some(Arc::clone(&version)));
            tasks.spawn(async move {
                tokio::select! {
                    () = examine_after_failures(&version, &handles.health, &handles.metrics) => begun.end(),
                    () = end.cancelled() => {}
                }
            });
        }
    }
}

/// An examination that was begun. If it is dropped without a finding, it ends as unknown, so that another one may
/// begin.
struct Begun(Option<Arc<ModelVersion>>);

impl Begun {
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(version) = self.0.take() {
            version.breaker.found(Finding::Unknown, Instant::now());
        }
    }
}
