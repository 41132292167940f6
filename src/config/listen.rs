//! When the gRPC port, or the one that it shares with HTTP, begins to take connections.

use serde::{Deserialize, Serialize};

/// When the gRPC port, or the one that it shares with HTTP, begins to take connections.
///
/// The ports that answer `/readyz` (the gateway's and the one for metrics) take them from the start, since a balancer can ask them, and
/// so does the admin port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Listen {
    /// Once every model serves: until then connections are refused, so a balancer that asks no health sends its calls elsewhere,
    /// and a client that waits for a ready server goes on trying.
    #[default]
    WhenReady,
    /// From the start: calls are answered with UNAVAILABLE, and health with NOT_SERVING, until the models are loaded.
    AtStart,
}
