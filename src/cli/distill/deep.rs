//! Where the deep model is: in the repository that the student goes into, so that one server serves both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::output::complain;
use crate::cli::train::place::Place;
use crate::model::manifest::{MANIFEST_FILE, Manifest};
use crate::model::repository::{self, VerifiedModel};
use crate::offline::training::package::{beside, parent_of};

/// The version that a folder from elsewhere gets.
const FIRST: &str = "1";
/// The most bytes of a folder that is copied: 16 GiB.
const MOST_BYTES: u64 = 16 << 30;

/// Finds the deep model. A folder that is elsewhere is copied into the repository. The error is one line.
pub fn find(named: &str, place: &Place) -> Result<VerifiedModel, String> {
    let folder = Path::new(named);
    let folder = if folder.is_dir() {
        inside(folder, place)?
    } else {
        by_name(named, &place.repository)?
    };
    repository::verify_in_repository(&folder, None).map_err(|error| format!("--deep: {error}"))
}

fn by_name(named: &str, repository: &Path) -> Result<PathBuf, String> {
    let (name, version) = named
        .split_once('@')
        .map_or((named, None), |(name, version)| (name, Some(version)));
    let of_name = repository.join(name);
    let missing = |what: &str| {
        format!(
            "--deep: {what}: it is neither a folder nor a model of {}: name the folder of a model, or NAME@VERSION",
            repository.display()
        )
    };
    if !of_name.is_dir() {
        return Err(missing(named));
    }
    match version {
        Some(version) if of_name.join(version).is_dir() => Ok(of_name.join(version)),
        Some(_) => Err(missing(named)),
        None => {
            let versions = repository::versions_in(&of_name).map_err(|error| format!("--deep: {error}"))?;
            versions.last().cloned().ok_or_else(|| missing(named))
        }
    }
}

/// The folder itself if it is in the repository as `NAME/VERSION`, else its copy there.
fn inside(folder: &Path, place: &Place) -> Result<PathBuf, String> {
    let whole = |path: &Path| {
        path.canonicalize()
            .map_err(|error| format!("--deep: {}: {error}", path.display()))
    };
    let folder = whole(folder)?;
    let is_inside = place
        .repository
        .canonicalize()
        .is_ok_and(|repository| parent_of(&parent_of(&folder)) == repository);
    if is_inside {
        let relative = folder.strip_prefix(whole(&place.repository)?).unwrap_or(&folder);
        return Ok(place.repository.join(relative));
    }
    // A manifest says what the folders must be called.
    let manifest = fs::read_to_string(folder.join(MANIFEST_FILE))
        .ok()
        .and_then(|text| Manifest::parse(&text).ok());
    let copy = match manifest {
        Some(manifest) => place.repository.join(manifest.name).join(manifest.version),
        None => place.repository.join(format!("{}-deep", place.task)).join(FIRST),
    };
    if copy.is_dir() {
        return Ok(copy);
    }
    let parent = parent_of(&copy);
    fs::create_dir_all(&parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    let unfinished = beside(&copy, "unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let copied = copy_all(&folder, &unfinished, &mut 0)
        .and_then(|()| fs::rename(&unfinished, &copy).map_err(|error| format!("{}: {error}", copy.display())));
    if let Err(problem) = copied {
        let _ = fs::remove_dir_all(&unfinished);
        return Err(problem);
    }
    complain(&format!(
        "copied {} to {}, so that one server serves both models",
        folder.display(),
        copy.display()
    ));
    Ok(copy)
}

fn copy_all(from: &Path, to: &Path, bytes: &mut u64) -> Result<(), String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(to).map_err(|error| told(to, error))?;
    for entry in fs::read_dir(from).map_err(|error| told(from, error))? {
        let path = entry.map_err(|error| told(from, error))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        // Follows links, as model hubs' caches have them.
        let about = fs::metadata(&path).map_err(|error| told(&path, error))?;
        if about.is_dir() {
            copy_all(&path, &target, bytes)?;
            continue;
        }
        *bytes += about.len();
        if *bytes > MOST_BYTES {
            return Err(format!(
                "--deep: {} is more than 16 GiB, the limit for a copy: move it into the repository",
                from.display()
            ));
        }
        if about.is_file() {
            fs::copy(&path, &target).map_err(|error| told(&target, error))?;
        }
    }
    Ok(())
}
