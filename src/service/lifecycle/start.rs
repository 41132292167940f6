//! Start: the repository is read and verified, then every model is loaded and serves as soon as it has passed its
//! checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::Loader;
use super::owner::Owner;
use crate::config::Settings;
use crate::model::{ModelError, Tier, repository, side_by_side};
use crate::service::catalog::Catalog;
use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::canary::verdict::Bounds;
use crate::service::catalog::model_version::ModelVersion;
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
    /// The system gives no thread.
    #[error("a thread can't be started: {0}")]
    Threads(std::io::Error),
}

/// What is known before anything is loaded.
pub struct OpenedCatalog {
    pub catalog: Catalog,
    pub pins: Pins,
    /// The newest versions that can't be used. The catalog has older ones in their place.
    pub refused: BTreeMap<String, RefusedVersion>,
}

/// Reads and verifies the repository: manifests, checksums, tasks. Nothing is loaded.
pub fn open_catalog(settings: &Settings) -> Result<OpenedCatalog, StartError> {
    let pins = Pins::read(settings).map_err(StartError::Catalog)?;
    let Opened { models, refused } = sources::read_all(settings, &pins)?;
    let catalog = Catalog::new(models, settings).map_err(StartError::Catalog)?;
    let catalog = with_canaries(catalog, &pins, settings);
    catalog.tell_unused_calibrations();
    Ok(OpenedCatalog { catalog, pins, refused })
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
/// In each tier it is one after the other, until the server stops.
pub fn load(owner: &mut Owner, only: Option<Arc<ModelVersion>>) -> Result<(), ModelError> {
    if let Some(version) = only {
        return owner.loader.load_first(&version);
    }
    let catalog = owner.catalog();
    let (fast, others): (Vec<_>, Vec<_>) = catalog
        .versions()
        .partition(|version| version.verified.manifest.tier == Tier::Fast);
    let loader = &owner.loader;
    let (of_others, of_fast) = side_by_side::both(|| load_each(loader, &others), || load_each(loader, &fast));
    for (version, error) in of_others.into_iter().chain(of_fast) {
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
    Ok(())
}

/// Loads versions until the server stops, and gives those that could not be loaded.
fn load_each<'a>(loader: &Loader, versions: &[&'a Arc<ModelVersion>]) -> Vec<(&'a Arc<ModelVersion>, ModelError)> {
    let wanted = versions.iter().take_while(|_| !loader.is_stopping());
    wanted
        .filter_map(|&version| Some((version, loader.load_first(version).err()?)))
        .collect()
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
