//! Profiles: sets of values for the settings that nobody gave. Each setting's declaration has its own.

use serde::{Deserialize, Serialize};

/// A set of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For a trusted network.
    #[default]
    Standard,
    /// Strict: for a network with peers that nobody vouches for. Callers must be known.
    Hardened,
}
