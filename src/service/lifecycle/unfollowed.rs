//! What other servers were told and this one could not do: tried again later, and told once.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::service::catalog::pins::ModelPins;

/// What could not be followed.
#[derive(Default)]
pub struct Unfollowed {
    /// The last problem with the file, which was logged.
    pub file: Option<String>,
    /// By model: what the file said of it, and when that was tried.
    pub models: BTreeMap<String, (ModelPins, Instant)>,
}
