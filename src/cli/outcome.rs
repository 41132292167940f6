//! What a step of a command comes to.

use super::exit::Exit;

/// What a step gives, or what to say and the exit code.
pub type Outcome<T> = Result<T, (String, Exit)>;

/// The failure of a step that could not go on.
pub fn failure<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Failure)
}
