//! Integration tests: the real server in this process, on ports of the system's choice, with the shipped models.
//!
//! One binary, one module a behaviour; `support` is the harness. The spawned program is `tests/process/`'s.

#![allow(clippy::too_many_lines, reason = "a table of cases is long and plain")]

mod support;

mod admin;
mod as_they_come;
mod bad_input;
mod body_room;
mod bounds;
mod cache;
mod cache_flights;
mod caller_texts;
mod canary;
mod caps;
mod cascade;
mod cascade_each;
mod classify;
mod connections;
mod content_types;
mod decoded_size;
mod discover;
mod doors;
mod error_details;
mod every_route;
mod examined;
mod explain;
mod fairness;
mod fallback;
mod fast_path;
mod folders;
mod fuzz;
mod gateway;
mod golden;
mod gzip_members;
mod handler_steps;
mod health;
mod hugging_face;
mod keys;
mod kserve_v1;
mod limits;
mod long_models;
mod model_service;
mod nan;
mod neighbours;
mod ngrams;
mod path_safety;
mod pipelining;
mod poisoned;
mod predict;
mod preprocessing_turns;
mod raw_frames;
mod reflection;
mod reload;
mod reload_refused;
mod scheduler;
mod sessions;
mod settings_docs;
mod shutdown;
mod silent_peers;
mod sklearn;
mod sklearn_matrix;
mod sklearn_remedies;
mod special_tokens;
mod start_order;
mod stream;
mod stream_reader_stops;
mod taken_back;
mod tei;
mod tls;
mod tokenizing;
mod tokens;
mod unicode;
mod unread_answers;
mod wire;
