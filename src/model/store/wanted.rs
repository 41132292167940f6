//! What is to be fetched, and within which bounds; and the error of a store.

use std::path::PathBuf;
use std::time::Duration;

use super::place::Place;

/// What is to be fetched, where to, and within which bounds.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub place: Place,
    /// The folder of the cache.
    pub cache: PathBuf,
    /// The most bytes of files in the cache.
    pub most_bytes: u64,
    /// The longest that one fetch may take.
    pub longest: Duration,
}

/// What a shared object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub stamp: Stamp,
}

/// What tells one content of an object from another one, as its store says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The ETag.
    pub tag: Option<String>,
    /// The version, or the generation.
    pub version: Option<String>,
}

/// Models that can't be fetched, in one line that names the place. Without credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("models: {place}: {problem}")]
pub struct StoreError {
    /// The place, as the settings have it.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

impl StoreError {
    pub fn new(place: &Place, problem: impl ToString) -> Self {
        Self {
            place: place.to_string(),
            problem: problem.to_string(),
        }
    }
}
