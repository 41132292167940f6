//! Work that may be given up: it has a time limit, can be called off from outside, and a panic in it becomes an error.
//!
//! Parsers and graphs that others wrote may never end, and a thread can't be ended from outside. So such work has a
//! thread of its own. If it takes too long, a flag tells it so and its caller goes on without it; the thread ends when
//! it next checks the flag, or with the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the caller checks whether the work was called off.
const LOOK: Duration = Duration::from_millis(50);
/// The most threads with work that was given up and still runs. Past that, no work begins.
const MOST_GIVEN_UP: usize = 8;
/// The stack of such a thread, in bytes: parsers recurse as deep as their own bounds allow.
pub const STACK: usize = 16 << 20;

/// The time limit for reading and checking a model, and again for loading it.
pub const LOAD_LIMIT: Duration = Duration::from_mins(5);

static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

/// Says whether work was called off; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CallOff(Arc<AtomicBool>);

impl CallOff {
    /// Calls the work off: nobody needs it any more.
    pub fn call_off(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the work was called off.
    pub fn is_off(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why work gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It took too long.
    #[error("it took longer than {0:?} and was given up")]
    TookTooLong(Duration),
    /// It was called off.
    #[error("it was called off")]
    CalledOff,
    #[error("a part of it can't be read: its reader panicked")]
    Panicked,
    /// It did not begin: the reason in one line.
    #[error("{0}")]
    NotBegun(String),
}

/// Does work on a thread of its own and waits for it: up to `limit`, or until `called_off` says so. Work that is given
/// up learns it from the flag that it was given. Blocks.
pub fn run<T: Send + 'static>(
    name: &str,
    limit: Duration,
    called_off: &dyn Fn() -> bool,
    work: impl FnOnce(&CallOff) -> T + Send + 'static,
) -> Result<T, Stopped> {
    if GIVEN_UP.load(Ordering::Acquire) >= MOST_GIVEN_UP {
        let problem = format!("{MOST_GIVEN_UP} loads that were given up still run: only a restart ends them");
        return Err(Stopped::NotBegun(problem));
    }
    let flag = CallOff::default();
    let (done, result) = channel();
    let of_work = flag.clone();
    let counted = Arc::new(Counted::default());
    let of_thread = Arc::clone(&counted);
    // The thread ends with its work; the top of this file says what happens to work that does not end.
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let _counted = of_thread;
            let work = std::panic::AssertUnwindSafe(|| work(&of_work));
            let _ = done.send(std::panic::catch_unwind(work).map_err(|_| Stopped::Panicked));
        })
        .map_err(|error| Stopped::NotBegun(format!("no thread could be started: {error}")))?;
    let started = Instant::now();
    let stopped = loop {
        match result.recv_timeout(LOOK) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped::Panicked),
            Err(RecvTimeoutError::Timeout) if called_off() => break Stopped::CalledOff,
            Err(RecvTimeoutError::Timeout) if started.elapsed() >= limit => break Stopped::TookTooLong(limit),
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    counted.give_up();
    flag.call_off();
    Err(stopped)
}

/// Counts a thread whose work was given up, for as long as the thread lives.
#[derive(Default)]
struct Counted(AtomicBool);

impl Counted {
    fn give_up(&self) {
        self.0.store(true, Ordering::Release);
        GIVEN_UP.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.load(Ordering::Acquire) {
            GIVEN_UP.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn until_off(off: &CallOff) {
        while !off.is_off() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_is_done_or_given_up_and_told() {
        assert_eq!(run("test", LONG, &|| false, |_| 7), Ok(7));
        let panicked = run("test", LONG, &|| false, |_| -> u32 { panic!("expected in a test") });
        assert_eq!(panicked, Err(Stopped::Panicked));
        assert_eq!(run("test", LONG, &|| true, until_off), Err(Stopped::CalledOff));
        let short = Duration::from_millis(1);
        assert_eq!(
            run("test", short, &|| false, until_off),
            Err(Stopped::TookTooLong(short))
        );
    }
}
