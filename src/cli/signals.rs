//! SIGTERM, SIGINT and SIGHUP, from the first moment of `tandem serve` on: before its command line is read, and as process 1
//! too, whose signals count for nothing until somebody listens.
//!
//! A thread of its own listens, so that nothing else can keep it from ending the process: not a model that loads for ever, not a
//! call that is stuck, not a log that nobody reads. It ends with the process.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::output::{complain, end};
use super::{Exit, fail};

/// What an end that is asked for may take beyond the pause and the grace of the drain.
const AFTER_GRACE: Duration = Duration::from_secs(3);
/// What an end may take after the second signal.
const AFTER_HURRY: Duration = Duration::from_secs(1);

/// What the process was told.
#[derive(Clone)]
pub struct Signals {
    /// Cancelled by the first SIGTERM or SIGINT: drain.
    pub stop: CancellationToken,
    /// Cancelled by the second: cut what is open.
    pub hurry: CancellationToken,
    /// Counts SIGHUP; one that came before its reader is still unseen.
    pub hang_up: watch::Receiver<u64>,
    end: Arc<Mutex<End>>,
}

/// What the first signal to stop does.
enum End {
    /// Ends the process with this code: there is nothing to drain yet.
    AtOnce(Exit),
    /// Starts a drain, which may take so long in all.
    Drain(Duration),
}

/// The signals as they arrive.
struct Arriving {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on. Until [`Signals::begin`], the first signal to stop ends the process well: nothing was served.
    pub fn listen() -> Result<Self, Exit> {
        let (hang_ups, hang_up) = watch::channel(0);
        let signals = Self {
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
            hang_up,
            end: Arc::new(Mutex::new(End::AtOnce(Exit::Success))),
        };
        let (ready, listening) = mpsc::channel();
        let own = signals.clone();
        let thread = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                match Arriving::open() {
                    Ok(arriving) => {
                        let _ = ready.send(Ok(()));
                        own.hear(arriving, hang_ups).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        };
        let started = std::thread::Builder::new().name("signals".into()).spawn(thread);
        let outcome = started.and_then(|_| listening.recv().map_err(std::io::Error::other)?);
        match outcome {
            Ok(()) => Ok(signals),
            Err(error) => Err(fail(&format!("can't listen for signals: {error}"), Exit::Failure)),
        }
    }

    /// From now on a signal to stop starts a drain, whose pause and grace are `drain` in all.
    pub fn begin(&self, drain: Duration) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = End::Drain(drain);
    }

    /// From now on a signal to stop is a failure: what was asked for is not done.
    pub fn nothing_to_serve(&self) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = End::AtOnce(Exit::Failure);
    }

    async fn hear(self, mut arriving: Arriving, hang_ups: watch::Sender<u64>) {
        arriving.told_to_stop(&hang_ups).await;
        let drain = {
            // Held until the process has ended, so that no drain can begin in between.
            match *self.end.lock().unwrap_or_else(PoisonError::into_inner) {
                End::Drain(drain) => drain,
                End::AtOnce(exit) => {
                    tracing::info!("told to stop before anything was served");
                    end(exit);
                }
            }
        };
        self.stop.cancel();
        tokio::select! {
            () = arriving.told_to_stop(&hang_ups) => {
                self.hurry.cancel();
                sleep(AFTER_HURRY).await;
            }
            () = sleep(drain.saturating_add(AFTER_GRACE)) => {}
        }
        complain(&"something does not end, the process ends without it");
        end(Exit::Failure);
    }
}

impl Arriving {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT, and passes each SIGHUP on meanwhile.
    async fn told_to_stop(&mut self, hang_ups: &watch::Sender<u64>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => hang_ups.send_modify(|count| *count += 1),
            }
        }
    }
}
