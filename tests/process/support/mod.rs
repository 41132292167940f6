//! The harness: runs programs with a bound on their time, and prepares what they need.

pub mod command;
pub mod models;
pub mod reviews;
pub mod server;
pub mod tools;

pub use command::{Finished, curl};
pub use server::RunningServer;

use std::path::Path;
use std::time::Duration;

/// Keeps a hang from hanging; nothing here takes nearly as long, not on a busy machine either.
pub const LIMIT: Duration = Duration::from_mins(2);

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An async runtime that goes on driving connections between two `block_on`.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("an async runtime")
}

/// Waits for `future`, not for ever.
pub fn wait<F: Future>(runtime: &tokio::runtime::Runtime, future: F) -> F::Output {
    runtime
        .block_on(async { tokio::time::timeout(LIMIT, future).await })
        .expect("an answer within the limit")
}
