//! Sources: where the models come from: a repository, or folders that the settings name one by one. Only this file
//! tells them apart.
//!
//! Reads files only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::pins::{Pins, file_of};
use super::refusal::{Refusal, RefusedVersion, Stage};
use crate::config::Settings;
use crate::low_priority::LowPriority;
use crate::model::discover::Hints;
use crate::model::limited::{self, CallOff, LOAD_LIMIT};
use crate::model::repository::{self, VerifiedModel};
use crate::model::{ModelError, Tier};

/// Every folder that should hold a model: in the repository the newest version of each, else those that the settings
/// name.
pub fn folders(settings: &Settings) -> Result<Vec<PathBuf>, ModelError> {
    let alone: Vec<PathBuf> = alone(settings).map(|(_, folder)| folder.to_path_buf()).collect();
    if alone.is_empty() {
        repository::newest(&settings.models).map_err(|error| error.of_setting("models", &settings.models))
    } else {
        Ok(alone)
    }
}

/// The repository; `None` where the settings name folders.
pub fn repository(settings: &Settings) -> Option<&Path> {
    match alone(settings).next() {
        None => Some(&settings.models),
        Some(_) => None,
    }
}

/// The paths below which a change may be a new version.
pub fn roots(settings: &Settings) -> Vec<&Path> {
    let alone: Vec<&Path> = alone(settings).map(|(_, folder)| folder).collect();
    if alone.is_empty() {
        vec![settings.models.as_path()]
    } else {
        alone
    }
}

/// The model name and the version that a folder stands for.
pub fn name_and_version(settings: &Settings, folder: &Path) -> (String, String) {
    if let Some(tier) = tier_of(settings, folder) {
        let hints = hints(settings, folder, tier);
        return (hints.name, hints.version);
    }
    let part = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    (part(folder.parent()), part(Some(folder)))
}

/// Reads and verifies the model in one of these folders, on a thread of its own, which is abandoned if it takes too
/// long or is called off.
pub fn read(
    settings: &Settings,
    folder: &Path,
    priority: Option<LowPriority>,
    called_off: &dyn Fn() -> bool,
) -> Result<VerifiedModel, ModelError> {
    let (own, place) = (settings.clone(), folder.to_owned());
    let read = move |_: &CallOff| {
        if let Some(priority) = priority {
            priority.enter();
        }
        read_here(&own, &place)
    };
    limited::run("model-read", LOAD_LIMIT, called_off, read).map_err(|stopped| ModelError::new(folder, stopped))?
}

fn read_here(settings: &Settings, folder: &Path) -> Result<VerifiedModel, ModelError> {
    let Some(tier) = tier_of(settings, folder) else {
        let model = repository::verify_in_repository(folder, settings.configured_max_tokens())?;
        let providers = settings.providers_of(&model.manifest);
        return Ok(model.on(providers));
    };
    let model = repository::read(folder, &hints(settings, folder, tier))?;
    let found = model.manifest.tier;
    if found != tier {
        let problem = format!("the model is {}, it was given as {}", found.name(), tier.name());
        return Err(ModelError::new(folder, problem));
    }
    let providers = settings.providers_of(&model.manifest);
    Ok(model.on(providers))
}

/// The folder of the version that the pins make stable, where `newest` is the folder of the newest version. Pins do not
/// apply to folders that the settings name.
pub fn pinned(settings: &Settings, pins: &Pins, newest: &Path) -> PathBuf {
    if repository(settings).is_none() {
        return newest.to_owned();
    }
    let name = newest.parent().and_then(Path::file_name).unwrap_or_default();
    let pins = pins.models.get(&*name.to_string_lossy());
    match pins.and_then(|pins| pins.stable.as_ref()) {
        Some(version) => newest.with_file_name(version),
        None => newest.to_owned(),
    }
}

/// The outcome of reading every model.
pub struct Opened {
    /// The models, verified.
    pub models: Vec<VerifiedModel>,
    /// The newest versions that can't be used, by model, where an older one serves instead.
    pub refused: BTreeMap<String, RefusedVersion>,
}

/// Reads and verifies every model, in the version that the pins name, or else the newest. Where the newest can't be
/// used, the version before it serves, as at a reload.
pub fn read_all(settings: &Settings, pins: &Pins) -> Result<Opened, ModelError> {
    let mut refused = BTreeMap::new();
    let mut models = Vec::new();
    for newest in folders(settings)? {
        let folder = pinned(settings, pins, &newest);
        let error = match read(settings, &folder, None, &|| false) {
            Ok(model) => {
                models.push(model);
                continue;
            }
            Err(error) => error,
        };
        // A version that an operator named is never replaced by an older one.
        if repository(settings).is_none() {
            return Err(error);
        }
        if folder != newest {
            return Err(said_by_labels(error, settings));
        }
        let mut older = repository::older_than(&newest).into_iter();
        let Some(model) = older.find_map(|older| read(settings, &older, None, &|| false).ok()) else {
            return Err(error);
        };
        let (name, version) = name_and_version(settings, &newest);
        tracing::error!(
            model = name,
            version,
            serving = model.manifest.version,
            %error,
            "the newest version can't be used, the one before it serves"
        );
        let refusal = Refusal::of_file(Stage::NotReady, &error, &newest);
        refused.insert(name, RefusedVersion { version, refusal });
        models.push(model);
    }
    if let [deep, fast] = models.as_slice()
        && tier_of(settings, &deep.folder).is_some()
    {
        let (of_deep, of_fast) = (&deep.manifest, &fast.manifest);
        if of_deep.name == of_fast.name {
            return Err(ModelError::new(
                &fast.folder,
                format!(
                    "both models are called `{}`; give them names in their manifests",
                    of_fast.name
                ),
            ));
        }
        if of_deep.task != of_fast.task {
            return Err(ModelError::new(
                &fast.folder,
                format!("its task is `{}`, the deep model's is `{}`", of_fast.task, of_deep.task),
            ));
        }
    }
    Ok(Opened { models, refused })
}

/// The error of a version that the pins name. It names their file, where an operator can change that.
fn said_by_labels(error: ModelError, settings: &Settings) -> ModelError {
    let (problem, file) = (error.problem, file_of(settings));
    ModelError {
        problem: format!(
            "{problem}; labels_file ({}) says that this version serves",
            file.display()
        ),
        ..error
    }
}

/// The folders that the settings name, with their tiers.
fn alone(settings: &Settings) -> impl Iterator<Item = (Tier, &Path)> {
    let named = [(Tier::Deep, &settings.deep), (Tier::Fast, &settings.fast)];
    named
        .into_iter()
        .filter_map(|(tier, folder)| Some((tier, folder.as_deref()?)))
}

fn tier_of(settings: &Settings, folder: &Path) -> Option<Tier> {
    alone(settings)
        .find(|(_, named)| *named == folder)
        .map(|(tier, _)| tier)
}

/// What a named folder does not say itself. Two named folders share one task: the task that a manifest names, or else
/// one with the first folder's name.
fn hints(settings: &Settings, folder: &Path, tier: Tier) -> Hints {
    let mut hints = own_hints(folder);
    let others = alone(settings).filter(|(other, _)| *other != tier);
    let others: Vec<Hints> = others.map(|(_, folder)| own_hints(folder)).collect();
    if let Some(other) = others.first() {
        let first = if tier == Tier::Deep { &hints } else { other };
        let task = other.task.clone().unwrap_or_else(|| first.name.clone());
        hints.task = hints.task.or(Some(task));
        if tier == Tier::Fast && hints.name == other.name {
            hints.name.truncate(58);
            hints.name.push_str("-fast");
        }
    }
    Hints {
        tier: Some(tier),
        max_tokens: settings.configured_max_tokens(),
        ..hints
    }
}

/// The name, the version and the task in a folder's manifest; without a manifest, the names of its folders.
fn own_hints(folder: &Path) -> Hints {
    let by_folder = Hints::of_folder(folder);
    match repository::manifest_in(folder) {
        Some(manifest) => Hints {
            name: manifest.name,
            version: manifest.version,
            task: Some(manifest.task),
            ..by_folder
        },
        None => by_folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::catalog::pins::ModelPins;

    #[test]
    fn a_pinned_version_goes_before_the_newest() {
        let settings = Settings {
            models: "/m".into(),
            ..Settings::default()
        };
        let mut pins = Pins::default();
        let second = ModelPins {
            stable: Some("2".into()),
            ..ModelPins::default()
        };
        pins.models.insert("a".into(), second);
        assert_eq!(pinned(&settings, &pins, Path::new("/m/a/9")), Path::new("/m/a/2"));
        assert_eq!(pinned(&settings, &pins, Path::new("/m/b/9")), Path::new("/m/b/9"));
    }
}
