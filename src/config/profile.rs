//! Profiles: they change the defaults of settings. Each setting declares its default in each profile.

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
