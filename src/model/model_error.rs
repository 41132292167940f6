//! The error for a model whose files can't be used.

use std::path::Path;

/// A model that can't be used, in one line that names the file or the key.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ModelError {
    /// The path of the file or folder at fault.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ModelError {
    /// A problem with the file or folder at `path`.
    pub fn new(path: &Path, problem: impl ToString) -> Self {
        Self {
            path: path.display().to_string(),
            problem: problem.to_string(),
        }
    }

    /// Names the setting too, if the fault is with the very path that the setting names.
    pub fn of_setting(mut self, setting: &str, path: &Path) -> Self {
        let path = path.display().to_string();
        if self.path == path {
            self.path = format!("{setting}: {path}");
        }
        self
    }
}
