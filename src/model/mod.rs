//! Models: what is in the repository, how a text becomes a model's input, how ONNX Runtime runs it, and how its output
//! becomes an answer.
//!
//! Knows nothing of requests, queues or protocols. In reading order:
//!
//! - A folder: [`files`], [`paths`] and [`limited`] (how it is read) → [`manifest`] → [`scan`] (an ONNX file, before it
//!   is loaded) → [`listed_files`] → [`discover`] (a folder without a manifest) → [`repository`] → [`model_name`]
//!   (`name@version`) → `max_tokens.rs`. Where the folder is fetched from elsewhere: [`store`].
//! - One text: [`input`] → [`preprocess`] → [`runner`] → [`onnx`] and [`runtime`] → [`postprocess`] (to a
//!   [`classification`]) → [`blend`] and [`agreement`] (two models' answers), [`pooling`] (the answers to a long text's
//!   windows).
//! - A load: [`memory`] and `run_memory.rs` (does it fit?) → [`providers`] (what runs it) → [`loading`] → [`sample`] (a long row) → [`table`] (the ids
//!   that the graph knows) → `warm_up.rs` → [`neighbours`] (which rows may share a batch) → [`text_cost`] →
//!   [`own_texts`] → [`loaded`].
//! - Errors: [`model_error`].

pub mod agreement;
pub mod blend;
pub mod classification;
pub mod device_memory;
pub mod discover;
pub mod files;
pub mod gain;
pub mod input;
pub mod limited;
pub mod linear;
pub mod listed_files;
pub mod loaded;
pub mod loading;
pub mod manifest;
mod max_tokens;
pub mod memory;
pub mod model_error;
pub mod model_name;
pub mod moving_average;
pub mod neighbours;
pub mod onnx;
mod onnx_types;
pub mod own_texts;
pub mod paths;
pub mod pooling;
pub mod postprocess;
pub mod preprocess;
pub mod providers;
pub mod repository;
mod run_memory;
pub mod runner;
pub mod runtime;
pub mod sample;
pub mod scan;
pub mod side_by_side;
pub mod store;
pub mod table;
pub mod text_cost;
mod warm_up;

pub use input::{Encoding, ModelInput};
pub use loading::cost_probe::ShapeCost;
pub use manifest::{Manifest, Tier};
pub use model_error::ModelError;
pub use runner::{RunError, Runner, SharedRunner};
