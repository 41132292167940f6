//! The files that a bulk job reads: which ones, and what tells whether they are still the same.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The most files of one job.
const MOST_FILES: usize = 10_000;

/// A file as it was when the job began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its path, as it was given or found.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub changed: u64,
}

impl Input {
    fn of(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let about = path.metadata().map_err(told)?;
        if !about.is_file() {
            return Err(format!("{}: is no file, which --out needs", path.display()));
        }
        let changed = about.modified().map_err(told)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(Self {
            path: path.to_owned(),
            bytes: about.len(),
            changed: u64::try_from(changed).unwrap_or(u64::MAX),
        })
    }
}

/// The files that these paths and patterns name, those of a pattern by name. The error is one line.
pub fn find(named: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for path in named {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            inputs.push(Input::of(path)?);
        } else {
            let found = glob::glob(&text).map_err(|error| format!("{text}: is no pattern: {error}"))?;
            let before = inputs.len();
            for path in found {
                let path = path.map_err(|error| error.to_string())?;
                if path.is_file() {
                    inputs.push(Input::of(&path)?);
                }
                check_count(inputs.len())?;
            }
            if inputs.len() == before {
                return Err(format!("{text}: no file fits this pattern"));
            }
        }
        check_count(inputs.len())?;
    }
    Ok(inputs)
}

fn check_count(count: usize) -> Result<(), String> {
    if count > MOST_FILES {
        return Err(format!(
            "--file: more than {MOST_FILES} files; the limit is {MOST_FILES}"
        ));
    }
    Ok(())
}
