//! The files that a manifest lists.

use std::path::Path;

use super::manifest::Manifest;
use super::model_error::ModelError;
use super::{files, paths};

/// Checks that the manifest lists every file which holds weights of the ONNX file. The files that it lists are known to
/// lie under the root and to be unchanged. The error is a part of a line.
pub fn check_weights(manifest: &Manifest, external: &[String]) -> Result<(), String> {
    for location in external {
        let listed = manifest.files.contains_key(&beside(&manifest.onnx.file, location));
        // ONNX Runtime takes a name like this for a place in its own memory.
        let odd = location.contains("_ORT_MEM_ADDR_");
        if !paths::goes_down(location) || !listed || odd {
            return Err(format!(
                "has weights in `{}`, which the manifest's [files] does not list beside it",
                location.escape_debug()
            ));
        }
    }
    Ok(())
}

/// The path in the folder of a file that is named relative to an ONNX file.
pub fn beside(onnx: &str, location: &str) -> String {
    let below = Path::new(onnx).parent().unwrap_or(Path::new(""));
    below.join(location).to_string_lossy().into_owned()
}

/// Reads a file that the manifest lists, of at most `most` bytes; its SHA-256 must be the listed one.
pub fn read_listed(folder: &Path, manifest: &Manifest, file: &str, most: u64) -> Result<Vec<u8>, ModelError> {
    let path = folder.join(file);
    let sha256 = manifest.files.get(file).map_or("", String::as_str);
    files::read_known(&path, most, sha256).map_err(|problem| ModelError::new(&path, problem))
}
