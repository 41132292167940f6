//! Which threads serve connections.

use serde::{Deserialize, Serialize};

/// Which threads serve connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionThreads {
    /// `own` on machines of at most [`ConnectionThreads::MOST_CORES`] cores, else `shared`.
    #[default]
    Auto,
    /// Each connection belongs to one thread, of which there are as many as cores: a call costs less, since no work goes
    /// from thread to thread.
    Own,
    /// All threads share the work of all connections: one connection can use more than one core.
    Shared,
}

impl ConnectionThreads {
    /// With more cores than this, few connections would leave many of the threads without work.
    pub const MOST_CORES: usize = 4;

    /// How many threads have connections of their own on this many cores; 0 if all is shared.
    pub fn own(self, cores: usize) -> usize {
        match self {
            Self::Own => cores,
            Self::Auto if cores <= Self::MOST_CORES => cores,
            Self::Auto | Self::Shared => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_cores_share_unless_they_are_told_otherwise() {
        let of = |cores| {
            [
                ConnectionThreads::Auto,
                ConnectionThreads::Own,
                ConnectionThreads::Shared,
            ]
            .map(|threads| threads.own(cores))
        };
        assert_eq!([1, 4, 5].map(of), [[1, 1, 0], [4, 4, 0], [0, 5, 0]]);
    }
}
