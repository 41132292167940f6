//! Listing: what a place says that it has, before anything is fetched.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures::stream::BoxStream;

use super::sums::{MOST_FILES, Sums, check_path, too_many};
use crate::model::files;

/// The bytes of a file as they come; an error is a part of a line.
pub type Body = BoxStream<'static, Result<Bytes, String>>;

/// The files of a place, and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub files: BTreeMap<String, Entry>,
    /// The SHA-256 of the list that the place itself has of its files, or the commit. It names the revision.
    pub revision: Option<String>,
    /// Files that the place has and that are not fetched.
    pub left_out: usize,
}

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// In bytes.
    pub size: Option<u64>,
    /// What the store names this state of the file by.
    pub tag: Option<String>,
    pub sha256: Option<String>,
    /// The name that git gives to the content: a SHA-1, in hexadecimal.
    pub git: Option<String>,
}

impl Listing {
    /// Adds a file, of a path that was not checked.
    pub fn add(&mut self, path: &str, entry: Entry) -> Result<(), String> {
        check_path(path)?;
        self.files.insert(path.to_owned(), entry);
        if self.files.len() > MOST_FILES {
            Err(too_many())
        } else {
            Ok(())
        }
    }

    /// A hash of all that is known: a place that gives the same one has not changed.
    pub fn stamp(&self) -> String {
        let mut text = self.revision.clone().unwrap_or_default();
        for (path, Entry { size, tag, sha256, git }) in &self.files {
            text.push_str(&format!("\n{path}\t{size:?}\t{tag:?}\t{sha256:?}\t{git:?}"));
        }
        files::sha256(text.as_bytes())
    }

    /// Leaves only the files that a list names, with their SHA-256. The error is a part of a line.
    pub fn only(&mut self, sums: &Sums, digest: String) -> Result<(), String> {
        let before = self.files.len();
        let mut files = BTreeMap::new();
        for (path, sha256) in &sums.0 {
            let Some(entry) = self.files.remove(path) else {
                return Err(format!("its SHA256SUMS names `{path}`, which is not there"));
            };
            let sha256 = Some(sha256.clone());
            files.insert(path.clone(), Entry { sha256, ..entry });
        }
        self.left_out += before - files.len();
        self.files = files;
        self.revision = Some(digest);
        Ok(())
    }

    /// Whether the files are one model, and not a repository of them.
    pub fn is_one_model(&self) -> bool {
        self.files.keys().any(|path| {
            let at_top = path.strip_prefix("onnx/").unwrap_or(path);
            let is_graph = !at_top.contains('/') && Path::new(at_top).extension() == Some("onnx".as_ref());
            is_graph || path == "manifest.toml" || path == "config.json"
        })
    }
}
