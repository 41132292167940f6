//! What operators do with versions: load, promote, make a canary of, roll back, unload. One at a time, each with the checks of a
//! reload, each repeatable: what is so already is left as it is.

use std::sync::Arc;

use super::judge::Bounds;
use super::labels::{CanaryLabel, ModelLabels, RolledBack};
use super::watch::CanaryWatch;
use crate::error::{Error, Reason};
use crate::model::manifest::is_name;
use crate::model::repository;
use crate::service::Service;
use crate::service::catalog::{Canary, Versions};
use crate::service::sources;

/// What an operation leaves to be said: that labels could not be written, for instance.
pub type Warning = Option<String>;

impl Service {
    /// Makes a version stable, and keeps it so; without one, the newest, now and from then on.
    pub async fn promote(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let name = model_name(name)?;
        if version.is_empty() {
            let warning = self.in_turn(move |service| service.follow_newest(&name)).await?;
            self.reload().await;
            return Ok(warning);
        }
        let version = version_name(version)?;
        self.in_turn(move |service| service.make_stable(&name, &version, None))
            .await
    }

    /// Gets away from a version, or from the canary, or else from the stable version, where none is named.
    pub async fn roll_back(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let name = model_name(name)?;
        let from = match version {
            "" => None,
            version => Some(version_name(version)?),
        };
        self.in_turn(move |service| service.leave(&name, from.as_deref())).await
    }

    /// Gives a share of the clients to a version; 0 ends the canary.
    pub async fn set_canary(&self, name: &str, version: &str, share: f64) -> Result<Warning, Error> {
        let name = model_name(name)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::invalid_field("share", "must be from 0 to 1"));
        }
        if share == 0.0 {
            let version = version.to_owned();
            return self.in_turn(move |service| service.end_canary(&name, &version)).await;
        }
        let version = version_name(version)?;
        self.in_turn(move |service| service.make_canary(&name, &version, share))
            .await
    }

    /// Loads a version beside the stable one.
    pub async fn load_version(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let (name, version) = (model_name(name)?, version_name(version)?);
        self.in_turn(move |service| service.put_beside(&name, &version)).await
    }

    /// Lets a version go that is not stable.
    pub async fn unload_version(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let (name, version) = (model_name(name)?, version_name(version)?);
        self.in_turn(move |service| service.let_go(&name, &version)).await
    }

    /// Does one operation after the other, on a thread of its own, since loading blocks. Goes on if the caller does not wait.
    async fn in_turn(
        &self,
        work: impl FnOnce(&Service) -> Result<Warning, Error> + Send + 'static,
    ) -> Result<Warning, Error> {
        let draining = || Error::new(Reason::ServerDraining, "the server is shutting down");
        let turn = Arc::clone(&self.inner.rollouts.turn).acquire_owned().await;
        let (service, (tell, told)) = (self.clone(), tokio::sync::oneshot::channel());
        // It ends with the work; `stop_models` waits for that by the loader's lock.
        let spawned = std::thread::Builder::new()
            .name("model-operator".into())
            .spawn(move || {
                let loader = service.inner.reloads.loader();
                let outcome = match service.is_draining() {
                    true => Err(draining()),
                    false => work(&service),
                };
                drop(loader);
                drop(turn);
                // Whoever asked may not wait any more.
                let _ = tell.send(outcome);
            });
        spawned.map_err(|_| Error::new(Reason::Internal, "no thread could be started"))?;
        told.await
            .unwrap_or_else(|_| Err(Error::new(Reason::Internal, "the operation ended without an answer")))
    }

    fn follow_newest(&self, name: &str) -> Result<Warning, Error> {
        self.versions_of(name)?;
        let ended = self.end_canary(name, "")?;
        Ok(self.label(name, |labels| labels.stable = None).or(ended))
    }

    /// Makes a version stable. Where it takes the place of one that was rolled back, that is said of it.
    fn make_stable(&self, name: &str, version: &str, rolled_back: Option<RolledBack>) -> Result<Warning, Error> {
        let from = self.versions_of(name)?.stable.version().to_owned();
        let slot = self.find_or_load(name, version)?;
        let new = from != version;
        let stable = Arc::clone(&slot);
        self.change(name, slot, move |versions| {
            if let Some(canary) = versions.canary.take() {
                canary.watch.end();
                versions.others.push(canary.slot);
            }
            versions.others.retain(|other| !Arc::ptr_eq(other, &stable));
            versions.stable = stable;
        })?;
        if new {
            tracing::info!(model = name, version, from, "a version was made stable");
        }
        Ok(self.label(name, |labels| {
            labels.canary = None;
            labels.stable = Some(version.to_owned());
            match rolled_back {
                Some(rolled_back) => {
                    labels.previous = None;
                    labels.rolled_back = Some(rolled_back);
                }
                None => {
                    if new {
                        labels.previous = Some(from);
                    }
                    labels.rolled_back = labels.rolled_back.take().filter(|back| back.version != version);
                }
            }
        }))
    }

    fn leave(&self, name: &str, from: Option<&str>) -> Result<Warning, Error> {
        let versions = self.versions_of(name)?;
        let meant = |version: &str| from.is_none_or(|from| from == version);
        let by_hand = |version: &str| RolledBack {
            version: version.to_owned(),
            reason: "an operator did".into(),
        };
        let canary = versions.canary.as_ref().filter(|canary| !canary.watch.ended());
        if let Some(canary) = canary.filter(|canary| meant(canary.slot.version())) {
            let version = canary.slot.version().to_owned();
            let warning = self.end_canary(name, &version)?;
            tracing::warn!(model = name, version, "the canary was rolled back by an operator");
            let noted = self.label(name, |labels| labels.rolled_back = Some(by_hand(&version)));
            return Ok(noted.or(warning));
        }
        let stable = versions.stable.version();
        if !meant(stable) {
            return Ok(None);
        }
        let previous = self
            .previous_version(name)
            .ok_or_else(|| conflict(format!("there is no version of `{name}` before `{stable}`")))?;
        let warning = self.make_stable(name, &previous, Some(by_hand(stable)))?;
        tracing::warn!(
            model = name,
            version = stable,
            to = previous,
            "a version was rolled back by an operator"
        );
        Ok(warning)
    }

    /// The version that was stable before, or else the one before the stable version in the repository.
    pub(in crate::service) fn previous_version(&self, name: &str) -> Option<String> {
        let said = self.inner.rollouts.labels.of(name).previous;
        let stable = self.catalog().slot(name)?;
        said.filter(|version| version != stable.version()).or_else(|| {
            let versions = repository::versions_in(&sources::repository(self.settings())?.join(name)).ok()?;
            let mut names = versions.iter().filter_map(|folder| folder.file_name()?.to_str());
            let order = repository::version_order(stable.version());
            let before = names.rfind(|version| repository::version_order(version) < order);
            before.map(str::to_owned)
        })
    }

    fn make_canary(&self, name: &str, version: &str, share: f64) -> Result<Warning, Error> {
        let versions = self.versions_of(name)?;
        let stable = versions.stable.version();
        if stable == version {
            return Err(conflict(format!(
                "version `{version}` is stable, it can't be the canary too"
            )));
        }
        if let Some(other) = self.other_canary(name) {
            return Err(conflict(format!(
                "`{other}`, which serves the same task, has a canary: one at a time can be told apart"
            )));
        }
        let known = versions.canary.as_ref();
        let known = known.filter(|canary| canary.slot.version() == version && !canary.watch.ended());
        let slot = self.find_or_load(name, version)?;
        let watch = match known {
            Some(canary) => Arc::clone(&canary.watch),
            None => Arc::new(CanaryWatch::new(name, version, Bounds::from(self.settings()))),
        };
        let canary = Canary {
            slot: Arc::clone(&slot),
            share,
            watch,
        };
        self.change(name, slot, |versions| versions.set_canary(Some(canary)))?;
        tracing::info!(model = name, version, share, "a share of the clients gets the canary");
        Ok(self.label(name, |labels| {
            labels.stable.get_or_insert_with(|| stable.to_owned());
            labels.canary = Some(CanaryLabel {
                version: version.to_owned(),
                share,
            });
            labels.rolled_back = labels.rolled_back.take().filter(|back| back.version != version);
        }))
    }

    /// A model that shares a task with this one and has a canary.
    fn other_canary(&self, name: &str) -> Option<String> {
        let catalog = self.catalog();
        let of = |task: &crate::service::catalog::Task| {
            let names = task.slots().map(|slot| slot.verified.manifest.name.clone());
            names.collect::<Vec<_>>()
        };
        let together = catalog
            .tasks()
            .values()
            .map(of)
            .filter(|names| names.iter().any(|other| other == name));
        together.flatten().find(|other| {
            let canary = catalog
                .models()
                .get(other)
                .and_then(|versions| versions.canary.as_ref());
            other != name && canary.is_some_and(|canary| !canary.watch.ended())
        })
    }

    /// Ends the canary, if it is this version, or whichever it is for an empty one; it stays loaded.
    fn end_canary(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let versions = self.versions_of(name)?;
        let canary = versions
            .canary
            .filter(|canary| version.is_empty() || canary.slot.version() == version);
        let Some(canary) = canary else { return Ok(None) };
        if canary.watch.end() {
            tracing::info!(model = name, version = canary.slot.version(), "the canary has ended");
        }
        self.change(name, canary.slot, |versions| versions.set_canary(None))?;
        Ok(self.label(name, |labels| labels.canary = None))
    }

    fn put_beside(&self, name: &str, version: &str) -> Result<Warning, Error> {
        let versions = self.versions_of(name)?;
        if versions.slots().any(|slot| slot.version() == version) {
            return Ok(None);
        }
        let slot = self.find_or_load(name, version)?;
        let other = Arc::clone(&slot);
        self.change(name, slot, |versions| versions.others.push(other))?;
        tracing::info!(model = name, version, "a version was loaded beside the stable one");
        Ok(None)
    }

    fn let_go(&self, name: &str, version: &str) -> Result<Warning, Error> {
        if self.versions_of(name)?.stable.version() == version {
            return Err(conflict(format!(
                "version `{version}` is stable: promote another one, or roll it back"
            )));
        }
        let warning = self.end_canary(name, version)?;
        let slot = self.catalog().version(name, version);
        if let Some(slot) = slot {
            self.change(name, slot, |versions| {
                versions.others.retain(|other| other.version() != version);
            })?;
        }
        Ok(warning)
    }

    /// What there is of a model.
    fn versions_of(&self, name: &str) -> Result<Versions, Error> {
        let found = self.catalog().models().get(name).cloned();
        found.ok_or_else(|| Error::new(Reason::ModelNotFound, format!("name: there is no model `{name}`")))
    }

    fn label(&self, name: &str, change: impl FnOnce(&mut ModelLabels)) -> Warning {
        let changed = self.inner.rollouts.labels.change(name, change);
        self.tell_health();
        changed.err()
    }
}

fn conflict(problem: String) -> Error {
    Error::new(Reason::RolloutConflict, problem)
}

fn model_name(name: &str) -> Result<String, Error> {
    named("name", name)
}

fn version_name(version: &str) -> Result<String, Error> {
    named("version", version)
}

fn named(field: &str, value: &str) -> Result<String, Error> {
    match is_name(value) {
        true => Ok(value.to_owned()),
        false => Err(Error::invalid_field(field, "must match [a-z0-9][a-z0-9_-]{0,62}")),
    }
}
