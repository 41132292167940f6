//! What runs of certain shapes take on this machine, measured at warm-up.

use std::time::Duration;

/// One measured run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeCost {
    /// Rows.
    pub rows: usize,
    /// The width to which they are padded.
    pub width: usize,
    /// The time that the run takes.
    pub took: Duration,
}
