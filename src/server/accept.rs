//! The life of a listener: accept, find a place, hand over to `connection.rs`.
//!
//! A listener's task ends when the drain starts.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, ConnectionLimits};
use super::newcomers::Newcomers;
use super::tls::Tls;
use crate::api::call::ConnectionId;
use crate::telemetry::metrics::Metrics;

/// How long to wait before the next try when no connection can be accepted, for want of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Counts connections, to tell them apart.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: HTTP/2 only.
    Grpc,
    /// The gateway: HTTP/1.1 and HTTP/2.
    Http,
    /// Metrics and probes: HTTP/1.1 and HTTP/2.
    Operations,
    /// The admin API: gRPC, HTTP/2 only.
    Admin,
}

impl Protocol {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
            Protocol::Operations => "operations",
            Protocol::Admin => "admin",
        }
    }
}

/// A port and what answers on it.
pub struct Listener {
    /// The port.
    pub socket: TcpListener,
    /// What answers.
    pub router: Router,
    /// What it speaks.
    pub protocol: Protocol,
    /// The bounds on its connections.
    pub limits: ConnectionLimits,
    /// The certificates; none without TLS.
    pub tls: Option<Arc<Tls>>,
    /// Counts connections.
    pub metrics: Metrics,
    /// Tells that accepted calls should finish and no others start.
    pub drain: CancellationToken,
    /// Tells that everything should end now.
    pub cut: CancellationToken,
    /// Where connections and their calls are tracked.
    pub tasks: TaskTracker,
}

impl Listener {
    /// Accepts connections until the drain.
    pub async fn serve(self) {
        let drain = self.drain.clone();
        tokio::select! {
            () = self.accept_all() => {}
            () = drain.cancelled() => {}
        }
    }

    async fn accept_all(self) {
        let room = Arc::new(Semaphore::new(self.limits.max_connections));
        let newcomers = Newcomers::default();
        let mut failing = false;
        loop {
            let stream = match self.socket.accept().await {
                Ok((stream, _)) => stream,
                // The peer went away before it was its turn.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {
                    continue;
                }
                Err(error) => {
                    // One line for a shortage, however long it lasts.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(door = self.protocol.name(), %error, "can't accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if std::mem::take(&mut failing) {
                tracing::info!(door = self.protocol.name(), "connections are accepted again");
            }
            // A peer that is gone already shows when its connection is read.
            let _ = stream.set_nodelay(true);
            let place = find_place(&room, &newcomers).await;
            self.start(stream, place, &newcomers);
        }
    }

    fn start(&self, stream: TcpStream, place: OwnedSemaphorePermit, newcomers: &Newcomers) {
        let number = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
        let counted = self.metrics.connected(self.protocol.name());
        let connection = Connection {
            id: ConnectionId(number),
            router: self.router.clone(),
            protocol: self.protocol,
            limits: self.limits,
            tls: self.tls.as_ref().map(|tls| tls.acceptor(self.protocol)),
            newcomer: newcomers.enter(number),
            drain: self.drain.clone(),
            tasks: self.tasks.clone(),
        };
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection.serve(stream) => {}
                () = cut.cancelled() => {}
            }
            drop((counted, place));
        });
    }
}

/// A place among the open connections. If all are taken, the oldest peer that has said nothing yet makes room; if all
/// have spoken, this waits until one ends.
async fn find_place(room: &Arc<Semaphore>, newcomers: &Newcomers) -> OwnedSemaphorePermit {
    if room.available_permits() == 0 {
        newcomers.send_oldest_away();
    }
    Arc::clone(room)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed")
}
