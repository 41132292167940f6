//! A program that was built without the feature `object-store`: it reads folders only, and says so.

use std::path::{Path, PathBuf};

use super::wanted::{StoreError, Wanted};

/// Models from a store. Without the feature nobody gets one.
#[derive(Clone, Debug)]
pub struct ModelStore {
    folder: PathBuf,
}

impl ModelStore {
    /// Says which feature is missing.
    pub fn open(wanted: Wanted) -> Result<Self, StoreError> {
        Err(StoreError::new(&wanted.place, super::place::NO_FEATURE))
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    pub fn labels_file(&self) -> PathBuf {
        self.folder.clone()
    }

    pub fn told(&self) -> String {
        String::new()
    }

    pub fn refresh(&self, _settle: bool, _called_off: &(dyn Fn() -> bool + Sync)) -> Result<bool, StoreError> {
        Ok(false)
    }

    pub fn keep_only(&self, _is_used: &dyn Fn(&Path) -> bool) {}
}
