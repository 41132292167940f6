//! Commands: what the lifecycle's thread can be told, and how callers wait for the result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::report::ReloadReport;
use crate::error::{Error, Reason};
use crate::model::ModelError;
use crate::service::catalog::health::Health;
use crate::service::catalog::model_version::ModelVersion;

/// The most commands that wait; callers with more wait for a place.
pub const MOST_WAITING: usize = 64;
/// How often a blocking caller looks for a free place.
const LOOK: Duration = Duration::from_millis(5);

/// A warning after an operation that worked, such as that the pins could not be written.
pub type Warning = Option<String>;

/// Two warnings as one. The same one twice is told once.
pub fn both(first: Warning, second: Warning) -> Warning {
    match (first, second) {
        (Some(first), Some(second)) if first != second => Some(format!("{first}; {second}")),
        (first, second) => first.or(second),
    }
}

/// Takes the result of a command.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

pub enum Command {
    /// Load every model, or one version alone.
    Load {
        /// The version; `None` for all.
        only: Option<Arc<ModelVersion>>,
        /// Takes the result.
        reply: Reply<Result<(), ModelError>>,
    },
    /// Reload if files changed and have been quiet since the last look.
    Look,
    /// Do what other servers were told, which share the file of pins. Only one waits at a time.
    Follow(Waits),
    /// Reload now.
    Reload {
        /// Takes the result.
        reply: Reply<Arc<ReloadReport>>,
    },
    /// Do what an operator asks with a model's versions.
    Operate {
        model: String,
        operation: Operation,
        /// Takes the result.
        reply: Reply<Result<Warning, Error>>,
    },
    /// Write the pins, which a canary's task has changed.
    WritePins,
}

/// The operations on the versions of a model. Each can be repeated: what already holds is left as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Make a version stable and pin it.
    MakeStable { version: String },
    /// Let the newest version be stable from now on.
    FollowNewest,
    /// Roll back a version. Without one: the canary, or else the stable version.
    RollBack {
        /// The version; absent for the canary or the stable version.
        version: Option<String>,
    },
    /// Make a version the canary for a share of the clients.
    SetCanary {
        version: String,
        /// Above 0 and at most 1.
        share: f64,
    },
    /// End the canary if it is this version; an empty version ends any.
    EndCanary {
        /// The version; may be empty.
        version: String,
    },
    /// Load a version beside the stable one, for requests that name it.
    LoadBeside { version: String },
    /// Unload a version that is not stable.
    Unload { version: String },
}

impl Command {
    /// Answers a command that came after the end of the lifecycle.
    pub fn refuse(self) {
        match self {
            Command::Load { reply, .. } => reply(Ok(())),
            Command::Reload { reply } => reply(stopped()),
            Command::Operate { reply, .. } => reply(Err(draining())),
            Command::Look | Command::Follow(_) | Command::WritePins => {}
        }
    }
}

/// That a command of its kind waits, until this is dropped.
pub struct Waits(Arc<AtomicBool>);

impl Waits {
    /// `None` if one waits already.
    fn begin(waits: &Arc<AtomicBool>) -> Option<Self> {
        let waited = waits.swap(true, Ordering::Relaxed);
        (!waited).then(|| Self(Arc::clone(waits)))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The sending side of the commands; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    sender: mpsc::Sender<Command>,
    /// Whether a [`Command::Follow`] waits.
    follows: Arc<AtomicBool>,
    health: Health,
    stop: CancellationToken,
}

impl Commands {
    /// The sending and the receiving side.
    pub fn new(health: Health, stop: CancellationToken) -> (Self, mpsc::Receiver<Command>) {
        let (sender, received) = mpsc::channel(MOST_WAITING);
        let follows = Arc::default();
        let commands = Self {
            sender,
            follows,
            health,
            stop,
        };
        (commands, received)
    }

    /// Has models loaded. Blocks, also inside an async runtime. `Ok` where the server is stopping: nothing is loaded
    /// then, and nothing failed.
    pub fn load(&self, only: Option<Arc<ModelVersion>>) -> Result<(), ModelError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply = Box::new(move |outcome| {
            // No error if the caller is gone.
            let _ = sender.send(outcome);
        });
        let mut command = Command::Load { only, reply };
        loop {
            match self.sender.try_send(command) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return Ok(()),
                Err(TrySendError::Full(again)) => command = again,
            }
            std::thread::sleep(LOOK);
        }
        let panicked = || Err(ModelError::new(std::path::Path::new(""), "loading the models panicked"));
        receiver.recv().unwrap_or_else(|_| panicked())
    }

    /// Has it look for changed files. Does nothing where so many commands wait that it will look anyway.
    pub fn look(&self) {
        let _ = self.sender.try_send(Command::Look);
    }

    /// Has it do what other servers were told. Does nothing where that or many commands wait: the next look comes.
    pub fn follow(&self) {
        if let Some(waits) = Waits::begin(&self.follows) {
            let _ = self.sender.try_send(Command::Follow(waits));
        }
    }

    /// Has it reload, and waits for the report.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        if self.is_stopping() {
            return stopped();
        }
        let (reply, receiver) = answered_by();
        if self.sender.send(Command::Reload { reply }).await.is_err() {
            return stopped();
        }
        receiver.await.unwrap_or_else(|_| {
            Arc::new(ReloadReport {
                problem: Some("the reload panicked".into()),
                ..ReloadReport::default()
            })
        })
    }

    /// Has it do an operation. The operation is done even if the caller stops waiting.
    pub async fn operate(&self, model: String, operation: Operation) -> Result<Warning, Error> {
        let (reply, receiver) = answered_by();
        let command = Command::Operate {
            model,
            operation,
            reply,
        };
        if self.is_stopping() || self.sender.send(command).await.is_err() {
            return Err(draining());
        }
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::new(Reason::Internal, "the operation ended without an answer")))
    }

    /// Has the pins written.
    pub async fn write_pins(&self) {
        if self.sender.send(Command::WritePins).await.is_err() {
            tracing::error!("the server has stopped: a restart will not know of a roll-back");
        }
    }

    fn is_stopping(&self) -> bool {
        self.health.is_draining() || self.stop.is_cancelled()
    }
}

fn answered_by<T: Send + 'static>() -> (Reply<T>, oneshot::Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    let reply = Box::new(move |outcome| {
        // No error if the caller is gone.
        let _ = sender.send(outcome);
    });
    (reply, receiver)
}

fn stopped() -> Arc<ReloadReport> {
    Arc::new(ReloadReport {
        problem: Some("the server is stopping".into()),
        ..ReloadReport::default()
    })
}

fn draining() -> Error {
    Error::new(Reason::ServerDraining, "the server is shutting down")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::service::catalog::Catalog;
    use crate::service::catalog::store::CatalogStore;

    #[tokio::test]
    async fn a_bounded_number_of_commands_waits_and_looks_beyond_it_are_left_out() {
        let catalog = Catalog::new(Vec::new(), &Settings::default()).expect("no models, no tasks");
        let stop = CancellationToken::new();
        let (commands, mut received) = Commands::new(Health::new(CatalogStore::new(catalog)), stop.clone());
        for _ in 0..2 * MOST_WAITING {
            commands.follow();
        }
        assert!(matches!(received.try_recv(), Ok(Command::Follow(_))));
        assert!(received.try_recv().is_err(), "one waits at a time");
        commands.follow();
        assert!(received.try_recv().is_ok(), "the one before was taken");
        for _ in 0..2 * MOST_WAITING {
            commands.look();
        }
        let waits = commands.operate("a".into(), Operation::FollowNewest);
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending(), "it waits for a place");
        for _ in 0..MOST_WAITING {
            assert!(matches!(received.try_recv(), Ok(Command::Look)));
        }
        assert!(futures::poll!(&mut waits).is_pending(), "it waits for its answer");
        received.try_recv().expect("it has its place").refuse();
        assert_eq!(waits.await.expect_err("too late").reason, Reason::ServerDraining);
        assert!(
            received.try_recv().is_err(),
            "the looks that found no place are left out"
        );
        stop.cancel();
        assert_eq!(
            commands.reload().await.problem.as_deref(),
            Some("the server is stopping")
        );
    }
}
