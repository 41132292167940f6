//! Work that must not be felt by those who are served: on a thread of its own, at a low priority.

use super::outcome::{Refusal, Stage};

/// How far the thread stands back. Instances stand back by five; this one gets about a third of what one of them
/// does, so that it comes to an end on a busy server too.
const NICENESS: i32 = 10;

/// Runs `work` on a thread of low priority and waits for it. A panic in it is a refusal like any other. Threads that the work
/// starts get the same priority, and where the system does not let a thread raise its own, they keep it.
pub fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Refusal> {
    let failed = |problem: &str| Refusal::new(Stage::Load, problem);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("model-load-low".into())
            .spawn_scoped(scope, || {
                give_way();
                work()
            })
            .map_err(|error| failed(&format!("no thread could be started: {error}")))?;
        thread.join().map_err(|_| failed("loading it panicked"))
    })
}

fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
