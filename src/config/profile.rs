//! Profiles: sets of values for the settings that nobody gave. docs/operations.md has the table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::duration::HumanDuration;

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

impl Profile {
    /// The settings when nothing else is said.
    pub fn settings(self) -> Settings {
        let standard = Settings::default();
        let seconds = |seconds| HumanDuration(Duration::from_secs(seconds));
        match self {
            Profile::Standard => standard,
            Profile::Hardened => Settings {
                profile: self,
                no_reflection: true,
                max_timeout: seconds(30),
                max_streams_per_connection: 64,
                handshake_timeout: seconds(3),
                header_timeout: seconds(5),
                idle_timeout: seconds(5 * 60),
                max_connection_age: seconds(10 * 60),
                max_connection_age_grace: seconds(45),
                keepalive_interval: seconds(30),
                keepalive_timeout: seconds(10),
                max_pending_resets: 64,
                max_error_resets: 32,
                max_rapid_resets: 32,
                max_send_buffer_bytes: 64 * 1024,
                ..standard
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, resolve};

    #[test]
    fn a_profile_gives_what_nobody_said_and_takes_nothing_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, "profile = \"hardened\"\nheader_timeout = \"9s\"").expect("write");
        let options = Options {
            no_reflection: Some(false),
            ..Options::default()
        };
        let settings = resolve(&options, Some(&file)).expect("valid");
        assert_eq!(settings.max_streams_per_connection, 64);
        assert_eq!(settings.header_timeout.to_string(), "9s");
        assert!(!settings.no_reflection);
    }

    #[test]
    fn the_hardened_values_are_allowed() {
        Profile::Hardened.settings().check().expect("allowed");
    }
}
