//! Output of commands: results on standard output, errors on standard error. Nothing here panics when nobody reads it.
//!
//! The first failed write to standard output is remembered, and later writes are skipped. The command goes on, and
//! [`settle`] decides its exit code once, at the end: a reader that has read enough is no failure, a full disk is.

use std::fmt::Display;
use std::io::{self, Write};

use parking_lot::Mutex;

use super::exit::Exit;
use super::terminal::Painted;
use crate::telemetry::stderr;
use crate::telemetry::visible::visible;

/// The error of the first failed write.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes one line to standard output, as `println!` does.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::cli::output::line(&format!($($argument)*))
    };
}
pub(crate) use outln;

/// Writes one line. Line ends and other control characters in it are made visible.
pub fn line(text: &str) {
    raw(format!("{}\n", visible(text)).as_bytes());
}

/// Writes whole lines, without characters that would set colours or move the cursor.
pub fn block(text: &str) {
    text.split('\n').for_each(line);
}

/// Writes lines with their colours.
pub fn painted(lines: &Painted) {
    raw(lines.as_str().as_bytes());
}

/// Writes bytes unchanged.
pub fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    record(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Remembers a failed write to standard output, if it is the first.
pub fn record(outcome: io::Result<()>) {
    let Err(error) = outcome else { return };
    FAILED.lock().get_or_insert(error);
}

/// Whether a write to standard output failed, so that nobody gets further output.
pub fn failed() -> bool {
    FAILED.lock().is_some()
}

/// The exit code of the program when the command ends with `exit`.
pub fn settle(exit: Exit) -> Exit {
    let failed = FAILED.lock().take();
    match failed {
        // A reader that closes the pipe has read enough.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("standard output: {error}"));
            if exit == Exit::Success { Exit::Failure } else { exit }
        }
        _ => exit,
    }
}

/// Prints an error as one line on standard error.
pub fn complain(problem: &dyn Display) {
    stderr::line(&visible(&format!("tandem: {problem}")));
}

/// Prints an error and returns `exit`.
pub fn fail(problem: &dyn Display, exit: Exit) -> Exit {
    complain(problem);
    exit
}

/// Writes out the last log lines when a command ends, also by a panic.
pub struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        stderr::flush();
    }
}

/// Ends the process at once, after its last log lines. Other threads may still be inside ONNX Runtime: neither they nor
/// the exit handlers of libraries are waited for.
pub fn end(exit: Exit) -> ! {
    stderr::flush();
    // SAFETY: it only ends the process; no memory of ours is looked at after it.
    unsafe { libc::_exit(exit as i32) }
}
