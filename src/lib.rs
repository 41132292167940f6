//! Tandem: a gRPC server for text classification, with a fast and a deep model behind one API.
//!
//! The modules, in the order in which a newcomer should read them; a request walks them from top to bottom:
//!
//! 1. [`cli`]: the commands; `serve` wires everything below together.
//! 2. [`config`]: flags, environment and file become one checked [`config::Settings`].
//! 3. [`server`]: listeners, connections, start and drain.
//! 4. [`api`]: the two doors, gRPC and HTTP: convert, call the service, convert back.
//! 5. [`service`]: the flow of one request: validate, route, preprocess, inference, postprocess.
//! 6. [`batching`]: the only place that queues: rows become batches for a model's instances.
//! 7. [`model`]: the model repository, preprocessing, ONNX Runtime, postprocessing.
//! 8. [`error`]: the one list of failures, and what each is in gRPC, HTTP and metrics.
//! 9. [`telemetry`]: logs, metrics, request ids.
//!
//! Used everywhere: [`timer`] sleeps until a moment that may never come, [`low_priority`] lowers the priority of threads, [`cores`] says
//! how many cores there are for them.
//!
//! Beside the path of a request: [`offline`] reads files of texts, for the commands that take them, and measures a
//! cascade, for `tandem calibrate`.
//!
//! Imports go one way: api → service → batching → model. `tests/architecture.rs` keeps it so.

// They panic when nobody reads: `cli::output` and `telemetry::stderr` write instead.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(all(feature = "ort-dynamic", feature = "ort-download"))]
compile_error!(
    "features `ort-dynamic` and `ort-download` exclude each other: build with `--no-default-features --features ort-download` to get ort's own download"
);
#[cfg(not(any(feature = "ort-dynamic", feature = "ort-download")))]
compile_error!("choose how ONNX Runtime gets in: feature `ort-dynamic` (the default) or `ort-download`");
#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("the feature `fault-injection` is for tests: a release build must not have it");

pub mod api;
pub mod batching;
pub mod cli;
pub mod config;
pub mod cores;
pub mod error;
pub mod low_priority;
pub mod model;
pub mod offline;
pub mod server;
pub mod service;
pub mod telemetry;
pub mod timer;
