//! Places for connections at a listener, and which peer loses its place when all are taken and another peer comes.
//!
//! Peers lose it in this order; among equals the one that has been quiet longest goes first:
//!
//! 1. a peer that has not spoken: it sent nothing, less than a request, or only HTTP/2's preface;
//! 2. a peer that has spoken but none of whose calls was accepted: its key was unknown, for example;
//! 3. a peer whose calls needed no key, with no open call;
//! 4. such a peer with open calls: it watches health;
//! 5. a peer with an admitted call, which showed a key where keys are needed, with no open call.
//!
//! A peer of the last kind that has an open call keeps its place. A load balancer that asks for health without a key
//! always finds a place, unless all are kept, and gets its answer at once. Under a flood of others like it, it may have
//! to ask again on a new connection, and a Watch may end early.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use crate::api::caller_connection::Standing;

/// How long a peer that was sent away may take before another one is sent away too.
const PATIENCE: Duration = Duration::from_secs(1);

/// This many connections are many; half of them are few.
const MANY: usize = 8;

/// The places of one door; cheap to clone.
#[derive(Clone)]
pub struct Places {
    room: Arc<Semaphore>,
    taken: Arc<Mutex<Connections>>,
    /// Told when few are left of many connections.
    flood_ended: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Connections {
    by_number: BTreeMap<u64, Taken>,
    /// The most connections since few were left.
    peak: usize,
}

#[derive(Debug)]
struct Taken {
    peer: Peer,
    sent_away: CancellationToken,
}

/// The peer of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub activity: Arc<Activity>,
    /// How far its calls came.
    pub standing: Standing,
}

impl Peer {
    /// Its rank; the lowest rank loses its place first. `None` if it keeps its place.
    fn rank(&self) -> Option<(u8, Instant)> {
        let since = self.activity.quiet_since();
        let idle = self.activity.open_calls() == 0;
        let kind = match (self.standing.is_admitted(), idle) {
            _ if !self.activity.is_heard() => 0,
            _ if !self.standing.has_called() => 1,
            (false, true) => 2,
            (false, false) => 3,
            (true, true) => 4,
            (true, false) => return None,
        };
        Some((kind, since))
    }
}

impl Places {
    /// `most` places, all of them free. `flood_ended` is told when few are left of many connections.
    pub fn new(most: usize, flood_ended: Arc<Notify>) -> Self {
        Self {
            room: Arc::new(Semaphore::new(most)),
            taken: Arc::default(),
            flood_ended,
        }
    }

    /// Waits for a place. If all are taken, sends away the peer of the lowest rank, and another one if that takes too
    /// long. If all peers keep their places, waits until a connection ends.
    pub async fn find(&self) -> OwnedSemaphorePermit {
        loop {
            if self.room.available_permits() == 0 {
                self.send_one_away();
            }
            let free = Arc::clone(&self.room).acquire_owned();
            if let Ok(free) = tokio::time::timeout(PATIENCE, free).await {
                return free.expect("the semaphore is never closed");
            }
        }
    }

    /// A place if one is free now.
    pub fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Gives the connection with this number the place that was found.
    pub fn enter(&self, number: u64, peer: Peer, permit: OwnedSemaphorePermit) -> Place {
        let sent_away = CancellationToken::new();
        let taken = Taken {
            peer: peer.clone(),
            sent_away: sent_away.clone(),
        };
        let mut connections = self.taken.lock();
        connections.by_number.insert(number, taken);
        connections.peak = connections.peak.max(connections.by_number.len());
        drop(connections);
        Place {
            peer,
            places: self.clone(),
            number,
            sent_away,
            _permit: permit,
        }
    }

    /// Sends the peer of the lowest rank away; returns false if all keep their places.
    fn send_one_away(&self) -> bool {
        let mut taken = self.taken.lock();
        let ranked = taken
            .by_number
            .iter()
            .filter_map(|(number, taken)| Some((taken.peer.rank()?, *number)));
        let Some((_, number)) = ranked.min() else {
            return false;
        };
        let gone = taken.by_number.remove(&number);
        gone.inspect(|gone| gone.sent_away.cancel()).is_some()
    }
}

/// The place of a connection; free again when this is dropped.
pub struct Place {
    pub peer: Peer,
    places: Places,
    number: u64,
    sent_away: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until the peer is sent away.
    pub async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.places.taken.lock();
        connections.by_number.remove(&self.number);
        let left = connections.by_number.len();
        if connections.peak >= MANY && left <= connections.peak / 2 {
            connections.peak = left;
            self.places.flood_ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn enter(places: &Places, number: u64) -> Place {
        let peer = Peer {
            activity: Activity::new(10),
            standing: Standing::default(),
        };
        let permit = places.find().now_or_never().expect("a free place");
        places.enter(number, peer, permit)
    }

    #[tokio::test]
    async fn those_of_least_use_go_first_and_those_with_calls_of_theirs_stay() {
        let places = Places::new(7, Arc::default());
        let entered: Vec<_> = (0..7).map(|number| enter(&places, number)).collect();
        let [busy, idle, watching, asked, refused, silent, newer] = &entered[..] else {
            panic!("seven");
        };
        for place in &entered[..5] {
            place.peer.activity.heard();
        }
        for place in [busy, idle] {
            place.peer.standing.admit();
        }
        for place in [watching, asked] {
            place.peer.standing.called();
        }
        let calls = (busy.peer.activity.begin_call(), watching.peer.activity.begin_call());
        for expected in [silent, newer, refused, asked, watching, idle] {
            assert!(!expected.sent_away.is_cancelled());
            assert!(places.send_one_away());
            assert!(expected.sent_away.is_cancelled(), "{}", expected.number);
        }
        assert!(!places.send_one_away(), "a call is open");
        drop(calls);
        assert!(places.send_one_away());
        assert!(busy.sent_away.is_cancelled());
    }

    #[tokio::test]
    async fn among_equals_whoever_is_idle_the_longest_goes() {
        let places = Places::new(2, Arc::default());
        let (first, second) = (enter(&places, 1), enter(&places, 2));
        for (place, millis) in [(&first, 2000), (&second, 1000)] {
            place.peer.standing.admit();
            drop(place.peer.activity.begin_call());
            place.peer.activity.set_quiet_since(millis);
        }
        assert!(places.send_one_away());
        assert!(second.sent_away.is_cancelled() && !first.sent_away.is_cancelled());
        assert!(places.find().now_or_never().is_none(), "until it has gone");
        drop(second);
        enter(&places, 3);
    }

    #[tokio::test]
    async fn it_is_told_when_few_are_left_of_many() {
        let places = Places::new(MANY, Arc::default());
        let mut entered: Vec<_> = (0..).map(|number| enter(&places, number)).take(MANY).collect();
        entered.truncate(MANY / 2 + 1);
        assert!(places.flood_ended.notified().now_or_never().is_none());
        entered.pop();
        assert!(places.flood_ended.notified().now_or_never().is_some());
        entered.clear();
        assert!(places.flood_ended.notified().now_or_never().is_none(), "once");
    }
}
