//! How a scikit-learn graph is looked into, and with how many texts.

use std::time::{Duration, Instant};

use crate::model::onnx::Probe;

/// So many texts are tried at least, however long they take.
const LEAST_TRIED: usize = 40;
/// The time after which no more texts are run.
pub(super) const ENOUGH: Duration = Duration::from_secs(2);

/// Opens the graph to look at these values of it.
pub(super) type OpenProbe<'a> = &'a dyn Fn(&[&str]) -> Result<Probe, String>;

/// Counts the texts that a graph is tried with.
pub(super) struct Tries {
    tried: usize,
    since: Instant,
    enough: Duration,
}

impl Tries {
    /// They go on until `enough`, or until there are [`LEAST_TRIED`].
    pub fn new(enough: Duration) -> Self {
        Self {
            tried: 0,
            since: Instant::now(),
            enough,
        }
    }

    /// Counts one more; whether no more are needed.
    pub fn are_enough(&mut self) -> bool {
        self.tried += 1;
        self.tried >= LEAST_TRIED && self.since.elapsed() > self.enough
    }
}
