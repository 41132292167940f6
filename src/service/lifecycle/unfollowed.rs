//! What other servers were told and this one could not do: tried again later, and told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::service::catalog::pins::ModelPins;

/// What could not be followed.
#[derive(Default)]
pub struct Unfollowed {
    /// The last problem with the file, which was logged.
    pub file: Option<String>,
    pub models: BTreeMap<String, Tried>,
    /// Whether a version was not here that may be fetched.
    pub lacks: Arc<AtomicBool>,
    /// Whether a model is to have its newest version, once that is fetched.
    pub newest: bool,
}

/// What the file said of a model and could not be done.
pub struct Tried {
    pub pins: ModelPins,
    pub at: Instant,
    /// The version that could not be had.
    pub version: String,
}
