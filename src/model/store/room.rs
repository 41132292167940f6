//! Room: how many bytes may still come into the cache. What nobody uses makes way, the least recently used first.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use super::cache;
use super::record::Revision;

/// Counts what is in a cache.
pub struct Room {
    cache: PathBuf,
    most: u64,
    used: Cell<u64>,
    /// Revisions that may have files of the new one; they make way too where nothing else does.
    bases: RefCell<Vec<Revision>>,
}

impl Room {
    /// A cache, and the most bytes that it may hold.
    pub fn new(cache: &Path, most: u64, bases: Vec<Revision>) -> Self {
        Self {
            cache: cache.to_owned(),
            most,
            used: Cell::new(cache::bytes(cache)),
            bases: RefCell::new(bases),
        }
    }

    /// What `find` finds in one of the revisions that may have files of the new one.
    pub fn in_bases<T>(&self, find: impl Fn(&Revision) -> Option<T>) -> Option<T> {
        self.bases.borrow().iter().find_map(find)
    }

    /// Takes room for bytes. The error is a part of a line.
    pub fn take(&self, bytes: u64) -> Result<(), String> {
        self.used.set(self.used.get().saturating_add(bytes));
        while self.used.get() > self.most {
            if cache::all(&self.cache).iter().any(cache::Kept::remove) {
                tracing::info!("a revision that nobody uses made way in model_cache");
                // Revisions may share files.
                self.used.set(cache::bytes(&self.cache).saturating_add(bytes));
            } else if self.bases.borrow().is_empty() {
                let (used, most) = (self.used.get(), self.most);
                return Err(format!(
                    "what is in use and what is fetched would take {used} bytes or more in model_cache, model_cache_bytes is {most}"
                ));
            } else {
                self.bases.borrow_mut().clear();
            }
        }
        Ok(())
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
