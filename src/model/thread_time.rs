//! The processor's time of a thread: what it worked, whoever else had the processor meanwhile.

use std::time::Duration;

/// How long this thread has worked.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
