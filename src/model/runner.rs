//! What runs batches of model inputs, whatever it is.

use ndarray::Array2;

use super::input::ModelInput;

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
