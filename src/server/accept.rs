//! Accept: the life of a listener: accept a connection, find a place for it, hand it to `connection.rs`.
//!
//! The task of a listener ends in a drain, once the connections that waited by then are accepted.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::connection::{Connection, ConnectionLimits};
use super::connection_threads::ConnectionThreads;
use super::places::{Peer, Places};
use super::protocol::Protocol;
use super::socket::{MovingStream, Socket, Stream};
use super::tls::Tls;
use crate::api::call_layer::DoorRouter;
use crate::api::caller_connection::{ConnectionId, Standing};
use crate::telemetry::metrics::Metrics;

/// How long to wait after an accept failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The number of the next connection, in the whole process.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// A port, and what answers on it.
pub struct Listener {
    pub socket: Socket,
    pub router: DoorRouter,
    /// What the port speaks.
    pub protocol: Protocol,
    pub limits: ConnectionLimits,
    /// The places of its door, which has other addresses too.
    pub places: Places,
    /// Threads with connections of their own; absent where all threads share them.
    pub threads: Option<Arc<ConnectionThreads>>,
    /// The certificates; absent without TLS.
    pub tls: Option<Arc<Tls>>,
    pub metrics: Metrics,
    /// Cancelled when accepted calls should finish and no others start.
    pub drain: CancellationToken,
    /// Cancelled when everything should end now.
    pub cut: CancellationToken,
    /// Tracks connections and their calls.
    pub tasks: TaskTracker,
}

impl Listener {
    /// Accepts connections until the drain, and then those that wait already: when a port closes, the system resets the
    /// ones that wait, together with the calls sent on them.
    pub async fn serve(self) {
        let places = &self.places;
        let (door, most) = (self.protocol.name(), self.limits.max_connections);
        self.metrics.doors().listen(door, most, self.tls.is_some());
        tokio::select! {
            () = self.accept_all(places) => {}
            () = self.drain.cancelled() => {}
        }
        while let (Some(permit), Some(Ok((stream, from)))) = (places.free(), self.socket.accept().now_or_never()) {
            self.start(stream, from, permit, places);
        }
    }

    async fn accept_all(&self, places: &Places) {
        let mut failing = false;
        loop {
            let (stream, from) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                // The peer left before it was accepted.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {
                    continue;
                }
                Err(error) => {
                    // One log line for each shortage, however long it lasts.
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
        let counted = self.metrics.doors().connected(self.protocol.name());
        let connection = Connection {
            id: ConnectionId::new(number, from),
            router: self.router.clone(),
            protocol: self.protocol,
            limits: self.limits,
            tls: self.tls.as_ref().map(|tls| tls.acceptor(self.protocol)),
            metrics: self.metrics.clone(),
            place: places.enter(number, peer, permit),
            drain: self.drain.clone(),
            tasks: self.tasks.clone(),
        };
        let cut = self.cut.clone();
        let serve = async move |stream: Stream| {
            tokio::select! {
                () = connection.serve(stream) => {}
                () = cut.cancelled() => {}
            }
            drop(counted);
        };
        let Some(threads) = &self.threads else {
            self.tasks.spawn(serve(stream));
            return;
        };
        let (thread, given) = threads.give();
        let moving = MovingStream::take(stream);
        let door = self.protocol.name();
        let served = async move {
            // On its thread, whose system calls tell it of the stream from now on.
            match moving.and_then(MovingStream::land) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::debug!(door, %error, "a connection can't be given to its thread"),
            }
            drop(given);
        };
        self.tasks.spawn_on(served, thread);
    }
}
