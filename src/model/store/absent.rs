//! A program that was built without the feature `object-store`: it reads folders only, and says so.

use std::path::{Path, PathBuf};

use super::wanted::{StoreError, Wanted};

/// Models from a store. There are none without the feature.
#[derive(Clone, Debug)]
pub enum ModelStore {}

impl ModelStore {
    /// Says which feature is missing.
    pub fn open(wanted: Wanted) -> Result<Self, StoreError> {
        Err(StoreError::new(&wanted.place, super::place::NO_FEATURE))
    }

    pub fn folder(&self) -> PathBuf {
        match *self {}
    }

    pub fn labels_file(&self) -> PathBuf {
        match *self {}
    }

    pub fn told(&self) -> String {
        match *self {}
    }

    pub fn refresh(&self, _settle: bool, _called_off: &(dyn Fn() -> bool + Sync)) -> Result<bool, StoreError> {
        match *self {}
    }

    pub fn keep_only(&self, _used: &dyn Fn(&Path) -> bool) {
        match *self {}
    }
}
