//! Tests of the real program, from outside: it is spawned, spoken to by real clients, told to stop.
//!
//! A module a behaviour. Ports are chosen by the system, waits end with a line of the log, and each has a bound.

#![allow(clippy::too_many_lines, reason = "a table of cases is long and plain")]

mod support;

mod addresses;
mod audit_export;
mod bad_files;
mod bench;
mod browser_clients;
mod calibrate;
mod cli;
mod clients;
mod dist;
mod distill;
mod distill_each;
mod evaluate;
mod evaluate_each;
mod example_clients;
mod folders;
mod generated_code;
mod heads;
mod hugging_face;
mod logs;
mod models;
mod namespaces;
mod onnxruntime;
mod openapi;
mod output;
mod page;
mod pipes;
mod predict;
mod predict_bulk;
#[cfg(feature = "parquet")]
mod predict_parquet;
mod providers;
mod python_package;
mod quiet_moments;
mod quota;
mod reload;
mod remedies;
mod reports;
mod scoreboard;
mod security;
mod service_manager;
mod shutdown;
mod signals;
mod snapshots;
mod start;
mod stderr;
mod swaps;
mod train;
mod train_edges;
