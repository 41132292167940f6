//! Where pins are kept: a file, or an object in a bucket, which servers share without a volume.
//!
//! A file that servers share has a lock beside it. An object has none: it is put in place of the one that was read, and only of
//! that one, by its ETag.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::pin_lock::lock;
use super::pins::{self, Pins, file_of};
use crate::config::Settings;
use crate::model::files;
use crate::model::store::SharedObject;
use crate::model::store::place::Place;
use crate::model::store::wanted::Stamp;

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
    stamp: Option<Stamp>,
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
            Kept::Object(object) => object.to_string(),
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
        match &self.kept {
            Kept::File(path) => self.read_file(path),
            Kept::Object(object) => {
                let content = object
                    .read(files::MOST_OF_TOML)
                    .map_err(|problem| self.named(&problem))?;
                let Some(content) = content else { return Ok(None) };
                let text = String::from_utf8(content.bytes).map_err(|_| self.named("is not UTF-8"))?;
                let stamp = Some(content.stamp);
                let pins = self.parse(&text)?;
                Ok(Some(Seen { pins, stamp }))
            }
            Kept::Nowhere(problem) => Err(self.named(problem)),
        }
    }

    /// The lock of a file; none where it needs none. Held until it is dropped.
    pub fn lock(&self, until: Instant) -> io::Result<Option<File>> {
        match &self.kept {
            Kept::File(path) => lock(path, until).map(Some).map_err(|error| self.named_error(&error)),
            Kept::Object(_) | Kept::Nowhere(_) => Ok(None),
        }
    }

    /// Writes all of it in one step; whether it did. It does not where an object is not any more what was seen. Blocks.
    pub fn write(&self, pins: &Pins, seen: Option<&Seen>) -> io::Result<bool> {
        match &self.kept {
            Kept::File(path) => pins::write(path, pins)
                .map(|()| true)
                .map_err(|error| self.named_error(&error)),
            Kept::Object(object) => {
                let stamp = seen.and_then(|seen| seen.stamp.as_ref());
                let done = object.exchange(pins::text(pins).into_bytes(), stamp);
                done.map_err(|problem| io::Error::other(self.named(&problem)))
            }
            Kept::Nowhere(problem) => Err(io::Error::other(self.named(problem))),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Option<Seen>, String> {
        if let Err(error) = path.metadata()
            && error.kind() == io::ErrorKind::NotFound
        {
            return Ok(None);
        }
        let text = files::read_text(path, files::MOST_OF_TOML).map_err(|problem| self.named(&problem))?;
        let pins = self.parse(&text)?;
        Ok(Some(Seen { pins, stamp: None }))
    }

    fn parse(&self, text: &str) -> Result<Pins, String> {
        Pins::parse(text).map_err(|problem| self.named(&problem))
    }

    fn named_error(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), self.named(&error.to_string()))
    }

    fn named(&self, problem: &str) -> String {
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
