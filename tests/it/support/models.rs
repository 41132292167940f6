//! Copies of models, to be broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tandem::model::ModelError;
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::repository;
use tempfile::TempDir;

use super::root;

/// A copy of one model, in a repository of its own, or beside other versions of it.
pub struct ModelCopy {
    repository: Arc<TempDir>,
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
        Self::into(Arc::new(repository), source, name, version)
    }

    fn into(repository: Arc<TempDir>, source: &Path, name: &str, version: &str) -> Self {
        let folder = repository.path().join(name).join(version);
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(source).expect("the model") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
        Self { repository, folder }
    }

    /// Copies another model into the same repository.
    pub fn add(&self, name: &str, version: &str) -> Self {
        let source = root().join("models").join(name).join(version);
        Self::into(Arc::clone(&self.repository), &source, name, version)
    }

    /// Puts the tutorial's small model into the same repository, as a deep one: it loads in a moment.
    pub fn add_small_deep(&self) -> Self {
        let source = root().join("tests/data/models/tutorial-nb/1");
        let small = Self::into(Arc::clone(&self.repository), &source, "tutorial-nb", "1");
        small.replace("manifest.toml", "tier = \"fast\"", "tier = \"deep\"");
        small
    }

    /// Another version in the same repository, with the files of a model of another name.
    pub fn version_from(&self, source: &Path, version: &str) -> Self {
        let name = self.folder.parent().and_then(Path::file_name).expect("a name");
        let new = Self::into(Arc::clone(&self.repository), source, &name.to_string_lossy(), version);
        let manifest = fs::read_to_string(new.folder.join("manifest.toml")).expect("the manifest");
        let line = |key: &str| {
            let line = manifest.lines().find(|line| line.starts_with(&format!("{key} = ")));
            line.expect("every manifest has it").to_owned()
        };
        new.replace(
            "manifest.toml",
            &line("name"),
            &format!("name = \"{}\"", name.display()),
        );
        new.replace("manifest.toml", &line("version"), &format!("version = {version:?}"));
        new.replace("manifest.toml", &line("task"), "task = \"sentiment\"");
        new
    }

    /// Another version in the same repository, that answers the same.
    pub fn version(&self, version: &str) -> Self {
        let name = self.folder.parent().and_then(Path::file_name).expect("a name");
        let name = name.to_string_lossy();
        let old = self.folder.file_name().expect("a version").to_string_lossy();
        let new = Self::into(Arc::clone(&self.repository), &self.folder, &name, version);
        let line = |version: &str| format!("\nversion = \"{version}\"");
        new.replace("manifest.toml", &line(&old), &line(version));
        new
    }

    /// Changes the temperature, and the golden examples with it: the model is sound, and its probabilities are others.
    pub fn set_temperature(&self, temperature: f64) {
        let manifest = fs::read_to_string(self.folder.join("manifest.toml")).expect("the manifest");
        let line = manifest.lines().find(|line| line.starts_with("temperature = "));
        self.replace(
            "manifest.toml",
            line.expect("a temperature"),
            &format!("temperature = {temperature}"),
        );
        let path = self.folder.join("golden.jsonl");
        let examples = fs::read_to_string(&path).expect("the examples");
        let examples = examples.lines().map(|line| {
            let mut example: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let logits = example["logits"].as_array().expect("a list").iter();
            let powers: Vec<f64> = logits
                .map(|logit| (logit.as_f64().expect("a number") / temperature).exp())
                .collect();
            let sum: f64 = powers.iter().sum();
            example["probabilities"] = powers.iter().map(|power| power / sum).collect();
            format!("{example}\n")
        });
        fs::write(&path, examples.collect::<String>()).expect("written");
        self.rehash("golden.jsonl");
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes it from the repository.
    pub fn remove_version(self) {
        fs::remove_dir_all(&self.folder).expect("it was there");
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
            fast_path: FastPath::Native,
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

/// Copies a folder with the folders in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}
