//! The bytes of request bodies that this process holds: one bound for both doors, whatever the number of calls.
//!
//! A body's bytes are counted as they come, before they are kept, and until its call is answered. What a caller only
//! declares is no reason to keep others out, but enough to be refused early.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use crate::error::{Error, Reason};

/// The pause that a refused caller should make: bodies are read, and most of them answered, in less.
const PAUSE: Duration = Duration::from_millis(100);

/// The bound; cheap to clone.
#[derive(Clone, Debug)]
pub struct Bodies {
    limit: usize,
    /// The bytes that are held, which are a metric too.
    held: Gauge,
}

impl Bodies {
    /// Room for `limit` bytes, of which `held` counts those in use.
    pub fn new(limit: usize, held: Gauge) -> Self {
        Self { limit, held }
    }

    /// Whether a body of so many bytes would fit now.
    pub fn check(&self, bytes: usize) -> Result<(), Error> {
        match self.with(self.held.get(), bytes) {
            Some(_) => Ok(()),
            None => Err(self.full()),
        }
    }

    fn take(&self, bytes: usize) -> Result<(), Error> {
        let held = self.held.inner();
        let taken = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| self.with(held, bytes));
        taken.map(drop).map_err(|_| self.full())
    }

    fn give_back(&self, bytes: usize) {
        self.held.inner().fetch_sub(signed(bytes), Ordering::Relaxed);
    }

    /// What is held with so many more; nothing if that is too much.
    fn with(&self, held: i64, bytes: usize) -> Option<i64> {
        let more = held.checked_add(signed(bytes))?;
        (more <= signed(self.limit)).then_some(more)
    }

    fn full(&self) -> Error {
        let limit = self.limit;
        Error {
            retry_after: Some(PAUSE),
            ..Error::new(
                Reason::BodiesFull,
                format!("the requests that the server reads and works on hold the {limit} bytes that they may"),
            )
        }
        .with_fact("limit_bytes", limit)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The bytes of one call's body, given back when this is dropped.
#[derive(Debug)]
pub struct HeldBody {
    bodies: Bodies,
    bytes: Mutex<usize>,
}

impl HeldBody {
    /// A body of which nothing has come yet.
    pub fn new(bodies: Bodies) -> Self {
        Self {
            bodies,
            bytes: Mutex::new(0),
        }
    }

    /// The bound.
    pub fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// Counts so many bytes more; none of them if there is no room.
    pub fn add(&self, bytes: usize) -> Result<(), Error> {
        let mut held = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        self.bodies.take(bytes)?;
        *held += bytes;
        Ok(())
    }

    /// Counts as many bytes as there are of the body in all, if they are more than came: it was compressed.
    pub fn grow_to(&self, bytes: usize) -> Result<(), Error> {
        let held = *self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        self.add(bytes.saturating_sub(held))
    }

    /// Gives all of it back.
    pub fn release(&self) {
        let held = std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner));
        self.bodies.give_back(held);
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_exact_and_everything_comes_back() {
        let bodies = Bodies::new(100, Gauge::default());
        let (first, second) = (HeldBody::new(bodies.clone()), HeldBody::new(bodies.clone()));
        first.add(60).expect("room");
        second.add(40).expect("the last of it");
        let full = second.add(1).expect_err("none is left");
        assert_eq!(
            (full.reason, full.fact("limit_bytes")),
            (Reason::BodiesFull, Some("100"))
        );
        assert!(full.retry_after.is_some());
        drop(first);
        bodies.check(60).expect("room again");
        bodies.check(61).expect_err("not for one more");
        second.grow_to(100).expect("its own bytes count once");
        second.grow_to(50).expect("it is never less than what came");
        assert_eq!(bodies.held.get(), 100);
        second.release();
        drop(second);
        assert_eq!(bodies.held.get(), 0);
    }
}
