//! Standard error behind a queue: a caller never waits for whoever reads standard error, and never fails because of it.
//!
//! One thread writes. Lines that it can't write, and lines that come while the queue is full, are lost and counted.
//! Once lines flow again, one of them says how many are missing. The thread ends with the process, which waits for its
//! last lines by [`flush`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The most bytes that wait to be written.
pub const MAX_QUEUED_BYTES: usize = 4 << 20;
/// The most lines that wait to be written.
pub const MAX_QUEUED_LINES: usize = 16_384;
/// How long the end of the process, or of a thread that panics, waits for lines to be written.
const LAST_LINES: Duration = Duration::from_millis(200);
/// The same where standard error takes bytes: then no reader is slow, but the machine is busy and the writing thread
/// has not run.
const LAST_LINES_IF_TAKEN: Duration = Duration::from_secs(5);
/// How often a reader that set the pipe to not block is asked whether there is room.
const RETRY: Duration = Duration::from_millis(10);

/// Lines on their way to one writer.
struct Lines {
    state: Mutex<State>,
    /// Signalled when a line comes.
    come: Condvar,
    /// Signalled when no line is left.
    written: Condvar,
}

#[derive(Default)]
struct State {
    /// The first line stays here until it is written, so that it counts against the bounds meanwhile.
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines lost since the start.
    lost: u64,
    /// Lost lines that no written line has told of yet.
    untold: u64,
    thread: bool,
    /// Whether nothing was written while the last flush waited.
    stalled: bool,
}

static STDERR: Lines = Lines::new();

/// Queues a line, given without its line end. Returns at once; the line is lost if the queue is full.
pub fn line(line: &str) {
    if STDERR.push(line) {
        let started =
            std::thread::Builder::new()
                .name("log".into())
                .spawn(|| match io::stderr().as_fd().try_clone_to_owned() {
                    // A descriptor of our own: the lock of `io::stderr` would be held as long as a write takes.
                    Ok(file) => STDERR.write_to(&mut File::from(file)),
                    Err(_) => STDERR.write_to(&mut Nowhere),
                });
        if started.is_err() {
            STDERR.state.lock().thread = false;
        }
    }
}

/// Waits until all lines are written, 200 ms at most; 5 s where standard error takes bytes.
pub fn flush() {
    STDERR.flush(is_taken);
}

/// Whether standard error takes bytes at this moment.
fn is_taken() -> bool {
    let stderr = io::stderr();
    let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut asked, Some(&Timespec::default())).is_ok() && asked[0].revents().contains(PollFlags::OUT)
}

/// Like [`flush`], but returns at once if nobody has read since a flush was in vain: for a thread that panics, whose
/// process may abort next or go on serving.
pub fn flush_if_read() {
    if !STDERR.state.lock().stalled {
        STDERR.flush(is_taken);
    }
}

/// How many lines were lost since the start.
pub fn lost() -> u64 {
    STDERR.state.lock().lost
}

/// Stands in for standard error where there is none.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                lost: 0,
                untold: 0,
                thread: false,
                stalled: false,
            }),
            come: Condvar::new(),
            written: Condvar::new(),
        }
    }

    /// Queues a line if there is room. Gives whether the writing thread has yet to be started.
    fn push(&self, line: &str) -> bool {
        let mut state = self.state.lock();
        if state.bytes + line.len() + 1 > MAX_QUEUED_BYTES || state.queue.len() >= MAX_QUEUED_LINES {
            state.lose();
            return false;
        }
        let line = [line.as_bytes(), b"\n"].concat();
        state.bytes += line.len();
        state.queue.push_back(line);
        self.come.notify_one();
        !std::mem::replace(&mut state.thread, true)
    }

    fn flush(&self, is_taken: impl Fn() -> bool) {
        let started = Instant::now();
        let mut state = self.state.lock();
        while !state.queue.is_empty() {
            let waited = started.elapsed();
            if waited >= LAST_LINES_IF_TAKEN || waited >= LAST_LINES && !is_taken() {
                state.stalled = true;
                return;
            }
            self.written.wait_for(&mut state, LAST_LINES);
        }
    }

    /// Writes lines as they come; never returns.
    fn write_to(&self, out: &mut impl Write) {
        let mut state = self.state.lock();
        // Whether the last line was written only in part.
        let mut torn = false;
        loop {
            let Some(line) = state.queue.front_mut().map(std::mem::take) else {
                self.come.wait(&mut state);
                continue;
            };
            drop(state);
            let (ended, written) = if torn { write(out, b"\n") } else { (true, 0) };
            torn = torn && written == 0;
            let (whole, written) = if ended { write(out, &line) } else { (false, 0) };
            torn = torn || (!whole && written > 0);
            state = self.state.lock();
            state.stalled = false;
            state.queue.pop_front();
            state.bytes -= line.len();
            if !whole {
                state.lose();
            }
            if state.queue.is_empty() {
                self.written.notify_all();
            }
            // With half of the queue free there is room for the line that says how many were lost.
            if whole
                && state.untold > 0
                && state.bytes < MAX_QUEUED_BYTES / 2
                && state.queue.len() < MAX_QUEUED_LINES / 2
            {
                let lines = std::mem::take(&mut state.untold);
                drop(state);
                tracing::warn!(
                    lines,
                    "lines of the log are missing here: they could not be written, or not fast enough"
                );
                state = self.state.lock();
            }
        }
    }
}

impl State {
    fn lose(&mut self) {
        self.lost += 1;
        self.untold += 1;
    }
}

/// Writes all of `bytes`. Gives whether that succeeded, and how many were written.
fn write(out: &mut impl Write, bytes: &[u8]) -> (bool, usize) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => return (false, written),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(_) => return (false, written),
        }
    }
    (true, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that wait, lines that are lost.
    fn counts(lines: &Lines) -> (usize, u64) {
        let state = lines.state.lock();
        (state.bytes, state.lost)
    }

    /// Lines that nobody writes.
    fn unwritten() -> Lines {
        Lines::new()
    }

    #[test]
    fn bytes_and_lines_that_wait_are_bounded_and_the_rest_is_counted() {
        let lines = unwritten();
        let long = "a".repeat(MAX_QUEUED_BYTES / 2 - 1);
        lines.push(&long);
        lines.push(&long);
        assert_eq!(counts(&lines), (MAX_QUEUED_BYTES, 0));
        lines.push("");
        assert_eq!(counts(&lines), (MAX_QUEUED_BYTES, 1));

        let lines = unwritten();
        for _ in 0..MAX_QUEUED_LINES + 3 {
            lines.push("");
        }
        assert_eq!(counts(&lines), (MAX_QUEUED_LINES, 3));
        assert_eq!(lines.state.lock().untold, 3);
        lines.flush(|| false);
        assert!(lines.state.lock().stalled, "nobody writes");
    }

    #[test]
    fn a_line_that_was_torn_is_ended_before_the_next() {
        /// Fails from the fourth byte on, once.
        struct Full {
            room: usize,
            failed: bool,
            got: std::sync::mpsc::Sender<Vec<u8>>,
        }
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.room == 0 && !self.failed {
                    self.failed = true;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                let count = if self.failed {
                    bytes.len()
                } else {
                    bytes.len().min(self.room)
                };
                self.room = self.room.saturating_sub(count);
                let _ = self.got.send(bytes[..count].to_vec());
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (got, written) = std::sync::mpsc::channel();
        let lines: &'static Lines = Box::leak(Box::new(unwritten()));
        lines.push("torn");
        lines.push("whole");
        std::thread::spawn(move || {
            lines.write_to(&mut Full {
                room: 3,
                failed: false,
                got,
            });
        });
        lines.flush(|| true);
        assert_eq!(written.try_iter().flatten().collect::<Vec<u8>>(), b"tor\nwhole\n");
        assert_eq!(lines.state.lock().lost, 1);
    }
}
