//! Caller connection: which connection a request came on, from where, and how far its calls came.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::service::messages::ClientKey;

/// The connection of a request. The server adds it to each request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallerConnection {
    pub id: ConnectionId,
    pub standing: Standing,
}

/// Which connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    pub number: u64,
    /// The peer, by its address.
    pub peer: ClientKey,
    /// Absent for a Unix socket.
    pub address: Option<IpAddr>,
}

impl ConnectionId {
    /// The connection with that number, from that address. Peers without an address, over a Unix socket, count as one.
    /// Of an IPv6 address the first 64 bits count, since a machine usually has all addresses below them.
    pub fn new(number: u64, peer: Option<IpAddr>) -> Self {
        let address = peer.map(|address| address.to_canonical());
        let peer = match address {
            Some(IpAddr::V4(address)) => ClientKey::of(&address.octets()),
            Some(IpAddr::V6(address)) => ClientKey::of(&address.octets()[..8]),
            None => ClientKey::of(b"unix"),
        };
        Self { number, peer, address }
    }
}

/// How far the calls of a connection came. Cheap to clone.
///
/// When all places for connections are taken, it decides who makes room: connections that only asked for health go
/// before those with admitted calls, which showed a key where keys are needed.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<AtomicU8>);

impl Standing {
    const OPEN: u8 = 1;
    const ADMITTED: u8 = 2;

    /// Records a call that needs no key.
    pub fn called(&self) {
        self.0.fetch_max(Self::OPEN, Ordering::Relaxed);
    }

    /// Records an admitted call of a method that needs a key.
    pub fn admit(&self) {
        self.0.fetch_max(Self::ADMITTED, Ordering::Relaxed);
    }

    /// Whether there was any call that was not refused.
    pub fn has_called(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::OPEN
    }

    /// Whether a call of a method that needs a key was admitted.
    pub fn is_admitted(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::ADMITTED
    }
}
