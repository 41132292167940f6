//! Configuration: flags over environment over `tandem.toml` over defaults, checked before any port opens.
//!
//! [`options`] holds the raw values as they were given, [`settings`] every setting with its default, and [`mod@resolve`]
//! turns the first into the second. An unknown key is an error that names the nearest one.

pub mod address;
pub mod bodies;
pub mod connections;
pub mod duration;
pub mod given;
pub mod listen;
pub mod options;
pub mod profile;
pub mod resolve;
mod rollout;
pub mod security;
pub mod settings;

pub use address::Address;
pub use duration::HumanDuration;
pub use listen::Listen;
pub use options::Options;
pub use resolve::{ConfigError, resolve};
pub use settings::{Settings, TaskSettings};
