//! The server: its listeners, its connections, its start and its end.
//!
//! In reading order: [`Server::bind`] opens the [`ports`], [`Server::run`] serves until told to stop, [`accept`] is the life
//! of a listener, which speaks a [`protocol`], [`connection`] that of a connection, with [`places`], [`activity`], and what tells it of
//! bytes ([`metered_io`]) and calls ([`call_body`]); `memory` gives it back; [`security`] holds keys and certificates ([`tls`]),
//! which a SIGHUP has looked at again, as the models ([`reloads`]).

pub mod accept;
pub mod activity;
pub mod authority;
pub mod call_body;
pub mod connection;
mod connection_threads;
mod load_watch;
mod memory;
pub mod metered_io;
mod model_reload;
mod packed;
pub mod places;
pub mod ports;
pub mod protocol;
pub mod reloads;
mod routers;
pub mod security;
pub mod socket;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::body_budget::BodyBudget;
use crate::api::call_layer::DoorRouter;
use crate::api::door::Door;
use crate::api::{grpc, web};
use crate::config::Settings;
use crate::config::origins::Origins;
use crate::cores;
use crate::service::Service;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans::Spans;
use accept::Listener;
use connection::ConnectionLimits;
use connection_threads::ConnectionThreads;
use places::Places;
use ports::{Addresses, BindError, Sockets};
use protocol::Protocol;
use reloads::{Heeded, Heeding};
use security::Security;
use socket::Socket;
use tls::Tls;

/// A server whose ports are its own and not yet served.
pub struct Server {
    door: Door,
    security: Security,
    sockets: Sockets,
    reflection: bool,
    /// The pages of other origins that may call the gateway.
    cors_origins: Option<Origins>,
    reload_interval: Duration,
    load_queue_target: Duration,
    limits: ConnectionLimits,
    /// Threads with connections of their own; absent where all threads share them.
    threads: Option<Arc<ConnectionThreads>>,
    pause: Duration,
    grace: Duration,
    listening: CancellationToken,
    heeding: Heeding,
    heeded: Heeded,
}

impl Server {
    /// Takes every port, or none. Each takes connections from now on, but for the gRPC port, for which the settings say when.
    pub async fn bind(settings: &Settings, security: Security, service: Service) -> Result<Self, BindError> {
        Self::bind_traced(settings, security, service, None).await
    }

    /// The same, for a server whose calls' spans go to `spans`.
    pub async fn bind_traced(
        settings: &Settings,
        security: Security,
        service: Service,
        spans: Spans,
    ) -> Result<Self, BindError> {
        let sockets = Sockets::open(settings).await?;
        if sockets.waits() {
            service.close();
        }
        let threads = match settings.connection_threads.own(cores::usable()) {
            0 => None,
            count => Some(Arc::new(ConnectionThreads::start(count).map_err(BindError::Threads)?)),
        };
        let (heeding, heeded) = reloads::channel();
        Ok(Self {
            door: Door::new(settings, service, spans),
            security,
            sockets,
            reflection: !settings.no_reflection,
            cors_origins: settings.cors_origins.clone(),
            reload_interval: settings.reload_interval.0,
            load_queue_target: settings.load_queue_target.0,
            limits: settings.into(),
            threads,
            pause: settings.drain_pause.0,
            grace: settings.drain_grace.0,
            listening: CancellationToken::new(),
            heeding,
            heeded,
        })
    }

    /// Where it listens, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        self.sockets.addresses()
    }

    /// The bound on the bytes of bodies, of all doors together.
    pub fn bodies(&self) -> &BodyBudget {
        &self.door.context.bodies
    }

    /// Cancelled once every port takes connections.
    pub fn listening(&self) -> CancellationToken {
        self.listening.clone()
    }

    /// Tells which SIGHUPs have been heeded.
    pub fn heeded(&self) -> Heeded {
        self.heeded.clone()
    }

    /// What connections and calls run on: the runtime that this is called on, and those of threads with connections of their own.
    pub fn runtimes(&self) -> Vec<Handle> {
        let own = self.threads.iter().flat_map(|threads| threads.runtimes());
        std::iter::once(Handle::current()).chain(own).collect()
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
        // What is on them must end before they do.
        let _threads = self.threads.clone();
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
        let (security, heeding) = (self.security.clone(), &self.heeding);
        let metrics = self.door.context.metrics.clone();
        let told = (hang_up.clone(), heeding.keys.clone());
        tasks.spawn(security.watch(self.reload_interval, metrics, told, drain.clone()));
        tasks.spawn(model_reload::watch(
            service.clone(),
            hang_up.clone(),
            heeding.models.clone(),
            drain.clone(),
        ));
        tasks.spawn({
            let (service, drain) = (service.clone(), drain.clone());
            async move { service.supervise(drain).await }
        });
        if let Some(reports) = &self.door.context.load_reports {
            let (reports, metrics) = (Arc::clone(reports), self.door.context.metrics.clone());
            tasks.spawn(load_watch::watch(
                reports,
                metrics,
                self.load_queue_target,
                drain.clone(),
            ));
        }
        let flood_ended = Arc::new(Notify::new());
        let bodies = self.door.context.bodies.clone();
        tasks.spawn(memory::watch(bodies, flood_ended.clone(), drain.clone()));
        flood_ended
    }

    /// Starts a listener for each port, and the watches over the files of keys and certificates, and of models. What it returns
    /// ends only if a gRPC port can't be listened on.
    fn listen(
        self,
        hang_up: &watch::Receiver<u64>,
        drain: &CancellationToken,
        cut: &CancellationToken,
        tasks: &TaskTracker,
    ) -> impl Future<Output = BindError> {
        let flood_ended = self.watch(hang_up, drain, tasks);
        let addresses = self.addresses().ok();
        let Self {
            door,
            security,
            sockets,
            limits,
            reflection,
            cors_origins,
            threads,
            listening,
            ..
        } = self;
        let service = door.service.clone();
        let listeners = Listeners {
            limits,
            threads,
            tls: security.tls.clone(),
            metrics: service.metrics().clone(),
            flood_ended,
            drain: drain.clone(),
            cut: cut.clone(),
            tasks: tasks.clone(),
        };
        let routers = routers::routers(
            door,
            &security,
            addresses.as_ref(),
            cors_origins.as_ref(),
            &|keys, http| grpc::Surroundings {
                keys,
                http,
                reflection,
                drain: drain.clone(),
                tasks: tasks.clone(),
            },
        );
        if let Some(socket) = sockets.admin {
            listeners.serve(socket, routers.admin, Protocol::Admin, &listeners.places());
        }
        if let Some(socket) = sockets.metrics {
            listeners.serve(socket, routers.operations, Protocol::Operations, &listeners.places());
        }
        let places = listeners.places();
        for socket in sockets.http {
            listeners.serve(socket, routers.http.clone(), Protocol::Http, &places);
        }
        let both = routers.http.or_where(web::is_grpc, routers.grpc.clone());
        let of_both = sockets
            .both
            .into_iter()
            .map(move |socket| (socket, both.clone(), Protocol::Both));
        let of_grpc = sockets.grpc.into_iter();
        let of_grpc = of_grpc.map(move |socket| (socket, routers.grpc.clone(), Protocol::Grpc));
        let places = listeners.places();
        async move {
            for (socket, router, protocol) in of_both.chain(of_grpc) {
                match socket.listening(service.until_loaded()).await {
                    Ok(socket) => listeners.serve(socket, router, protocol, &places),
                    Err(error) => return error,
                }
            }
            // Only now, so that whoever reads "ready" can connect.
            service.open();
            listening.cancel();
            std::future::pending().await
        }
    }
}

/// What the listeners of a server share.
struct Listeners {
    limits: ConnectionLimits,
    threads: Option<Arc<ConnectionThreads>>,
    tls: Option<Arc<Tls>>,
    metrics: Metrics,
    flood_ended: Arc<Notify>,
    drain: CancellationToken,
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Listeners {
    /// The places of one door, for all of its addresses.
    fn places(&self) -> Places {
        Places::new(self.limits.max_connections, self.flood_ended.clone())
    }

    /// Starts one.
    fn serve(&self, socket: Socket, router: DoorRouter, protocol: Protocol, places: &Places) {
        let listener = Listener {
            socket,
            router,
            protocol,
            limits: self.limits,
            places: places.clone(),
            threads: self.threads.clone(),
            tls: self.tls.clone(),
            metrics: self.metrics.clone(),
            drain: self.drain.clone(),
            cut: self.cut.clone(),
            tasks: self.tasks.clone(),
        };
        self.tasks.spawn(listener.serve());
    }
}
