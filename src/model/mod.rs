//! Models: what is in the repository, how a text becomes a model's input, how ONNX Runtime runs it, and how its
//! output becomes an answer.
//!
//! Knows nothing of requests, queues or protocols. In reading order:
//! [`files`] → [`scan`] → [`manifest`] → [`repository`] → [`discover`] → [`limited`] → [`load`] → [`loaded`] → [`preprocess`] → [`onnx`] → [`postprocess`] → [`golden`] → [`sample`] → [`table`] → [`own_texts`] → [`cost`] → [`text_cost`] →
//! [`idle`] → [`signature`] → [`memory`].

pub mod blend;
pub mod cost;
pub mod discover;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod files;
pub mod gently;
pub mod golden;
pub mod idle;
pub mod library;
pub mod limited;
pub mod load;
pub mod loaded;
pub mod low_priority;
pub mod manifest;
mod max_tokens;
pub mod memory;
pub mod neighbours;
pub mod onnx;
pub mod own_texts;
pub mod paths;
pub mod postprocess;
pub mod preprocess;
pub mod repository;
mod run_memory;
pub mod sample;
pub mod scan;
pub mod signature;
pub mod table;
pub mod text_cost;
pub mod thread_time;
mod warm_up;

pub use cost::ShapeCost;
pub use manifest::{Manifest, Tier};
pub use preprocess::{Encoding, ModelInput};

use ndarray::Array2;

/// Runs batches of model inputs. One thread owns one runner; implemented by ONNX Runtime sessions, and by scripted
/// ones in the tests of the scheduler.
pub trait Runner: Send {
    /// Runs one batch and gives its raw outputs, `[rows, labels]`, rows in the order of `inputs`.
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError>;

    /// The same for a batch that has the machine to itself: nothing else runs or waits.
    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.run(inputs)
    }

    /// A new runner of the same kind, for the place of this one after a panic, when nobody knows what state it is in.
    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        Err(RunError("this runner can't be opened again".into()))
    }
}

/// A batch could not be run. The text is for the log, never for a caller.
#[derive(Debug, thiserror::Error)]
#[error("inference failed: {0}")]
pub struct RunError(pub String);

/// A model that can't be used, in one line that names the file or the key.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ModelError {
    /// The file or folder at fault.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ModelError {
    /// A problem with the file or folder at `path`.
    pub fn new(path: &std::path::Path, problem: impl ToString) -> Self {
        Self {
            path: path.display().to_string(),
            problem: problem.to_string(),
        }
    }
}
