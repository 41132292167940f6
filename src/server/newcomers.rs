//! Connections whose peers have not spoken yet. When every place is taken, the oldest of them gives up its own, so that
//! silent peers can't keep others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The newcomers of one listener; cheap to clone. There are never more than the listener has places.
#[derive(Clone, Default)]
pub struct Newcomers {
    waiting: Arc<Mutex<BTreeMap<u64, CancellationToken>>>,
}

impl Newcomers {
    /// Takes in a connection by its number; numbers grow.
    pub fn enter(&self, number: u64) -> Newcomer {
        let sent_away = CancellationToken::new();
        self.lock().insert(number, sent_away.clone());
        Newcomer {
            newcomers: self.clone(),
            number,
            sent_away,
        }
    }

    /// Sends the oldest away; false if there is none.
    pub fn send_oldest_away(&self) -> bool {
        let oldest = self.lock().pop_first();
        oldest.inspect(|(_, sent_away)| sent_away.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, CancellationToken>> {
        // The map is whole after every step: a panic elsewhere with this lock would not make it wrong.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that has not been heard; it is no newcomer any more when this is dropped.
pub struct Newcomer {
    newcomers: Newcomers,
    number: u64,
    sent_away: CancellationToken,
}

impl Newcomer {
    /// Waits until this one has to go.
    pub async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.newcomers.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_still_waits_is_sent_away() {
        let newcomers = Newcomers::default();
        let (first, second, third) = (newcomers.enter(1), newcomers.enter(2), newcomers.enter(3));
        drop(first);
        assert!(newcomers.send_oldest_away());
        assert!(second.sent_away.is_cancelled() && !third.sent_away.is_cancelled());
        drop((second, third));
        assert!(!newcomers.send_oldest_away());
    }
}
