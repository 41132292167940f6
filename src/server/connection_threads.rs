//! Threads with connections of their own: a connection and its calls stay on the thread that it was given to, so no work
//! goes from thread to thread. A new connection is given to the thread that has the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads. They end once this is dropped, and what is left on them with them.
pub struct ConnectionThreads {
    threads: Vec<Thread>,
    _ended: DropGuard,
}

struct Thread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// One connection of a thread, counted until this is dropped.
pub struct Given(Arc<AtomicUsize>);

impl ConnectionThreads {
    /// Starts so many threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        let ended = CancellationToken::new();
        // Also where a later thread can't be started.
        let guard = ended.clone().drop_guard();
        let mut threads = Vec::new();
        for at in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            threads.push(Thread {
                runtime: runtime.handle().clone(),
                connections: Arc::default(),
            });
            let ended = ended.clone();
            std::thread::Builder::new()
                .name(format!("connections-{at}"))
                .spawn(move || runtime.block_on(ended.cancelled()))?;
        }
        Ok(Self { threads, _ended: guard })
    }

    /// What runs on each of them. Holding one keeps no thread.
    pub fn runtimes(&self) -> Vec<Handle> {
        self.threads.iter().map(|thread| thread.runtime.clone()).collect()
    }

    /// The thread for the next connection, which counts as its own from now on.
    pub fn give(&self) -> (&Handle, Given) {
        let of = |thread: &&Thread| thread.connections.load(Ordering::Relaxed);
        let thread = self.threads.iter().min_by_key(of).expect("there is at least one");
        thread.connections.fetch_add(1, Ordering::Relaxed);
        (&thread.runtime, Given(Arc::clone(&thread.connections)))
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_given_to_the_thread_with_the_fewest() {
        let threads = ConnectionThreads::start(3).expect("threads");
        let counts = || -> Vec<usize> {
            let of = |thread: &Thread| thread.connections.load(Ordering::Relaxed);
            threads.threads.iter().map(of).collect()
        };
        let mut given: Vec<Given> = (0..7).map(|_| threads.give().1).collect();
        assert_eq!(counts(), [3, 2, 2]);
        given.remove(0);
        given.remove(2);
        assert_eq!(counts(), [1, 2, 2]);
        given.push(threads.give().1);
        assert_eq!(counts(), [2, 2, 2]);
        drop(given);
        assert_eq!(counts(), [0, 0, 0]);
    }
}
