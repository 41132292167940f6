//! A bound on log lines of one kind. A caller who is refused a hundred thousand times a second must not fill a disk,
//! nor make others wait for the log.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// The most lines a second, and the most at once.
pub const MAX_LINES: u32 = 100;

/// Decides which lines are written, and counts those that are not.
pub struct LineLimit<C: Clock = MonotonicClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    unlogged: AtomicU64,
}

impl<C: Clock> LineLimit<C> {
    /// At most [`MAX_LINES`] a second by `clock`.
    pub fn new(clock: C) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(MAX_LINES).expect("some lines"));
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock),
            unlogged: AtomicU64::new(0),
        }
    }

    /// Whether a line may be written: if so, how many were left out since the last one, else `None`.
    pub fn take(&self) -> Option<u64> {
        if self.limiter.check().is_ok() {
            return Some(self.unlogged.swap(0, Ordering::Relaxed));
        }
        self.unlogged.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_and_told_with_the_next() {
        let clock = FakeRelativeClock::default();
        let limit = LineLimit::new(clock.clone());
        for line in 0..MAX_LINES {
            assert_eq!(limit.take(), Some(0), "{line}");
        }
        for line in 0..5 {
            assert_eq!(limit.take(), None, "{line}");
        }
        clock.advance(Duration::from_secs(1) / MAX_LINES);
        assert_eq!(limit.take(), Some(5));
        assert_eq!(limit.take(), None);
        clock.advance(Duration::from_mins(1));
        assert_eq!(limit.take(), Some(1));
    }
}
