//! Integration tests: the real server in this process, on ports of the system's choice, with the shipped models.
//!
//! One binary, one module a behaviour; `support` is the harness. The spawned program is `tests/process/`'s.

mod support;

mod admin;
mod bad_input;
mod body_room;
mod bounds;
mod cache;
mod cache_flights;
mod canary;
mod caps;
mod cascade;
mod connections;
mod content_types;
mod decoded_size;
mod discover;
mod error_details;
mod explain;
mod fairness;
mod fallback;
mod folders;
mod fuzz;
mod gateway;
mod golden;
mod gzip_members;
mod handler_steps;
mod health;
mod hugging_face;
mod keys;
mod limits;
mod model_service;
mod nan;
mod ngrams;
mod path_safety;
mod pipelining;
mod predict;
mod preprocessing_turns;
mod raw_frames;
mod reflection;
mod reload;
mod reload_refused;
mod scheduler;
mod sessions;
mod shutdown;
mod silent_peers;
mod sklearn;
mod start_order;
mod stream;
mod stream_reader_stops;
mod taken_back;
mod tls;
mod tokenizing;
mod unicode;
mod unread_answers;
mod wire;
