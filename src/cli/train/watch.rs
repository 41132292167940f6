//! What a training shows while it goes on, and how it is stopped.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::cli::output::complain;
use crate::cli::signals::Signals;
use crate::offline::training::checkpoint::Checkpoint;
use crate::offline::training::search::Trial;
use crate::offline::training::train::Watch;

/// How long what comes after the search may take once it was told to stop.
const TO_FINISH: Duration = Duration::from_hours(1);
/// The length of the bar, in steps.
const LENGTH: u64 = 1000;

/// Watches one training.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    signals: Signals,
    checkpoint: Mutex<(Checkpoint, PathBuf)>,
}

impl Progress {
    /// A bar, visible if standard error is a terminal. What is tried is kept in the checkpoint's file.
    pub fn open(signals: &Signals, checkpoint: Checkpoint, path: PathBuf) -> Self {
        signals.begin(TO_FINISH);
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {elapsed:>4}  {msg}");
            ProgressBar::new(LENGTH).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            started: Instant::now(),
            signals: signals.clone(),
            checkpoint: Mutex::new((checkpoint, path)),
        }
    }

    /// Whether somebody asked for the end.
    pub fn was_stopped(&self) -> bool {
        self.signals.stop.is_cancelled()
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn at(&self, share: f64, message: String) {
        self.bar.set_position((share * LENGTH as f64) as u64);
        self.bar.set_message(message);
    }
}

impl Watch for Progress {
    fn clock(&self) -> Duration {
        self.started.elapsed()
    }

    fn searching(&self) -> ControlFlow<()> {
        if self.was_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn training(&self) -> ControlFlow<()> {
        if self.signals.hurry.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn tried(&self, trial: &Trial, best: &Trial, used: f64) {
        let of = |trial: &Trial| format!("{:.2}% right, log loss {:.4}", trial.accuracy * 100.0, trial.loss);
        let mut checkpoint = self.checkpoint.lock();
        let (kept, path) = &mut *checkpoint;
        if !kept.trials.contains(trial) {
            kept.trials.push(*trial);
        }
        let count = kept.trials.len();
        if let Err(error) = kept.write(path) {
            complain(&format!(
                "warning: {}: {error}; if this run is killed, the next one begins anew",
                path.display()
            ));
        }
        self.at(
            used,
            format!("trial {count}, held out: {}; best: {}", of(trial), of(best)),
        );
    }

    fn step(&self, name: &'static str, done: f64) {
        self.at(done, name.to_owned());
    }
}
