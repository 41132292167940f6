//! Where ONNX Runtime's shared library is looked for, and in which order.
//!
//! Only finds paths: `onnx/` loads the library.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable with the library's path.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

#[cfg(target_os = "macos")]
const LIBRARY_NAMES: [&str; 2] = ["libonnxruntime.1.28.0.dylib", "libonnxruntime.dylib"];
#[cfg(target_os = "windows")]
const LIBRARY_NAMES: [&str; 1] = ["onnxruntime.dll"];
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
const LIBRARY_NAMES: [&str; 2] = ["libonnxruntime.so.1.28.0", "libonnxruntime.so"];

/// The library to load: `ORT_DYLIB_PATH` if it is set, else the first file that exists beside the binary or at the
/// build's path, else a bare name for the system's loader to find.
pub fn locate() -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf));
    locate_in(std::env::var_os(LIBRARY_VARIABLE), beside.as_deref(), build_path())
}

/// The path of the library that the build fetched, if it fetched one.
fn build_path() -> Option<&'static Path> {
    option_env!("TANDEM_ORT_BUILD_PATH")
        .filter(|path| !path.is_empty())
        .map(Path::new)
}

/// The path of a library that the system's loader found by its bare name; any other path unchanged.
pub fn loaded_path(asked: PathBuf) -> PathBuf {
    if asked.components().count() > 1 {
        return asked;
    }
    std::fs::read_to_string("/proc/self/maps")
        .ok()
        .and_then(|maps| {
            let line = maps.lines().find(|line| line.contains("libonnxruntime"))?;
            Some(PathBuf::from(&line[line.find('/')?..]))
        })
        .unwrap_or(asked)
}

fn locate_in(variable: Option<OsString>, beside: Option<&Path>, built: Option<&Path>) -> PathBuf {
    if let Some(named) = variable.filter(|value| !value.is_empty()) {
        return PathBuf::from(named);
    }
    let beside = beside
        .into_iter()
        .flat_map(|folder| LIBRARY_NAMES.map(|name| folder.join(name)));
    beside
        .chain(built.map(Path::to_path_buf))
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(LIBRARY_NAMES[LIBRARY_NAMES.len() - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_even_when_the_file_is_missing() {
        assert_eq!(
            locate_in(Some("/nowhere/lib.so".into()), None, None),
            Path::new("/nowhere/lib.so")
        );
    }

    #[test]
    fn beside_the_binary_comes_before_the_builds_path() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let beside = folder.path().join(LIBRARY_NAMES[0]);
        let built = folder.path().join("built.so");
        std::fs::write(&built, "").expect("write");
        assert_eq!(locate_in(None, Some(folder.path()), Some(&built)), built);
        std::fs::write(&beside, "").expect("write");
        assert_eq!(locate_in(None, Some(folder.path()), Some(&built)), beside);
    }

    #[test]
    fn the_systems_loader_is_the_last_resort() {
        assert_eq!(
            locate_in(Some("".into()), None, None),
            Path::new(LIBRARY_NAMES[LIBRARY_NAMES.len() - 1])
        );
    }
}
