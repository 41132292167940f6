//! What a service manager, systemd for one, is told if it started the server: that it is ready, reloads, stops, and that it
//! still answers. Each word is a datagram to the socket that `NOTIFY_SOCKET` names (`man 3 sd_notify`).
//!
//! Without that variable nothing is told. A service manager that does not listen costs a line of the log, never the server.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::server::reloads::{Heeded, next_hang_up};

/// How long a word may take: the service manager's socket may be full.
const TELL_LIMIT: Duration = Duration::from_millis(500);

/// The one that started this process, if any; cheap to clone.
#[derive(Clone)]
pub struct ServiceManager {
    socket: Option<Arc<OsString>>,
}

impl ServiceManager {
    /// The one whose socket the environment names.
    pub fn of_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        Self {
            socket: socket.map(Arc::new),
        }
    }

    /// Every model serves, and every port takes connections.
    pub async fn ready(&self) {
        self.tell(&[NotifyState::Ready]).await;
    }

    /// Tells of each SIGHUP when it is heard, and when all that it asks for has been looked at. Never ends.
    pub async fn reloads(&self, mut hang_up: watch::Receiver<u64>, mut heeded: Heeded) {
        loop {
            let count = next_hang_up(&mut hang_up).await;
            // The time tells systemd that the reload is the one that it asked for.
            match NotifyState::monotonic_usec_now() {
                Ok(now) => self.tell(&[NotifyState::Reloading, now]).await,
                Err(_) => self.tell(&[NotifyState::Reloading]).await,
            }
            heeded.up_to(count).await;
            self.tell(&[NotifyState::Ready]).await;
        }
    }

    /// The drain begins.
    pub async fn stopping(self) {
        self.tell(&[NotifyState::Stopping]).await;
    }

    /// Says twice in each interval of the service manager's watchdog that the server answers: only while each of these
    /// runtimes does a piece of work that it is given. Ends at once where nobody watches, else never.
    pub async fn watchdog(self, runtimes: Vec<Handle>) {
        let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else {
            return;
        };
        loop {
            answered(&runtimes).await;
            self.tell(&[NotifyState::Watchdog]).await;
            sleep(interval / 2).await;
        }
    }

    async fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(path) = &self.socket else {
            return;
        };
        let words: String = states.iter().map(|state| format!("{state}\n")).collect();
        // Not by the library's own `notify`, which waits for ever where the socket is full.
        let problem = match timeout(TELL_LIMIT, send(path, &words)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not heard within {TELL_LIMIT:?}"),
        };
        tracing::warn!(%problem, told = words.trim_end(), "the service manager can't be told");
    }
}

async fn send(path: &OsString, words: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.send(words.as_bytes()).await.map(drop)
}

/// Returns once each has run what it was given. One that has ended is not stuck.
async fn answered(runtimes: &[Handle]) {
    for runtime in runtimes {
        let _ = runtime.spawn(async {}).await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_runtime_that_is_stuck_is_waited_for_and_one_that_has_ended_is_not() {
        let one_thread = || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).build().expect("a runtime")
        };
        let (asking, stuck, ended) = (one_thread(), one_thread(), one_thread());
        let runtimes = [stuck.handle().clone(), ended.handle().clone()];
        drop(ended);
        let (free, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        stuck.spawn(async move {
            begun.send(()).expect("somebody waits");
            let _ = wait.recv();
        });
        has_begun.recv().expect("it began");
        asking.block_on(async {
            let mut answer = pin!(answered(&runtimes));
            assert!(futures::poll!(&mut answer).is_pending());
            drop(free);
            answer.await;
        });
    }
}
