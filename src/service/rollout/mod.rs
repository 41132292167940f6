//! Rolling versions out and back: what operators say of a model's versions, and the canary, which gets a share of the clients.
//!
//! In reading order: [`labels`] (what was said, kept in a file) → [`operate`] (doing it) → [`change`] (its steps) → [`share`] (who gets the canary) →
//! [`watch`] (how it does) → [`judge`] (whether it stays; pure) → [`compare`] (its texts, answered by the stable one too).

pub mod change;
pub mod compare;
pub mod judge;
pub mod labels;
pub mod operate;
pub mod share;
pub mod watch;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::Settings;
use labels::LabelBook;

/// What is kept for roll-outs.
pub struct Rollouts {
    /// What was said of versions.
    pub(super) labels: LabelBook,
    /// Operators take turns.
    pub(super) turn: Arc<Semaphore>,
}

impl Rollouts {
    /// With what the file of labels says.
    pub fn new(settings: &Settings) -> Self {
        Self {
            labels: LabelBook::open(settings),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}
