//! Settings of tasks, which only the file can give.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The models of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// The name of its fast model; absent if manifests decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<String>,
    /// The name of its deep model; absent if manifests decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep: Option<String>,
    /// The route of requests that name none; absent for the general default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<RouteSetting>,
    /// Whether the fast model may answer where the deep one can't. A request may override it.
    #[serde(default)]
    pub allow_fallback: bool,
    /// Its cascade.
    #[serde(default)]
    pub cascade: CascadeSettings,
}

impl TaskSettings {
    /// Whether it names its models. If not, the models' manifests decide.
    pub fn names_models(&self) -> bool {
        self.fast.is_some() || self.deep.is_some()
    }
}

/// The cascade of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeSettings {
    /// The file that `tandem calibrate` wrote. If absent, `<task>.cascade.toml` in the model repository is read, if it
    /// exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
    /// The confidence, from 0 to 1, from which on the fast answer is final. If absent, the calibration's.
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
