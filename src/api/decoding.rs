//! Decoding of messages: small ones right away on the async thread; larger ones on other threads, within the call's
//! deadline, and few at a time.

use std::sync::LazyLock;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::gzip::{Packing, unpack};
use crate::api::body_budget::HeldBody;
use crate::cores;
use crate::error::{Error, Reason};

/// Bodies up to this size are decoded right away: that takes a fraction of a millisecond. Two changes of thread would
/// delay small bodies more than this delays others.
pub const ON_THE_SPOT_BYTES: usize = 64 * 1024;

/// How many large messages are decoded at a time in the whole process: half the number of cores, at least 1. This
/// also bounds the RAM that decoders need while they work.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new((cores::usable() / 2).max(1)));

/// Runs `work` off the async threads. The caller drops this at its deadline; the token then tells the work that nobody
/// waits. The work keeps its place until it ends.
pub async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce(&CancellationToken) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let cancelled = CancellationToken::new();
    let _cancels = cancelled.clone().drop_guard();
    let place = PLACES.acquire().await.expect("it is never closed");
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        work(&cancelled)
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "decoding ended without an answer");
        Err(Error::internal())
    })
}

/// Unpacks a body right away if it is small, packed and unpacked; `None` if not.
pub fn unpack_small(packing: Packing, packed: &[u8], limit: usize, held: &HeldBody) -> Option<Result<Vec<u8>, Error>> {
    if packed.len() > ON_THE_SPOT_BYTES {
        return None;
    }
    let small = limit.min(ON_THE_SPOT_BYTES);
    match unpack(packing, packed, small, held, &CancellationToken::new()) {
        Err(error) if error.reason == Reason::MessageTooLarge && small < limit => None,
        outcome => Some(outcome),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let here = thread::current().id();
        let there = elsewhere(|_| Ok(thread::current().id())).await.expect("it is done");
        assert_ne!(here, there);
        let failed = elsewhere::<()>(|_| panic!("it breaks off"))
            .await
            .expect_err("a failure of ours");
        assert_eq!(failed.reason, Reason::Internal);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_told_so() {
        let (began, begun) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let work = tokio::spawn(elsewhere(move |cancelled| {
            began.send(()).expect("the test waits");
            while !cancelled.is_cancelled() {
                thread::yield_now();
            }
            ended.send(()).expect("the test waits");
            Ok(())
        }));
        tokio::task::spawn_blocking(move || begun.recv())
            .await
            .expect("no panic")
            .expect("it began");
        work.abort();
        tokio::task::spawn_blocking(move || end.recv())
            .await
            .expect("no panic")
            .expect("it ended");
    }
}
