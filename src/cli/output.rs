//! What commands write: results on standard output, complaints on standard error. Nothing here panics when nobody reads it.
//!
//! The first write to standard output that fails is remembered, and later ones are left off; the command goes on, and what it
//! ends with is settled once, in [`settle`]: a reader that has read enough is no failure, a full disk is.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use parking_lot::Mutex;

use super::exit::Exit;
use super::terminal::{Painted, width, wrap};
use crate::telemetry::visible::visible;
use crate::telemetry::{log_export, logs, stderr};

/// What the first failed write said.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes one line to standard output, as `println!` does.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::cli::output::line(&format!($($argument)*))
    };
}
pub(crate) use outln;

/// Writes one line, whatever strings it holds.
pub fn line(text: &str) {
    raw(format!("{}\n", visible(text)).as_bytes());
}

/// Writes lines and a line end, without what would colour them or move the cursor.
pub fn block(text: &str) {
    text.split('\n').for_each(line);
}

/// Writes one item of a list, in lines that fit.
pub fn listed(item: &str) {
    for (at, part) in wrap(item, width().saturating_sub(2)).iter().enumerate() {
        line(&format!("{}{part}", if at == 0 { "- " } else { "  " }));
    }
}

/// Writes lines with their colours.
pub fn painted(lines: &Painted) {
    raw(lines.as_str().as_bytes());
}

/// Writes bytes as they are.
pub fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    record(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Remembers a write to standard output that failed, unless one did before.
pub fn record(outcome: io::Result<()>) {
    let Err(error) = outcome else { return };
    FAILED.lock().get_or_insert(error);
}

/// Whether a write to standard output failed: nobody gets what would come next.
pub fn failed() -> bool {
    FAILED.lock().is_some()
}

/// What the program ends with, when the command ends with `exit`.
pub fn settle(exit: Exit) -> Exit {
    let failed = FAILED.lock().take();
    match failed {
        // Whoever reads our output has read enough.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("standard output: {error}"));
            if exit == Exit::Success { Exit::Failure } else { exit }
        }
        _ => exit,
    }
}

/// Says what went wrong, in one line, on standard error; in JSON where this command's log is.
pub fn complain(problem: &dyn Display) {
    logs::complain(&problem.to_string());
}

/// Says what went wrong and ends with `exit`.
pub fn fail(problem: &dyn Display, exit: Exit) -> Exit {
    complain(problem);
    exit
}

/// The longest that log lines may take to be sent to a collector where the server's own end has not sent them, as where its
/// start fails.
const LAST_SENT: Duration = Duration::from_secs(1);

/// Waits for the last lines when a command ends, also by a panic.
pub struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        last_lines();
    }
}

fn last_lines() {
    log_export::end(LAST_SENT);
    stderr::flush();
}

/// Ends the process at once, after its last lines. Other threads may still be inside ONNX Runtime, say: neither they nor the
/// exit handlers of libraries are waited for.
#[expect(unsafe_code, reason = "only libc ends a process without exit handlers")]
pub fn end(exit: Exit) -> ! {
    last_lines();
    // `make coverage` counts in an exit handler what was run.
    if cfg!(coverage) {
        std::process::exit(exit as i32);
    }
    // SAFETY: it only ends the process; no memory of ours is looked at after it.
    unsafe { libc::_exit(exit as i32) }
}
