//! How a scikit-learn graph is opened for a look inside, and how many texts it is tried with.

use std::time::{Duration, Instant};

use crate::model::onnx::Probe;

/// The fewest texts that are tried, however long they take.
const LEAST_TRIED: usize = 40;
/// The time after which no more texts are run.
pub(super) const ENOUGH: Duration = Duration::from_secs(2);

/// Opens the graph so that these of its values can be seen.
pub(super) type OpenProbe<'a> = &'a dyn Fn(&[&str]) -> Result<Probe, String>;

/// Counts the texts that a graph was tried with.
pub(super) struct Tries {
    tried: usize,
    since: Instant,
    enough: Duration,
}

impl Tries {
    /// Tries go on until `enough` time has passed, but for at least [`LEAST_TRIED`] texts.
    pub fn new(enough: Duration) -> Self {
        Self {
            tried: 0,
            since: Instant::now(),
            enough,
        }
    }

    /// Counts one more text, and says whether no more are needed.
    pub fn are_enough(&mut self) -> bool {
        self.tried += 1;
        self.tried >= LEAST_TRIED && self.since.elapsed() > self.enough
    }
}
