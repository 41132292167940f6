//! Priorities of threads: the one place that lowers them. Nobody can raise one again, and a thread that is started has that of the thread
//! that starts it.

/// How far a thread stands back behind those that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Not at all.
    Usual,
    /// Like instances, which run batches: callers' connections go before them.
    Runs,
    /// So far that it gets about a third of what an instance does, which brings it to an end on a busy server too.
    Background,
}

/// Lowers the priority of this thread. Where the system does not allow it, all threads are equal.
pub fn give_way(priority: Priority) {
    let niceness = match priority {
        Priority::Usual => return,
        Priority::Runs => 5,
        Priority::Background => 10,
    };
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}
