//! The settings of tasks, which only the file has.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The models of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// The name of its fast model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<String>,
    /// The name of its deep model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<String>,
    /// The route of requests that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<RouteSetting>,
    /// Whether the fast model may answer where the deep one can't, unless a request says.
    #[serde(default)]
    pub allow_fallback: bool,
    /// Its cascade.
    #[serde(default)]
    pub cascade: CascadeSettings,
}

impl TaskSettings {
    /// Whether it says which models serve the task; if not, they follow from the manifests.
    pub fn names_models(&self) -> bool {
        self.fast.is_some() || self.deep.is_some()
    }
}

/// The cascade of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeSettings {
    /// The file that `tandem calibrate` wrote; if absent, `<task>.cascade.toml` in the model repository, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
    /// The confidence at which the fast answer stands; if absent, the calibration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f32>,
}

/// Which tier answers where a request does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RouteSetting {
    /// The fast model.
    Fast,
    /// The deep model.
    Deep,
    /// The fast model, and the deep one for what it is not sure of.
    Cascade,
}
