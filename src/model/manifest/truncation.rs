//! The longest text that a model reads, and what happens to a longer one.

use serde::{Deserialize, Serialize};

/// The `max_bytes` of a manifest that sets none.
pub(super) fn default_max_bytes() -> usize {
    8192
}

/// What happens to a text that is too long for the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncation {
    /// The end is cut off.
    #[default]
    End,
    /// The start is cut off.
    Start,
    /// The request is refused.
    Reject,
    /// The text is read in windows that overlap, and the answers are made one. Where one text is encoded by itself, as
    /// [`Truncation::End`].
    Windows,
}
