//! Settings of tasks, which only the file can give.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::HumanDuration;
use crate::model::manifest::Truncation;
use crate::model::pooling::Pooling;

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
    /// What happens to texts that are too long where a request does not say; absent for each model's own setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
    /// How its texts are read in windows.
    #[serde(default, skip_serializing_if = "WindowSettings::is_default")]
    pub windows: WindowSettings,
    /// Its cascade.
    #[serde(default)]
    pub cascade: CascadeSettings,
    /// Which of its answers are withheld.
    #[serde(default)]
    pub abstain: AbstainSettings,
}

impl TaskSettings {
    /// Whether it names its models. If not, the models' manifests decide.
    pub fn names_models(&self) -> bool {
        self.fast.is_some() || self.deep.is_some()
    }
}

/// How the texts of one task are read in windows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowSettings {
    /// The most tokens of a window, special ones included; absent for what the model reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// How far the next window begins after the one before it, as a part of its width.
    pub stride: f64,
    /// How the answers of windows become the text's; absent for what suits the kind of model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// For `first-confident`: how sure a window's answer must be, from 0 to 1.
    pub min_confidence: f32,
}

impl WindowSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            width: None,
            stride: 0.75,
            pooling: None,
            min_confidence: 0.9,
        }
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
    /// How the threshold follows the load; absent if it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gears: Option<GearSettings>,
    /// The share of texts, above 0 and at most 1, whose fast answer is compared with the deep model's afterwards; absent for
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_share: Option<f64>,
}

/// How a cascade's threshold follows the load: between its own and a floor, by the points of the measured curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GearSettings {
    /// The lowest threshold, from 0 to 1.
    pub floor: f32,
    /// The threshold goes down while the deep model's queue takes longer than this.
    #[serde(default = "usual_queue_time")]
    pub queue_time: HumanDuration,
}

fn usual_queue_time() -> HumanDuration {
    HumanDuration(Duration::from_millis(50))
}

/// When a task says "I don't know": which of its answers are withheld. At most one of the two is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbstainSettings {
    /// The confidence, from 0 to 1, below which an answer is withheld, by whatever route it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f32>,
    /// The share of the cascade's given answers that must be right, above 0 and below 1; the calibration says how sure an
    /// answer must be for that. If neither is given, a threshold that the calibration holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_precision: Option<f32>,
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
