//! What the operator says about a folder.

use std::path::{Path, PathBuf};

use crate::model::manifest::{Tier, is_name};
use crate::model::paths;

/// What the folder itself does not say.
#[derive(Clone, Debug)]
pub struct Hints {
    pub name: String,
    pub version: String,
    /// The task that the model serves; if absent, the model's own name.
    pub task: Option<String>,
    /// The tier that it serves; if absent, deep for a transformer and fast for a graph that reads strings.
    pub tier: Option<Tier>,
    /// The most tokens that the model may read of a text, if somebody set it: overrules the usual bound.
    pub max_tokens: Option<usize>,
    /// The folder that no file may leave, by link or by name; if absent, the model's own.
    pub root: Option<PathBuf>,
}

impl Hints {
    /// The hints of a folder that is in no repository: `…/<name>/<version>` where the last part is a number, else
    /// `…/<name>`. A snapshot in the cache of Hugging Face gets the name of its model.
    pub fn of_folder(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let part = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let last = part(&folder).unwrap_or_default();
        let above = folder.parent().and_then(part).unwrap_or_default();
        let numbered = last.parse::<u64>().is_ok() && !above.is_empty();
        let cached = paths::cached(&folder).and_then(part);
        let (name, version) = if let Some(model) = cached {
            (model.rsplit("--").next().unwrap_or_default().to_owned(), "1".to_owned())
        } else if numbered {
            (above, last)
        } else {
            (last, "1".to_owned())
        };
        Self {
            name: as_name(&name),
            version,
            task: None,
            tier: None,
            max_tokens: None,
            root: None,
        }
    }
}

/// Makes a model's name from the name of a folder.
pub fn as_name(text: &str) -> String {
    let plain = |value: char| {
        let value = value.to_ascii_lowercase();
        if value.is_ascii_alphanumeric() || value == '_' {
            value
        } else {
            '-'
        }
    };
    let name: String = text.chars().map(plain).collect();
    let name: String = name.trim_matches(['-', '_']).chars().take(63).collect();
    if is_name(&name) { name } else { "model".to_owned() }
}
