//! Who may have how much of the room. Bounds what is accepted, in rows and in bytes, and gives each client its share of
//! the room and of the instances' time. Plain state.
//!
//! A client that holds nothing gets whatever is free. One that holds something may take more as long as it leaves as
//! much free as it holds (the dynamic threshold of shared-buffer switches: Choudhury and Hahne, 1998). One that is
//! alone on the server need leave only an eighth free. So no client can shut the others out. A client of weight two
//! holds, and gets, twice as much as one of weight one, but for that eighth.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::ticket::{ClientKey, Priority, Weight};

/// The part of the room, one in so many, that a client alone on the server leaves free for newcomers.
const NEWCOMERS: usize = 8;

/// Rows and their bytes of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub rows: usize,
    pub bytes: usize,
}

/// The room, and which client holds how much of it.
#[derive(Debug)]
pub struct Shares {
    most: Amount,
    held: Amount,
    clients: HashMap<ClientKey, Client, RandomState>,
}

/// What one client has on the server; forgotten when it has nothing.
#[derive(Debug, Default)]
struct Client {
    held: Amount,
    weight: Weight,
    lanes: [ClientLane; Priority::COUNT],
}

#[derive(Clone, Copy, Debug, Default)]
struct ClientLane {
    /// What its rows cost that are not running yet.
    work: Duration,
    /// Where its next row stands in the lane's order.
    next_tag: Duration,
}

impl Priority {
    /// How many priorities there are.
    pub const COUNT: usize = 3;

    /// The index of its lane, 0 for the highest.
    pub fn lane(self) -> usize {
        match self {
            Priority::Interactive => 0,
            Priority::Normal => 1,
            Priority::Bulk => 2,
        }
    }
}

impl Shares {
    /// An empty room of this size.
    pub fn new(most: Amount) -> Self {
        Self {
            most,
            held: Amount::default(),
            clients: HashMap::default(),
        }
    }

    /// What all clients hold.
    pub fn held(&self) -> Amount {
        self.held
    }

    /// How many of `wanted` rows of about `row_bytes` bytes the client may have now.
    pub fn room(&self, client: ClientKey, weight: Weight, wanted: usize, row_bytes: usize) -> usize {
        let own = self
            .clients
            .get(&client)
            .map_or(Amount::default(), |client| client.held);
        let alone = self.held == own;
        let rows = free(self.most.rows, self.held.rows, own.rows, alone, weight);
        let bytes = free(self.most.bytes, self.held.bytes, own.bytes, alone, weight);
        wanted.min(rows).min(bytes / row_bytes.max(1))
    }

    /// Takes room for a request; says whether there was enough.
    pub fn take(&mut self, client: ClientKey, weight: Weight, wanted: Amount) -> bool {
        let own = self
            .clients
            .get(&client)
            .map_or(Amount::default(), |client| client.held);
        let alone = self.held == own;
        let fits = wanted.rows <= free(self.most.rows, self.held.rows, own.rows, alone, weight)
            && wanted.bytes <= free(self.most.bytes, self.held.bytes, own.bytes, alone, weight);
        if fits {
            self.held.add(wanted);
            let known = self.clients.entry(client).or_default();
            known.held.add(wanted);
            known.weight = weight;
        }
        fits
    }

    pub fn give_back(&mut self, client: ClientKey, amount: Amount) {
        self.held.subtract(amount);
        if let Some(known) = self.clients.get_mut(&client) {
            known.held.subtract(amount);
            if known.held.rows == 0 {
                self.clients.remove(&client);
            }
        }
    }

    /// Adds to the expected cost of the client's rows that are not running yet.
    pub fn add_work(&mut self, client: ClientKey, lane: usize, cost: Duration) {
        if let Some(known) = self.clients.get_mut(&client) {
            known.lanes[lane].work += cost;
        }
    }

    /// Subtracts from the expected cost of the client's rows that are not running yet.
    pub fn remove_work(&mut self, client: ClientKey, lane: usize, cost: Duration) {
        if let Some(known) = self.clients.get_mut(&client) {
            known.lanes[lane].work = known.lanes[lane].work.saturating_sub(cost);
        }
    }

    /// The place of a client's next row in its lane, whose clock stands at `clock`: each client's rows follow each
    /// other at the distance of their cost, over the client's weight, so that clients take turns by time, not by rows
    /// (start-time fair queueing: Goyal, Vin and Cheng, 1996).
    pub fn next_tag(&mut self, client: ClientKey, lane: usize, clock: Duration, cost: Duration) -> Duration {
        match self.clients.get_mut(&client) {
            Some(known) => {
                let tag = known.lanes[lane].next_tag.max(clock);
                known.lanes[lane].next_tag = tag + cost / known.weight.get();
                tag
            }
            None => clock,
        }
    }

    /// Moves the place of a client's next row by the difference between what its work took and what was expected.
    pub fn settle(&mut self, client: ClientKey, lane: usize, expected: Duration, took: Duration) {
        if let Some(known) = self.clients.get_mut(&client) {
            let parts = known.weight.get();
            let next_tag = &mut known.lanes[lane].next_tag;
            *next_tag = (*next_tag + took / parts).saturating_sub(expected / parts);
        }
    }

    /// The cost of the work in a lane that runs before `cost` more of this client's does: its own, and as much of each
    /// other client's, by their weights.
    pub fn work_ahead(&self, client: ClientKey, weight: Weight, lane: usize, cost: Duration) -> Duration {
        let work = |known: &Client| known.lanes[lane].work;
        let own = self.clients.get(&client).map_or(Duration::ZERO, work);
        let others = self.clients.iter().filter(|(key, _)| **key != client);
        let meanwhile = |other: &Client| (own + cost).saturating_mul(other.weight.get()) / weight.get();
        own + others
            .map(|(_, other)| work(other).min(meanwhile(other)))
            .sum::<Duration>()
    }
}

impl Amount {
    fn add(&mut self, other: Amount) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Amount) {
        self.rows = self.rows.saturating_sub(other.rows);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// How much more a client may take of a room of `most`, of which `held` is taken, `own` of that by this client. `alone`
/// says that nobody else holds any.
pub fn free(most: usize, held: usize, own: usize, alone: bool, weight: Weight) -> usize {
    let free = most.saturating_sub(held);
    let but_newcomers = (most - most / NEWCOMERS).saturating_sub(held);
    if own == 0 {
        free
    } else if alone {
        but_newcomers
    } else if weight == Weight::default() {
        free.saturating_sub(own)
    } else {
        let parts = usize::try_from(weight.get()).unwrap_or(usize::MAX);
        free.saturating_mul(parts).saturating_sub(own).min(but_newcomers)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use proptest::prelude::*;

    const ROOM: Amount = Amount { rows: 80, bytes: 8000 };
    const A: ClientKey = ClientKey(1);
    const B: ClientKey = ClientKey(2);
    const ONE: Weight = Weight::new(NonZeroU32::MIN);

    fn weight(parts: u32) -> Weight {
        Weight::new(NonZeroU32::new(parts).expect("at least one"))
    }

    fn rows(rows: usize) -> Amount {
        Amount { rows, bytes: rows }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_client_alone_may_fill_all_but_the_newcomers_part() {
        let mut shares = Shares::new(ROOM);
        assert!(shares.take(A, ONE, rows(60)));
        assert!(!shares.take(A, ONE, rows(11)));
        assert!(shares.take(A, ONE, rows(10)));
        assert!(shares.take(B, ONE, rows(10)), "a newcomer finds room");
        assert!(!shares.take(A, ONE, rows(1)));
        assert!(!shares.take(B, ONE, rows(1)));
    }

    #[test]
    fn a_first_request_may_take_all_there_is() {
        let mut shares = Shares::new(ROOM);
        assert!(!shares.take(A, ONE, rows(81)));
        assert!(shares.take(A, ONE, rows(80)));
        shares.give_back(A, rows(80));
        assert_eq!(shares.held(), Amount::default());
        assert!(shares.clients.is_empty(), "nothing is kept of a client that has gone");
    }

    #[test]
    fn bytes_are_bounded_like_rows() {
        let mut shares = Shares::new(ROOM);
        let heavy = Amount { rows: 1, bytes: 7000 };
        assert!(shares.take(A, ONE, heavy));
        assert!(!shares.take(A, ONE, Amount { rows: 1, bytes: 1 }));
        assert!(!shares.take(B, ONE, Amount { rows: 1, bytes: 1001 }));
        assert_eq!(shares.room(B, ONE, 10, 500), 2);
        assert!(shares.take(B, ONE, Amount { rows: 1, bytes: 1000 }));
    }

    #[test]
    fn with_others_there_a_client_leaves_as_much_as_it_holds() {
        let mut shares = Shares::new(ROOM);
        assert!(shares.take(A, ONE, rows(20)));
        assert!(shares.take(B, ONE, rows(20)));
        assert!(shares.take(A, ONE, rows(10)));
        assert!(!shares.take(A, ONE, rows(1)), "30 held, 30 free");
        assert!(shares.take(B, ONE, rows(5)));
    }

    #[test]
    fn a_client_with_little_waits_for_little_of_the_others() {
        let mut shares = Shares::new(ROOM);
        shares.take(A, ONE, rows(20));
        shares.add_work(A, 1, millis(500));
        assert_eq!(shares.work_ahead(B, ONE, 1, millis(3)), millis(3));
        assert_eq!(shares.work_ahead(A, ONE, 1, millis(3)), millis(500));
        assert_eq!(shares.next_tag(A, 1, millis(7), millis(2)), millis(7));
        assert_eq!(shares.next_tag(A, 1, millis(8), millis(2)), millis(9));
    }

    #[test]
    fn a_client_of_weight_three_holds_and_gets_three_times_as_much() {
        let mut shares = Shares::new(ROOM);
        assert!(shares.take(B, ONE, rows(10)));
        assert!(shares.take(A, weight(3), rows(30)));
        assert!(shares.take(A, weight(3), rows(22)), "52 held, 18 free");
        assert!(!shares.take(A, weight(3), rows(9)), "an eighth stays for newcomers");
        assert!(shares.take(B, ONE, rows(8)), "10 held, 18 free");
        shares.add_work(A, 1, millis(500));
        assert_eq!(shares.work_ahead(B, ONE, 1, millis(3)), millis(9));
        shares.add_work(B, 1, millis(500));
        assert_eq!(shares.work_ahead(A, weight(3), 1, millis(100)), millis(700));
        for (client, distance) in [(A, 1), (B, 3)] {
            assert_eq!(shares.next_tag(client, 1, millis(0), millis(3)), millis(0));
            assert_eq!(shares.next_tag(client, 1, millis(0), millis(3)), millis(distance));
        }
    }

    proptest! {
        #[test]
        fn the_room_is_never_exceeded_and_all_of_it_comes_back(
            steps in prop::collection::vec((0_u64..4, 1_usize..40, 1_usize..3000, any::<bool>()), 1..200),
        ) {
            let mut shares = Shares::new(ROOM);
            let mut held: Vec<(ClientKey, Amount)> = Vec::new();
            for (client, rows, bytes, back) in steps {
                let (client, amount) = (ClientKey(client), Amount { rows, bytes });
                if back && !held.is_empty() {
                    let (client, amount) = held.remove(0);
                    shares.give_back(client, amount);
                } else if shares.take(client, ONE, amount) {
                    held.push((client, amount));
                }
                prop_assert!(shares.held().rows <= ROOM.rows && shares.held().bytes <= ROOM.bytes);
            }
            for (client, amount) in held {
                shares.give_back(client, amount);
            }
            prop_assert_eq!(shares.held(), Amount::default());
            prop_assert!(shares.clients.is_empty());
        }
    }
}
