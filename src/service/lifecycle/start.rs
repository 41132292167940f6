//! Start: the repository is read and verified, then every model is loaded and serves as soon as it has passed its
//! checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::load::Loader;
use super::owner::Owner;
use crate::config::Settings;
use crate::model::store::ModelStore;
use crate::model::store::wanted::StoreError;
use crate::model::{ModelError, Tier, repository, side_by_side};
use crate::service::catalog::Catalog;
use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::canary::verdict::Bounds;
use crate::service::catalog::fetched;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::pin_file::PinFile;
use crate::service::catalog::pins::{CanaryPin, Pins};
use crate::service::catalog::refusal::{Refusal, RefusedVersion};
use crate::service::catalog::sources::{self, Opened};
use crate::service::catalog::versions::Canary;

/// Why a start failed, before or after ports were opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The repository or a manifest can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The models and the configuration do not fit together.
    #[error("configuration: {0}")]
    Catalog(String),
    /// The models can't be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("a thread can't be started: {0}")]
    Threads(std::io::Error),
    /// The file for kept texts can't be written.
    #[error("{0}")]
    KeepFile(String),
}

/// What is known before anything is loaded.
pub struct OpenedCatalog {
    pub catalog: Catalog,
    pub pins: Pins,
    /// The newest versions that can't be used. The catalog has older ones in their place.
    pub refused: BTreeMap<String, RefusedVersion>,
    /// Where the models were fetched from; `None` if they are in a folder of the settings.
    pub store: Option<ModelStore>,
}

/// Fetches the models if need be, then reads and verifies the repository: manifests, checksums, tasks. Nothing is loaded.
pub fn open_catalog(settings: &Settings) -> Result<OpenedCatalog, StartError> {
    let store = fetched::open(settings)?;
    let settings = &fetched::local(settings, store.as_ref());
    let pins = pins(settings)?;
    let Opened { models, refused } = sources::read_all(settings, &pins)?;
    let catalog = Catalog::new(models, settings).map_err(StartError::Catalog)?;
    let catalog = with_canaries(catalog, &pins, settings);
    catalog.tell_unused_calibrations();
    tell_unused_providers(&catalog, settings);
    Ok(OpenedCatalog {
        catalog,
        pins,
        refused,
        store,
    })
}

/// What operators said of versions. Warns where an object says nothing, or is not followed.
fn pins(settings: &Settings) -> Result<Pins, StartError> {
    let file = PinFile::of(settings);
    let seen = file.read().map_err(StartError::Catalog)?;
    if file.is_object() {
        if settings.labels_poll_interval.0.is_zero() {
            tracing::warn!(%file, "what other servers are told is not followed: labels_poll_interval is 0");
        }
        if seen.is_none() {
            tracing::warn!(%file, "is not there, so the newest versions serve");
        }
    }
    Ok(seen.map(|seen| seen.pins).unwrap_or_default())
}

/// Warns of models that have execution providers in the settings and are not there: a name may be misspelt.
fn tell_unused_providers(catalog: &Catalog, settings: &Settings) {
    let names = settings.execution_providers.keys();
    for model in names.filter(|name| !catalog.models().contains_key(*name)) {
        tracing::warn!(model, "execution_providers names a model that is not there");
    }
}

/// Adds the canaries that the pins name. One that can't be used is left out, and the server starts without it.
fn with_canaries(mut catalog: Catalog, pins: &Pins, settings: &Settings) -> Catalog {
    let Some(repository) = sources::repository(settings) else {
        return catalog;
    };
    for (model, pins) in &pins.models {
        let (Some(canary), Some(versions)) = (&pins.canary, catalog.models().get(model)) else {
            continue;
        };
        let CanaryPin { version, share } = canary;
        let same = versions.stable.version() == version;
        let verified = sources::read(settings, &repository.join(model).join(version), None, &|| false);
        let added = verified.map_err(|error| error.problem).and_then(|verified| {
            let mut models = catalog.models().clone();
            let canary = Canary {
                watch: Arc::new(CanaryWatch::new(model, version, Bounds::from(settings))),
                version: Arc::new(ModelVersion::new(verified)),
                share: *share,
            };
            if let Some(versions) = models.get_mut(model).filter(|_| !same) {
                versions.set_canary(Some(canary));
            }
            Catalog::over(models, settings)
        });
        match added {
            Ok(next) => catalog = next,
            Err(problem) => tracing::error!(
                model,
                version,
                problem,
                "the canary can't be used, the stable version serves alone"
            ),
        }
    }
    catalog
}

/// Loads every model, or one version alone. Those of the fast tier are loaded while the others are: they take little.
/// In each tier it is one after the other. Ends at the first failure, or when the server stops.
pub fn load(owner: &mut Owner, only: Option<Arc<ModelVersion>>) -> Result<(), ModelError> {
    if let Some(version) = only {
        return owner.loader.load_first(&version);
    }
    let catalog = owner.catalog();
    let of_tier = |tier: Tier| -> Vec<&Arc<ModelVersion>> {
        let versions = catalog.versions();
        versions
            .filter(|version| version.verified.manifest.tier == tier)
            .collect()
    };
    let (mut fast, mut deep) = (of_tier(Tier::Fast).into_iter(), of_tier(Tier::Deep).into_iter());
    while !owner.is_stopping() {
        let (loader, failed) = (&owner.loader, AtomicBool::new(false));
        let (of_deep, of_fast) = side_by_side::both(
            || first_failure(loader, &mut deep, &failed),
            || first_failure(loader, &mut fast, &failed),
        );
        if of_deep.is_none() && of_fast.is_none() {
            break;
        }
        for (version, error) in [of_deep, of_fast].into_iter().flatten() {
            match canary_of(&owner.catalog(), version) {
                // A canary that fails to load does not fail the start.
                Some(canary) => {
                    canary.watch.end();
                    let (model, version) = (&canary.watch.model, &canary.watch.version);
                    tracing::error!(model, version, %error, "the canary could not be loaded, the stable version serves alone");
                }
                None => fall_back(owner, version, error)?,
            }
        }
    }
    Ok(())
}

/// Loads versions until one fails, here or elsewhere, or the server stops. Gives the one that failed here.
fn first_failure<'a>(
    loader: &Loader,
    versions: &mut impl Iterator<Item = &'a Arc<ModelVersion>>,
    failed: &AtomicBool,
) -> Option<(&'a Arc<ModelVersion>, ModelError)> {
    while !loader.is_stopping() && !failed.load(Ordering::Relaxed) {
        let version = versions.next()?;
        if let Err(error) = loader.load_first(version) {
            failed.store(true, Ordering::Relaxed);
            return Some((version, error));
        }
    }
    None
}

/// Lets an older version serve where the newest could not be loaded, as at a reload; returns the error where there is
/// none. A version that an operator named is never replaced.
fn fall_back(owner: &mut Owner, newest: &Arc<ModelVersion>, error: ModelError) -> Result<(), ModelError> {
    let (name, version) = (newest.name(), newest.version());
    let pinned = owner.pins.of(name).stable.is_some();
    if pinned || sources::repository(&owner.settings).is_none() || owner.is_stopping() {
        return Err(error);
    }
    for folder in repository::older_than(&newest.verified.folder) {
        let read = sources::read(&owner.settings, &folder, None, &|| owner.is_stopping());
        let Ok(verified) = read else { continue };
        let older = Arc::new(ModelVersion::new(verified));
        let mut models = owner.catalog().models().clone();
        if let Some(versions) = models.get_mut(name) {
            versions.exchange(Arc::clone(&older));
        }
        let Ok(next) = Catalog::over(models, &owner.settings) else {
            continue;
        };
        if owner.loader.load_first(&older).is_err() {
            continue;
        }
        drop(owner.store.swap(Arc::new(next)));
        let refused = RefusedVersion {
            version: version.to_owned(),
            refusal: Refusal::load(&error, &newest.verified.folder),
        };
        owner.refused.set(name, Some(refused));
        let serving = older.version();
        tracing::error!(model = name, version, serving, %error, "the newest version can't be loaded, the one before it serves");
        owner.retirement.retire(vec![Arc::clone(newest)]);
        owner.health.tell();
        return Ok(());
    }
    Err(error)
}

/// The canary with this version.
fn canary_of(catalog: &Catalog, version: &Arc<ModelVersion>) -> Option<Canary> {
    let canary = catalog.models().get(version.name())?.canary.clone();
    canary.filter(|canary| Arc::ptr_eq(&canary.version, version))
}
