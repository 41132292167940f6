//! The server: its listeners, its connections, its start and its end.
//!
//! In reading order: [`Server::bind`] opens the ports, [`Server::run`] serves until told to stop, [`accept`] is the life
//! of a listener, which speaks a [`protocol`], [`connection`] that of a connection, with [`places`], [`activity`], and what tells it of
//! bytes ([`metered_io`]) and calls ([`call_body`]); `memory` gives it back; [`security`] holds keys and certificates ([`tls`]).

pub mod accept;
pub mod activity;
mod authority;
pub mod call_body;
pub mod connection;
mod memory;
pub mod metered_io;
mod model_reload;
mod packed;
pub mod places;
pub mod protocol;
pub mod security;
pub mod socket;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::body_budget::BodyBudget;
use crate::api::call_layer::DoorRouter;
use crate::api::door::Door;
use crate::api::{grpc, http};
use crate::config::{Address, Listen, Settings};
use crate::service::Service;
use accept::Listener;
use connection::ConnectionLimits;
use protocol::Protocol;
use security::Security;
use socket::{Socket, Taken};

/// An address that can't be opened, in one line.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address} ({key}): {problem}")]
pub struct BindError {
    key: &'static str,
    address: Address,
    problem: std::io::Error,
}

/// A server whose ports are its own and not yet served.
pub struct Server {
    door: Door,
    security: Security,
    sockets: Sockets,
    reflection: bool,
    reload_interval: Duration,
    limits: ConnectionLimits,
    pause: Duration,
    grace: Duration,
    listening: CancellationToken,
}

struct Sockets {
    grpc: GrpcSocket,
    http: Option<Socket>,
    metrics: Option<Socket>,
    admin: Option<Socket>,
}

/// The gRPC port.
enum GrpcSocket {
    /// Takes connections.
    Listening(Socket),
    /// Refuses connections until it listens.
    Bound(Address, Taken),
}

impl GrpcSocket {
    /// Where it listens or will.
    fn address(&self) -> std::io::Result<Address> {
        match self {
            Self::Listening(socket) => Ok(socket.address().clone()),
            Self::Bound(_, taken) => taken.address(),
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: Address,
    /// The HTTP gateway, unless it is off.
    pub http: Option<Address>,
    /// Metrics and probes on a port of their own, if asked for.
    pub metrics: Option<Address>,
    /// The admin API, if asked for.
    pub admin: Option<Address>,
}

impl Server {
    /// Takes every port, or none. Each takes connections from now on, but for the gRPC port, for which the settings say when.
    pub async fn bind(settings: &Settings, security: Security, service: Service) -> Result<Self, BindError> {
        let address = &settings.grpc_addr;
        let grpc = take(GRPC, address).await?;
        let grpc = match settings.listen {
            Listen::AtStart => GrpcSocket::Listening(listen(GRPC, address, grpc)?),
            Listen::WhenReady => {
                service.close();
                GrpcSocket::Bound(address.clone(), grpc)
            }
        };
        let http = Some(&settings.http_addr).filter(|_| !settings.no_http);
        let http = open("http_addr", http).await?;
        let metrics = open("metrics_addr", settings.metrics_addr.as_ref()).await?;
        let admin = open("admin_addr", settings.admin_addr.as_ref()).await?;
        Ok(Self {
            door: Door::new(settings, service),
            security,
            sockets: Sockets {
                grpc,
                http,
                metrics,
                admin,
            },
            reflection: !settings.no_reflection,
            reload_interval: settings.reload_interval.0,
            limits: settings.into(),
            pause: settings.drain_pause.0,
            grace: settings.drain_grace.0,
            listening: CancellationToken::new(),
        })
    }

    /// Where it listens, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let of = |socket: &Option<Socket>| socket.as_ref().map(|socket| socket.address().clone());
        Ok(Addresses {
            grpc: self.sockets.grpc.address()?,
            http: of(&self.sockets.http),
            metrics: of(&self.sockets.metrics),
            admin: of(&self.sockets.admin),
        })
    }

    /// The bound on the bytes of bodies, of all doors together.
    pub fn bodies(&self) -> &BodyBudget {
        &self.door.context.bodies
    }

    /// Cancelled once every port takes connections.
    pub fn listening(&self) -> CancellationToken {
        self.listening.clone()
    }

    /// Serves until `shutdown`, then drains: health turns NOT_SERVING at once, calls are still taken for the pause,
    /// accepted calls finish, and what has not finished within the grace limit, or when `hurry` is cancelled, is cut.
    /// Every connection, call and stream has ended when this returns. What `hang_up` counts are the requests to look at
    /// files and models again; one that is unseen so far counts.
    ///
    /// A gRPC port that can't be listened on once the models serve, since another process does so meanwhile, ends it like a shutdown,
    /// with the error.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        hang_up: watch::Receiver<u64>,
        hurry: CancellationToken,
    ) -> Result<(), BindError> {
        let service = self.door.service.clone();
        let (pause, grace) = (self.pause, self.grace);
        let drain = CancellationToken::new();
        let cut = CancellationToken::new();
        let tasks = TaskTracker::new();
        let grpc = self.listen(&hang_up, &drain, &cut, &tasks);
        let mut outcome = Ok(());
        tokio::select! {
            () = shutdown => {}
            error = grpc => outcome = Err(error),
        }
        service.start_draining();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hurry.cancelled() => {}
        }
        drain.cancel();
        tasks.close();
        tokio::select! {
            () = tasks.wait() => return outcome,
            () = tokio::time::sleep(grace) => {
                tracing::warn!(?grace, open = tasks.len(), "the grace limit is over, open connections are cut");
            }
            () = hurry.cancelled() => {
                tracing::warn!(open = tasks.len(), "told to hurry, open connections are cut");
            }
        }
        cut.cancel();
        tasks.wait().await;
        outcome
    }

    /// Starts the watches over the files of keys and certificates, over models and over memory. The last is to be told, by what
    /// this returns, when many connections have ended.
    fn watch(&self, hang_up: &watch::Receiver<u64>, drain: &CancellationToken, tasks: &TaskTracker) -> Arc<Notify> {
        let service = &self.door.service;
        let security = self.security.clone();
        tasks.spawn(security.watch(self.reload_interval, hang_up.clone(), drain.clone()));
        tasks.spawn(model_reload::watch(service.clone(), hang_up.clone(), drain.clone()));
        tasks.spawn({
            let (service, drain) = (service.clone(), drain.clone());
            async move { service.supervise(drain).await }
        });
        let flood_ended = Arc::new(Notify::new());
        let bodies = self.door.context.bodies.clone();
        tasks.spawn(memory::watch(bodies, flood_ended.clone(), drain.clone()));
        flood_ended
    }

    /// Starts a listener for each port, and the watches over the files of keys and certificates, and of models. What it returns
    /// ends only if the gRPC port can't be listened on.
    fn listen(
        self,
        hang_up: &watch::Receiver<u64>,
        drain: &CancellationToken,
        cut: &CancellationToken,
        tasks: &TaskTracker,
    ) -> impl Future<Output = BindError> {
        let flood_ended = self.watch(hang_up, drain, tasks);
        let Self {
            door,
            security,
            sockets,
            limits,
            ..
        } = self;
        let service = door.service.clone();
        let serve = {
            let (tls, metrics) = (security.tls.clone(), service.metrics().clone());
            let (drain, cut, tasks) = (drain.clone(), cut.clone(), tasks.clone());
            move |socket, router: DoorRouter, protocol| {
                let listener = Listener {
                    socket,
                    router,
                    protocol,
                    limits,
                    tls: tls.clone(),
                    metrics: metrics.clone(),
                    flood_ended: flood_ended.clone(),
                    drain: drain.clone(),
                    cut: cut.clone(),
                    tasks: tasks.clone(),
                };
                tasks.spawn(listener.serve());
            }
        };
        let keys = &security.keys;
        let at_http = told(sockets.http.as_ref().map(Socket::address));
        let over_http = http::Surroundings {
            keys: keys.clone(),
            grpc: told(sockets.grpc.address().ok().as_ref()),
        };
        let surroundings = |keys| grpc::Surroundings {
            keys,
            http: at_http.clone(),
            reflection: self.reflection,
            drain: drain.clone(),
            tasks: tasks.clone(),
        };
        if let Some(socket) = sockets.admin {
            let router = grpc::admin_router(door.clone(), surroundings(security.admin_keys.clone()));
            serve(socket, router, Protocol::Admin);
        }
        if let Some(socket) = sockets.http {
            serve(socket, http::gateway(door.clone(), over_http.clone()), Protocol::Http);
        }
        if let Some(socket) = sockets.metrics {
            serve(socket, http::operations(door.clone(), over_http), Protocol::Operations);
        }
        let router = grpc::router(door, surroundings(keys.clone()));
        let listening = self.listening;
        async move {
            let socket = match sockets.grpc {
                GrpcSocket::Listening(socket) => Ok(socket),
                GrpcSocket::Bound(address, taken) => {
                    service.until_loaded().await;
                    listen(GRPC, &address, taken)
                }
            };
            match socket {
                Ok(socket) => serve(socket, router, Protocol::Grpc),
                Err(error) => return error,
            }
            // Only now, so that whoever reads "ready" can connect.
            service.open();
            listening.cancel();
            std::future::pending().await
        }
    }
}

/// Where a door is, as callers of another are told.
fn told(address: Option<&Address>) -> Arc<str> {
    match address {
        Some(Address::Ip(address)) => format!("port {}", address.port()).into(),
        Some(_) => "a Unix socket".into(),
        None => "no port of this server".into(),
    }
}

/// The key of the gRPC port's address.
const GRPC: &str = "grpc_addr";

/// Takes an address. Connections are refused until it listens.
async fn take(key: &'static str, address: &Address) -> Result<Taken, BindError> {
    Taken::take(address).await.map_err(|problem| BindError {
        key,
        address: address.clone(),
        problem,
    })
}

/// Begins to take connections at `address`.
fn listen(key: &'static str, address: &Address, taken: Taken) -> Result<Socket, BindError> {
    taken.listen().map_err(|problem| BindError {
        key,
        address: address.clone(),
        problem,
    })
}

/// Takes the address of a door that is not off, and begins to take connections.
async fn open(key: &'static str, address: Option<&Address>) -> Result<Option<Socket>, BindError> {
    match address {
        Some(address) => listen(key, address, take(key, address).await?).map(Some),
        None => Ok(None),
    }
}
