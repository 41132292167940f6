//! The model repository: finds `<name>/<version>/manifest.toml`, and checks each file against its SHA-256.
//!
//! Only reads files: nothing is loaded into ONNX Runtime here, and at a start no port is open yet. In reading order:
//! this file → [`mod@fingerprint`] (what makes a model another one) → [`signature`] (whether files changed).

pub mod fingerprint;
pub mod signature;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::model::discover::{self, Discovered, Hints, Note};
use crate::model::listed_files::{check_weights, read_listed};
pub use crate::model::manifest::MANIFEST_FILE;
use crate::model::manifest::{Manifest, UNASKED_TOKENS, is_name};
use crate::model::model_error::ModelError;
use crate::model::paths::folder_of;
use crate::model::providers::ProviderList;
use crate::model::{files, paths, scan};
use fingerprint::{fingerprint, of_tokens};

/// The most files and folders in the repository's folder, and in the folder of each name.
const MOST_ENTRIES: usize = 10_000;

/// A model whose files are the ones that its manifest lists, or that were found in a folder without one.
#[derive(Clone, Debug)]
pub struct VerifiedModel {
    pub folder: PathBuf,
    /// Its manifest; where a task looks at a model with heads, that of the task's head.
    pub manifest: Manifest,
    /// The manifest of the whole, where `manifest` is that of one of its heads.
    whole: Option<Box<Manifest>>,
    /// The first 16 hexadecimal digits of a SHA-256 over the files that decide the model's answers.
    pub fingerprint: String,
    /// Whether the manifest has golden examples that the training framework wrote. If not, nothing shows that the model
    /// answers as it did in training.
    pub verified: bool,
    /// What discovery found and assumed, if there is no manifest.
    pub notes: Vec<Note>,
    /// What its graph is to run on.
    pub providers: ProviderList,
}

impl VerifiedModel {
    /// The same model on other execution providers than its manifest says; `None` leaves it as it is.
    pub fn on(self, providers: Option<ProviderList>) -> Self {
        match providers {
            Some(providers) => Self { providers, ..self },
            None => self,
        }
    }

    /// Whether the folder has a manifest. If it has none, the notes say what is known of it.
    pub fn has_manifest(&self) -> bool {
        self.notes.is_empty()
    }

    /// What discovery assumed about the meaning of the answers, for people; empty if the files say it.
    pub fn assumed(&self) -> String {
        let leading = self.notes.iter().filter(|note| note.leads);
        let texts: Vec<&str> = leading.map(|note| note.text.as_str()).collect();
        if texts.is_empty() {
            String::new()
        } else {
            format!("assumed: {}", texts.join("; "))
        }
    }

    /// The model as a task sees it: with the manifest of the task's head, where it has heads. `None` if none is for it.
    pub fn of_task(&self, task: &str) -> Option<Self> {
        let manifest = self.manifest.of_task(task)?;
        let whole = (!self.manifest.heads.is_empty()).then(|| Box::new(self.manifest.clone()));
        Some(Self {
            manifest,
            whole: whole.or_else(|| self.whole.clone()),
            ..self.clone()
        })
    }

    /// The model with all of its heads, as it is loaded.
    pub fn whole(&self) -> Cow<'_, Self> {
        match &self.whole {
            None => Cow::Borrowed(self),
            Some(whole) => Cow::Owned(Self {
                manifest: (**whole).clone(),
                whole: None,
                ..self.clone()
            }),
        }
    }

    /// Reads one of the model's files, of at most `most` bytes; it must have the SHA-256 that was checked.
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>, ModelError> {
        read_listed(&self.folder, &self.manifest, file, most)
    }
}

/// Finds and verifies the newest version of each name in the repository at `root`. Discovery reads a version without a
/// manifest.
pub fn open(root: &Path) -> Result<Vec<VerifiedModel>, ModelError> {
    let newest = newest(root)?;
    let models = newest.iter().map(|folder| verify_in_repository(folder, None));
    models.collect()
}

/// The folders of the newest version of each name in the repository at `root`, by name; at least one. A folder that is
/// no model, or whose name can't be a model's, is skipped with a warning.
pub fn newest(root: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let mut models = Vec::new();
    let mut left_out = None;
    let mut leave_out = |folder: &Path, what: &str| {
        let problem = no_name(folder, what);
        tracing::error!(folder = %folder.display(), problem, "passed over");
        left_out.get_or_insert(ModelError::new(folder, problem));
    };
    for name in folders_in(root)? {
        let (versions, nameless) = match all_versions_in(&name) {
            Ok(versions) => versions,
            // A folder that can't be read and can't be a model belongs to somebody else.
            Err(error) if !has_name(&name) => {
                if name.file_name() != Some("lost+found".as_ref()) {
                    tracing::warn!(folder = %name.display(), problem = error.problem, "passed over: it can't be read");
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let newest = versions.last().filter(|_| has_name(&name));
        match (newest, nameless.first()) {
            (Some(newest), _) => models.push(newest.clone()),
            (None, Some(version)) if has_name(&name) => leave_out(version, "a version"),
            (None, None) if versions.is_empty() => {}
            (None, _) => leave_out(&name, "a model"),
        }
        let backups = versions
            .iter()
            .filter(|version| is_backup(&name_of(version)) && Some(*version) != newest);
        for folder in nameless.iter().chain(backups).filter(|_| newest.is_some()) {
            let problem = if has_name(folder) {
                "by its name it is a backup: it serves only where its version is asked for".to_owned()
            } else {
                no_name(folder, "a version")
            };
            tracing::warn!(folder = %folder.display(), problem, "passed over");
        }
    }
    match (models.is_empty(), left_out) {
        (false, _) => Ok(models),
        (true, Some(error)) => Err(error),
        (true, None) => Err(ModelError::new(
            root,
            format!("holds no model: expected <name>/<version>/ with {MANIFEST_FILE} or an export"),
        )),
    }
}

/// The folders of a name's versions, the newest last. A folder without manifest and export is skipped, since it may be
/// being copied; so is one whose name can't be a version.
pub fn versions_in(name: &Path) -> Result<Vec<PathBuf>, ModelError> {
    Ok(all_versions_in(name)?.0)
}

/// Like [`versions_in`], and the folders that hold a model but have a name that no version can have.
fn all_versions_in(name: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ModelError> {
    let mut versions = folders_in(name)?;
    versions.retain(|version| {
        let is_model = version.join(MANIFEST_FILE).is_file() || discover::looks_like_model(version);
        is_model || has_name(version) && can_not_be_read(version)
    });
    versions.sort_by_cached_key(|version| version_order(&name_of(version)));
    Ok(versions.into_iter().partition(|version| has_name(version)))
}

/// The versions of the same model that are older than the one in `folder`, the newest first.
pub fn older_than(folder: &Path) -> Vec<PathBuf> {
    let order = version_order(&name_of(folder));
    let versions = folder
        .parent()
        .and_then(|name| versions_in(name).ok())
        .unwrap_or_default();
    let older = versions.into_iter().rev();
    older
        .filter(|version| version_order(&name_of(version)) < order)
        .collect()
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether the folder's name may be that of a model or a version.
fn has_name(folder: &Path) -> bool {
    folder.file_name().and_then(|name| name.to_str()).is_some_and(is_name)
}

fn can_not_be_read(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// The warning for a folder that holds a model but has a name that no model or version can have: how to rename it.
fn no_name(folder: &Path, what: &str) -> String {
    let name = name_of(folder);
    let rule = format!("its name is none that {what} can have ([a-z0-9][a-z0-9_-]{{0,62}})");
    let plain = discover::as_name(&name);
    let free = std::iter::once(plain.clone()).chain((2..100).map(|at| format!("{plain}-{at}")));
    let free = free
        .map(|name| folder.with_file_name(name))
        .find(|folder| !folder.exists());
    let path = folder
        .to_str()
        .filter(|path| !path.contains(['\'', '\\']) && !path.contains(char::is_control));
    match (path, free) {
        (Some(path), Some(free)) => format!("{rule}; rename it: mv '{path}' '{}'", free.display()),
        _ => format!("{rule}; rename it"),
    }
}

/// Whether a folder looks like a copy that people kept when they put something new in its place.
fn is_backup(name: &str) -> bool {
    const WORDS: [&str; 12] = [
        "old", "bak", "backup", "copy", "orig", "original", "tmp", "temp", "save", "saved", "archive", "trash",
    ];
    let name = name.to_ascii_lowercase();
    name.split(|between: char| !between.is_ascii_alphanumeric())
        .any(|word| WORDS.contains(&word))
}

/// Verifies the model in `folder`, and that its name and version are those of its folders. `max_tokens` is as in
/// [`Hints`].
pub fn verify_in_repository(folder: &Path, max_tokens: Option<usize>) -> Result<VerifiedModel, ModelError> {
    let version = folder.file_name().map(|name| name.to_string_lossy());
    let name = folder
        .parent()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy());
    let hints = Hints {
        name: name.as_deref().unwrap_or_default().to_owned(),
        version: version.as_deref().unwrap_or_default().to_owned(),
        task: None,
        tier: None,
        max_tokens,
        root: Some(folder_of(folder_of(folder)).to_path_buf()),
    };
    let model = read(folder, &hints)?;
    for (key, expected, found) in [
        ("name", name, &model.manifest.name),
        ("version", version, &model.manifest.version),
    ] {
        if expected.as_deref() != Some(found) {
            let path = folder.join(MANIFEST_FILE);
            let expected = expected.unwrap_or_default();
            return Err(ModelError::new(
                &path,
                format!("{key} is `{found}`, its folder says `{expected}`"),
            ));
        }
    }
    Ok(model)
}

/// Reads the model in `folder`: by its manifest, or without one by discovery.
pub fn read(folder: &Path, hints: &Hints) -> Result<VerifiedModel, ModelError> {
    let root = hints.root.as_deref().unwrap_or(folder);
    if folder.join(MANIFEST_FILE).is_file() {
        return Ok(verify_under(root, folder)?.reading_at_most(hints.max_tokens));
    }
    let Discovered { manifest, notes } = discover::discover(folder, hints)?;
    Ok(unverified(folder, manifest, notes, hints))
}

/// A model from a folder without a manifest, as discovery described it.
pub fn unverified(folder: &Path, manifest: Manifest, notes: Vec<Note>, hints: &Hints) -> VerifiedModel {
    let mut own = fingerprint(&manifest, None);
    let asked = hints.max_tokens.filter(|&asked| asked != UNASKED_TOKENS);
    if asked == Some(manifest.max_token_count()) {
        own = of_tokens(&own, manifest.max_token_count());
    }
    VerifiedModel {
        folder: folder.to_path_buf(),
        fingerprint: own,
        whole: None,
        verified: false,
        providers: manifest.execution_providers.clone().unwrap_or_default(),
        manifest,
        notes,
    }
}

/// The manifest in a folder, if there is one that can be read; the files that it lists are not checked.
pub fn manifest_in(folder: &Path) -> Option<Manifest> {
    let text = files::read_text(&folder.join(MANIFEST_FILE), files::MOST_OF_TOML).ok()?;
    Manifest::parse(&text).ok()
}

/// Reads the manifest in `folder` and checks every file that it lists.
pub fn verify(folder: &Path) -> Result<VerifiedModel, ModelError> {
    verify_under(folder, folder)
}

/// Like [`verify`], for files that may be anywhere under `root`.
fn verify_under(root: &Path, folder: &Path) -> Result<VerifiedModel, ModelError> {
    let path = folder.join(MANIFEST_FILE);
    let text = files::read_text(&path, files::MOST_OF_TOML).map_err(|problem| ModelError::new(&path, problem))?;
    paths::inside(root, &path).map_err(|error| ModelError::new(&path, paths::told(&path, &error)))?;
    let manifest = Manifest::parse(&text).map_err(|problem| ModelError::new(&path, problem))?;
    for (file, expected) in &manifest.files {
        let path = folder.join(file);
        paths::inside(root, &path).map_err(|error| ModelError::new(&path, paths::told(&path, &error)))?;
        let sum = || files::sha256_of(&path).map_err(|error| ModelError::new(&path, paths::told(&path, &error)));
        let told = |problem: String| ModelError::new(&path, problem);
        let differs = || match files::beginning(&path).ok().as_deref().and_then(files::stand_in) {
            Some((problem, remedy)) => told(format!("{problem}; {}", remedy.replace("FILE", file))),
            None => told("its SHA-256 is not the one in the manifest".to_owned()),
        };
        if *file == manifest.onnx.file {
            let scan = match scan::file(&path, false) {
                Ok(scan) if scan.sha256.eq_ignore_ascii_case(expected) => scan,
                Ok(_) => return Err(differs()),
                // If the file is not the right one at all, that is the error, whatever else is wrong with it.
                Err(problem) => match sum()? {
                    found if found.eq_ignore_ascii_case(expected) => return Err(told(problem)),
                    _ => return Err(differs()),
                },
            };
            check_weights(&manifest, &scan.external).map_err(told)?;
        } else if !sum()?.eq_ignore_ascii_case(expected) {
            return Err(differs());
        }
    }
    Ok(VerifiedModel {
        folder: folder.to_path_buf(),
        fingerprint: fingerprint(&manifest, Some(&text)),
        verified: manifest.is_verified(),
        providers: manifest.execution_providers.clone().unwrap_or_default(),
        manifest,
        whole: None,
        notes: Vec::new(),
    })
}

fn folders_in(root: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let fail = |error| ModelError::new(root, paths::told(root, &error));
    let mut folders = Vec::new();
    for (at, entry) in std::fs::read_dir(root).map_err(fail)?.enumerate() {
        if at >= MOST_ENTRIES {
            return Err(ModelError::new(
                root,
                format!("holds more than {MOST_ENTRIES} files and folders"),
            ));
        }
        let entry = entry.map_err(fail)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The sort key of versions: backups by their names, then numbers by value, then other names.
pub fn version_order(version: &str) -> (u8, u64, String) {
    match version.parse() {
        Ok(number) => (1, number, version.to_owned()),
        Err(_) if is_backup(version) => (0, 0, version.to_owned()),
        Err(_) => (2, 0, version.to_owned()),
    }
}
