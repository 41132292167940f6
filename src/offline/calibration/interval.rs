//! A figure and how sure it is.

use serde::Serialize;

/// A figure with its interval: of 95%, or, for what was timed, the middle, the least and the most of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}
