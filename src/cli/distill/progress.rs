//! What the teacher shows while it answers: texts a second, and the time that is left.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::signals::Signals;
use crate::offline::distillation::teacher::Watch;

/// One bar.
pub struct TeacherProgress {
    bar: ProgressBar,
    started: Instant,
    signals: Signals,
}

impl TeacherProgress {
    /// A bar, visible if standard error is a terminal.
    pub fn open(signals: &Signals) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} texts by the deep model  {msg}");
            ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            started: Instant::now(),
            signals: signals.clone(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for TeacherProgress {
    fn answered(&self, done: usize, kept: usize, all: usize) {
        self.bar.set_length(all as u64);
        self.bar.set_position(done as u64);
        let fresh = done.saturating_sub(kept);
        let rate = fresh as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        if fresh > 0 {
            let left = all.saturating_sub(done) as f64 / rate;
            self.bar.set_message(format!("{rate:.0} texts/s, {left:.0} s left"));
        }
    }

    fn going(&self) -> ControlFlow<()> {
        if self.signals.stop.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
