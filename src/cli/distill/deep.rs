//! Where the deep model is: in the repository that the student goes into, so that one server serves both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::out_place;
use crate::cli::output::complain;
use crate::cli::train::place::Place;
use crate::model::discover::{self, Hints, NoteKind};
use crate::model::files;
use crate::model::manifest::{MANIFEST_FILE, Manifest, Tier};
use crate::model::paths::folder_of;
use crate::model::repository::{self, VerifiedModel};
use crate::offline::training::package::beside;

/// What is added to the task's name for the deep model's, and how long a name may be.
const DEEP: &str = "-deep";
const LONGEST: usize = 63;
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
        let folder = by_name(named, &place.repository)?;
        check_apart(&folder, place)?;
        folder
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

/// Fails if the student would be a version of the deep model, or take the place of one.
fn check_apart(deep: &Path, place: &Place) -> Result<(), String> {
    let name = folder_of(deep);
    if name.file_name().is_some_and(|name| name == place.name.as_str()) {
        return Err(format!(
            "--out: `{}` is the deep model's own name: give the student another one, such as models/TASK-fast/1",
            place.name
        ));
    }
    Ok(())
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
        .is_ok_and(|repository| folder_of(folder_of(&folder)) == repository);
    if is_inside {
        let relative = folder.strip_prefix(whole(&place.repository)?).unwrap_or(&folder);
        check_apart(relative, place)?;
        return Ok(place.repository.join(relative));
    }
    let source = Source::of(&folder, place)?;
    check_apart(&source.copy, place)?;
    source.copied(place)
}

/// A folder from elsewhere.
struct Source<'a> {
    folder: &'a Path,
    /// Where in the repository its copy goes.
    copy: PathBuf,
    /// The manifest that the copy gets, if the folder has none: with it, the copy serves the student's task.
    manifest: Option<String>,
}

impl<'a> Source<'a> {
    fn of(folder: &'a Path, place: &Place) -> Result<Self, String> {
        if folder.join(MANIFEST_FILE).exists() {
            let text = fs::read_to_string(folder.join(MANIFEST_FILE)).map_err(|error| error.to_string());
            let manifest = text.and_then(|text| Manifest::parse(&text));
            // It says what the folders must be called.
            let manifest =
                manifest.map_err(|problem| format!("--deep: {}: {problem}", folder.join(MANIFEST_FILE).display()))?;
            return Ok(Self {
                folder,
                copy: place.repository.join(manifest.name).join(manifest.version),
                manifest: None,
            });
        }
        let name = format!(
            "{}{DEEP}",
            place.task.get(..LONGEST - DEEP.len()).unwrap_or(&place.task)
        );
        let hints = Hints {
            name: name.clone(),
            version: FIRST.to_owned(),
            task: Some(place.task.clone()),
            tier: Some(Tier::Deep),
            max_tokens: None,
            root: None,
        };
        let found = discover::discover(folder, &hints).map_err(|error| format!("--deep: {error}"))?;
        for note in found.notes.iter().filter(|note| note.kind == NoteKind::Assumed) {
            complain(&format!("--deep: {}: assumed: {}", folder.display(), note.text));
        }
        let text = toml::to_string(&found.manifest).map_err(|error| error.to_string())?;
        Ok(Self {
            folder,
            copy: place.repository.join(name).join(FIRST),
            manifest: Some(format!(
                "# Written by `tandem distill`, by what it found in the folder.\n\n{text}"
            )),
        })
    }

    /// Copies it, unless it was copied before. The folder of another model that is in the way is an error.
    fn copied(&self, place: &Place) -> Result<PathBuf, String> {
        let Self { folder, copy, manifest } = self;
        if copy.exists() {
            if !is_copy(folder, copy) {
                return Err(format!(
                    "--deep: {} is to be copied to {}, where another model is: name that one by --deep, or move one of them, or \
                     give the student another name or --task",
                    folder.display(),
                    copy.display()
                ));
            }
            if let Some(manifest) = manifest.as_ref().filter(|_| !copy.join(MANIFEST_FILE).exists()) {
                write(&copy.join(MANIFEST_FILE), manifest)?;
                complain(&format!(
                    "wrote {}, so that it serves the task {}",
                    copy.join(MANIFEST_FILE).display(),
                    place.task
                ));
            }
            return Ok(copy.clone());
        }
        let parent = folder_of(copy);
        fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        let unfinished = beside(copy, "unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        let copied = copy_all(folder, &unfinished, &mut 0)
            .and_then(|()| {
                let text = manifest.as_ref();
                text.map_or(Ok(()), |text| write(&unfinished.join(MANIFEST_FILE), text))
            })
            .and_then(|()| fs::rename(&unfinished, copy).map_err(|error| format!("{}: {error}", copy.display())));
        if let Err(problem) = copied {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(problem);
        }
        let with = if manifest.is_some() { ", with a manifest" } else { "" };
        complain(&format!(
            "copied {} to {}{with}, so that one server serves both models",
            folder.display(),
            copy.display()
        ));
        Ok(copy.clone())
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    out_place::write(path, text.as_bytes())
}

/// Whether a folder has every file of another one, byte by byte. It may have more: a manifest, golden examples.
fn is_copy(of: &Path, copy: &Path) -> bool {
    let Ok(entries) = fs::read_dir(of) else { return false };
    entries.flatten().all(|entry| {
        let (own, other) = (entry.path(), copy.join(entry.file_name()));
        let (Ok(of_own), Ok(of_other)) = (fs::metadata(&own), fs::metadata(&other)) else {
            return false;
        };
        if of_own.is_dir() {
            return is_copy(&own, &other);
        }
        let sums = || files::sha256_of(&own).ok().zip(files::sha256_of(&other).ok());
        !of_own.is_file() || of_own.len() == of_other.len() && sums().is_some_and(|(own, other)| own == other)
    })
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
