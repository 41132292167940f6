//! How a version comes in and goes: out of the repository with the checks of a reload, and a catalog put in the place of another.
//! Only for whoever holds the loader's lock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::Settings;
use crate::error::{Error, Reason};
use crate::model::repository;
use crate::service::Service;
use crate::service::catalog::{Catalog, ModelState, Versions};
use crate::service::reload::background::in_background;
use crate::service::reload::fit::{self, Candidate};
use crate::service::reload::outcome::{Refusal, Stage};
use crate::service::slot::Slot;
use crate::service::sources;

impl Service {
    /// The version that is loaded, or else out of the repository, with all checks but the last: whether it fits the others.
    pub(super) fn find_or_load(&self, name: &str, version: &str) -> Result<Arc<Slot>, Error> {
        let catalog = self.catalog();
        if let Some(slot) = catalog.version(name, version) {
            return match &*slot.state() {
                ModelState::Serving(_) => Ok(slot),
                _ => Err(Error::new(
                    Reason::RolloutConflict,
                    format!("version `{version}` of `{name}` does not serve"),
                )),
            };
        }
        let settings = self.settings();
        let model = sources::repository(settings).map(|repository| repository.join(name));
        let folders = model.and_then(|model| repository::versions_in(&model).ok());
        let folders = folders.unwrap_or_default();
        let folder = folders
            .into_iter()
            .find(|folder| folder.file_name() == Some(version.as_ref()));
        let folder = folder.ok_or_else(|| {
            let problem = format!("version: the repository has no version `{version}` of `{name}`");
            Error::new(Reason::ModelNotFound, problem)
        })?;
        let verified = in_background(false, || {
            Candidate::read(settings, &folder, &catalog, &|| self.is_draining())
        });
        let candidate = verified
            .and_then(|verified| verified)
            .map_err(|refusal| refused(version, refusal))?;
        let loaded = candidate.agrees().and_then(|()| self.load_candidate(&candidate));
        match loaded {
            Ok(()) => Ok(candidate.slot),
            Err(refusal) => {
                self.retire(vec![candidate.slot]);
                Err(refused(version, refusal))
            }
        }
    }

    /// Puts a catalog in the place of the one that serves, with something changed about the versions of a model, and lets go what
    /// is not in it any more. Where it does not fit, all stays as it was, and `slot` goes if it was new.
    pub(super) fn change(&self, name: &str, slot: Arc<Slot>, change: impl FnOnce(&mut Versions)) -> Result<(), Error> {
        let before = self.catalog();
        let mut models: BTreeMap<String, Versions> = before.models().clone();
        if let Some(versions) = models.get_mut(name) {
            change(versions);
        }
        let outcome = fit::over(models, &before, self.settings()).map(Arc::new);
        let (leaving, outcome) = match outcome {
            Ok(next) => {
                drop(self.inner.catalog.swap(Arc::clone(&next)));
                self.tell_model_state(&slot);
                (gone(&before, &next), Ok(()))
            }
            Err(refusal) if holds(&before, &slot) => (Vec::new(), Err(refused(slot.version(), refusal))),
            Err(refusal) => (vec![Arc::clone(&slot)], Err(refused(slot.version(), refusal))),
        };
        // A version ends with the last that holds it.
        drop((before, slot));
        self.retire(leaving);
        outcome
    }
}

/// The versions that one catalog has and the next has not.
pub(in crate::service) fn gone(before: &Catalog, next: &Catalog) -> Vec<Arc<Slot>> {
    before.slots().filter(|slot| !holds(next, slot)).cloned().collect()
}

fn holds(catalog: &Catalog, slot: &Arc<Slot>) -> bool {
    catalog.slots().any(|other| Arc::ptr_eq(other, slot))
}

impl Candidate {
    fn read(
        settings: &Settings,
        folder: &Path,
        catalog: &Catalog,
        called_off: &dyn Fn() -> bool,
    ) -> Result<Self, Refusal> {
        let verified = sources::read(settings, folder, called_off);
        let verified = verified.map_err(|error| Refusal::of_file(Stage::NotReady, &error, folder))?;
        Ok(Self::new(verified, catalog))
    }
}

fn refused(version: &str, refusal: Refusal) -> Error {
    let Refusal { stage, problem } = refusal;
    Error::new(
        Reason::VersionRefused,
        format!("version `{version}` was refused ({}): {problem}", stage.name()),
    )
    .with_fact("stage", stage.name())
}
