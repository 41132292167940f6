//! SIGTERM, SIGINT and SIGHUP, from the first moment of every command on: before its command line is read, and as process 1
//! too, whose signals count for nothing until somebody listens.
//!
//! A command that has nothing to put in order ends as a program does that does not listen; `serve`, `bench`, `train` and `distill` say
//! what they want.
//!
//! A thread of its own listens, so that nothing else can keep it from ending the process: not a model that loads for ever, not a
//! call that is stuck, not a log that nobody reads. It ends with the process.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::output::{complain, end, fail};
use crate::telemetry::stderr;

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
#[derive(Clone, Copy)]
enum End {
    /// What it does to a program that does not listen: ends it by that signal, unless it was started with the signal ignored.
    /// SIGHUP is such a signal then.
    AsUsual,
    /// Ends the process with this code: there is nothing to drain yet.
    AtOnce(Exit),
    /// Starts a drain, which may take so long in all.
    Drain(Duration),
}

/// The signals as they arrive.
struct Arriving {
    terminate: Heard,
    interrupt: Heard,
    hang_up: Heard,
}

/// A signal that is listened to.
struct Heard {
    signal: Signal,
    kind: SignalKind,
    /// Whoever started the program had it ignored, as nohup does.
    was_ignored: bool,
}

impl Signals {
    /// Listens from now on. A signal ends the process as usual, until a command says otherwise.
    pub fn listen() -> Result<Self, Exit> {
        let (hang_ups, hang_up) = watch::channel(0);
        let signals = Self {
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
            hang_up,
            end: Arc::new(Mutex::new(End::AsUsual)),
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
        self.set(End::Drain(drain));
    }

    /// From now on a signal to stop ends the process well: nothing was served yet.
    pub fn nothing_served(&self) {
        self.set(End::AtOnce(Exit::Success));
    }

    /// From now on a signal to stop is a failure: what was asked for is not done.
    pub fn nothing_to_serve(&self) {
        self.set(End::AtOnce(Exit::Failure));
    }

    fn set(&self, end: End) {
        *self.end.lock() = end;
    }

    async fn hear(self, mut arriving: Arriving, hang_ups: watch::Sender<u64>) {
        let drain = loop {
            let (heard, stops) = arriving.next().await;
            // Held until the process has ended, so that no drain can begin in between.
            match *self.end.lock() {
                End::AsUsual => heard.as_usual(),
                _ if !stops => hang_ups.send_modify(|count| *count += 1),
                End::Drain(drain) => break drain,
                End::AtOnce(exit) => {
                    tracing::info!("told to stop before anything was served");
                    end(exit);
                }
            }
        };
        self.stop.cancel();
        let again = async {
            while !arriving.next().await.1 {
                hang_ups.send_modify(|count| *count += 1);
            }
        };
        tokio::select! {
            () = again => {
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
        // A file that may grow no further (`ulimit -f`) is an error of the write then, and not the end of the process.
        drop(signal(SignalKind::from_raw(libc::SIGXFSZ))?);
        Ok(Self {
            terminate: Heard::open(SignalKind::terminate())?,
            interrupt: Heard::open(SignalKind::interrupt())?,
            hang_up: Heard::open(SignalKind::hangup())?,
        })
    }

    /// The next signal, and whether it is one to stop.
    async fn next(&mut self) -> (&Heard, bool) {
        tokio::select! {
            _ = self.terminate.signal.recv() => (&self.terminate, true),
            _ = self.interrupt.signal.recv() => (&self.interrupt, true),
            _ = self.hang_up.signal.recv() => (&self.hang_up, false),
        }
    }
}

impl Heard {
    fn open(kind: SignalKind) -> std::io::Result<Self> {
        let was_ignored = is_ignored(kind.as_raw_value());
        let signal = signal(kind)?;
        Ok(Self {
            signal,
            kind,
            was_ignored,
        })
    }

    /// Does what the signal does where nobody listens.
    fn as_usual(&self) {
        if !self.was_ignored {
            stderr::flush();
            by_signal(self.kind.as_raw_value());
        }
    }
}

#[expect(unsafe_code, reason = "only libc tells a signal's disposition")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeroes are a disposition, and with no new one the call only fills in the present one.
    unsafe {
        let mut present: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut present) == 0 && present.sa_sigaction == libc::SIG_IGN
    }
}

/// Ends the process by a signal; process 1, which outlives those it does not listen to, with the code that shells give that.
#[expect(unsafe_code, reason = "only libc sets a signal's disposition and raises it")]
fn by_signal(signal: i32) -> ! {
    // SAFETY: nothing of ours runs after the first of these calls that ends the process; the others change nothing in memory.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(128 + signal)
    }
}
