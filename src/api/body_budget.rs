//! The bytes of bodies that this process holds, of requests and of answers: one bound for all doors, whatever the number of calls.
//!
//! A request's bytes are counted as they come, before they are kept, and until its call is answered. What a caller only
//! declares is no reason to keep others out, but enough to be refused early. An answer's bytes are counted until the last of them
//! has been written to its connection; an answer is never refused, but who does not read makes no more calls.
//!
//! The room is shared as the queue is (`batching/shares.rs`): a caller may hold as much as it leaves free. A caller is three at a
//! time, and each must be within its share: its connection, its key, and the client that its header names. So nobody gets more by
//! naming many clients on one connection, or by many connections under one key. A small part of the room is no caller's: each
//! connection has its own piece of it, which others can't fill. Calls that are open to all hold no part of the room: each
//! connection has a few KiB for them, beside it, and these are answered whatever is full.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use super::body_room::{Caller, Held, OPEN_ROOM, Owner, Room};
use crate::config::bodies::RoomSize;
use crate::error::{Error, Reason};
use crate::service::messages::{ClientKey, Weight};

/// The pause that a refused caller should make: bodies are read, and most of them answered, in less.
const PAUSE: Duration = Duration::from_millis(100);

/// The bound; cheap to clone.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    size: RoomSize,
    room: Mutex<Room>,
    /// All bytes that are held: a metric.
    held: Gauge,
    /// Hears of the end of a flood.
    flood_ended: Notify,
}

/// Who holds bodies: a caller, in all its parts, or a connection that makes calls which are open to all. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Holder {
    bodies: BodyBudget,
    owner: Owner,
}

impl BodyBudget {
    /// A room of this size; `held` counts the bytes in use.
    pub fn new(size: RoomSize, held: Gauge) -> Self {
        Self {
            inner: Arc::new(Inner {
                size,
                room: Mutex::default(),
                held,
                flood_ended: Notify::new(),
            }),
        }
    }

    /// Whoever makes a call that is open to all on this connection.
    pub fn open_to_all(&self, connection: u64) -> Holder {
        Holder {
            bodies: self.clone(),
            owner: Owner {
                connection,
                caller: None,
            },
        }
    }

    /// Whoever calls on this connection with this key, if it has one, for this client, if it names one.
    pub fn caller(&self, connection: u64, key: Option<ClientKey>, client: Option<ClientKey>, weight: Weight) -> Holder {
        Holder {
            bodies: self.clone(),
            owner: Owner {
                connection,
                caller: Some(Caller { key, client, weight }),
            },
        }
    }

    /// Waits until much was held and little of it still is. One waits at a time.
    pub async fn until_flood_ends(&self) {
        self.inner.flood_ended.notified().await;
    }
}

/// Marks an answer whose bytes are a part of the program, whoever reads them: they take no room.
#[derive(Clone, Copy, Debug)]
pub struct PartOfProgram;

/// The bytes of one body, given back when this is dropped.
#[derive(Debug)]
pub struct HeldBody {
    holder: Holder,
    held: Mutex<Held>,
}

impl HeldBody {
    /// A body of which nothing has come yet.
    pub fn new(holder: Holder) -> Self {
        Self {
            holder,
            held: Mutex::default(),
        }
    }

    /// Who holds it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether so many bytes more would fit now.
    pub fn check(&self, bytes: usize) -> Result<(), Error> {
        self.fit(*self.held.lock(), bytes, |_, _| {})
    }

    /// Whether it could grow to as many bytes in all.
    pub fn check_to(&self, bytes: usize) -> Result<(), Error> {
        let held = *self.held.lock();
        self.fit(held, bytes.saturating_sub(held.total()), |_, _| {})
    }

    /// Whether its holder has no more than a share besides: of requests, and of answers that nobody has read.
    pub fn check_share(&self) -> Result<(), Error> {
        let held = *self.held.lock();
        let bodies = &self.holder.bodies;
        let within = bodies
            .inner
            .room
            .lock()
            .is_within_share(&bodies.inner.size, &self.holder.owner, held);
        within.then_some(()).ok_or_else(|| self.full())
    }

    /// Counts so many bytes more; none of them if there is no room.
    pub fn add(&self, bytes: usize) -> Result<(), Error> {
        let mut held = self.held.lock();
        let before = *held;
        self.fit(before, bytes, |room, more| {
            room.take(&self.holder.owner, more);
            held.grow(more);
        })
    }

    /// Counts as many bytes as there are of the body in all, if they are more than it holds: it was compressed, say.
    pub fn grow_to(&self, bytes: usize) -> Result<(), Error> {
        let held = self.held.lock().total();
        self.add(bytes.saturating_sub(held))
    }

    /// Counts so many bytes more, of an answer: it is there, and is not refused.
    pub fn add_answer(&self, bytes: usize) {
        let mut held = self.held.lock();
        let inner = &self.holder.bodies.inner;
        let mut room = self.holder.bodies.inner.room.lock();
        let more = room.split(&inner.size, &self.holder.owner, bytes);
        room.take(&self.holder.owner, more);
        held.grow(more);
        inner.held.inc_by(signed(bytes));
    }

    /// Gives all of it back.
    pub fn release(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        if held.total() == 0 {
            return;
        }
        let inner = &self.holder.bodies.inner;
        inner.held.dec_by(signed(held.total()));
        if self.holder.bodies.inner.room.lock().give_back(&self.holder.owner, held) {
            inner.flood_ended.notify_one();
        }
    }

    fn fit(&self, held: Held, bytes: usize, then: impl FnOnce(&mut Room, Held)) -> Result<(), Error> {
        let bodies = &self.holder.bodies;
        let mut room = bodies.inner.room.lock();
        match room.fit(&bodies.inner.size, &self.holder.owner, held, bytes) {
            Some(more) => {
                let before = room.held();
                then(&mut room, more);
                bodies.inner.held.inc_by(signed(room.held() - before));
                Ok(())
            }
            None => Err(self.full()),
        }
    }

    fn full(&self) -> Error {
        let limit = match self.holder.owner.caller {
            Some(_) => self.holder.bodies.inner.size.limit,
            None => OPEN_ROOM,
        };
        Error {
            retry_after: Some(PAUSE),
            ..Error::new(
                Reason::BodiesFull,
                format!(
                    "the requests that the server reads and works on, and the answers that wait to be read, hold what they may \
                     of {limit} bytes"
                ),
            )
        }
        .with_fact("limit_bytes", limit)
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.release();
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::api::body_room::FLOOD_BYTES;

    const SIZE: RoomSize = RoomSize {
        shared: 800,
        own: 10,
        limit: 1000,
    };

    fn bodies() -> BodyBudget {
        BodyBudget::new(SIZE, Gauge::default())
    }

    fn on(bodies: &BodyBudget, connection: u64) -> HeldBody {
        HeldBody::new(bodies.caller(connection, None, None, Weight::default()))
    }

    fn by_key(bodies: &BodyBudget, connection: u64, key: u64) -> HeldBody {
        HeldBody::new(bodies.caller(
            connection,
            Some(ClientKey(key)),
            Some(ClientKey(key)),
            Weight::default(),
        ))
    }

    #[test]
    fn a_first_body_may_have_all_and_everything_comes_back() {
        let bodies = bodies();
        let first = on(&bodies, 1);
        for _ in 0..81 {
            first.add(10).expect("room");
        }
        let full = first.add(1).expect_err("none is left");
        assert_eq!(
            (full.reason, full.fact("limit_bytes")),
            (Reason::BodiesFull, Some("1000"))
        );
        assert!(full.retry_after.is_some());
        first.grow_to(810).expect("its own bytes count once");
        first.grow_to(50).expect("it is never less than what came");
        assert_eq!(bodies.inner.held.get(), 810);
        first.release();
        drop(first);
        assert_eq!(bodies.inner.held.get(), 0);
        assert_eq!(
            bodies.inner.room.lock().known(),
            0,
            "nothing is kept of a caller that has gone"
        );
    }

    #[test]
    fn a_caller_leaves_as_much_as_it_holds_whatever_it_calls_itself() {
        for callers in [
            // One connection with a name for each body, and one key on a connection for each.
            (0..90).map(|name| (1, None, Some(ClientKey(name)))).collect::<Vec<_>>(),
            (0..90)
                .map(|connection| (connection, Some(ClientKey(1)), None))
                .collect(),
        ] {
            let bodies = bodies();
            let other = on(&bodies, 100);
            other.add(110).expect("room");
            let held: Vec<_> = callers
                .into_iter()
                .map(|(connection, key, client)| {
                    HeldBody::new(bodies.caller(connection, key, client, Weight::default()))
                })
                .take_while(|body| body.add(SIZE.own + 10).is_ok())
                .collect();
            let taken: usize = held.iter().map(|body| body.held.lock().shared).sum();
            assert!((300..=350).contains(&taken), "half of the 700 that are left: {taken}");
            other.add(200).expect("others find room");
        }
    }

    #[test]
    fn each_connection_has_a_part_that_others_do_not_fill() {
        let bodies = bodies();
        let hog = on(&bodies, 1);
        hog.add(810).expect("all there is");
        let other = by_key(&bodies, 2, 7);
        other.add(10).expect("its own part");
        other.add(1).expect_err("no more than that");
        let third = by_key(&bodies, 3, 7);
        third.check(10).expect("a part for each connection");
    }

    #[test]
    fn what_is_open_to_all_has_room_whatever_is_full_and_takes_none_from_others() {
        let bodies = bodies();
        let hog = on(&bodies, 1);
        hog.add(810).expect("all there is");
        let open = HeldBody::new(bodies.open_to_all(1));
        open.add(OPEN_ROOM).expect("a room of its own");
        let refused = open.add(1).expect_err("and no more");
        assert_eq!(refused.fact("limit_bytes"), Some(OPEN_ROOM.to_string().as_str()));
        HeldBody::new(bodies.open_to_all(2))
            .add(100)
            .expect("one for each connection");
        drop(hog);
        on(&bodies, 1).add(810).expect("all of the room");
    }

    #[test]
    fn an_answer_is_counted_and_not_refused_and_its_caller_waits() {
        let bodies = bodies();
        let answer = on(&bodies, 1);
        answer.add_answer(2000);
        on(&bodies, 1).check_share().expect_err("answers wait to be read");
        on(&bodies, 2).check_share().expect("a newcomer");
        on(&bodies, 2).check(10).expect("its own part");
        drop(answer);
        on(&bodies, 1).check_share().expect("they were read");
        let body = on(&bodies, 1);
        body.add(810).expect("all there is");
        body.check_share().expect("a body that was taken is worked on");
        drop(body);
        assert_eq!(bodies.inner.held.get(), 0);
    }

    #[test]
    fn the_end_of_a_flood_is_told_once() {
        let size = RoomSize {
            shared: 2 * FLOOD_BYTES,
            own: 0,
            limit: 2 * FLOOD_BYTES,
        };
        let bodies = BodyBudget::new(size, Gauge::default());
        let small = on(&bodies, 1);
        small.add(FLOOD_BYTES - 1).expect("room");
        small.release();
        assert!(bodies.until_flood_ends().now_or_never().is_none(), "that was no flood");
        let (most, rest) = (on(&bodies, 1), on(&bodies, 2));
        most.add(FLOOD_BYTES).expect("room");
        rest.add(FLOOD_BYTES / 2).expect("room");
        drop(most);
        assert!(bodies.until_flood_ends().now_or_never().is_some());
        drop(rest);
        assert!(bodies.until_flood_ends().now_or_never().is_none());
    }
}
