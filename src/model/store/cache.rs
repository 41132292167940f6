//! Cache: the folder in which what was fetched is kept, for all places and for all processes that use it.
//!
//! ```text
//! CACHE/PLACE/lock              held by whoever fetches from the place
//! CACHE/PLACE/latest            the name of the revision that was fetched last
//! CACHE/PLACE/REVISION.held     shared by those who use the revision; whoever removes it has it alone
//! CACHE/PLACE/REVISION/         models/, SHA256SUMS, revision.json: whole, since it is renamed to this name at its end
//! CACHE/PLACE/labels.toml       what operators said; REVISION.labels.toml where a revision has its own
//! CACHE/PLACE/.new/             what is being fetched
//! CACHE/PLACE/.old…/            what is being removed
//! ```
//!
//! What processes that were ended left in the last two goes at the next fetch, of whichever place.
//!
//! The locks are the system's: they end with the process, however that ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::place::Place;
use super::record::Revision;
use crate::model::discover::as_name;
use crate::model::files;

pub const NEW: &str = ".new";
pub const OLD: &str = ".old";
const LATEST: &str = "latest";
pub const LOCK: &str = "lock";
pub const LABELS: &str = "labels.toml";
/// The digits at the end of a place's folder.
pub const DIGITS: usize = 12;
/// How often a lock is tried that another process has.
const LOOK: Duration = Duration::from_millis(50);

/// The folder of one place in the cache.
#[derive(Clone, Debug)]
pub struct PlaceFolder {
    cache: PathBuf,
    path: PathBuf,
}

impl PlaceFolder {
    /// Makes the folder if need be. `whereabouts` tells places apart that have one address: the account, the endpoint. The
    /// error is a part of a line.
    pub fn open(cache: &Path, place: &Place, whereabouts: &str) -> Result<Self, String> {
        let text = place.unpinned();
        // No address has a space.
        let digest = files::sha256(format!("{text} {whereabouts}").trim_end().as_bytes());
        let path = cache.join(format!("{}-{}", as_name(text), &digest[..DIGITS]));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.and_then(|()| File::create(path.join(LOCK)))
            .map_err(|error| not_written(cache, &error))?;
        Ok(Self {
            cache: cache.to_owned(),
            path,
        })
    }

    /// The folder of the whole cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Where what operators said is kept: for all revisions, or for one alone, with which it goes.
    pub fn labels(&self, revision: Option<&str>) -> PathBuf {
        match revision {
            Some(name) => beside(&self.path.join(name), LABELS),
            None => self.path.join(LABELS),
        }
    }

    /// Waits until no other process fetches from the place, and is the one that does.
    pub async fn lock(&self) -> Result<File, String> {
        let told = |error: io::Error| not_written(&self.cache, &error);
        let file = File::create(self.path.join(LOCK)).map_err(told)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                Err(std::fs::TryLockError::Error(error)) => return Err(told(error)),
            }
        }
    }

    /// A revision, held from now on; `None` if it is not there or not whole. Its files are not compared with their sums.
    pub fn revision(&self, name: &str) -> Option<Revision> {
        let folder = self.path.join(name);
        if !is_revision(name) || !folder.is_dir() {
            return None;
        }
        let held = hold(&held_of(&folder)).ok()?;
        // It may have been removed before it was held.
        Revision::read(&folder, held)
    }

    /// The revision that was fetched last.
    pub fn latest(&self) -> Option<Revision> {
        let name = files::read_text(&self.path.join(LATEST), 256).ok()?;
        self.revision(name.trim())
    }

    /// Records which revision was fetched last.
    pub fn set_latest(&self, name: &str) -> Result<(), String> {
        let new = self.path.join("latest.new");
        let written = std::fs::write(&new, name).and_then(|()| std::fs::rename(&new, self.path.join(LATEST)));
        written.map_err(|error| not_written(&self.cache, &error))
    }

    /// An empty folder to fetch into. Only for who has the lock.
    pub fn begin(&self) -> Result<PathBuf, String> {
        let new = self.path.join(NEW);
        let made = remove(&new).and_then(|()| std::fs::create_dir(&new));
        made.map_err(|error| not_written(&self.cache, &error))?;
        Ok(new)
    }

    /// Makes what was fetched a revision, in place of a damaged one of the same name. Only for who has the lock.
    pub fn finish(&self, new: &Path, name: &str) -> Result<Revision, String> {
        let told = |error: io::Error| not_written(&self.cache, &error);
        let (folder, old) = (self.path.join(name), self.path.join(OLD));
        // Held before it is there, so that nobody removes it at once.
        let held = hold(&held_of(&folder)).map_err(told)?;
        if folder.exists() {
            std::fs::rename(&folder, &old).map_err(told)?;
        }
        std::fs::rename(new, &folder).map_err(told)?;
        let _ = remove(&old);
        Revision::read(&folder, held).ok_or_else(|| format!("{}: can't be read again", folder.display()))
    }
}

/// Shares the lock of a revision, and notes that it is used now.
fn hold(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.lock_shared()?;
        // Whoever removed the revision meanwhile removed the file too; a lock of that one says nothing.
        let (of_file, of_path) = (file.metadata()?, path.metadata());
        if of_path.is_ok_and(|of_path| of_path.ino() == of_file.ino()) {
            // Only the order in which revisions are removed hangs on it.
            let _ = file.set_modified(SystemTime::now());
            return Ok(file);
        }
    }
}

pub fn held_of(revision: &Path) -> PathBuf {
    beside(revision, "held")
}

/// A file of a revision that is not in its folder.
pub fn beside(revision: &Path, what: &str) -> PathBuf {
    revision.with_file_name(format!("{}.{what}", name_of(revision)))
}

/// Whether a name is that of a revision: a commit or a SHA-256.
pub fn is_revision(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && is_hex(name)
}

pub fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What is in a folder.
pub fn within(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The last name of a path; empty where it is none of ours.
pub fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

pub fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The error for what can't be written into the cache, as a part of a line.
pub fn not_written(cache: &Path, error: &io::Error) -> String {
    let cache = cache.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk of model_cache ({cache}) is full: {error}")
        }
        _ => format!(
            "model_cache ({cache}) can't be written: {error}; it must be a folder that this program may write to"
        ),
    }
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::store::listing::Listing;
    use crate::model::store::record::Record;
    use crate::model::store::sums::Sums;

    pub fn place() -> Place {
        Place::of(Path::new("s3://bucket/models"))
            .expect("a place")
            .expect("a place")
    }

    /// A revision of one byte.
    pub fn made(folder: &PlaceFolder, digit: &str) -> Revision {
        let new = folder.begin().expect("a folder");
        std::fs::create_dir(new.join("models")).expect("a folder");
        std::fs::write(new.join("models/a"), digit).expect("written");
        let sums = Sums([("a".to_owned(), files::sha256(digit.as_bytes()))].into());
        let sizes = [("a".to_owned(), 1)].into();
        let listing = Listing {
            revision: Some(digit.repeat(64)),
            ..Listing::default()
        };
        let record = Record::new("s3://bucket/models", &listing, &sums, &sizes, String::new());
        record.write(&new, &sums).expect("written");
        folder.finish(&new, &record.revision).expect("whole")
    }

    #[test]
    fn what_an_ended_process_left_is_gone_at_the_next_fetch_and_was_never_a_revision() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = PlaceFolder::open(cache.path(), &place(), "").expect("a folder");
        std::fs::write(folder.begin().expect("a folder").join("half"), "x").expect("written");
        assert!(folder.latest().is_none());
        assert_eq!(
            folder.begin().expect("a folder").read_dir().expect("a folder").count(),
            0
        );
    }

    #[test]
    fn places_of_one_address_with_other_accounts_share_nothing() {
        let cache = tempfile::tempdir().expect("a folder");
        let open = |whereabouts| PlaceFolder::open(cache.path(), &place(), whereabouts).expect("a folder");
        let (one, other) = (open("account-one"), open("account-two"));
        let revision = made(&one, "1");
        one.set_latest(&revision.record.revision).expect("written");
        assert!(one.latest().is_some() && other.latest().is_none());
        assert_ne!(one.labels(None), other.labels(None));
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let told = |kind: io::ErrorKind| not_written(Path::new("/cache"), &kind.into());
        assert!(told(io::ErrorKind::StorageFull).starts_with("the disk of model_cache (/cache) is full"));
        assert!(told(io::ErrorKind::PermissionDenied).starts_with("model_cache (/cache) can't be written"));
    }

    #[test]
    fn a_changed_byte_and_a_changed_list_are_seen() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = PlaceFolder::open(cache.path(), &place(), "").expect("a folder");
        let revision = made(&folder, "1");
        folder.set_latest(&revision.record.revision).expect("written");
        assert!(folder.latest().expect("there").damaged().is_empty());
        std::fs::write(revision.file("a"), "2").expect("written");
        assert_eq!(folder.latest().expect("there").damaged(), ["a"]);
        std::fs::write(revision.folder.join("SHA256SUMS"), format!("{}  a\n", "0".repeat(64))).expect("written");
        assert!(folder.latest().is_none(), "the list is not the one that was written");
    }
}
