//! Fetched: models that the settings name by an address are fetched, and the settings name the folder then.
//!
//! Blocks; nothing of a request comes here.

use std::path::PathBuf;

use crate::config::Settings;
use crate::model::store::ModelStore;
use crate::model::store::place::Place;
use crate::model::store::wanted::{StoreError, Wanted};

/// Has the models here that an address names. `None` if the settings name folders.
pub fn open(settings: &Settings) -> Result<Option<ModelStore>, StoreError> {
    let is_named = settings.deep.is_some() || settings.fast.is_some();
    // What is wrong with an address was told when the settings were checked.
    let place = Place::of(&settings.models).ok().flatten();
    let Some(place) = place.filter(|_| !is_named) else {
        return Ok(None);
    };
    ModelStore::open(Wanted {
        place,
        cache: settings.model_cache.clone().unwrap_or_else(usual_cache),
        most_bytes: settings.model_cache_bytes,
        longest: settings.model_fetch_time.0,
    })
    .map(Some)
}

/// The settings with the folder in place of the address.
pub fn local(settings: &Settings, store: Option<&ModelStore>) -> Settings {
    let Some(store) = store else { return settings.clone() };
    Settings {
        models: store.folder(),
        labels_file: Some(settings.labels_file.clone().unwrap_or_else(|| store.labels_file())),
        ..settings.clone()
    }
}

/// The cache where the settings name none: the user's, or the system's for who has no home.
fn usual_cache() -> PathBuf {
    let folder = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute() && path.as_os_str() != "/")
    };
    let of_user = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    of_user.unwrap_or_else(|| PathBuf::from("/var/cache")).join("tandem")
}
