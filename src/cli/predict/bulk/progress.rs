//! How far a bulk job is, on standard error: a bar on a terminal, a line every so often elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::telemetry::stderr;

/// What is told.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Between two lines; `None` for no lines.
    every: Option<Duration>,
    began: Instant,
    next: Instant,
    /// Rows that an earlier run wrote.
    before: u64,
    /// The bytes of all inputs; `None` for a stream.
    size: Option<u64>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub rows: u64,
    pub errors: u64,
    /// The bytes of the inputs that were read for these rows.
    pub bytes: u64,
}

impl Progress {
    /// Begins at `now`, after `rows` rows of an earlier run.
    pub fn begin(now: Instant, every: u64, size: Option<u64>, rows: u64, to_terminal: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let style = match size {
            Some(_) => "{bar:30} {percent}% {msg}, {eta} left",
            None => "{spinner} {msg}",
        };
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = match size {
            Some(size) => ProgressBar::new(size),
            None => ProgressBar::new_spinner(),
        };
        let every = Duration::from_secs(every);
        Self {
            // Rows on the same terminal show progress enough.
            bar: (terminal && !to_terminal).then(|| bar.with_style(style)),
            every: (!terminal && !every.is_zero()).then_some(every),
            began: now,
            next: now + every,
            before: rows,
            size,
        }
    }

    /// Tells how far the job is at `now`, if it is time to.
    pub fn tell(&mut self, now: Instant, done: Done) {
        if let Some(bar) = &self.bar {
            bar.set_position(done.bytes);
            bar.set_message(self.words(now, done));
        }
        let Some(every) = self.every.filter(|_| now >= self.next) else {
            return;
        };
        self.next = now + every;
        stderr::line(&format!("tandem: {}{}", self.words(now, done), self.left(done)));
    }

    /// Takes the bar off the terminal.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn words(&self, now: Instant, done: Done) -> String {
        let seconds = now.duration_since(self.began).as_secs_f64().max(1e-3);
        let rate = done.rows.saturating_sub(self.before) as f64 / seconds;
        let errors = if done.errors == 1 { "error" } else { "errors" };
        format!("{} rows, {rate:.0} texts/s, {} {errors}", done.rows, done.errors)
    }

    /// How many rows may be left, by the bytes of those that were read.
    fn left(&self, done: Done) -> String {
        let Some(size) = self.size.filter(|_| done.rows > 0 && done.bytes > 0) else {
            return String::new();
        };
        let rest = size.saturating_sub(done.bytes) as f64;
        let left = rest * done.rows as f64 / done.bytes as f64;
        format!(", about {left:.0} rows left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_errors_the_rate_and_what_is_left_are_told() {
        let now = Instant::now();
        let progress = Progress::begin(now, 10, Some(4000), 100, false);
        let done = Done {
            rows: 300,
            errors: 1,
            bytes: 3000,
        };
        assert_eq!(
            progress.words(now + Duration::from_secs(2), done),
            "300 rows, 100 texts/s, 1 error"
        );
        assert_eq!(progress.left(done), ", about 100 rows left");
        let stream = Progress::begin(now, 10, None, 0, false);
        assert_eq!(stream.left(done), "");
    }
}
