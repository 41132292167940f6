//! What the lifecycle can be told, and how callers wait for what comes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::report::ReloadReport;
use crate::error::{Error, Reason};
use crate::model::ModelError;
use crate::service::catalog::health::Health;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::pins::RolledBack;

/// The most commands that wait; whoever has another one waits for a place.
const MOST_WAITING: usize = 64;
/// How long a caller who can't wait otherwise sleeps before it looks for a place again.
const LOOK: Duration = Duration::from_millis(5);

/// What an operation leaves to be said: that pins could not be written, for instance.
pub type Warning = Option<String>;

/// Takes what came of a command.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A command.
pub enum Command {
    /// Load every model, or one version alone.
    Load {
        /// The version; all if there is none.
        only: Option<Arc<ModelVersion>>,
        /// Who waits.
        reply: Reply<Result<(), ModelError>>,
    },
    /// Reload if files changed and have been quiet since the last look.
    Look,
    /// Reload.
    Reload {
        /// Who waits.
        reply: Reply<Arc<ReloadReport>>,
    },
    /// Do what an operator says with a model's versions.
    Operate {
        /// The model.
        model: String,
        /// What to do.
        operation: Operation,
        /// Who waits.
        reply: Reply<Result<Warning, Error>>,
    },
    /// Write down that a canary was rolled back.
    NoteRollBack {
        /// The model.
        model: String,
        /// The canary.
        rolled_back: RolledBack,
    },
}

/// What operators do with the versions of a model. What is so already is left as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Make a version stable, and keep it so.
    MakeStable {
        /// The version.
        version: String,
    },
    /// Let the newest version be stable from now on.
    FollowNewest,
    /// Get away from a version, or from the canary, or else from the stable version, where none is named.
    RollBack {
        /// The version.
        version: Option<String>,
    },
    /// Give a share of the clients to a version.
    SetCanary {
        /// The version.
        version: String,
        /// Above 0 and at most 1.
        share: f64,
    },
    /// End the canary, if it is this version, or whichever it is for an empty one.
    EndCanary {
        /// The version.
        version: String,
    },
    /// Load a version beside the stable one.
    LoadBeside {
        /// The version.
        version: String,
    },
    /// Let a version go that is not stable.
    Unload {
        /// The version.
        version: String,
    },
}

impl Command {
    /// Answers a command that comes too late.
    pub fn refuse(self) {
        match self {
            Command::Load { reply, .. } => reply(Ok(())),
            Command::Reload { reply } => reply(stopped()),
            Command::Operate { reply, .. } => reply(Err(draining())),
            Command::Look | Command::NoteRollBack { .. } => {}
        }
    }
}

/// Sends commands; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    sender: mpsc::Sender<Command>,
    health: Health,
    stop: CancellationToken,
}

impl Commands {
    /// Where commands are sent, and where they come out.
    pub fn new(health: Health, stop: CancellationToken) -> (Self, mpsc::Receiver<Command>) {
        let (sender, received) = mpsc::channel(MOST_WAITING);
        (Self { sender, health, stop }, received)
    }

    /// Has models loaded. Blocks, within a runtime too; a server that stops loads nothing and has not failed.
    pub fn load(&self, only: Option<Arc<ModelVersion>>) -> Result<(), ModelError> {
        let (tell, told) = std::sync::mpsc::channel();
        let reply = Box::new(move |outcome| {
            // Whoever asked may be gone.
            let _ = tell.send(outcome);
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
        told.recv().unwrap_or_else(|_| panicked())
    }

    /// Has it look for changed files, unless so much waits that it will have something to do anyway.
    pub fn look(&self) {
        let _ = self.sender.try_send(Command::Look);
    }

    /// Has it reload; waits for what became of that.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        if self.is_stopping() {
            return stopped();
        }
        let (reply, told) = answered_by();
        if self.sender.send(Command::Reload { reply }).await.is_err() {
            return stopped();
        }
        told.await.unwrap_or_else(|_| {
            Arc::new(ReloadReport {
                problem: Some("the reload panicked".into()),
                ..ReloadReport::default()
            })
        })
    }

    /// Has it do what an operator says. It is done even if the caller does not wait.
    pub async fn operate(&self, model: String, operation: Operation) -> Result<Warning, Error> {
        let (reply, told) = answered_by();
        let command = Command::Operate {
            model,
            operation,
            reply,
        };
        if self.is_stopping() || self.sender.send(command).await.is_err() {
            return Err(draining());
        }
        told.await
            .unwrap_or_else(|_| Err(Error::new(Reason::Internal, "the operation ended without an answer")))
    }

    /// Has a roll-back written down.
    pub async fn note_roll_back(&self, model: String, rolled_back: RolledBack) {
        let command = Command::NoteRollBack { model, rolled_back };
        if self.sender.send(command).await.is_err() {
            tracing::error!("the server has stopped: a restart will not know of a roll-back");
        }
    }

    fn is_stopping(&self) -> bool {
        self.health.is_draining() || self.stop.is_cancelled()
    }
}

fn answered_by<T: Send + 'static>() -> (Reply<T>, oneshot::Receiver<T>) {
    let (tell, told) = oneshot::channel();
    let reply = Box::new(move |outcome| {
        // Whoever asked may not wait any more.
        let _ = tell.send(outcome);
    });
    (reply, told)
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
