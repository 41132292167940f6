//! The trait of whatever runs batches of model inputs.

use ndarray::Array2;

use super::input::ModelInput;

/// Runs batches of model inputs. One thread owns one runner. ONNX Runtime sessions implement it, and scripted runners
/// in tests.
pub trait Runner: Send {
    /// Runs one batch and gives its raw outputs, `[rows, labels]`, rows in the order of `inputs`. Blocks.
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError>;

    /// Like [`Runner::run`], for a batch that has the machine to itself: nothing else runs or waits.
    fn run_alone(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.run(inputs)
    }

    /// A new runner of the same kind, to replace this one after a panic, when its state is unknown.
    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        Err(RunError("this runner can't be opened again".into()))
    }
}

/// Runs rows on any number of threads at once, in microseconds: short enough for a thread that has other things to do.
pub trait SharedRunner: Send + Sync {
    /// The raw outputs of rows, in their order.
    fn run_shared(&self, inputs: &[ModelInput]) -> Result<Vec<Vec<f32>>, RunError>;
}

/// Why a batch could not be run. The text is for the log, never for a caller.
#[derive(Debug, thiserror::Error)]
#[error("inference failed: {0}")]
pub struct RunError(pub String);
