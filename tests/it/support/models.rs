//! Copies of models, to be broken.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tandem::model::ModelError;
use tandem::model::load::{Initialized, InstanceSettings, initialize};
use tandem::model::repository;
use tempfile::TempDir;

use super::root;

/// A copy of one model, in a repository of its own.
pub struct ModelCopy {
    repository: TempDir,
    folder: PathBuf,
}

impl ModelCopy {
    /// Copies `models/<name>/<version>`.
    pub fn of(name: &str, version: &str) -> Self {
        Self::from(&root().join("models").join(name).join(version), name, version)
    }

    /// Copies a folder.
    pub fn from(source: &Path, name: &str, version: &str) -> Self {
        let repository = tempfile::tempdir().expect("a temporary folder");
        let folder = repository.path().join(name).join(version);
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(source).expect("the model") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
        Self { repository, folder }
    }

    /// The repository that holds it alone.
    pub fn repository(&self) -> &Path {
        self.repository.path()
    }

    /// Turns over one bit in the middle of a file.
    pub fn flip_bit(&self, file: &str) {
        let path = self.folder.join(file);
        let mut bytes = fs::read(&path).expect("the file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("written");
    }

    /// Removes a file.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.folder.join(file)).expect("the file");
    }

    /// Replaces text in a file; the text must be there.
    pub fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).expect("the file");
        assert!(text.contains(old), "{file} holds {old}");
        fs::write(&path, text.replacen(old, new, 1)).expect("written");
    }

    /// Lets the manifest agree with what a file holds now.
    pub fn rehash(&self, file: &str) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let sum = hex(&Sha256::digest(fs::read(self.folder.join(file)).expect("the file")));
        let path = self.folder.join("manifest.toml");
        let manifest = fs::read_to_string(&path).expect("the manifest");
        let lines = manifest.lines().map(|line| match line.split_once(" = ") {
            Some((key, _)) if key.trim_matches('"') == file && line.len() > 64 => format!("\"{file}\" = \"{sum}\"\n"),
            _ => format!("{line}\n"),
        });
        fs::write(&path, lines.collect::<String>()).expect("written");
    }

    /// Verifies and loads it, as the server does.
    pub fn load(&self) -> Result<Initialized, ModelError> {
        let verified = repository::open(self.repository.path())?;
        let instances = InstanceSettings {
            count: 1,
            intra_threads: 1,
            idle_threads: 1,
            max_cells: 256,
        };
        initialize(&verified[0], instances)
    }

    /// The line that refuses it.
    pub fn refusal(&self) -> String {
        match self.load() {
            Ok(_) => panic!("the model was taken"),
            Err(error) => error.to_string(),
        }
    }
}
