//! What a search tried so far, in a file: a run that was stopped goes on without trying it again.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::search::Trial;

/// The most bytes of a file that are read.
const MOST_BYTES: u64 = 16 << 20;

/// The trials of a search, and what they are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What was trained on, and how: only the same may go on.
    pub of: String,
    pub trials: Vec<Trial>,
}

impl Checkpoint {
    /// The trials in a file, if it is there and of the same training; else none.
    pub fn read(path: &Path, of: &str) -> Vec<Trial> {
        let is_small = fs::metadata(path).is_ok_and(|about| about.len() <= MOST_BYTES);
        let text = if is_small { fs::read_to_string(path).ok() } else { None };
        let read: Option<Self> = text.and_then(|text| serde_json::from_str(&text).ok());
        read.filter(|checkpoint| checkpoint.of == of)
            .map_or_else(Vec::new, |checkpoint| checkpoint.trials)
    }

    /// Writes the file whole, under its name at once.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, serde_json::to_vec(self).map_err(std::io::Error::other)?)?;
        fs::rename(unfinished, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::training::recipe::Recipe;

    #[test]
    fn only_the_same_training_goes_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("checkpoint.json");
        assert!(Checkpoint::read(&path, "a").is_empty());
        let trial = Trial {
            recipe: Recipe::start(1000, 256, 16),
            loss: 0.3,
            accuracy: 0.9,
        };
        let checkpoint = Checkpoint {
            of: "a".to_owned(),
            trials: vec![trial],
        };
        checkpoint.write(&path).expect("written");
        assert_eq!(Checkpoint::read(&path, "a"), [trial]);
        assert!(Checkpoint::read(&path, "b").is_empty());
        fs::write(&path, "{\"of\": \"a\", \"tri").expect("written");
        assert!(Checkpoint::read(&path, "a").is_empty());
    }
}
