//! The server: its listeners, its connections, its start and its end.
//!
//! In reading order: [`Server::bind`] opens the ports, [`Server::run`] serves until told to stop, [`accept`] is the life
//! of a listener and of its connections.

pub mod accept;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{grpc, http};
use crate::config::Settings;
use crate::service::Service;
use accept::{ConnectionLimits, Listener, Protocol};

/// A port that can't be opened, in one line.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address} ({key}): {problem}")]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    problem: std::io::Error,
}

/// A server whose ports are open and not yet served.
pub struct Server {
    service: Service,
    sockets: Sockets,
    limits: ConnectionLimits,
    grace: Duration,
}

struct Sockets {
    grpc: TcpListener,
    http: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: SocketAddr,
    /// The HTTP gateway, unless it is off.
    pub http: Option<SocketAddr>,
    /// Metrics and probes on a port of their own, if asked for.
    pub metrics: Option<SocketAddr>,
}

impl Server {
    /// Opens every port, or none.
    pub async fn bind(settings: &Settings, service: Service) -> Result<Self, BindError> {
        let grpc = bind("grpc_addr", settings.grpc_addr).await?;
        let http = match settings.no_http {
            true => None,
            false => Some(bind("http_addr", settings.http_addr).await?),
        };
        let metrics = match settings.metrics_addr {
            Some(address) => Some(bind("metrics_addr", address).await?),
            None => None,
        };
        Ok(Self {
            service,
            sockets: Sockets { grpc, http, metrics },
            limits: ConnectionLimits {
                max_connections: settings.max_connections,
                max_streams: settings.max_streams_per_connection,
            },
            grace: settings.drain_grace.0,
        })
    }

    /// Where it listens, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let of = |socket: &Option<TcpListener>| socket.as_ref().map(TcpListener::local_addr).transpose();
        Ok(Addresses {
            grpc: self.sockets.grpc.local_addr()?,
            http: of(&self.sockets.http)?,
            metrics: of(&self.sockets.metrics)?,
        })
    }

    /// Serves until `shutdown`, then drains: health turns NOT_SERVING at once, accepted calls finish, and what has not
    /// finished within the grace limit is cut. Every connection has ended when this returns.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            service,
            sockets,
            limits,
            grace,
        } = self;
        let drain = CancellationToken::new();
        let cut = CancellationToken::new();
        let connections = TaskTracker::new();
        let listen = |socket, router: Router, protocol| {
            let listener = Listener {
                socket,
                router,
                protocol,
                limits,
                metrics: service.metrics().clone(),
                drain: drain.clone(),
                cut: cut.clone(),
                connections: connections.clone(),
            };
            connections.spawn(listener.serve());
        };
        listen(
            sockets.grpc,
            grpc::router(service.clone(), drain.clone()),
            Protocol::Grpc,
        );
        if let Some(socket) = sockets.http {
            listen(socket, http::gateway(service.clone()), Protocol::Http);
        }
        if let Some(socket) = sockets.metrics {
            listen(socket, http::operations(service.clone()), Protocol::Operations);
        }
        shutdown.await;
        service.start_draining();
        drain.cancel();
        connections.close();
        if tokio::time::timeout(grace, connections.wait()).await.is_err() {
            tracing::warn!(
                ?grace,
                open = connections.len(),
                "the grace limit is over, open connections are cut"
            );
            cut.cancel();
            connections.wait().await;
        }
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|problem| BindError { key, address, problem })
}
