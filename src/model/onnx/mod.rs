//! ONNX Runtime: the library, and one session for each runner. The only folder that imports `ort`.
//!
//! A session belongs to one thread at a time. Messages of ONNX Runtime go into errors for the log, never to callers.
//!
//! In reading order: `environment.rs` and `plugins.rs` (the libraries) → `bytes.rs` and `weights.rs` (what sessions are made of) →
//! `rewrite.rs` (small changes to it) → `provider_options.rs`, `providers.rs` and `assignment.rs` (what
//! hardware a graph runs on) → `opener.rs` and `watch.rs` (a session, and limits on its runs) → `feeds.rs` and
//! `inputs.rs` → `outputs.rs` → `onnx_runner.rs` (all of it as a runner); beside them `arenas.rs` (the memory that sessions
//! hold), `probe.rs` (a look inside a graph) and `words.rs` (messages for people).

mod arenas;
mod assignment;
mod bytes;
mod environment;
mod feeds;
mod inputs;
mod onnx_runner;
mod opener;
mod outputs;
mod plugins;
mod probe;
mod provider_options;
mod providers;
mod rewrite;
mod watch;
mod weights;
mod words;

pub use self::bytes::OnnxBytes;
pub use self::environment::Runtime;
pub use self::onnx_runner::{OnnxRunner, Source};
pub use self::opener::{LOCALE, SessionSettings, USUAL_LOCALE};
pub use self::probe::{Probe, Seen};
pub use self::providers::{Missing, Providers};
pub use self::watch::RunLimit;
pub use self::weights::SharedWeights;
