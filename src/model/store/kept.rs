//! Kept: what lies in the cache of all places together: its revisions, its bytes, and what processes left there.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cache::{DIGITS, LABELS, LOCK, NEW, OLD, beside, held_of, is_hex, is_revision, name_of, remove, within};

/// A revision of any place.
pub struct Kept {
    folder: PathBuf,
    used: SystemTime,
}

/// The folders of all places in a cache.
fn places(cache: &Path) -> impl Iterator<Item = PathBuf> {
    let is_place = |path: &PathBuf| {
        let digest = name_of(path).rsplit_once('-').map(|(_, digest)| digest);
        digest.is_some_and(|digest| digest.len() == DIGITS && is_hex(digest)) && path.join(LOCK).is_file()
    };
    within(cache).into_iter().filter(is_place)
}

/// Removes what processes left that were ended while they fetched, or while they removed something.
pub fn remove_leftovers(cache: &Path) {
    for place in places(cache) {
        let is_old = |path: &PathBuf| name_of(path).starts_with(OLD);
        for old in within(&place).into_iter().filter(is_old) {
            let _ = remove(&old);
        }
        let new = place.join(NEW);
        // Nobody fetches from the place while this has its lock.
        let lock = File::options().write(true).open(place.join(LOCK));
        if new.is_dir() && lock.is_ok_and(|lock| lock.try_lock().is_ok() && remove(&new).is_ok()) {
            tracing::debug!(folder = %new.display(), "what a fetch that was ended left is removed");
        }
    }
}

/// All revisions in a cache, the least recently used first.
pub fn all(cache: &Path) -> Vec<Kept> {
    let revisions = places(cache).flat_map(|place| within(&place));
    let mut all: Vec<Kept> = revisions
        .filter(|path| is_revision(name_of(path)))
        .map(|folder| {
            let used = held_of(&folder).metadata().and_then(|held| held.modified());
            let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
            Kept { folder, used }
        })
        .collect();
    all.sort_by_key(|kept| kept.used);
    all
}

/// The bytes of all files in folders: of a cache, also of those that are being fetched. A file that revisions share counts
/// once.
pub fn bytes(folders: &[&Path]) -> u64 {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    let (mut seen, mut bytes) = (HashSet::new(), 0);
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            // Of a link itself: nothing here is one of ours.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.len();
            }
        }
    }
    bytes
}

impl Kept {
    /// Removes the revision unless some process uses it; whether it is gone.
    pub fn remove(&self) -> bool {
        let held = held_of(&self.folder);
        let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).open(&held) else {
            return false;
        };
        if file.try_lock().is_err() {
            return false;
        }
        // Under another name first: a revision is whole or not there.
        let gone = self.folder.with_file_name(format!("{OLD}-{}", std::process::id()));
        let _ = remove(&gone);
        let is_gone = std::fs::rename(&self.folder, &gone).is_ok();
        let _ = remove(&gone);
        if is_gone {
            let _ = std::fs::remove_file(beside(&self.folder, LABELS));
            let _ = std::fs::remove_file(&held);
        }
        is_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::store::cache::PlaceFolder;
    use crate::model::store::cache::tests::{made, place};

    #[test]
    fn what_somebody_uses_is_not_removed_and_the_oldest_goes_first() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = PlaceFolder::open(cache.path(), &place(), "").expect("a folder");
        let first = made(&folder, "1");
        drop(made(&folder, "2"));
        assert_eq!(all(cache.path()).len(), 2);
        let kept = all(cache.path());
        assert!(!kept[0].remove(), "it is in use");
        assert!(kept[1].remove());
        assert!(folder.revision(&"2".repeat(64)).is_none() && first.damaged().is_empty());
        drop(first);
        assert!(kept[0].remove());
        assert!(all(cache.path()).is_empty());
    }

    #[test]
    fn what_ended_processes_left_in_any_place_is_gone_at_the_next_fetch_and_nothing_else_is() {
        let cache = tempfile::tempdir().expect("a folder");
        let open = |whereabouts| PlaceFolder::open(cache.path(), &place(), whereabouts).expect("a folder");
        let (ended, busy) = (open("ended"), open("busy"));
        let at = |folder: &PlaceFolder, name: &str| folder.labels(None).with_file_name(name);
        let kept = made(&ended, "1");
        let leave = |path: PathBuf| {
            std::fs::create_dir_all(&path).expect("a folder");
            std::fs::write(path.join("a"), "x".repeat(1000)).expect("written");
            path
        };
        let left = [at(&ended, ".old-1"), at(&ended, OLD), at(&ended, NEW)].map(leave);
        let at_work = leave(at(&busy, NEW));
        let lock = File::open(at(&busy, LOCK)).expect("a lock");
        lock.try_lock().expect("free");
        // No place of ours, whatever it is called.
        let others = [cache.path().join(".old-1"), cache.path().join("other/.old-1")].map(leave);
        remove_leftovers(cache.path());
        assert!(left.iter().all(|path| !path.exists()), "{left:?}");
        assert!(at_work.exists() && kept.folder.exists() && others.iter().all(|path| path.exists()));
    }
}
