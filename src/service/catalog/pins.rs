//! Pins: which version of a model operators made stable, which is the canary, and which was rolled back. They are kept
//! in the file that `labels_file` names, so that a restart serves the same versions. The file is written whole and
//! exchanged in one step.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::model::manifest::is_name;

/// The pins file, in the model repository unless the settings name another.
pub const LABELS_FILE: &str = "labels.toml";

/// The most changes that an object remembers.
pub const MOST_WRITES: usize = 64;

const HEAD: &str = "# Which versions serve, as said by `tandem models` or the admin API. Written by the server.\n\n";

/// The pins of all models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// By the model's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelPins>,
    /// In an object that servers share: the last changes that are in it, each by the word of the server that made it. By
    /// these a server knows what it put though nobody said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
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
    /// Reads the text of a file. The error is a part of a line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pins: Self = toml::from_str(text).map_err(|error| error.message().replace('\n', " "))?;
        // It quotes names of the file.
        pins.check()
            .map_err(|problem| problem.replace(char::is_control, "\u{fffd}"))?;
        Ok(pins)
    }

    /// The pins of one model.
    pub fn of(&self, model: &str) -> ModelPins {
        self.models.get(model).cloned().unwrap_or_default()
    }

    /// Sets the pins of one model.
    pub fn set(&mut self, model: &str, pins: ModelPins) {
        if pins == ModelPins::default() {
            self.models.remove(model);
        } else {
            self.models.insert(model.to_owned(), pins);
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.writes.len() > MOST_WRITES || self.writes.iter().any(|write| write.len() > 16) {
            return Err(format!(
                "writes must be at most {MOST_WRITES} words of at most 16 bytes"
            ));
        }
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

/// A file next to this one, with a longer name.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    file.with_file_name(name)
}

/// The file that these settings name.
pub fn file_of(settings: &Settings) -> PathBuf {
    let named = settings.labels_file.clone();
    named.unwrap_or_else(|| settings.models.join(LABELS_FILE))
}

/// The text of a file.
pub fn text(pins: &Pins) -> String {
    let text = toml::to_string(pins).expect("pins are plain values with names");
    format!("{HEAD}{text}")
}

/// Writes a new file next to the old one, then renames it over the old one.
pub fn write(file: &Path, pins: &Pins) -> io::Result<()> {
    let new = beside(file, ".new");
    let mut written = File::create(&new)?;
    written.write_all(text(pins).as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}
