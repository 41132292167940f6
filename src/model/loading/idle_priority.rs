//! Idle priority: work on a thread that gets the processor only when nobody else wants it, for loads while the server
//! answers requests.
//!
//! A merely low priority is not enough: a thread keeps the processor for a slice of about 3 ms, and a request waits for
//! that several times on its way from thread to thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::low_priority::LowPriority;
use crate::model::input::ModelInput;
use crate::model::runner::{RunError, Runner};

/// How long work at idle priority may take. After that it begins anew at its thread's own priority, since a server that
/// is never idle should get its new version too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says whether work should go on.
pub struct Patience {
    until: Option<Instant>,
    over: AtomicBool,
}

impl Patience {
    fn until(until: Option<Instant>) -> Self {
        Self {
            until,
            over: AtomicBool::new(false),
        }
    }

    /// How much of its time is left; `None` if it has no end.
    pub fn left(&self) -> Option<Duration> {
        let until = self.until?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Ends it before its time.
    pub fn give_up(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// A runner that refuses to run once patience is over.
    pub fn runner<'a>(&'a self, inner: &'a mut dyn Runner) -> PatientRunner<'a> {
        PatientRunner { inner, patience: self }
    }

    fn check(&self) -> Result<(), RunError> {
        match self.until {
            Some(until) if Instant::now() >= until => {
                self.give_up();
                Err(RunError("it waited too long for an idle processor".into()))
            }
            _ => Ok(()),
        }
    }

    /// Turns an error into patience's end if patience is over, since the run may have been ended for that.
    fn judge<T>(&self, error: RunError) -> Result<T, RunError> {
        self.check()?;
        Err(error)
    }
}

/// Runs batches as long as there is patience.
pub struct PatientRunner<'a> {
    inner: &'a mut dyn Runner,
    patience: &'a Patience,
}

impl Runner for PatientRunner<'_> {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.patience.check()?;
        self.inner.run(inputs).or_else(|error| self.patience.judge(error))
    }

    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.patience.check()?;
        self.inner.run_alone(inputs).or_else(|error| self.patience.judge(error))
    }
}

/// Does work on this thread, with endless patience.
pub fn here<T>(work: impl FnOnce(&Patience) -> T) -> T {
    work(&Patience::until(None))
}

/// Does work at idle priority on another thread. If it is not done when patience is over, it begins anew on this
/// thread. Blocks. A panic in the work is a panic here. Threads that the work starts stay at idle priority, so it
/// should start none.
pub fn when_idle<T: Send>(work: impl Fn(&Patience) -> T + Sync) -> T {
    let patience = Patience::until(Instant::now().checked_add(PATIENCE));
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            LowPriority::Idle.enter();
            work(&patience)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if patience.over.load(Ordering::Acquire) {
        here(work)
    } else {
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(usize);

    impl Runner for Counting {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            self.0 += 1;
            Ok(Array2::zeros((inputs.len(), 1)))
        }
    }

    #[test]
    fn work_is_done_on_another_thread_while_there_is_patience() {
        let elsewhere = when_idle(|_| std::thread::current().id());
        assert_ne!(elsewhere, std::thread::current().id());
    }

    #[test]
    fn what_is_not_done_when_patience_is_over_is_begun_anew_here() {
        let attempts = when_idle(|patience| {
            let impatient = Patience::until(Some(Instant::now()));
            if patience.until.is_some() {
                let ran = impatient.runner(&mut Counting(0)).run(&[]);
                assert!(ran.is_err());
                patience.over.store(impatient.over.into_inner(), Ordering::Release);
                return 1;
            }
            let mut counting = Counting(0);
            patience.runner(&mut counting).run(&[]).expect("endless patience");
            1 + counting.0
        });
        assert_eq!(attempts, 2);
    }
}
