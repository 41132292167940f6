//! The life of a listener: accept, find a place, hand over to `connection.rs`.
//!
//! A listener's task ends when the drain starts, and what waits to be accepted has been.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::connection::{Connection, ConnectionLimits};
use super::places::{Peer, Places};
use super::protocol::Protocol;
use super::socket::{Socket, Stream};
use super::tls::Tls;
use crate::api::call::{ConnectionId, Standing};
use crate::api::call_layer::DoorRouter;
use crate::telemetry::metrics::Metrics;

/// How long to wait before the next try when no connection can be accepted, for want of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Counts connections, to tell them apart.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// A port and what answers on it.
pub struct Listener {
    /// The port.
    pub socket: Socket,
    /// What answers.
    pub router: DoorRouter,
    /// What it speaks.
    pub protocol: Protocol,
    /// The bounds on its connections.
    pub limits: ConnectionLimits,
    /// The certificates; none without TLS.
    pub tls: Option<Arc<Tls>>,
    /// Counts connections.
    pub metrics: Metrics,
    /// Hears when few are left of many connections.
    pub ebb: Arc<Notify>,
    /// Tells that accepted calls should finish and no others start.
    pub drain: CancellationToken,
    /// Tells that everything should end now.
    pub cut: CancellationToken,
    /// Where connections and their calls are tracked.
    pub tasks: TaskTracker,
}

impl Listener {
    /// Accepts connections until the drain, and then those that wait already: the system resets what waits when a port closes,
    /// calls that were sent with it included.
    pub async fn serve(self) {
        let places = Places::new(self.limits.max_connections, self.ebb.clone());
        tokio::select! {
            () = self.accept_all(&places) => {}
            () = self.drain.cancelled() => {}
        }
        while let (Some(permit), Some(Ok((stream, from)))) = (places.free(), self.socket.accept().now_or_never()) {
            self.start(stream, from, permit, &places);
        }
    }

    async fn accept_all(&self, places: &Places) {
        let mut failing = false;
        loop {
            let (stream, from) = match self.socket.accept().await {
                Ok(accepted) => accepted,
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
            let permit = places.find().await;
            self.start(stream, from, permit, places);
        }
    }

    fn start(&self, stream: Stream, from: Option<IpAddr>, permit: OwnedSemaphorePermit, places: &Places) {
        let number = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
        let peer = Peer {
            activity: Activity::new(self.limits.max_rapid_resets),
            standing: Standing::default(),
        };
        let counted = self.metrics.connected(self.protocol.name());
        let connection = Connection {
            id: ConnectionId::new(number, from),
            router: self.router.clone(),
            protocol: self.protocol,
            limits: self.limits,
            tls: self.tls.as_ref().map(|tls| tls.acceptor(self.protocol)),
            place: places.enter(number, peer, permit),
            drain: self.drain.clone(),
            tasks: self.tasks.clone(),
        };
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = connection.serve(stream) => {}
                () = cut.cancelled() => {}
            }
            drop(counted);
        });
    }
}
