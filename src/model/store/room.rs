//! Room: how many bytes may still come into the cache. What nobody uses makes way, the least recently used first.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use super::kept;
use super::record::Revision;

/// Counts what is in a cache.
pub struct Room {
    cache: PathBuf,
    most: u64,
    used: Cell<u64>,
    /// Revisions that may have files of the new one; they make way too where nothing else does.
    bases: RefCell<Vec<Revision>>,
    /// The one of them that stays if it is whole: it serves if the new one does not come.
    stays: Option<String>,
}

impl Room {
    /// A cache, and the most bytes that it may hold. `stays` is the name of a revision that never makes way.
    pub fn new(cache: &Path, most: u64, bases: Vec<Revision>, stays: Option<String>) -> Self {
        Self {
            cache: cache.to_owned(),
            most,
            used: Cell::new(kept::bytes(&[cache])),
            bases: RefCell::new(bases),
            stays,
        }
    }

    /// What `find` finds in one of the revisions that may have files of the new one.
    pub fn in_bases<T>(&self, find: impl Fn(&Revision) -> Option<T>) -> Option<T> {
        self.bases.borrow().iter().find_map(find)
    }

    /// Checks that bytes that are still to come can have room: beside what is in the folder of the new revision, and what
    /// stays. Removes nothing. The error is a part of a line.
    pub fn check(&self, new: &Path, bytes: u64) -> Result<(), String> {
        let bases = self.bases.borrow();
        let stay = bases.iter().filter(|base| self.has_to_stay(base));
        let folders: Vec<&Path> = stay.map(|base| base.folder.as_path()).chain([new]).collect();
        let wanted = kept::bytes(&folders).saturating_add(bytes);
        if wanted > self.most {
            return Err(self.no_room(wanted));
        }
        Ok(())
    }

    /// Takes room for bytes. The error is a part of a line.
    pub fn take(&self, bytes: u64) -> Result<(), String> {
        self.used.set(self.used.get().saturating_add(bytes));
        while self.used.get() > self.most {
            if kept::all(&self.cache).iter().any(kept::Kept::remove) {
                tracing::info!("a revision that nobody uses made way in model_cache");
                // Revisions may share files.
                self.used.set(kept::bytes(&[&self.cache]).saturating_add(bytes));
            } else if !self.let_go() {
                return Err(self.no_room(self.used.get()));
            }
        }
        Ok(())
    }

    /// Lets go of the revisions that may have files of the new one, but for what stays; whether there were any.
    fn let_go(&self) -> bool {
        let mut bases = self.bases.borrow_mut();
        let before = bases.len();
        bases.retain(|base| self.has_to_stay(base));
        bases.len() < before
    }

    fn has_to_stay(&self, base: &Revision) -> bool {
        self.stays.as_ref() == Some(&base.record.revision) && base.damaged().is_empty()
    }

    fn no_room(&self, wanted: u64) -> String {
        let (most, kept) = (
            self.most,
            if self.stays.is_some() {
                ", what was fetched last"
            } else {
                ""
            },
        );
        format!(
            "what is in use{kept} and what is fetched would take {wanted} bytes or more in model_cache, model_cache_bytes is {most}"
        )
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: u64) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }

    /// Checks that the disk has so many bytes.
    pub fn check_disk(&self, bytes: u64) -> Result<(), String> {
        // Where the system does not say, the first write that fails does.
        let Ok(disk) = rustix::fs::statvfs(&self.cache) else {
            return Ok(());
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < bytes {
            let cache = self.cache.display();
            return Err(format!(
                "the disk of model_cache ({cache}) has {free} bytes free, {bytes} are to be fetched"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::PlaceFolder;
    use super::super::cache::tests::{made, place};
    use super::*;

    /// A cache whose place has two revisions, and the room in it for so many more bytes.
    fn with_room(folder: &PlaceFolder, more: u64, stays: Option<&Revision>) -> Room {
        let all = kept::bytes(&[folder.cache()]);
        let bases = vec![folder.latest().expect("it is there")];
        let stays = stays.map(|stays| stays.record.revision.clone());
        Room::new(folder.cache(), all + more, bases, stays)
    }

    fn cache_of_two() -> (tempfile::TempDir, PlaceFolder, Revision) {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = PlaceFolder::open(cache.path(), &place(), "").expect("a folder");
        drop(made(&folder, "1"));
        let latest = made(&folder, "2");
        folder.set_latest(&latest.record.revision).expect("written");
        (cache, folder, latest)
    }

    #[test]
    fn what_was_fetched_last_stays_and_the_error_says_what_would_be_needed() {
        let (_cache, folder, latest) = cache_of_two();
        let room = with_room(&folder, 10, Some(&latest));
        drop(latest);
        assert_eq!(room.take(10), Ok(()));
        assert_eq!(kept::all(folder.cache()).len(), 2, "at the bound nothing makes way");
        let problem = room.take(100_000).expect_err("too much");
        assert!(
            problem.contains(", what was fetched last and what is fetched"),
            "{problem}"
        );
        assert!(
            problem.ends_with(&format!("model_cache_bytes is {}", room.most)),
            "{problem}"
        );
        assert!(folder.latest().is_some_and(|latest| latest.damaged().is_empty()));
        assert_eq!(kept::all(folder.cache()).len(), 1, "the other one made way");
    }

    #[test]
    fn what_is_pinned_otherwise_or_is_damaged_makes_way() {
        let (_cache, folder, latest) = cache_of_two();
        let room = with_room(&folder, 0, None);
        drop(latest);
        room.take(100_000).expect_err("too much");
        assert!(folder.latest().is_none());
        let (_cache, folder, latest) = cache_of_two();
        let room = with_room(&folder, 0, Some(&latest));
        std::fs::write(latest.file("a"), "x").expect("written");
        drop(latest);
        room.take(100_000).expect_err("too much");
        assert!(folder.latest().is_none());
    }

    #[test]
    fn what_is_listed_is_held_against_the_bound_before_anything_makes_way() {
        let (_cache, folder, latest) = cache_of_two();
        let new = folder.cache().join("none");
        let stays = kept::bytes(&[&latest.folder]);
        let check = |most: u64, stays: Option<&Revision>, bytes: u64| {
            let bases = vec![folder.latest().expect("it is there")];
            let stays = stays.map(|stays| stays.record.revision.clone());
            Room::new(folder.cache(), most, bases, stays).check(&new, bytes)
        };
        assert_eq!(check(stays + 100, Some(&latest), 100), Ok(()));
        assert!(check(stays + 99, Some(&latest), 100).is_err());
        assert_eq!(check(100, None, 100), Ok(()));
        assert!(check(99, None, 100).is_err());
        assert!(check(u64::MAX - 1, Some(&latest), u64::MAX).is_err());
        assert_eq!(kept::all(folder.cache()).len(), 2);
    }
}
