//! Outcome of a step of a command.

use super::exit::Exit;

/// The result of a step, or a message and the exit code.
pub type Outcome<T> = Result<T, (String, Exit)>;

/// The failure of a step that could not go on, with its message.
pub fn failure<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Failure)
}
