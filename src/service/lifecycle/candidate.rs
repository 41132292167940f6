//! Candidates: whether new versions fit with the versions that they replace, with the other tier, and with the
//! calibration of the cascade. Decides by manifests; nothing is loaded here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Settings;
use crate::model::manifest::Manifest;
use crate::model::repository::{MANIFEST_FILE, VerifiedModel};
use crate::service::catalog::Catalog;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::catalog::task::Task;
use crate::service::catalog::versions::Versions;
use crate::service::messages::Route;

/// A version that may begin to serve.
#[derive(Clone)]
pub struct Candidate {
    pub name: String,
    pub folder: PathBuf,
    /// The version; not loaded yet.
    pub version: Arc<ModelVersion>,
    /// The version that it would replace; absent for a new model.
    pub replaces: Option<Arc<ModelVersion>>,
}

impl Candidate {
    /// A verified version that would replace the stable version of its name.
    pub fn new(verified: VerifiedModel, catalog: &Catalog) -> Self {
        let name = verified.manifest.name.clone();
        Self {
            folder: verified.folder.clone(),
            replaces: catalog.stable(&name),
            version: Arc::new(ModelVersion::new(verified)),
            name,
        }
    }

    /// Whether it may replace the version before it: the same tier, the same labels, and verified where that one is.
    pub fn agrees(&self) -> Result<(), Refusal> {
        let Some(replaces) = &self.replaces else { return Ok(()) };
        let (old, new) = (&replaces.verified.manifest, &self.version.verified.manifest);
        let refuse = |problem| Err(Refusal::new(Stage::Mismatch, problem));
        if old.tier != new.tier {
            let (old_tier, new_tier) = (old.tier.name(), new.tier.name());
            return refuse(format!("it is {new_tier}, version `{}` is {old_tier}", old.version));
        }
        // Without a manifest there is little to compare, so it would pass; but its manifest may still be on its way.
        if replaces.verified.verified && !self.version.verified.verified && !self.folder.join(MANIFEST_FILE).is_file() {
            let problem = format!(
                "it has no {MANIFEST_FILE}, and version `{}` is verified: `tandem check --write-manifest` writes one",
                old.version
            );
            return Err(Refusal::new(Stage::NotReady, problem));
        }
        if !old.heads.is_empty() || !new.heads.is_empty() {
            return each_task_is_served_alike(old, new).or_else(refuse);
        }
        let set = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<_>>();
        if set(&old.labels) != set(&new.labels) {
            let (old_labels, new_labels) = (old.labels.join(", "), new.labels.join(", "));
            return refuse(format!(
                "its labels are {new_labels}, those of version `{}` are {old_labels}",
                old.version
            ));
        }
        Ok(())
    }

    fn tasks(&self, catalog: &Catalog, settings: &Settings) -> BTreeSet<String> {
        let mut tasks: BTreeSet<String> = self.version.verified.manifest.tasks().map(str::to_owned).collect();
        tasks.extend(catalog.tasks_of(&self.version).into_iter().map(str::to_owned));
        let named = settings.tasks.iter().filter(|(_, task)| {
            let mut models = task.fast.iter().chain(&task.deep);
            models.any(|model| *model == self.name)
        });
        tasks.extend(named.map(|(name, _)| name.clone()));
        tasks
    }
}

/// Whether a version has for each task of the one before it a head with the same labels, of the same kind; it may have more.
fn each_task_is_served_alike(old: &Manifest, new: &Manifest) -> Result<(), String> {
    for task in old.tasks() {
        let (before, after) = (old.of_task(task), new.of_task(task));
        let (Some(before), Some(after)) = (before, after) else {
            return Err(format!(
                "it has no head for `{task}`, version `{}` has one",
                old.version
            ));
        };
        let set = |manifest: &Manifest| manifest.labels.iter().cloned().collect::<BTreeSet<_>>();
        if set(&before) != set(&after) || before.problem_type != after.problem_type {
            let (old_labels, new_labels) = (before.labels.join(", "), after.labels.join(", "));
            return Err(format!(
                "its labels for `{task}` are {new_labels}, those of version `{}` are {old_labels}, or one gives each label by itself",
                old.version
            ));
        }
    }
    Ok(())
}

/// Groups the candidates that share a task. A group is exchanged at once, so that a task never has one model of the new
/// pair and one of the old, or a calibration of the other pair.
pub fn groups(candidates: Vec<Candidate>, catalog: &Catalog, settings: &Settings) -> Vec<Vec<Candidate>> {
    let mut groups: Vec<(BTreeSet<String>, Vec<Candidate>)> = Vec::new();
    for candidate in candidates {
        let mut tasks = candidate.tasks(catalog, settings);
        let mut members = Vec::new();
        let (touched, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(of, _)| !of.is_disjoint(&tasks));
        for (of, group) in touched {
            tasks.extend(of);
            members.extend(group);
        }
        members.push(candidate);
        groups = others;
        groups.push((tasks, members));
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// The catalog with these candidates in it.
pub fn next(current: &Catalog, candidates: &[Candidate], settings: &Settings) -> Result<Catalog, Refusal> {
    let mut models: BTreeMap<String, Versions> = current.models().clone();
    for candidate in candidates {
        let version = Arc::clone(&candidate.version);
        match models.get_mut(&candidate.name) {
            Some(versions) => versions.exchange(version),
            None => drop(models.insert(candidate.name.clone(), Versions::only(version))),
        }
    }
    over(models, current, settings)
}

/// The catalog of these versions, if it may replace the current one.
pub fn over(models: BTreeMap<String, Versions>, current: &Catalog, settings: &Settings) -> Result<Catalog, Refusal> {
    let next = Catalog::over(models, settings);
    let next = next.map_err(|problem| Refusal::new(Stage::Mismatch, without_folders(&problem, settings)))?;
    for (name, task) in current.tasks() {
        let Some(new) = next.tasks().get(name) else {
            let problem = format!("nothing would serve the task `{name}`");
            return Err(Refusal::new(Stage::Mismatch, problem));
        };
        let calibrated = |task: &Task| task.cascade.as_ref().is_some_and(|setup| setup.calibrated);
        let tried = new.trial.as_ref().map(|trial| &trial.task);
        let lost = |new: &&Task| new.default_route == Route::Cascade && calibrated(task) && !calibrated(new);
        if let Some(new) = std::iter::once(new).chain(tried).find(lost) {
            let why = new.cascade.as_ref().and_then(|setup| setup.unused.clone());
            let why = why.unwrap_or_else(|| "there is no calibration".to_owned());
            let problem =
                format!("the cascade of the task `{name}`, its default route, would not be calibrated: {why}");
            return Err(Refusal::new(Stage::Uncalibrated, problem));
        }
    }
    if settings.default_task.is_none() && current.task_name("").is_some() && next.task_name("").is_none() {
        let problem = "requests that name no task would have none: set default_task";
        return Err(Refusal::new(Stage::Mismatch, problem));
    }
    Ok(next.keep_watches(current))
}

/// A problem with a calibration, with the file's name but without its folder, since callers see it.
fn without_folders(problem: &str, settings: &Settings) -> String {
    let elsewhere = settings
        .tasks
        .values()
        .filter_map(|task| task.cascade.calibration.as_ref()?.parent());
    let folders = std::iter::once(settings.models.as_path()).chain(elsewhere);
    let folders = folders.filter(|folder| !folder.as_os_str().is_empty());
    folders.fold(problem.to_owned(), |problem, folder| {
        problem.replace(&format!("{}/", folder.display()), "")
    })
}

/// The candidates that fit together with what serves, and the others with what is wrong. If they don't fit all at once,
/// they are added one after the other.
pub fn fitting(
    current: &Catalog,
    candidates: Vec<Candidate>,
    settings: &Settings,
) -> (Vec<Candidate>, Vec<(Candidate, Refusal)>) {
    let Err(problem) = next(current, &candidates, settings) else {
        return (candidates, Vec::new());
    };
    if candidates.len() == 1 {
        return (
            Vec::new(),
            candidates.into_iter().map(|one| (one, problem.clone())).collect(),
        );
    }
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for candidate in candidates {
        taken.push(candidate);
        if let Err(problem) = next(current, &taken, settings) {
            refused.extend(taken.pop().map(|candidate| (candidate, problem)));
        }
    }
    (taken, refused)
}
