//! Ports: the sockets of the doors, as the settings want them.

use super::socket::{Socket, Taken};
use crate::config::{Address, AddressList, Listen, Settings};

/// Why a server can't begin, in one line.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address can't be opened.
    #[error("can't listen on {address} ({key}): {problem}")]
    Address {
        key: &'static str,
        address: Address,
        problem: std::io::Error,
    },
    /// There are no threads for connections.
    #[error("can't start the threads of connections: {0}")]
    Threads(std::io::Error),
}

/// The sockets of the doors.
pub struct Sockets {
    pub grpc: Vec<GrpcSocket>,
    pub http: Vec<Socket>,
    /// gRPC and HTTP at one port.
    pub both: Vec<GrpcSocket>,
    pub metrics: Option<Socket>,
    pub admin: Option<Socket>,
}

/// A gRPC port.
pub enum GrpcSocket {
    /// Takes connections.
    Listening(Socket),
    /// Refuses connections until it listens. With the key of its address.
    Bound(&'static str, Address, Taken),
}

impl GrpcSocket {
    /// Where it listens or will.
    fn address(&self) -> std::io::Result<Address> {
        match self {
            Self::Listening(socket) => Ok(socket.address().clone()),
            Self::Bound(.., taken) => taken.address(),
        }
    }

    /// Takes connections from now on, or once the models are `loaded`.
    pub async fn listening(self, loaded: impl Future<Output = ()>) -> Result<Socket, BindError> {
        match self {
            Self::Listening(socket) => Ok(socket),
            Self::Bound(key, address, taken) => {
                loaded.await;
                listen(key, &address, taken)
            }
        }
    }

    /// Takes an address, and begins to take connections there if that is to be at the start.
    async fn open(key: &'static str, address: &Address, when: Listen) -> Result<Self, BindError> {
        let taken = take(key, address).await?;
        Ok(match when {
            Listen::AtStart => Self::Listening(listen(key, address, taken)?),
            Listen::WhenReady => Self::Bound(key, address.clone(), taken),
        })
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: Vec<Address>,
    /// The HTTP gateway; none if it is off.
    pub http: Vec<Address>,
    /// Metrics and probes on a port of their own, if asked for.
    pub metrics: Option<Address>,
    /// The admin API, if asked for.
    pub admin: Option<Address>,
}

impl Sockets {
    /// Takes every port, or none. Each takes connections from now on, but for a gRPC port, for which the settings say when.
    pub async fn open(settings: &Settings) -> Result<Self, BindError> {
        let (mut grpc, mut http, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for address in settings.shared_addr.iter().flat_map(AddressList::all) {
            both.push(GrpcSocket::open("shared_addr", address, settings.listen).await?);
        }
        for address in settings.grpc_addr.all().iter().filter(|_| both.is_empty()) {
            grpc.push(GrpcSocket::open("grpc_addr", address, settings.listen).await?);
        }
        let has_http = both.is_empty() && !settings.no_http;
        for address in settings.http_addr.all().iter().filter(|_| has_http) {
            http.push(open("http_addr", address).await?);
        }
        let (mut metrics, mut admin) = (None, None);
        if let Some(address) = &settings.metrics_addr {
            metrics = Some(open("metrics_addr", address).await?);
        }
        if let Some(address) = &settings.admin_addr {
            admin = Some(open("admin_addr", address).await?);
        }
        Ok(Self {
            grpc,
            http,
            both,
            metrics,
            admin,
        })
    }

    /// Whether a gRPC port does not take connections yet.
    pub fn waits(&self) -> bool {
        let mut sockets = self.grpc.iter().chain(&self.both);
        sockets.any(|socket| matches!(socket, GrpcSocket::Bound(..)))
    }

    /// Where it listens, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let of = |socket: &Socket| socket.address().clone();
        let Sockets {
            grpc,
            http,
            both,
            metrics,
            admin,
        } = self;
        let all = |sockets: &[GrpcSocket]| {
            sockets
                .iter()
                .map(GrpcSocket::address)
                .collect::<std::io::Result<Vec<_>>>()
        };
        let (grpc, shared) = (all(grpc)?, all(both)?);
        Ok(Addresses {
            grpc: shared.iter().cloned().chain(grpc).collect(),
            http: shared.into_iter().chain(http.iter().map(of)).collect(),
            metrics: metrics.as_ref().map(of),
            admin: admin.as_ref().map(of),
        })
    }
}

/// Takes an address. Connections are refused until it listens.
async fn take(key: &'static str, address: &Address) -> Result<Taken, BindError> {
    Taken::take(address).await.map_err(|problem| BindError::Address {
        key,
        address: address.clone(),
        problem,
    })
}

/// Begins to take connections at `address`.
fn listen(key: &'static str, address: &Address, taken: Taken) -> Result<Socket, BindError> {
    taken.listen().map_err(|problem| BindError::Address {
        key,
        address: address.clone(),
        problem,
    })
}

/// Takes an address, and begins to take connections.
async fn open(key: &'static str, address: &Address) -> Result<Socket, BindError> {
    listen(key, address, take(key, address).await?)
}
