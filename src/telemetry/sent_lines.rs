//! Counts of log lines that were sent to a collector, or lost on the way. Of the process, since the log is one for it too.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a line was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There was no room in the queue.
    QueueFull,
    /// No collector could be reached, or none took it.
    NotSent,
}

impl Lost {
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::NotSent];

    /// Its label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::NotSent => "not_sent",
        }
    }
}

static SENT: AtomicU64 = AtomicU64::new(0);
static LOST: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Counts lines that a collector took.
pub fn sent(lines: usize) {
    SENT.fetch_add(lines as u64, Ordering::Relaxed);
}

/// Counts lines that were lost.
pub fn lost(why: Lost, lines: usize) {
    LOST[why as usize].fetch_add(lines as u64, Ordering::Relaxed);
}

/// How many lines a collector took since the start.
pub fn total_sent() -> u64 {
    SENT.load(Ordering::Relaxed)
}

/// How many lines were lost since the start.
pub fn total_lost(why: Lost) -> u64 {
    LOST[why as usize].load(Ordering::Relaxed)
}
