//! The lifecycle: changes what serves. One thread owns it and takes commands, one after the other; so nothing here waits for a lock, and
//! no two changes meet.
//!
//! In reading order: [`commands`] (what it can be told) → [`owner`] (what it works with) → [`load`] and [`retire`] (one version comes and
//! goes) → [`start`] (the first ones) → [`candidate`] (one that may take a place) → [`swap`] → [`reload`] (new versions are looked for)
//! → [`rollout`] (as operators say, and a share at a time); [`examination`] (of one that fails) and [`supervision`] (what goes
//! on meanwhile); beside them [`version_comparison`] and [`report`].

pub mod candidate;
pub mod commands;
pub mod examination;
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
pub mod version_comparison;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::catalog::model_version::ModelVersion;
use super::catalog::pins::{PinBook, Pins};
use super::catalog::refusal::{RefusedVersion, RefusedVersions};
use super::catalog::store::CatalogStore;
use super::inference::answer_cache::AnswerCache;
use crate::config::Settings;
use crate::error::Error;
use crate::model::ModelError;
use commands::{Command, Commands, Operation, Warning};
use load::SharedWorkers;
use owner::Owner;
use report::ReloadReport;
use start::StartError;

/// How long the end of the owner, and of a model's threads, is waited for, before its runs are ended and after.
const LONGEST_END: Duration = Duration::from_secs(2);
/// How often versions that are on their way out are looked at, while there are any.
const LOOK: Duration = Duration::from_millis(100);

/// Changes what serves, by its owner's thread.
pub struct Lifecycle {
    commands: Commands,
    catalog: CatalogStore,
    pins: PinBook,
    refused: RefusedVersions,
    workers: SharedWorkers,
    stop: CancellationToken,
    /// Disconnected when the owner's thread has ended.
    ended: Mutex<std_mpsc::Receiver<()>>,
    supervision: supervision::Supervision,
}

impl Lifecycle {
    /// The lifecycle of what a start opened. Its thread ends with [`Lifecycle::stop`], or with the last handle.
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
            supervision: supervision::Supervision::new(shared.clone(), commands.clone()),
            commands,
            catalog: shared.catalog,
            pins,
            refused,
            workers,
            stop,
            ended: Mutex::new(ended),
        })
    }

    /// What operators said of versions.
    pub fn pins(&self) -> &PinBook {
        &self.pins
    }

    /// The newest versions that do not serve, and why.
    pub fn refused(&self) -> &RefusedVersions {
        &self.refused
    }

    /// Loads every model, one after the other, and lets each serve as soon as it passed its checks. Blocks; ends at the first
    /// failure, or when told to stop.
    pub fn load_models(&self) -> Result<(), ModelError> {
        self.commands.load(None)
    }

    /// The same with one version, for want of which no older one serves.
    pub fn load_version_alone(&self, version: &Arc<ModelVersion>) -> Result<(), ModelError> {
        self.commands.load(Some(Arc::clone(version)))
    }

    /// Looks for new versions and puts those that pass every check in the place of the old ones; what became of each.
    /// Ends when versions that were replaced are gone, or after some seconds.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        self.commands.reload().await
    }

    /// Reloads if files changed and have been quiet since the last look; does not wait.
    pub fn look_for_versions(&self) {
        self.commands.look();
    }

    /// Does what an operator says with a model's versions, in turn.
    pub async fn operate(&self, model: String, operation: Operation) -> Result<Warning, Error> {
        self.commands.operate(model, operation).await
    }

    /// Looks after canaries and failing versions until `end`.
    pub async fn supervise(&self, end: CancellationToken) {
        self.supervision.run(end).await;
    }

    /// Lets every model finish what it accepted and waits until its threads have ended; a reload that is under way is called
    /// off first. Waits for nobody longer than a few seconds. Blocks.
    pub fn stop(&self) {
        self.stop.cancel();
        // What it has to write is written after this.
        let _ = self.ended.lock().recv_timeout(LONGEST_END);
        for version in self.catalog.load().versions() {
            let Some(serving) = version.serving() else { continue };
            serving.scheduler.close();
            // What runs on is ended, and what can't be is left to the end of the process.
            if !serving.scheduler.join(LONGEST_END) {
                serving.model.end_runs();
                if !serving.scheduler.join(LONGEST_END) {
                    tracing::error!(model = version.name(), "an instance does not end, it is left behind");
                }
            }
        }
        // Nobody waits for these threads: a tokenizer may never come to an end.
        self.workers.close();
    }
}

/// Does what is commanded until it is told to stop, or nobody is left who could command.
fn run(mut owner: Owner, mut commands: mpsc::Receiver<Command>, stop: &CancellationToken) {
    let runtime = Arc::clone(&owner.runtime);
    // What was taken out of the channel already.
    let mut taken = VecDeque::new();
    loop {
        let next = taken
            .pop_front()
            .or_else(|| runtime.block_on(next(&mut owner, &mut commands, stop)));
        let Some(command) = next else { break };
        taken.extend(std::iter::from_fn(|| commands.try_recv().ok()));
        let owner = &mut owner;
        // A panic is answered by those who wait, for want of a word.
        let _ = catch_unwind(AssertUnwindSafe(|| match command {
            Command::Load { only, reply } => reply(start::load(owner, only)),
            Command::Look => {
                reload::reload(owner, false);
            }
            Command::Reload { reply } => {
                // All who asked until now get this one.
                let mut replies = vec![reply];
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
            Command::NoteRollBack { model, rolled_back } => {
                rollout::operations::note_roll_back(owner, &model, rolled_back);
            }
        }));
    }
    commands.close();
    taken.extend(std::iter::from_fn(|| commands.try_recv().ok()));
    for command in taken {
        match command {
            // A restart must know of it.
            Command::NoteRollBack { model, rolled_back } => {
                rollout::operations::note_roll_back(&mut owner, &model, rolled_back);
            }
            command => command.refuse(),
        }
    }
    owner.retirement.wait(Instant::now() + LONGEST_END);
}

/// The next command; nothing if there will be none. Meanwhile versions that were replaced go.
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
