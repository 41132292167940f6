//! Body room: who holds how many bytes of bodies, and who may hold more. Plain state; `body_budget.rs` says what it is
//! for.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::batching::shares::free;
use crate::config::bodies::RoomSize;
use crate::service::messages::{ClientKey, Weight};

/// The bytes that a connection may hold for calls that need no key, messages and answers together.
pub const OPEN_ROOM: usize = 16 << 10;

/// A flood is over when at least this many bytes were held, and half of them or less still are.
pub const FLOOD_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub struct Room {
    /// The bytes held of the part that all callers share.
    shared: usize,
    /// How many of `shared` each part of a caller holds. One that holds none has no entry.
    holders: HashMap<Part, usize, RandomState>,
    /// The bytes that connections hold of their own pieces, by the connection's number.
    own: HashMap<u64, usize, RandomState>,
    /// The bytes that connections hold for calls that need no key, by the connection's number.
    open: HashMap<u64, usize, RandomState>,
    /// All bytes held now; `peak`: the most since the last flood.
    held: usize,
    peak: usize,
}

/// One of the things that a caller is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Connection(u64),
    Key(ClientKey),
    Client(ClientKey),
}

/// Whose a body is: a caller's, or a connection's with calls that need no key.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The connection's number.
    pub connection: u64,
    /// Absent for calls that need no key.
    pub caller: Option<Caller>,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub key: Option<ClientKey>,
    /// The client that its header names, if it does.
    pub client: Option<ClientKey>,
    /// Its weight in the shares.
    pub weight: Weight,
}

impl Caller {
    /// The things that it is known by. A client that is the same as its key counts once.
    fn parts(&self, connection: u64) -> impl Iterator<Item = Part> {
        let client = self.client.filter(|client| Some(*client) != self.key);
        let named = [self.key.map(Part::Key), client.map(Part::Client)];
        std::iter::once(Part::Connection(connection)).chain(named.into_iter().flatten())
    }
}

/// The bytes of a body, by what they are taken from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// From the part that all callers share.
    pub shared: usize,
    /// From the connection's own piece.
    pub own: usize,
    /// From what the connection has for calls that need no key.
    pub open: usize,
}

impl Held {
    pub fn total(self) -> usize {
        self.shared + self.own + self.open
    }

    pub fn grow(&mut self, more: Held) {
        self.shared += more.shared;
        self.own += more.own;
        self.open += more.open;
    }
}

impl Room {
    /// What `bytes` more would be taken from, for a body that holds `held` already; `None` if there is no room.
    pub fn fit(&self, size: &RoomSize, owner: &Owner, held: Held, bytes: usize) -> Option<Held> {
        let more = self.split(size, owner, bytes);
        let Some(caller) = &owner.caller else {
            let open = self.open.get(&owner.connection).copied().unwrap_or_default();
            return (open + bytes <= OPEN_ROOM).then_some(more);
        };
        let wanted = held.shared + more.shared;
        let fits = more.shared == 0
            || self
                .free(size, owner.connection, caller, held)
                .all(|(_, free)| wanted <= free);
        fits.then_some(more)
    }

    /// Whether a body's owner is within its share with all that it holds.
    pub fn is_within_share(&self, size: &RoomSize, owner: &Owner, held: Held) -> bool {
        let Some(caller) = &owner.caller else {
            return self.open.get(&owner.connection).is_none_or(|open| *open < OPEN_ROOM);
        };
        // A connection that holds only its own piece takes nothing from others.
        let more = self.holders.get(&Part::Connection(owner.connection)).copied();
        let own = self.own.get(&owner.connection).copied().unwrap_or_default();
        (own < size.own && more.unwrap_or_default() == held.shared)
            || self
                .free(size, owner.connection, caller, held)
                .all(|(own, free)| own == 0 || held.shared.max(1) <= free)
    }

    /// For each thing that the caller is known by: the shared bytes that it holds besides this body, and the most that
    /// it may hold for this body.
    fn free(
        &self,
        size: &RoomSize,
        connection: u64,
        caller: &Caller,
        held: Held,
    ) -> impl Iterator<Item = (usize, usize)> {
        let others = self.shared - held.shared;
        caller.parts(connection).map(move |part| {
            let own = self
                .holders
                .get(&part)
                .map_or(0, |part| part.saturating_sub(held.shared));
            (own, free(size.shared, others, own, own == others, caller.weight))
        })
    }

    /// What `bytes` are taken from: the connection's own piece first, then the shared part.
    pub fn split(&self, size: &RoomSize, owner: &Owner, bytes: usize) -> Held {
        if owner.caller.is_none() {
            return Held {
                open: bytes,
                ..Held::default()
            };
        }
        let taken = self.own.get(&owner.connection).copied().unwrap_or_default();
        let own = bytes.min(size.own.saturating_sub(taken));
        Held {
            own,
            shared: bytes - own,
            open: 0,
        }
    }

    pub fn take(&mut self, owner: &Owner, more: Held) {
        for (figures, bytes) in [(&mut self.own, more.own), (&mut self.open, more.open)] {
            if bytes > 0 {
                *figures.entry(owner.connection).or_default() += bytes;
            }
        }
        if more.shared > 0 {
            for part in owner.caller.iter().flat_map(|caller| caller.parts(owner.connection)) {
                *self.holders.entry(part).or_default() += more.shared;
            }
        }
        self.shared += more.shared;
        self.held += more.total();
        self.peak = self.peak.max(self.held);
    }

    /// Gives bytes back; returns whether that ends a flood.
    pub fn give_back(&mut self, owner: &Owner, held: Held) -> bool {
        subtract(&mut self.own, owner.connection, held.own);
        subtract(&mut self.open, owner.connection, held.open);
        for part in owner.caller.iter().flat_map(|caller| caller.parts(owner.connection)) {
            subtract(&mut self.holders, part, held.shared);
        }
        self.shared -= held.shared;
        self.held -= held.total();
        let passed = self.peak >= FLOOD_BYTES && self.held <= self.peak / 2;
        if passed {
            self.peak = self.held;
        }
        passed
    }
}

/// Subtracts from an entry; removes it when it comes to zero.
fn subtract<K: std::hash::Hash + Eq>(figures: &mut HashMap<K, usize, RandomState>, of: K, bytes: usize) {
    if bytes == 0 {
        return;
    }
    if let Some(figure) = figures.get_mut(&of) {
        *figure = figure.saturating_sub(bytes);
        if *figure == 0 {
            figures.remove(&of);
        }
    }
}

impl Room {
    /// All bytes held now.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The number of entries, for tests.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.holders.len() + self.own.len() + self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    const SIZE: RoomSize = RoomSize {
        shared: 800,
        own: 10,
        limit: 1000,
    };

    fn owner(connection: u64, key: Option<u64>, client: Option<u64>, weight: u32) -> Owner {
        let weight = Weight::new(NonZeroU32::new(weight).expect("at least one"));
        let (key, client) = (key.map(ClientKey), client.map(ClientKey));
        let caller = Some(Caller { key, client, weight });
        Owner { connection, caller }
    }

    #[test]
    fn weight_counts() {
        let mut room = Room::default();
        let mut taken = |owner: Owner, bytes| {
            let more = room.fit(&SIZE, &owner, Held::default(), bytes);
            more.inspect(|more| room.take(&owner, *more)).is_some()
        };
        let (light, heavy) = (owner(9, Some(9), None, 1), owner(1, Some(1), None, 3));
        assert!(taken(light, 10 + 100) && taken(heavy, 10 + 300));
        assert!(taken(heavy, 200), "600 held by all, 200 free");
        assert!(!taken(light, 101), "as much as is free, and no more");
    }

    proptest! {
        #[test]
        fn the_room_is_never_exceeded_by_requests_and_all_of_it_comes_back(
            steps in prop::collection::vec((0_u64..5, 0_u64..3, 0_u64..3, 1_usize..300, 0_u8..4), 1..200),
        ) {
            let mut room = Room::default();
            let mut taken: Vec<(Owner, Held)> = Vec::new();
            for (connection, key, client, bytes, step) in steps {
                match step {
                    0 if !taken.is_empty() => {
                        let (owner, held) = taken.remove(0);
                        room.give_back(&owner, held);
                    }
                    1 if !taken.is_empty() => {
                        let (owner, held) = &mut taken[0];
                        if let Some(more) = room.fit(&SIZE, owner, *held, bytes) {
                            room.take(owner, more);
                            held.grow(more);
                        }
                    }
                    _ => {
                        let owner = owner(connection, (key > 0).then_some(key), Some(client), 1);
                        if let Some(more) = room.fit(&SIZE, &owner, Held::default(), bytes) {
                            room.take(&owner, more);
                            taken.push((owner, more));
                        }
                    }
                }
                prop_assert!(room.shared <= SIZE.shared);
                prop_assert!(room.own.values().all(|own| *own <= SIZE.own));
                prop_assert_eq!(room.held, taken.iter().map(|(_, held)| held.total()).sum::<usize>());
            }
            for (owner, held) in taken {
                room.give_back(&owner, held);
            }
            prop_assert_eq!((room.held, room.shared, room.known()), (0, 0, 0));
        }
    }
}
