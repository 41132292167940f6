//! Activity of a connection: whether its peer has spoken yet, how long it has had no call, and whether its peer takes
//! back most calls.
//!
//! Counts only; `connection.rs` decides what follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A call that is taken back unanswered before this age counts as a rapid reset.
const RAPID: Duration = Duration::from_millis(10);

/// How many rapid resets each answered call makes up for: callers that hedge take back every second call.
const FORGIVEN: usize = 2;

/// The calls of one connection, and the answers that its peer has not read.
#[derive(Debug)]
pub struct Activity {
    opened_at: Instant,
    open_calls: AtomicUsize,
    /// When the last call ended, in milliseconds after `opened_at`.
    quiet_since_ms: AtomicU64,
    heard: CancellationToken,
    /// The pieces of answers that the connection has but its peer has not.
    unread: AtomicUsize,
    /// When the first of these came or the last one went, in milliseconds after `opened_at`.
    read_ms: AtomicU64,
    /// The rapid resets that no answered call has made up for.
    rapid_resets: AtomicUsize,
    max_rapid_resets: usize,
}

impl Activity {
    /// A connection that opens now. It is flooded when it has more than `max_rapid_resets`.
    pub fn new(max_rapid_resets: usize) -> Arc<Self> {
        Arc::new(Self {
            opened_at: Instant::now(),
            open_calls: AtomicUsize::new(0),
            quiet_since_ms: AtomicU64::new(0),
            heard: CancellationToken::new(),
            unread: AtomicUsize::new(0),
            read_ms: AtomicU64::new(0),
            rapid_resets: AtomicUsize::new(0),
            max_rapid_resets,
        })
    }

    /// Counts a call as open until the last clone of what this returns is dropped.
    pub fn begin_call(self: &Arc<Self>) -> Arc<OpenCall> {
        self.open_calls.fetch_add(1, Ordering::AcqRel);
        self.heard();
        Arc::new(OpenCall {
            activity: Arc::clone(self),
            began: Instant::now(),
            taken_back: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        })
    }

    /// Records that the peer has spoken, over HTTP/1. HTTP/2's preface alone does not count.
    pub fn heard(&self) {
        self.heard.cancel();
    }

    /// Whether the peer has spoken or made a call.
    pub fn is_heard(&self) -> bool {
        self.heard.is_cancelled()
    }

    /// Waits until [`Self::is_heard`].
    pub async fn until_heard(&self) {
        self.heard.cancelled().await;
    }

    /// The number of open calls.
    pub fn open_calls(&self) -> usize {
        self.open_calls.load(Ordering::Acquire)
    }

    /// When the last call ended; without one, when the connection opened.
    pub fn quiet_since(&self) -> Instant {
        self.opened_at + Duration::from_millis(self.quiet_since_ms.load(Ordering::Acquire))
    }

    /// Sets when the last call ended, in milliseconds after the connection opened.
    #[cfg(test)]
    pub fn set_quiet_since(&self, millis: u64) {
        self.quiet_since_ms.store(millis, Ordering::Release);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until answers have waited `limit` for their reader without one of them moving.
    pub async fn stuck_for(&self, limit: Duration) {
        loop {
            let left = self.until_stuck(Instant::now(), limit);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// The time until the next look is worth it; zero if answers have waited for `limit`.
    fn until_stuck(&self, now: Instant, limit: Duration) -> Duration {
        if self.unread.load(Ordering::Acquire) == 0 {
            return limit;
        }
        let read = self.opened_at + Duration::from_millis(self.read_ms.load(Ordering::Acquire));
        limit.saturating_sub(now.saturating_duration_since(read))
    }

    /// Waits until there has been no call for `limit`; forever if that is zero.
    pub async fn idle_for(&self, limit: Duration) {
        if limit.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let now = Instant::now();
            let left = self.until_idle(now, limit);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep_until(now + left).await;
        }
    }

    /// The time until the next look is worth it; zero if there has been no call for `limit`.
    fn until_idle(&self, now: Instant, limit: Duration) -> Duration {
        if self.open_calls.load(Ordering::Acquire) > 0 {
            return limit;
        }
        limit.saturating_sub(now.saturating_duration_since(self.quiet_since()))
    }

    /// Whether the peer takes back most calls as soon as they are made.
    pub fn is_flooded(&self) -> bool {
        self.rapid_resets.load(Ordering::Acquire) > self.max_rapid_resets
    }

    fn count_answer(&self) {
        let forgive = |resets: usize| (resets > 0).then(|| resets.saturating_sub(FORGIVEN));
        // No error: with no resets, nothing is to be changed.
        let _ = self
            .rapid_resets
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, forgive);
    }
}

/// A call that is being answered.
#[derive(Debug)]
pub struct OpenCall {
    activity: Arc<Activity>,
    began: Instant,
    taken_back: AtomicBool,
    answered: AtomicBool,
}

impl OpenCall {
    /// Records that the peer reset the call before its message was whole.
    pub fn taken_back(&self) {
        self.taken_back.store(true, Ordering::Release);
    }

    /// Records that the connection has a piece of the answer to write.
    pub fn handed_out(&self) {
        let activity = &self.activity;
        if activity.unread.fetch_add(1, Ordering::AcqRel) == 0 {
            activity.read_ms.store(activity.now_ms(), Ordering::Release);
        }
    }

    /// Records that such a piece was written, or never will be.
    pub fn taken(&self) {
        let activity = &self.activity;
        activity.read_ms.store(activity.now_ms(), Ordering::Release);
        activity.unread.fetch_sub(1, Ordering::AcqRel);
    }

    /// Records that there is an answer. It does not count if the call was taken back.
    pub fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let (activity, now) = (&self.activity, Instant::now());
        let millis = u64::try_from((now - activity.opened_at).as_millis()).unwrap_or(u64::MAX);
        activity.quiet_since_ms.store(millis, Ordering::Release);
        activity.open_calls.fetch_sub(1, Ordering::AcqRel);
        if *self.answered.get_mut() && !*self.taken_back.get_mut() {
            activity.count_answer();
        } else if now - self.began < RAPID {
            activity.rapid_resets.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_RAPID_RESETS: usize = 10;
    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn idleness_counts_from_the_end_of_the_last_call() {
        let activity = Activity::new(MAX_RAPID_RESETS);
        let after = |seconds| activity.opened_at + Duration::from_secs(seconds);
        assert_eq!(activity.until_idle(after(8), LIMIT), Duration::from_secs(2));
        let call = activity.begin_call();
        assert_eq!(
            activity.until_idle(after(60), LIMIT),
            LIMIT,
            "an open call is no idleness"
        );
        drop(call);
        assert_eq!(activity.until_idle(after(60), LIMIT), Duration::ZERO);
        activity.quiet_since_ms.store(55_000, Ordering::Release);
        assert_eq!(activity.until_idle(after(60), LIMIT), Duration::from_secs(5));
    }

    #[test]
    fn answers_are_stuck_when_none_of_them_moves() {
        let activity = Activity::new(MAX_RAPID_RESETS);
        let after = |seconds| activity.opened_at + Duration::from_secs(seconds);
        let call = activity.begin_call();
        assert_eq!(
            activity.until_stuck(after(60), LIMIT),
            LIMIT,
            "there is nothing to read"
        );
        call.handed_out();
        call.handed_out();
        activity.read_ms.store(3_000, Ordering::Release);
        assert_eq!(activity.until_stuck(after(8), LIMIT), Duration::from_secs(5));
        assert_eq!(activity.until_stuck(after(13), LIMIT), Duration::ZERO);
        call.taken();
        assert!(activity.until_stuck(after(8), LIMIT) > Duration::ZERO, "one was read");
        call.taken();
        assert_eq!(activity.until_stuck(after(60), LIMIT), LIMIT);
    }

    #[test]
    fn calls_that_are_taken_back_at_once_make_a_flood_and_answers_end_it() {
        let activity = Activity::new(MAX_RAPID_RESETS);
        for _ in 0..MAX_RAPID_RESETS {
            drop(activity.begin_call());
        }
        assert!(!activity.is_flooded(), "as many as are allowed");
        let call = activity.begin_call();
        call.taken_back();
        call.answered();
        drop(call);
        assert!(activity.is_flooded(), "an answer to a call that was taken back is none");
        activity.begin_call().answered();
        assert!(!activity.is_flooded());
    }

    #[test]
    fn calls_that_had_their_time_and_calls_of_which_half_are_taken_back_make_no_flood() {
        let activity = Activity::new(MAX_RAPID_RESETS);
        for _ in 0..10 * MAX_RAPID_RESETS {
            let mut long = activity.begin_call();
            Arc::get_mut(&mut long).expect("held here only").began -= RAPID;
            drop(long);
            drop(activity.begin_call());
            activity.begin_call().answered();
        }
        assert!(!activity.is_flooded());
    }
}
