//! How threads stand back for those that answer callers. The one place that lowers a thread's priority.
//!
//! Nothing raises it again: the system does not let a program do so. Where it lets nobody lower it either, all threads are equal.

/// How far a thread stands back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowPriority {
    /// Threads that run or prepare batches: behind those that talk to callers, since a refusal or a health check takes microseconds
    /// and should not wait for the end of a time slice of inference.
    Runs,
    /// Threads that load a version while others serve: they get about a third of the time that a run does, which brings them to an
    /// end on a busy server too.
    Loading,
    /// Threads that run when nobody else wants the processor, and take it from nobody.
    Idle,
}

impl LowPriority {
    /// Gives this thread the priority, for good. Threads that it starts have it too.
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
