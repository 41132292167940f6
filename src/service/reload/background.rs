//! Work that must not be felt by those who are served: on a thread of its own, at a low priority.

use super::outcome::{Refusal, Stage};

/// How far the thread stands back: an instance by five, this one so far that it gets about a third of what an instance does,
/// which brings it to an end on a busy server too.
const NICENESS: i32 = 10;
/// The same for work that starts threads which run batches later: they keep the priority that they were started with, and the
/// system lets nobody raise it. Like the instances'.
const NICENESS_OF_RUNS: i32 = 5;

/// Runs `work` on a thread of low priority and waits for it. A panic in it is a refusal like any other. `starts_threads` says
/// whether the work starts threads that others depend on.
pub fn in_background<T: Send>(starts_threads: bool, work: impl FnOnce() -> T + Send) -> Result<T, Refusal> {
    let niceness = if starts_threads { NICENESS_OF_RUNS } else { NICENESS };
    let failed = |problem: &str| Refusal::new(Stage::Load, problem);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("model-load-low".into())
            .spawn_scoped(scope, || {
                give_way(niceness);
                work()
            })
            .map_err(|error| failed(&format!("no thread could be started: {error}")))?;
        thread.join().map_err(|_| failed("loading it panicked"))
    })
}

/// Lowers the priority of this thread. Where the system does not allow it, all threads are equal.
fn give_way(niceness: i32) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}
