//! The fingerprint of a model: a hash of all that its answers depend on, in 16 hexadecimal digits.

use sha2::{Digest, Sha256};

use crate::model::files;
use crate::model::manifest::{MANIFEST_FILE, Manifest};

/// Hashes, for each file in the order of the paths: its path, a zero byte and its SHA-256. The manifest counts too,
/// since its labels and its calibration decide answers; golden examples do not.
pub fn fingerprint(manifest: &Manifest, manifest_text: Option<&str>) -> String {
    let mut listed = manifest.files.clone();
    if let Some(golden) = &manifest.golden {
        listed.remove(&golden.file);
    }
    if let Some(text) = manifest_text {
        listed.insert(MANIFEST_FILE.to_owned(), files::sha256(text.as_bytes()));
    }
    let mut hasher = Sha256::new();
    for (file, sha256) in &listed {
        hasher.update(file);
        hasher.update([0]);
        hasher.update(sha256.to_ascii_lowercase());
    }
    files::hex(&hasher.finalize())[..16].to_owned()
}

/// The fingerprint of a model that reads another number of tokens than its folder says.
pub fn of_tokens(fingerprint: &str, tokens: usize) -> String {
    files::sha256(format!("{fingerprint} max_tokens={tokens}").as_bytes())[..16].to_owned()
}
