//! The one place that lowers a thread's priority, so that the threads that answer callers go first.
//!
//! A lowered priority stays: the system lets no ordinary program raise it again. Where the system refuses to lower it,
//! all threads are equal.

/// How low the priority of a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowPriority {
    /// For threads that run or prepare batches (niceness 5), but those of linear models, whose runs are short. They come after the threads that talk to callers, since a
    /// refusal or a health check takes microseconds and should not wait for a time slice of inference to end.
    Runs,
    /// For threads that load a version while others serve (niceness 10). They get about a third of the time that a run
    /// gets, so that a load ends on a busy server too.
    Loading,
    /// For threads that run only when nobody else wants the processor (SCHED_IDLE).
    Idle,
}

impl LowPriority {
    /// Lowers the priority of this thread, for good. Threads that it starts inherit it.
    pub fn enter(self) {
        #[cfg(target_os = "linux")]
        match self {
            Self::Runs => set_niceness(5),
            Self::Loading => set_niceness(10),
            Self::Idle => enter_idle_class(),
        }
    }
}

#[cfg(target_os = "linux")]
fn set_niceness(niceness: i32) {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
}

#[cfg(target_os = "linux")]
fn enter_idle_class() {
    use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy};
    use thread_priority::{ThreadPriority, thread_native_id};
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The niceness of this thread, and whether it is in the idle class.
    fn standing(priority: LowPriority) -> (i32, bool) {
        let thread = std::thread::spawn(move || {
            priority.enter();
            let id = rustix::thread::gettid();
            let niceness = rustix::process::getpriority_process(Some(id)).expect("a niceness");
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a line");
            // The policy is the 41st field; the second is a name in brackets. 5 is SCHED_IDLE.
            let mut fields = stat.rsplit(')').next().expect("fields").split_whitespace();
            (niceness, fields.nth(38) == Some("5"))
        });
        thread.join().expect("it ends")
    }

    #[test]
    fn threads_stand_back_as_far_as_is_said() {
        assert_eq!(standing(LowPriority::Runs), (5, false));
        assert_eq!(standing(LowPriority::Loading), (10, false));
        assert!(standing(LowPriority::Idle).1);
    }
}
