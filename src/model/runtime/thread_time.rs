//! The processor time of a thread: how long it worked, without the time in which others had the processor.

use std::time::{Duration, Instant};

/// The processor time of this thread so far.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A clock that advances only while this thread works.
pub fn own_clock() -> impl Fn() -> Instant {
    let (start, own) = (Instant::now(), thread_time());
    move || start + thread_time().saturating_sub(own)
}
