//! Paths of model files: by their true place, links resolved, none leaves its root.
//!
//! Links within the root are fine: Kubernetes mounts a ConfigMap as links to `..data`, which is one itself.

use std::path::{Component, Path, PathBuf};

/// The true path of `path`, if it is there and lies under `root`. The error is a part of a line.
pub fn inside(root: &Path, path: &Path) -> Result<PathBuf, String> {
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    if path.starts_with(&root) {
        return Ok(path);
    }
    Err(format!(
        "it is a link out of {}; copy the file itself (cp -rL follows links)",
        root.display()
    ))
}

/// Whether a name is a relative path that only goes down.
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
                .contains("a link out of")
        );
        assert!(inside(&root, &root.join("../secret")).is_err());
        assert!(inside(&root, &root.join("missing")).is_err());
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
