//! The life of a listener and of its connections: accept, serve, drain, cut.
//!
//! A listener's task ends when the drain starts; a connection's task ends with its last call after the drain started,
//! when its peer hangs up, when a time limit passes, or when everything is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::api::call::ConnectionId;
use crate::telemetry::metrics::Metrics;

/// How long a new connection may stay silent, and how long the headers of an HTTP/1 request may take.
const FIRST_WORD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a quiet HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before the next try when no connection can be accepted, for want of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The largest request headers, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

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
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
            Protocol::Operations => "operations",
        }
    }
}

/// The bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The most open ones at a listener; more wait in the system's backlog.
    pub max_connections: usize,
    /// The most open calls on one HTTP/2 connection.
    pub max_streams: u32,
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
    /// Counts connections.
    pub metrics: Metrics,
    /// Tells that accepted calls should finish and no others start.
    pub drain: CancellationToken,
    /// Tells that everything should end now.
    pub cut: CancellationToken,
    /// Where connections are tracked.
    pub connections: TaskTracker,
}

impl Listener {
    /// Accepts connections until the drain.
    pub async fn serve(self) {
        let room = Arc::new(Semaphore::new(self.limits.max_connections));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&room) => accepted,
                () = self.drain.cancelled() => return,
            };
            let (stream, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(door = self.protocol.name(), %error, "can't accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let counted = self.metrics.connected(self.protocol.name());
            let connection = Connection {
                router: self.router.clone(),
                protocol: self.protocol,
                limits: self.limits,
                drain: self.drain.clone(),
            };
            let cut = self.cut.clone();
            self.connections.spawn(async move {
                tokio::select! {
                    () = connection.serve(stream) => {}
                    () = cut.cancelled() => {}
                }
                drop((counted, place));
            });
        }
    }

    async fn accept(&self, room: &Arc<Semaphore>) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(room)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, _) = self.socket.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, place))
    }
}

struct Connection {
    router: Router,
    protocol: Protocol,
    limits: ConnectionLimits,
    drain: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        // A peer that says nothing holds its place for a bounded time only, and does not delay a drain.
        let mut first = [0];
        let spoke = tokio::select! {
            spoke = tokio::time::timeout(FIRST_WORD_TIMEOUT, stream.peek(&mut first)) => spoke,
            () = self.drain.cancelled() => return,
        };
        if !matches!(spoke, Ok(Ok(1))) {
            return;
        }
        let builder = self.builder();
        let id = ConnectionId(NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed));
        let router = self
            .router
            .map_request(move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(id);
                request
            });
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(door = self.protocol.name(), %error, "a connection ended with an error");
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(FIRST_WORD_TIMEOUT)
            .max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.max_streams)
            // A client may cancel all that it may have open; the default of 20 would close its connection for that.
            .max_pending_accept_reset_streams(self.limits.max_streams as usize)
            .max_header_list_size(MAX_HEADER_BYTES)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        match self.protocol {
            Protocol::Grpc => builder.http2_only(),
            Protocol::Http | Protocol::Operations => builder,
        }
    }
}
