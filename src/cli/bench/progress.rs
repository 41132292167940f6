//! The progress bar of `tandem bench`. It shows only on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::load::Until;
use crate::telemetry::logs::millis;

/// One bar for all phases, one after the other.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar, visible if standard error is a terminal.
    pub fn open() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(1).with_style(style))
    }

    /// Shows what is going on.
    pub fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// Begins a phase.
    pub fn start(&self, until: Until) {
        let length = match until {
            Until::Elapsed(duration) => millis(duration),
            Until::Calls(count) => count,
        };
        self.0.set_length(length);
        self.0.set_position(0);
    }

    /// Shows how many calls were started in how much time.
    pub fn at(&self, until: Until, calls: u64, elapsed: Duration) {
        self.0.set_position(match until {
            Until::Elapsed(_) => millis(elapsed),
            Until::Calls(_) => calls,
        });
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
