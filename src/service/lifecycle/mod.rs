//! Lifecycle: changes what serves. One thread owns all that this takes and runs commands one after the other, so
//! nothing here waits for a lock, and no two changes meet.
//!
//! In reading order: [`commands`] (what the thread can be told) → [`owner`] (what it owns) → [`load`] and [`retire`]
//! (one version comes, one goes) → [`start`] (the first versions) → [`candidate`] (whether a version may replace
//! another) → [`swap`] (one version in or out) → [`reload`] (looks for new versions) → [`rollout`] (operators' commands
//! and canaries). Meanwhile, outside the thread: [`supervision`], with its [`examination`] of versions that fail and its
//! [`core_watch`], and [`fetching`] before a reload.
//! Besides: [`version_comparison`] (for shadows and canaries), [`loaded_line`] (for the log), [`report`] (of a
//! reload), [`unfollowed`] (of what other servers were told) and [`kept_file`] (writes texts that are kept to be labelled).

pub mod audit;
pub mod candidate;
pub mod commands;
pub mod core_watch;
pub mod examination;
pub mod fetching;
pub mod kept_file;
pub mod load;
pub mod loaded_line;
pub mod owner;
pub mod reload;
pub mod report;
pub mod retire;
pub mod rollout;
pub mod start;
pub mod supervision;
pub mod swap;
pub mod unfollowed;
pub mod version_comparison;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::catalog::model_version::ModelVersion;
use super::catalog::pin_book::PinBook;
use super::catalog::pins::Pins;
use super::catalog::refusal::{RefusedVersion, RefusedVersions};
use super::catalog::store::CatalogStore;
use super::inference::answer_cache::AnswerCache;
use crate::config::Settings;
use crate::error::Error;
use crate::model::ModelError;
use commands::{Command, Commands, MOST_WAITING, Operation, Warning};
use fetching::{Fetching, When};
use load::SharedWorkers;
use owner::Owner;
use report::ReloadReport;
use start::StartError;

/// How long to wait for the thread, and for a model's threads: once before their runs are ended, and once after.
const LONGEST_END: Duration = Duration::from_secs(2);
/// How often to look at versions that are being retired, while there are any.
const LOOK: Duration = Duration::from_millis(100);

/// The handle of the lifecycle's thread, and what runs besides it.
pub struct Lifecycle {
    commands: Commands,
    catalog: CatalogStore,
    pins: PinBook,
    refused: RefusedVersions,
    workers: SharedWorkers,
    stop: CancellationToken,
    /// Disconnected once the lifecycle's thread has ended.
    ended: Mutex<std_mpsc::Receiver<()>>,
    supervision: supervision::Supervision,
    /// How often a shared file of pins is looked at; zero for never.
    looks: Duration,
    /// See [`unfollowed::Unfollowed::lacks`].
    lacks: Arc<AtomicBool>,
    /// Absent if the models are in a folder.
    fetching: Option<Fetching>,
}

impl Lifecycle {
    /// Starts the lifecycle's thread. It ends with [`Lifecycle::stop`], or when the last handle is dropped. An error
    /// means that the system gives no thread.
    pub fn start(
        settings: Arc<Settings>,
        pins: Pins,
        refused: BTreeMap<String, RefusedVersion>,
        cache: Option<Arc<AnswerCache>>,
        shared: owner::Handles,
    ) -> Result<Self, StartError> {
        let pins = PinBook::new(&settings, pins);
        let refused = RefusedVersions::new(refused, shared.metrics.clone());
        let stop = CancellationToken::new();
        let (commands, received) = Commands::new(shared.health.clone(), stop.clone());
        let workers = SharedWorkers::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let looks = settings.labels_poll_interval.0;
        let owner = Owner::new(
            settings,
            shared.clone(),
            pins.clone(),
            refused.clone(),
            load::Shared {
                cache,
                workers: workers.clone(),
                stop: stop.clone(),
            },
            runtime.map_err(StartError::Threads)?,
        );
        let lacks = Arc::clone(&owner.unfollowed.lacks);
        let fetching = shared.store.clone().map(|store| Fetching::new(store, stop.clone()));
        let (end, ended) = std_mpsc::channel();
        let until = stop.clone();
        std::thread::Builder::new()
            .name("lifecycle".into())
            .spawn(move || {
                run(owner, received, &until);
                drop(end);
            })
            .map_err(StartError::Threads)?;
        Ok(Self {
            supervision: supervision::Supervision::new(shared.clone(), pins.clone(), commands.clone(), workers.clone()),
            looks,
            lacks,
            fetching,
            commands,
            catalog: shared.catalog,
            pins,
            refused,
            workers,
            stop,
            ended: Mutex::new(ended),
        })
    }

    pub fn pins(&self) -> &PinBook {
        &self.pins
    }

    /// The newest versions that were refused, and why.
    pub fn refused(&self) -> &RefusedVersions {
        &self.refused
    }

    /// Loads every model, one after the other, and lets each serve as soon as it passed its checks. Blocks; ends at the first
    /// failure, or when told to stop.
    pub fn load_models(&self) -> Result<(), ModelError> {
        self.commands.load(None)
    }

    /// Loads one version where the start has no older one to serve. Blocks.
    pub fn load_version_alone(&self, version: &Arc<ModelVersion>) -> Result<(), ModelError> {
        self.commands.load(Some(Arc::clone(version)))
    }

    /// Looks for new versions and exchanges those that pass every check; reports what became of each. Returns once the
    /// replaced versions are gone, or after a few seconds.
    ///
    /// What was fetched from elsewhere is fetched anew first. If that fails, the report says so, and what serves goes on.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        let problem = self.fetch(When::Asked).await;
        let report = self.commands.reload().await;
        match problem {
            None => report,
            Some(problem) => Arc::new(ReloadReport {
                problem: Some(problem),
                ..(*report).clone()
            }),
        }
    }

    /// Reloads if files have changed and been quiet since the last look. Waits for what is fetched, not for the reload.
    pub async fn look_for_versions(&self) {
        self.fetch(When::Polled).await;
        self.commands.look();
    }

    /// Fetches the models anew where they come from elsewhere; the problem if that fails, which is in the log too.
    async fn fetch(&self, when: When) -> Option<String> {
        self.fetching.as_ref()?.fetch(when).await
    }

    /// Does an operation on a model's versions, after the commands before it.
    pub async fn operate(&self, model: String, operation: Operation) -> Result<Warning, Error> {
        self.commands.operate(model, operation).await
    }

    /// Watches the cores, canaries and failing versions, and what other servers are told, until `end`.
    pub async fn supervise(&self, end: CancellationToken) {
        tokio::join!(self.supervision.run(end.clone()), self.follow_others(end));
    }

    /// Has what other servers were told done now and again, until `end`. What was not here at the last look is fetched first.
    async fn follow_others(&self, end: CancellationToken) {
        if self.looks.is_zero() {
            return;
        }
        let rounds = async {
            loop {
                tokio::time::sleep(self.looks).await;
                if self.lacks.swap(false, Ordering::Relaxed) {
                    self.fetch(When::Missed).await;
                }
                self.commands.follow();
            }
        };
        tokio::select! {
            () = rounds => {}
            () = end.cancelled() => {}
        }
    }

    /// Calls off a reload that is under way, then lets every model finish what it accepted and waits until its threads
    /// have ended. Waits for each at most a few seconds. Blocks.
    pub fn stop(&self) {
        self.stop.cancel();
        // So that the pins file is written before the process ends.
        let _ = self.ended.lock().recv_timeout(LONGEST_END);
        let catalog = self.catalog.load();
        // All at once, so that none begins something new while another is waited for.
        for loaded in catalog.versions().filter_map(|version| version.loaded()) {
            loaded.scheduler.close();
        }
        for version in catalog.versions() {
            let Some(loaded) = version.loaded() else { continue };
            // Runs that last longer are ended. A thread that outlasts that too ends with the process.
            if !loaded.scheduler.join(LONGEST_END) {
                loaded.model.end_runs();
                if !loaded.scheduler.join(LONGEST_END) {
                    tracing::error!(model = version.name(), "a thread of it does not end, it is left behind");
                }
            }
        }
        // Nobody waits for these threads: one may be in a tokenizer that never ends.
        self.workers.close();
    }
}

/// Runs commands until told to stop, or until every sender is gone.
fn run(mut owner: Owner, mut commands: mpsc::Receiver<Command>, stop: &CancellationToken) {
    let runtime = Arc::clone(&owner.runtime);
    // Commands taken from the channel that are still to be run, at most as many as wait in it.
    let mut taken = VecDeque::new();
    loop {
        let next = taken
            .pop_front()
            .or_else(|| runtime.block_on(next(&mut owner, &mut commands, stop)));
        let Some(command) = next else { break };
        let owner = &mut owner;
        // A panic may have ended the command that set it.
        owner.follows = false;
        // After a panic the reply is dropped, which the caller that waits for it notices.
        let _ = catch_unwind(AssertUnwindSafe(|| match command {
            Command::Load { only, reply } => reply(start::load(owner, only)),
            Command::Look => {
                reload::reload(owner, false);
            }
            Command::Follow(waits) => {
                // The next may wait from now on.
                drop(waits);
                rollout::following::follow(owner, Instant::now());
            }
            Command::Reload { reply } => {
                // Everyone who asked before this reload begins gets its report.
                let mut replies = vec![reply];
                while taken.len() < MOST_WAITING
                    && let Ok(waiting) = commands.try_recv()
                {
                    taken.push_back(waiting);
                }
                let others = std::mem::take(&mut taken);
                for other in others {
                    match other {
                        Command::Reload { reply } => replies.push(reply),
                        other => taken.push_back(other),
                    }
                }
                let report = Arc::new(reload::reload(owner, true));
                for reply in replies {
                    reply(Arc::clone(&report));
                }
            }
            Command::Operate {
                model,
                operation,
                reply,
            } => reply(rollout::operations::operate(owner, &model, operation)),
            // What could not be written is in the log.
            Command::WritePins => drop(owner.pins.write()),
        }));
    }
    commands.close();
    taken.extend(std::iter::from_fn(|| commands.try_recv().ok()));
    for command in taken {
        match command {
            // So that a restart knows of the roll-back.
            Command::WritePins => drop(owner.pins.write()),
            command => command.refuse(),
        }
    }
    owner.retirement.wait(Instant::now() + LONGEST_END);
}

/// The next command; `None` if there are no more. Retires replaced versions meanwhile.
async fn next(owner: &mut Owner, commands: &mut mpsc::Receiver<Command>, stop: &CancellationToken) -> Option<Command> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            command = commands.recv() => return command,
            () = tokio::time::sleep(LOOK), if owner.retirement.is_under_way() => owner.retirement.look(),
        }
    }
}
