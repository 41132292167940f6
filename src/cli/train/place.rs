//! What the place of a model says of it: `models/NAME/VERSION`.

use std::path::{Path, PathBuf};

use crate::model::manifest::is_name;
use crate::model::paths::folder_of;

/// A place for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub folder: PathBuf,
    /// The repository that it is in.
    pub repository: PathBuf,
    pub name: String,
    pub version: String,
    pub task: String,
}

impl Place {
    /// Reads a folder's path. The error is one line.
    pub fn of(folder: &Path, task: Option<&str>) -> Result<Self, String> {
        let named = |folder: &Path, what: &str| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_name(&name) {
                Ok(name)
            } else {
                Err(format!(
                    "--out: {name:?} can't be a model's {what}: write models/NAME/VERSION, each of up to 63 of a-z, 0-9, - and _"
                ))
            }
        };
        let version = named(folder, "version")?;
        let of_name = folder_of(folder);
        let name = named(of_name, "name")?;
        let task = match task {
            Some(task) if is_name(task) => task.to_owned(),
            Some(task) => {
                return Err(format!(
                    "--task: {task:?} can't be a task's name: up to 63 of a-z, 0-9, - and _"
                ));
            }
            None => name
                .strip_suffix("-fast")
                .filter(|task| is_name(task))
                .unwrap_or(&name)
                .to_owned(),
        };
        Ok(Self {
            repository: folder_of(of_name).to_path_buf(),
            folder: folder.to_path_buf(),
            name,
            version,
            task,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_version_and_task_come_from_the_path() {
        let place = Place::of(Path::new("models/intents-fast/1"), None).expect("a place");
        assert_eq!(
            (place.name.as_str(), place.version.as_str(), place.task.as_str()),
            ("intents-fast", "1", "intents")
        );
        assert_eq!(place.repository, Path::new("models"));
        let place = Place::of(Path::new("intents/2"), Some("topics")).expect("a place");
        assert_eq!(
            (place.repository.as_path(), place.task.as_str()),
            (Path::new("."), "topics")
        );
        for (folder, task) in [
            ("models/Intents/1", None),
            ("1", None),
            ("models/a b/1", None),
            ("m/a/1", Some("A")),
        ] {
            assert!(Place::of(Path::new(folder), task).is_err(), "{folder}");
        }
    }
}
