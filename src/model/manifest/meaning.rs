//! What the numbers of a model's outputs mean.

use serde::{Deserialize, Serialize};

/// What the answer to a text is. The names are those of `config.json` in Hugging Face folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProblemType {
    /// One label is right: softmax.
    #[default]
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// Each label is right or not: a sigmoid and a threshold for each.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
    /// The answer is a number: there is one column, and no label is chosen.
    #[serde(rename = "regression")]
    Regression,
}

/// What the numbers of a model's output are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Raw values before softmax.
    #[default]
    Logits,
    /// Probabilities that sum to one; their logarithms stand in for logits.
    Probabilities,
}

/// How raw outputs become probabilities.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by this before softmax or sigmoid.
    #[serde(default = "default_temperature")]
    pub temperature: f32,
    /// The probability from which on each label is selected, in the order of the labels, for multi-label models; 0.5
    /// for all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
}

fn default_temperature() -> f32 {
    1.0
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            temperature: default_temperature(),
            thresholds: Vec::new(),
        }
    }
}

/// One output of the graph, with the task that it serves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The task that it serves.
    pub task: String,
    /// The name of the output, a tensor `[texts, labels]` of logits.
    pub output: String,
    /// The labels, in the order of the output's columns.
    pub labels: Vec<String>,
    /// Whether one label is right, each by itself, or the answer is a number.
    #[serde(default)]
    pub problem_type: ProblemType,
    /// How its outputs become probabilities.
    #[serde(default)]
    pub calibration: Calibration,
    /// For readers: how good it is.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metrics: toml::Table,
}
