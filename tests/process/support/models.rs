//! Model repositories to break: copies in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::root;

/// The settings under which a repository with a fast model alone is complete.
pub const FAST_ONLY: [&str; 2] = ["--default-route", "fast"];

/// A repository that holds a copy of the fast model.
pub struct FastModelCopy {
    folder: TempDir,
}

impl FastModelCopy {
    /// Copies it.
    pub fn new() -> Self {
        let copy = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        fs::create_dir_all(copy.model()).expect("a folder");
        for entry in fs::read_dir(root().join("models/sentiment-fast/1")).expect("the fast model") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, copy.file(&path.file_name().expect("a name").to_string_lossy())).expect("a copy");
        }
        copy
    }

    /// The repository.
    pub fn repository(&self) -> &Path {
        self.folder.path()
    }

    /// The model's folder.
    pub fn model(&self) -> PathBuf {
        self.folder.path().join("sentiment-fast/1")
    }

    /// A file of the model.
    pub fn file(&self, name: &str) -> PathBuf {
        self.model().join(name)
    }

    /// Adds another version that answers the same.
    pub fn add_version(&self, version: &str) {
        let folder = self.folder.path().join("sentiment-fast").join(version);
        fs::create_dir_all(&folder).expect("a folder");
        for entry in fs::read_dir(self.model()).expect("the first version") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
        }
        let manifest = folder.join("manifest.toml");
        let text = fs::read_to_string(&manifest).expect("the manifest");
        let text = text.replace("\nversion = \"1\"", &format!("\nversion = \"{version}\""));
        fs::write(manifest, text).expect("written");
    }

    /// Flips one bit in the middle of a file.
    pub fn flip_a_bit(&self, name: &str) {
        let mut bytes = fs::read(self.file(name)).expect("a file of the model");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(self.file(name), bytes).expect("write");
    }

    /// Gives the first golden example other outputs, and the manifest the checksum of that.
    pub fn falsify_golden_example(&self) {
        let golden = fs::read_to_string(self.file("golden.jsonl")).expect("golden examples");
        let (first, rest) = golden.split_once('\n').expect("several examples");
        let mut example: serde_json::Value = serde_json::from_str(first).expect("an example");
        for logit in example["logits"].as_array_mut().expect("outputs") {
            *logit = (logit.as_f64().expect("a number") + 1.0).into();
        }
        let falsified = format!("{example}\n{rest}");
        let checksum = |text: &str| -> String {
            let digest = Sha256::digest(text);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let manifest = fs::read_to_string(self.file("manifest.toml")).expect("a manifest");
        let changed = manifest.replace(&checksum(&golden), &checksum(&falsified));
        assert_ne!(
            changed, manifest,
            "the manifest holds the checksum of its golden examples"
        );
        fs::write(self.file("golden.jsonl"), falsified).expect("write");
        fs::write(self.file("manifest.toml"), changed).expect("write");
    }
}
