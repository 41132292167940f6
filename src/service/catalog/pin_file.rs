//! Where pins are kept: a file, or an object in a bucket, which servers share without a volume.
//!
//! A file that servers share has a lock beside it. An object has none: it is put in place of the one that was read, and only of
//! that one, by its ETag.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::pin_lock::lock;
use super::pins::{self, Pins, file_of};
use crate::config::Settings;
use crate::model::files;
use crate::model::store::SharedObject;
use crate::model::store::place::Place;
use crate::model::store::wanted::Content;

/// Where pins are kept; cheap to clone.
#[derive(Clone)]
pub struct PinFile {
    kept: Kept,
    /// As the settings have it.
    shown: String,
}

#[derive(Clone)]
enum Kept {
    File(PathBuf),
    Object(SharedObject),
    /// An address that can't be one, and why.
    Nowhere(String),
}

/// What was read, and what tells it from what another server writes later.
pub struct Seen {
    pub pins: Pins,
    /// Of an object.
    content: Option<Content>,
}

impl PinFile {
    /// The one that these settings name. Asks nobody.
    pub fn of(settings: &Settings) -> Self {
        let path = file_of(settings);
        let kept = match Place::of(&path) {
            Ok(None) => Kept::File(path.clone()),
            Ok(Some(place)) => SharedObject::of(&place).map_or_else(Kept::Nowhere, Kept::Object),
            Err(problem) => Kept::Nowhere(problem),
        };
        let shown = match &kept {
            Kept::Object(object) => format!("labels_file ({object})"),
            Kept::File(_) => path.display().to_string(),
            // It may hold a password.
            Kept::Nowhere(_) => "labels_file".to_owned(),
        };
        Self { kept, shown }
    }

    /// Whether it is an object, which is always as if it were shared.
    pub fn is_object(&self) -> bool {
        matches!(self.kept, Kept::Object(_))
    }

    /// What it says; `None` if it is not there. The error is one line that names it. Blocks, for an object for 2 s at most.
    pub fn read(&self) -> Result<Option<Seen>, String> {
        self.look().map_err(|problem| self.named(&problem))
    }

    /// The same. The error is a part of a line, without the path, for callers.
    pub fn look(&self) -> Result<Option<Seen>, String> {
        match &self.kept {
            Kept::File(path) => {
                if let Err(error) = path.metadata()
                    && error.kind() == io::ErrorKind::NotFound
                {
                    return Ok(None);
                }
                let text = files::read_text(path, files::MOST_OF_TOML)?;
                let pins = Pins::parse(&text)?;
                Ok(Some(Seen { pins, content: None }))
            }
            Kept::Object(object) => {
                let Some(content) = object.read(files::MOST_OF_TOML)? else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(&content.bytes).map_err(|_| "is not UTF-8")?;
                let pins = Pins::parse(text)?;
                let content = Some(content);
                Ok(Some(Seen { pins, content }))
            }
            Kept::Nowhere(problem) => Err(problem.clone()),
        }
    }

    /// The lock of a file; none where it needs none. Held until it is dropped.
    pub fn lock(&self, until: Instant) -> io::Result<Option<File>> {
        match &self.kept {
            Kept::File(path) => lock(path, until).map(Some),
            Kept::Object(_) | Kept::Nowhere(_) => Ok(None),
        }
    }

    /// Writes all of it in one step; whether it did. It does not where an object is not any more what was seen. The error has no
    /// path. Blocks.
    pub fn write(&self, pins: &Pins, seen: Option<&Seen>) -> io::Result<bool> {
        match &self.kept {
            Kept::File(path) => pins::write(path, pins).map(|()| true),
            Kept::Object(object) => {
                let seen = seen.and_then(|seen| seen.content.as_ref());
                let done = object.exchange(pins::text(pins).into_bytes(), seen);
                done.map_err(io::Error::other)
            }
            Kept::Nowhere(problem) => Err(io::Error::other(problem.clone())),
        }
    }

    /// A problem as a line that names it.
    pub fn named(&self, problem: &str) -> String {
        format!("{}: {problem}", self.shown)
    }
}

impl fmt::Display for PinFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_servers_can_not_share_is_told_without_what_may_be_secret() {
        for (address, problem) in [
            ("https://host/labels.toml", "labels_file: "),
            ("s3://user:kanarienvogel@bucket/labels.toml", "labels_file: "),
            ("ftp://host/labels.toml", "labels_file: ftp:// is none of"),
        ] {
            let settings = Settings {
                labels_file: Some(address.into()),
                ..Settings::default()
            };
            let told = PinFile::of(&settings).read().err().expect(address);
            assert!(told.starts_with(problem) && !told.contains("kanarienvogel"), "{told}");
        }
    }
}
