//! The processor's time of a thread: what it worked, whoever else had the processor meanwhile.

use std::time::{Duration, Instant};

/// How long this thread has worked.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A clock that stands still while this thread does.
pub fn own_clock() -> impl Fn() -> Instant {
    let (start, own) = (Instant::now(), thread_time());
    move || start + thread_time().saturating_sub(own)
}
