//! The arguments of every command that reads the configuration.

use std::path::PathBuf;

use crate::config::{ConfigError, Options, Settings, resolve};

/// Where settings come from.
#[derive(Clone, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file [default: tandem.toml, if it is there]
    #[arg(long, env = "TANDEM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

impl ConfigArgs {
    /// Resolves every setting.
    pub fn resolve(&self) -> Result<Settings, ConfigError> {
        resolve(&self.options, self.config.as_deref())
    }
}
