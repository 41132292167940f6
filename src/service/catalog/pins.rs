//! Pins: which version of a model operators made stable, which is the canary, and which was rolled back. They are kept
//! in the file that `labels_file` names, so that a restart serves the same versions. The file is written whole and
//! exchanged in one step.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::model::files;
use crate::model::manifest::is_name;

/// The pins file, in the model repository unless the settings name another.
pub const LABELS_FILE: &str = "labels.toml";

const HEAD: &str = "# Which versions serve, as said by `tandem models` or the admin API. Written by the server.\n\n";

/// The pins of all models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// By the model's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelPins>,
}

/// The pins of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPins {
    /// The version that stays stable until an operator changes it; absent where the newest is stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// The version that was stable before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryPin>,
    /// The canary that was rolled back last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
}

impl ModelPins {
    /// Records that a canary was rolled back. A version that became the canary since then stays.
    pub fn roll_back(&mut self, rolled_back: RolledBack) {
        self.canary.take_if(|canary| canary.version == rolled_back.version);
        self.rolled_back = Some(rolled_back);
    }

    /// A version that is made stable, or the canary, no longer counts as rolled back.
    pub fn forgive(&mut self, version: &str) {
        self.rolled_back.take_if(|back| back.version == version);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryPin {
    pub version: String,
    /// Its share of the clients, above 0 and at most 1.
    pub share: f64,
}

/// A version that was rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    pub version: String,
    /// The reason, for people.
    pub reason: String,
}

impl Pins {
    /// Reads the pins file of these settings, if there is one. The error is one line that names the file.
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let file = file_of(settings);
        let in_file = |problem: String| format!("{}: {problem}", file.display());
        if let Err(error) = file.metadata()
            && error.kind() == std::io::ErrorKind::NotFound
        {
            return Ok(Self::default());
        }
        let text = files::read_text(&file, files::MOST_OF_TOML).map_err(in_file)?;
        let pins: Self = toml::from_str(&text).map_err(|error| in_file(error.message().replace('\n', " ")))?;
        pins.check().map_err(in_file)?;
        Ok(pins)
    }

    fn check(&self) -> Result<(), String> {
        for (name, pins) in &self.models {
            let canary = pins.canary.as_ref();
            let versions = [&pins.stable, &pins.previous].into_iter().flatten();
            let mut names = versions.chain(canary.map(|canary| &canary.version)).chain([name]);
            if let Some(wrong) = names.find(|name| !is_name(name)) {
                return Err(format!("models.{name}: `{wrong}` is no name of a model or a version"));
            }
            if canary.is_some_and(|canary| !(canary.share > 0.0 && canary.share <= 1.0)) {
                return Err(format!("models.{name}.canary.share must be above 0 and at most 1"));
            }
        }
        Ok(())
    }
}

/// The pins in use, and their file; cheap to clone.
#[derive(Clone)]
pub struct PinBook {
    file: Arc<Path>,
    pins: Arc<Mutex<Pins>>,
}

impl PinBook {
    /// The pins that were read, and the file that changes are written to.
    pub fn new(settings: &Settings, pins: Pins) -> Self {
        Self {
            file: file_of(settings).into(),
            pins: Arc::new(Mutex::new(pins)),
        }
    }

    /// All pins of this moment.
    pub fn all(&self) -> Pins {
        self.pins.lock().clone()
    }

    /// The pins of one model, at this moment.
    pub fn of(&self, model: &str) -> ModelPins {
        let pins = self.pins.lock();
        pins.models.get(model).cloned().unwrap_or_default()
    }

    /// Changes a model's pins, for all who read them from now on; whether they are different now. Does not write the file.
    pub fn change(&self, model: &str, change: impl FnOnce(&mut ModelPins)) -> bool {
        let mut pins = self.pins.lock();
        let before = pins.clone();
        change(pins.models.entry(model.to_owned()).or_default());
        pins.models.retain(|_, pins| *pins != ModelPins::default());
        *pins != before
    }

    /// Writes the pins of this moment. The error is for the operator: the pins hold, but a restart would lose them. Blocks,
    /// with no lock held, so that readers don't wait for a slow disk. For one thread only, so that an older state never
    /// takes the place of a newer one.
    pub fn write(&self) -> Result<(), String> {
        write(&self.file, &self.all()).map_err(|error| {
            tracing::warn!(file = %self.file.display(), %error, "labels could not be written, a restart will not know them");
            format!("the labels could not be written ({error}): a restart will not know of this; see labels_file")
        })
    }
}

fn file_of(settings: &Settings) -> PathBuf {
    let named = settings.labels_file.clone();
    named.unwrap_or_else(|| settings.models.join(LABELS_FILE))
}

/// Writes a new file next to the old one, then renames it over the old one.
fn write(file: &Path, pins: &Pins) -> std::io::Result<()> {
    let text = toml::to_string(pins).expect("pins are plain values with names");
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    let mut written = std::fs::File::create(&new)?;
    written.write_all(HEAD.as_bytes())?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> Settings {
        Settings {
            models: folder.to_owned(),
            ..Settings::default()
        }
    }

    #[test]
    fn what_was_said_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let book = PinBook::new(&settings, Pins::default());
        let canary = CanaryPin {
            version: "3".into(),
            share: 0.25,
        };
        book.change("a", |pins| {
            pins.stable = Some("2".into());
            pins.canary = Some(canary.clone());
        });
        book.write().expect("written");
        let read = Pins::read(&settings).expect("read");
        let again = PinBook::new(&settings, read).of("a");
        assert_eq!((again.stable.as_deref(), again.canary), (Some("2"), Some(canary)));
    }

    #[test]
    fn a_file_that_can_not_be_written_is_a_warning_and_what_was_said_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let book = PinBook::new(&settings(&folder.path().join("no-such-folder")), Pins::default());
        assert!(book.change("a", |pins| pins.stable = Some("2".into())));
        assert!(
            !book.change("a", |pins| pins.stable = Some("2".into())),
            "it is so already"
        );
        let warning = book.write();
        assert!(warning.expect_err("not written").contains("labels_file"));
        assert_eq!(book.of("a").stable.as_deref(), Some("2"));
    }

    #[test]
    fn a_late_roll_back_leaves_the_next_canary_alone() {
        let canary = |version: &str| {
            Some(CanaryPin {
                version: version.into(),
                share: 0.5,
            })
        };
        let rolled_back = RolledBack {
            version: "2".into(),
            reason: "it failed".into(),
        };
        for (before, after) in [(canary("2"), None), (canary("3"), canary("3")), (None, None)] {
            let mut pins = ModelPins {
                canary: before,
                ..ModelPins::default()
            };
            pins.roll_back(rolled_back.clone());
            assert_eq!((pins.canary, pins.rolled_back.as_ref()), (after, Some(&rolled_back)));
        }
    }

    #[test]
    fn a_broken_file_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        for (text, expected) in [
            ("[models.a]\nstabel = \"1\"", "unknown field `stabel`"),
            ("[models.a]\nstable = \"../1\"", "`../1` is no name"),
            (
                "[models.a]\ncanary = { version = \"1\", share = 1.5 }",
                "canary.share must be",
            ),
            (
                "[models.a]\ncanary = { version = \"1\", share = nan }",
                "canary.share must be",
            ),
        ] {
            std::fs::write(folder.path().join(LABELS_FILE), text).expect("written");
            let error = Pins::read(&settings).expect_err(text);
            assert!(error.contains("labels.toml: ") && error.contains(expected), "{error}");
        }
    }
}
