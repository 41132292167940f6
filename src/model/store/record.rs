//! Record: what a revision in the cache is, written beside its files when all of them were there.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::listing::{Entry, Listing};
use super::sums::{SUMS_FILE, Sums};
use crate::model::files;

/// The record's name in the folder of a revision.
const RECORD: &str = "revision.json";
/// The folder of a revision that has the files.
const MODELS: &str = "models";

/// How many digits of a revision are the version of a model that names none.
const DIGITS: usize = 12;

/// What is known of a revision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The place, without a pin.
    pub place: String,
    pub revision: String,
    /// The hash of what the place listed.
    pub stamp: String,
    /// The SHA-256 of `SHA256SUMS` beside it.
    pub sums: String,
    /// The bytes of its files.
    pub bytes: u64,
    /// The folder in the repository that the files are in, where the place is one model: `name/version`.
    pub below: String,
    /// What the place said of each file.
    pub files: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Known {
    pub size: u64,
    pub tag: Option<String>,
    pub git: Option<String>,
}

/// A revision in the cache. While this lives, no process removes it.
#[derive(Debug)]
pub struct Revision {
    pub folder: PathBuf,
    pub record: Record,
    pub sums: Sums,
    /// Locked, to be shared with other readers, until it is closed.
    _held: File,
}

impl Record {
    /// Reads the record of a revision. `None` if it is no whole one.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = files::read(&folder.join(RECORD), files::MOST_OF_TOML).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The record of what was just fetched.
    pub fn new(place: &str, listing: &Listing, sums: &Sums, sizes: &BTreeMap<String, u64>, below: String) -> Self {
        let known = |(path, size): (&String, &u64)| {
            let Entry { tag, git, .. } = listing.files.get(path).cloned().unwrap_or_default();
            (path.clone(), Known { size: *size, tag, git })
        };
        Self {
            place: place.to_owned(),
            revision: listing.revision.clone().unwrap_or_else(|| sums.digest()),
            stamp: listing.stamp(),
            sums: sums.digest(),
            bytes: sizes.values().sum(),
            below,
            files: sizes.iter().map(known).collect(),
        }
    }

    /// Whether the place is one model that names no version, so that each revision is another version, and has no other.
    pub fn makes_the_version(&self) -> bool {
        let version = self.below.rsplit_once('/').map(|(_, version)| version);
        version == Some(version_of(&self.revision))
    }

    /// Writes the record and the list of sums into the folder of a revision.
    pub fn write(&self, folder: &Path, sums: &Sums) -> std::io::Result<()> {
        std::fs::write(folder.join(SUMS_FILE), sums.text())?;
        let json = serde_json::to_vec_pretty(self).expect("names and numbers");
        std::fs::write(folder.join(RECORD), json)
    }
}

impl Revision {
    /// Reads a revision that is held. `None` if it is no whole one.
    pub fn read(folder: &Path, held: File) -> Option<Self> {
        let record = Record::read(folder)?;
        let bytes = files::read(&folder.join(SUMS_FILE), files::MOST_OF_TOML).ok()?;
        let sums = Sums::parse(&bytes).ok().filter(|sums| sums.digest() == record.sums)?;
        let folder = folder.to_owned();
        Some(Self {
            folder,
            record,
            sums,
            _held: held,
        })
    }

    /// The repository.
    pub fn models(&self) -> PathBuf {
        models_of(&self.folder)
    }

    /// Where one of its files is.
    pub fn file(&self, path: &str) -> PathBuf {
        self.models().join(&self.record.below).join(path)
    }

    /// Whether a file is there and has its SHA-256.
    pub fn has(&self, path: &str) -> bool {
        let sum = self.sums.0.get(path);
        sum.is_some_and(|sum| files::sha256_of(&self.file(path)).is_ok_and(|found| found == *sum))
    }

    /// The files that are not as they were fetched.
    pub fn damaged(&self) -> Vec<String> {
        let paths = self.sums.0.keys();
        paths.filter(|path| !self.has(path)).cloned().collect()
    }

    /// Which of its files is what a place lists now under `path`, by what is known of both. It need not be whole.
    pub fn like(&self, path: &str, listed: &Entry) -> Option<&str> {
        if let Some(listed) = &listed.sha256 {
            let mut same = self.sums.0.iter().filter(|(_, sum)| *sum == listed);
            // A new version has many files of the one before, in another folder.
            return same.next().map(|(path, _)| path.as_str());
        }
        let (path, known) = self.record.files.get_key_value(path)?;
        let same = match (&listed.git, &listed.tag) {
            (Some(git), _) => known.git.as_ref() == Some(git),
            (None, Some(tag)) => known.tag.as_ref() == Some(tag),
            (None, None) => false,
        };
        let same_size = listed.size.is_none_or(|size| size == known.size);
        (same && same_size).then_some(path.as_str())
    }
}

/// The version of a model that names none.
pub fn version_of(revision: &str) -> &str {
    revision.get(..DIGITS).unwrap_or(revision)
}

/// The repository in the folder of a revision.
pub fn models_of(folder: &Path) -> PathBuf {
    folder.join(MODELS)
}
