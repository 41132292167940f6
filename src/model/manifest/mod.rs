//! `manifest.toml`: the file that makes a folder a model.
//!
//! Parses the manifest and has it checked (`check.rs`), alone; whether the folder keeps its promises is for `repository.rs` (checksums) and
//! `golden.rs` (outputs). Unknown keys are errors, except in the free-form tables for readers.

mod check;
mod tokenizer;
mod truncation;

pub use tokenizer::{AddedToken, TokenizerOverrides, TokenizerSettings};
pub use truncation::Truncation;
use truncation::default_max_bytes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A trade of speed for accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The small model.
    Fast,
    /// The large model.
    Deep,
}

impl Tier {
    /// The name in configuration, logs and metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Fast => "fast",
            Tier::Deep => "deep",
        }
    }

    /// The padded size of a batch at which a bigger one stops paying: tokens for a transformer, features for a sum.
    pub fn max_cells(self) -> usize {
        match self {
            Tier::Fast => 32_768,
            Tier::Deep => 256,
        }
    }
}

/// The name of the file that makes a folder a model.
pub const MANIFEST_FILE: &str = "manifest.toml";
/// The version of the manifest format that this build reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The most labels of a model: an answer holds a number for each.
pub const MOST_LABELS: usize = 10_000;
/// The most texts of a batch.
pub const MOST_BATCH: usize = 1024;
/// The fewest tokens that a model may be told to read of a text.
pub const LEAST_TOKENS: usize = 3;
/// The most tokens of a text that a model without a manifest reads unless more are asked for: attention takes time and memory by
/// their square.
pub const UNASKED_TOKENS: usize = 512;
/// The most tokens that a model reads of a text.
pub const MOST_TOKENS: usize = 8192;
/// What a transformer may be fed, in the names that transformers gives its inputs.
pub const INPUT_ROLES: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/// The longest label, in bytes.
pub const LONGEST_LABEL: usize = 256;

/// A model's manifest, checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub schema_version: u32,
    /// The model's name, as its folder in the repository.
    pub name: String,
    /// The model's version, as its folder below the name.
    pub version: String,
    /// The task that it decides.
    pub task: String,
    /// The tier that it serves.
    pub tier: Tier,
    /// The labels, in the order of the output's columns.
    pub labels: Vec<String>,
    /// What is asked of the labels.
    #[serde(default)]
    pub problem_type: ProblemType,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The licence of the weights.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// A placeholder that is not meant to answer for real.
    #[serde(default)]
    pub stand_in: bool,
    /// The ONNX file and its output.
    pub onnx: Onnx,
    /// How a text becomes the model's input.
    pub preprocess: Preprocess,
    /// How raw outputs become probabilities.
    #[serde(default)]
    pub calibration: Calibration,
    /// Texts with known outputs; nothing if nobody wrote any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
    /// What the model can take at once.
    #[serde(default)]
    pub limits: Limits,
    /// For readers: how it was trained.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub training: toml::Table,
    /// For readers: how good it is.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metrics: toml::Table,
    /// The SHA-256 of each file, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

/// What is asked of the labels. The names are those of `config.json` in Hugging Face folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProblemType {
    /// One of them is right: softmax.
    #[default]
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// Each is right or not: a sigmoid and a threshold for each.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
    /// There is one column, and it is the answer.
    #[serde(rename = "regression")]
    Regression,
}

/// The ONNX file and its output.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Onnx {
    /// The file.
    pub file: String,
    /// The name of the output to read; empty where `columns` names several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// For one output a label (skl2onnx's `zipmap="columns"`): the name of each, in the order of the labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// For an output that maps classes to numbers (a ZipMap): the class of each label, in the order of the labels, where
    /// labels are not the classes themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What that output is.
    #[serde(default)]
    pub output_kind: OutputKind,
    /// The name of the string input, for `kind = "string"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// For a graph whose inputs are not called as transformers calls them: what each of [`INPUT_ROLES`] is called.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What the first token's place counts as, for graphs that have an input `position_ids`.
    #[serde(default)]
    pub first_position: u32,
    /// Whether a row's result is the same whatever rows it is batched with.
    #[serde(default)]
    pub batch_invariant: bool,
    /// The output that names the winner of each row, where the graph decides that itself: the label of an answer is then this
    /// one, whichever number is the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelOutput>,
}

/// An output that names the winner: a tensor of strings or of whole numbers, one a row.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LabelOutput {
    /// Its name.
    pub output: String,
    /// What it gives for each label, in the order of the labels, whole numbers in decimal form.
    pub classes: Vec<String>,
}

/// What a model's output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Raw values before softmax.
    #[default]
    Logits,
    /// Probabilities that sum to one; their logarithms stand in for logits.
    Probabilities,
}

/// How a text becomes the model's input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocess {
    /// The set of hashed n-grams of code points (`preprocess/ngrams.rs`).
    HashedNgrams(HashedNgrams),
    /// A Hugging Face tokenizer (`preprocess/tokenizer.rs`).
    Tokenizer(TokenizerSettings),
    /// The text itself, for graphs that hold their own preprocessing (scikit-learn exports).
    String {
        /// The longest text that the model reads, in bytes of UTF-8; the end of a longer one is cut off.
        #[serde(default = "default_max_bytes")]
        max_bytes: usize,
    },
}

/// The settings of the n-gram features.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HashedNgrams {
    /// How many code points of the folded text are read.
    pub max_code_points: usize,
    /// The shortest n-gram.
    pub min_n: usize,
    /// The longest n-gram.
    pub max_n: usize,
    /// How many buckets the n-grams are hashed into; a power of two.
    pub buckets: u32,
}

/// How raw outputs become probabilities.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by this before softmax or sigmoid.
    #[serde(default = "default_temperature")]
    pub temperature: f32,
    /// The probability from which on a label is selected, in the order of the labels, for multi-label models; 0.5 for all if
    /// empty.
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

/// The `source` of golden examples that Tandem wrote: they detect later change, not a wrong export.
pub const OWN_GOLDEN: &str = "onnxruntime";

/// Texts with known outputs: the training framework's, unless `source` says that Tandem wrote them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The JSON Lines file.
    pub file: String,
    /// What wrote it.
    #[serde(default)]
    pub source: String,
    /// How far a logit may be from the golden one for a text run alone.
    pub logit_tolerance: f32,
    /// The same for a text run in a batch.
    pub batched_logit_tolerance: f32,
}

/// What the model can take at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most texts in one batch.
    pub max_batch_size: usize,
    /// Which texts may share a batch; nothing: as the load measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// Which texts may share a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batch {
    /// Any.
    #[default]
    Any,
    /// Those of as many tokens.
    SameLength,
    /// None: each runs alone.
    Alone,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_batch_size: 32,
            batch: None,
        }
    }
}

impl Manifest {
    /// The same with its limits as they hold on this machine.
    pub fn with_batch(&self, batch: Batch) -> Self {
        let mut manifest = self.clone();
        manifest.limits.batch = Some(batch);
        if batch == Batch::Alone {
            manifest.limits.max_batch_size = 1;
        }
        manifest
    }

    /// Parses and checks the text of a manifest. The error is one line that names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
        // What it quotes may hold the end of a line.
        let one_line = |problem: String| problem.replace(char::is_control, "\u{fffd}");
        manifest.check().map_err(one_line)?;
        Ok(manifest)
    }

    /// Whether golden examples of the training framework say how it should answer.
    pub fn is_verified(&self) -> bool {
        self.golden.as_ref().is_some_and(|golden| golden.source != OWN_GOLDEN)
    }

    /// The most tokens or features that the model reads of a text.
    pub fn max_token_count(&self) -> usize {
        match &self.preprocess {
            Preprocess::HashedNgrams(settings) => settings.max_feature_count(),
            Preprocess::Tokenizer(settings) => settings.max_tokens,
            Preprocess::String { max_bytes } => *max_bytes,
        }
    }

    /// The most bytes of a text that preprocessing looks at.
    pub fn max_text_bytes(&self) -> usize {
        match &self.preprocess {
            Preprocess::HashedNgrams(_) => usize::MAX,
            Preprocess::Tokenizer(settings) => settings.max_bytes,
            Preprocess::String { max_bytes } => *max_bytes,
        }
    }
}

impl HashedNgrams {
    /// The most n-grams that a text of the greatest length can have: `length - n + 1` for each n.
    pub fn max_feature_count(&self) -> usize {
        let length = self.max_code_points + 2;
        (self.min_n..=self.max_n).map(|n| (length + 1).saturating_sub(n)).sum()
    }
}

/// Whether `value` may name a model, a version or a task.
pub fn is_name(value: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = value.as_bytes();
    (1..=63).contains(&bytes.len())
        && first(bytes[0])
        && bytes.iter().all(|&byte| first(byte) || byte == b'_' || byte == b'-')
}

/// The lines of a parser's message as one, without its drawing of the place.
fn one_line(message: &str) -> String {
    message
        .lines()
        .filter(|line| !line.trim_start().starts_with('|') && !line.contains(" | "))
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "|")
        .collect::<Vec<_>>()
        .join(": ")
}
