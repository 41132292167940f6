//! Configuration: flags over environment over `tandem.toml` over defaults, checked before any port opens.
//!
//! [`settings`] declares every setting once. From the declarations follow [`Options`], the values as they were given,
//! and [`Settings`], which are complete. [`mod@resolve`] turns the first into the second. An unknown key is an error
//! that names the most similar one.

pub mod address;
pub mod addresses;
pub mod bodies;
mod check;
pub mod connection_threads;
pub mod duration;
pub mod given;
pub mod listen;
pub mod load_reports;
mod of_models;
pub mod origins;
pub mod profile;
pub mod resolve;
pub mod setting;
pub mod settings;
mod tasks;
pub mod variables;

pub use address::Address;
pub use addresses::AddressList;
pub use connection_threads::ConnectionThreads;
pub use duration::HumanDuration;
pub use listen::Listen;
pub use load_reports::LoadReports;
pub use resolve::{ConfigError, resolve};
pub use settings::{Options, Settings, TaskSettings};
