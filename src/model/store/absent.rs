//! A program that was built without the feature `object-store`: it reads folders only, and says so.

use std::fmt;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::wanted::{Content, StoreError, Wanted};

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

/// An object that servers share. Without the feature nobody gets one.
#[derive(Clone)]
pub struct SharedObject {
    place: String,
}

impl SharedObject {
    /// Says which feature is missing.
    pub fn of(_place: &Place) -> Result<Self, String> {
        Err("this program was built without the feature `object-store`, so it must be a file; build it with --features object-store".into())
    }

    pub fn read(&self, _most: u64) -> Result<Option<Content>, String> {
        Ok(None)
    }

    pub fn exchange(&self, _bytes: Vec<u8>, _seen: Option<&Content>) -> Result<bool, String> {
        Ok(false)
    }
}

impl fmt::Display for SharedObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.place)
    }
}
