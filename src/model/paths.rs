//! Paths of model files: after links are resolved, none may leave its root.
//!
//! Links within the root are fine: Kubernetes mounts a ConfigMap as links to `..data`, which is a link itself. So are
//! the links of a snapshot in the cache of Hugging Face to the same model's other files.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The folder that a file or folder is in: the working folder where its path has one part only.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The path of an existing file after links are resolved, if that is under `root`. The error is a part of a line.
pub fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let root = root.canonicalize()?;
    let path = path.canonicalize()?;
    let blobs = cached(&root).map(|model| model.join("blobs"));
    // A folder that only has the cache's name, and lies elsewhere, does not count.
    let blobs = blobs.filter(|blobs| blobs.canonicalize().is_ok_and(|place| place == *blobs));
    if path.starts_with(&root) || blobs.is_some_and(|blobs| path.starts_with(blobs)) {
        return Ok(path);
    }
    Err(io::Error::other(format!(
        "it is a link out of {}; copy the file itself (cp -rL follows links)",
        root.display()
    )))
}

/// The folder of a model in the cache of Hugging Face (`models--<organisation>--<name>`) whose snapshot this is;
/// `snapshot` has its links resolved. `None` if it is no snapshot.
pub fn cached(snapshot: &Path) -> Option<&Path> {
    let snapshots = snapshot.parent().filter(|folder| folder.ends_with("snapshots"))?;
    let model = snapshots.parent()?;
    let name = model.file_name()?.to_str()?;
    name.starts_with("models--").then_some(model)
}

/// A word, quoted for a shell if it needs to be.
pub fn quoted(word: &str) -> String {
    let plain = |value: char| value.is_ascii_alphanumeric() || "-_=.,/:+@%".contains(value);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How to let the server read a file or a folder, by a command for a shell; `None` if the error is another one than
/// that it may not.
pub fn opened(path: &Path, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    // What can't even be looked at is in a folder that is closed.
    let closed = path.ancestors().find(|part| part.metadata().is_ok()).unwrap_or(path);
    // Folders further up need not be listed.
    let near = closed == path || Some(closed) == path.parent();
    let mode = if near { "a+rX" } else { "a+x" };
    // Without a slash at the end, and without `.` components.
    let closed: PathBuf = closed.components().collect();
    let closed = quoted(&closed.display().to_string());
    Some(format!("let the server read it: chmod {mode} {closed}"))
}

/// The error as a part of a line, with how to repair it where that is known.
pub fn told(path: &Path, error: &io::Error) -> String {
    match opened(path, error) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

/// Whether a name is a relative path without `..`.
pub fn goes_down(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\0', '\\'])
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_may_point_elsewhere_in_the_root_and_nowhere_else() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path().join("mount");
        std::fs::create_dir_all(root.join("..2026")).expect("a folder");
        std::fs::write(root.join("..2026/model.onnx"), "x").expect("written");
        std::fs::write(folder.path().join("secret"), "x").expect("written");
        symlink("..2026", root.join("..data")).expect("a link");
        symlink("..data/model.onnx", root.join("model.onnx")).expect("a link");
        symlink("../secret", root.join("stolen")).expect("a link");
        let found = inside(&root, &root.join("model.onnx")).expect("inside");
        assert!(found.ends_with("..2026/model.onnx"), "{}", found.display());
        assert!(
            inside(&root, &root.join("stolen"))
                .expect_err("outside")
                .to_string()
                .contains("a link out of")
        );
        assert!(inside(&root, &root.join("../secret")).is_err());
        assert!(inside(&root, &root.join("missing")).is_err());
    }

    #[test]
    fn a_snapshot_may_link_to_the_blobs_of_its_own_model_alone() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let cache = cache.path().canonicalize().expect("a path");
        for model in ["models--a--x", "models--a--y", "other"] {
            std::fs::create_dir_all(cache.join(model).join("snapshots/1")).expect("a folder");
            std::fs::create_dir_all(cache.join(model).join("blobs")).expect("a folder");
            std::fs::write(cache.join(model).join("blobs/f"), "x").expect("written");
            symlink("../../blobs/f", cache.join(model).join("snapshots/1/own")).expect("a link");
            symlink(
                "../../../models--a--y/blobs/f",
                cache.join(model).join("snapshots/1/others"),
            )
            .expect("a link");
            symlink("../../secret", cache.join(model).join("snapshots/1/secret")).expect("a link");
            std::fs::write(cache.join(model).join("secret"), "x").expect("written");
        }
        let snapshot = cache.join("models--a--x/snapshots/1");
        assert!(inside(&snapshot, &snapshot.join("own")).is_ok());
        assert!(inside(&snapshot, &snapshot.join("others")).is_err());
        assert!(inside(&snapshot, &snapshot.join("secret")).is_err());
        let other = cache.join("other/snapshots/1");
        assert!(inside(&other, &other.join("own")).is_err(), "no cache");
        // A link where the cache keeps its files may lead out of it.
        std::fs::rename(cache.join("models--a--x/blobs"), cache.join("blobs")).expect("moved");
        symlink("../blobs", cache.join("models--a--x/blobs")).expect("a link");
        assert!(inside(&snapshot, &snapshot.join("own")).is_err());
    }

    #[test]
    fn only_plain_relative_names_go_down() {
        for good in ["model.onnx", "onnx/model.onnx", "a/b/c", "..data/x"] {
            assert!(goes_down(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "./..", "..", "a\0b", "..\\x"] {
            assert!(!goes_down(bad), "{bad}");
        }
    }
}
