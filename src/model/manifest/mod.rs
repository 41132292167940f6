//! `manifest.toml`: the file that makes a folder a model.
//!
//! Only parses the manifest and checks its values (`check.rs`). Whether the folder keeps to it, `repository` checks
//! (SHA-256 of each file) and `loading/golden.rs` (outputs). Unknown keys are errors, except in the free-form tables
//! for readers.

mod check;
mod golden;
mod heads;
mod meaning;
mod tokenizer;
mod truncation;

pub use golden::{Golden, OWN_GOLDEN, Tolerances};
pub use meaning::{Calibration, Head, OutputKind, ProblemType};
pub use tokenizer::{AddedToken, TokenizerOverrides, TokenizerSettings};
pub use truncation::Truncation;
use truncation::default_max_bytes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::providers::ProviderList;

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

    /// The padded size of a batch, in cells, from which on a larger one gains nothing: tokens for a transformer,
    /// features for the fast model.
    pub fn max_cells(self) -> usize {
        match self {
            Tier::Fast => 32_768,
            Tier::Deep => 256,
        }
    }
}

/// The name of the file that makes a folder a model.
pub const MANIFEST_FILE: &str = "manifest.toml";
/// The only version of the manifest format that this build reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The most labels of a model: an answer holds a number for each.
pub const MOST_LABELS: usize = 10_000;
/// The most texts in a batch.
pub const MOST_BATCH: usize = 1024;
/// The most texts in a batch where nobody says how many: on a processor a larger one gains nothing.
pub const USUAL_BATCH: usize = 32;
/// The same on other hardware: the scheduler looks at no more waiting texts, and takes as many of them as pay.
pub const LARGE_BATCH: usize = 256;
/// The most cells of a batch there, in place of [`Tier::max_cells`]: 32 texts of 512 tokens.
pub const LARGE_CELLS: usize = 16_384;

/// The fewest tokens that a model may be told to read of a text.
pub const LEAST_TOKENS: usize = 3;
/// The most tokens of a text that a model without a manifest reads unless more are asked for: attention takes time and
/// memory by the square of this.
pub const UNASKED_TOKENS: usize = 512;
/// The most tokens that a model reads of a text.
pub const MOST_TOKENS: usize = 8192;
/// The inputs that a transformer may have, by the names that transformers gives them.
pub const INPUT_ROLES: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/// The longest label, in bytes.
pub const LONGEST_LABEL: usize = 256;

/// A model's manifest, checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the manifest format.
    pub schema_version: u32,
    /// The model's name, which is also its folder's name in the repository.
    pub name: String,
    /// The model's version, which is also the name of its folder below the name.
    pub version: String,
    /// The task that the model serves; of a model with heads the first one's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    pub tier: Tier,
    /// The labels, in the order of the output's columns; of a model with heads those of all, as `task/label`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether one label is right, each by itself, or the answer is a number.
    #[serde(default)]
    pub problem_type: ProblemType,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The licence of the weights.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Whether it is a placeholder whose answers are not meant to be right.
    #[serde(default)]
    pub stand_in: bool,
    pub onnx: Onnx,
    /// What the graph is to run on, where the server's settings say nothing; absent for the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_providers: Option<ProviderList>,
    /// How a text becomes the model's input.
    pub preprocess: Preprocess,
    /// How raw outputs become probabilities.
    #[serde(default)]
    pub calibration: Calibration,
    /// Texts with known outputs, if somebody wrote any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
    #[serde(default)]
    pub limits: Limits,
    /// Outputs that serve a task each, in place of one; empty for most models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Head>,
    /// For readers: how it was trained.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub training: toml::Table,
    /// For readers: how good it is.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metrics: toml::Table,
    /// The SHA-256 of each file in hexadecimal, by its path in the folder.
    pub files: BTreeMap<String, String>,
}

/// The ONNX file, its inputs and its output.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Onnx {
    /// Its path in the folder.
    pub file: String,
    /// The name of the output to read; empty if `columns` names several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The names of the outputs, one for each label in the order of the labels, if the graph has one output a label
    /// (skl2onnx's `zipmap="columns"`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// For an output that maps classes to numbers (a ZipMap): the class of each label, in the order of the labels, if
    /// classes and labels differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What the output's numbers are.
    #[serde(default)]
    pub output_kind: OutputKind,
    /// The name of the input that takes texts, for `kind = "string"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The graph's own names for [`INPUT_ROLES`], where they differ from those.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The position of the first token, for graphs with an input `position_ids`.
    #[serde(default)]
    pub first_position: u32,
    /// Whether a row's outputs are the same whatever rows share its batch.
    #[serde(default)]
    pub batch_invariant: bool,
    /// The output that names each row's winner, if the graph decides that itself. The answer is then this label,
    /// whichever number is the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelOutput>,
}

/// An output that names each row's winner: a tensor of strings or of whole numbers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LabelOutput {
    pub output: String,
    /// The value that it gives for each label, in the order of the labels; whole numbers in decimal form.
    pub classes: Vec<String>,
}

/// How a text becomes the model's input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocess {
    /// The set of hashed n-grams of code points (`preprocess/ngrams.rs`).
    HashedNgrams(HashedNgrams),
    /// A Hugging Face tokenizer (`preprocess/tokenizer.rs`).
    Tokenizer(TokenizerSettings),
    /// The text itself, for graphs that preprocess texts (scikit-learn exports).
    String {
        /// The longest text that the model reads, in bytes of UTF-8; longer ones are cut at the end.
        #[serde(default = "default_max_bytes")]
        max_bytes: usize,
    },
}

/// The settings of hashed n-grams.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HashedNgrams {
    /// The most code points of the folded text that are read.
    pub max_code_points: usize,
    /// The length of the shortest n-gram, in code points.
    pub min_n: usize,
    /// The length of the longest n-gram, in code points.
    pub max_n: usize,
    /// The length of the longest n-gram of words, in words; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_words: usize,
    /// The number of buckets that n-grams are hashed into; a power of two.
    pub buckets: u32,
}

/// How many texts, and which, may run together.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most texts in one batch; if absent, [`USUAL_BATCH`], and on hardware that is not the processor [`LARGE_BATCH`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_batch_size: Option<usize>,
    /// Which texts may share a batch; if absent, what the load measures.
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
    /// Those with the same number of tokens.
    SameLength,
    /// None: each text runs alone.
    Alone,
}

impl Limits {
    /// The most texts in one batch.
    pub fn most_texts(&self) -> usize {
        self.max_batch_size.unwrap_or(USUAL_BATCH)
    }
}

impl Manifest {
    /// A copy with the limits that hold on this machine.
    pub fn with_batch(&self, batch: Batch) -> Self {
        let mut manifest = self.clone();
        manifest.limits.batch = Some(batch);
        if batch == Batch::Alone {
            manifest.limits.max_batch_size = Some(1);
        }
        manifest
    }

    /// A copy for hardware that is not the processor, which runs more texts in the time of few.
    /// `fixed`: the texts of every run, where the graph has one number for them.
    pub fn with_large_batches(&self, fixed: Option<usize>) -> Self {
        let mut manifest = self.clone();
        manifest
            .limits
            .max_batch_size
            .get_or_insert(fixed.unwrap_or(LARGE_BATCH));
        manifest
    }

    /// Parses and checks the text of a manifest. The error is one line that names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut manifest: Manifest = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
        // The parser's message may quote the end of a line.
        let one_line = |problem: String| problem.replace(char::is_control, "\u{fffd}");
        manifest.take_heads().map_err(one_line)?;
        manifest.check().map_err(one_line)?;
        Ok(manifest)
    }

    /// Whether it has golden examples that the training framework wrote.
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

    /// What happens to a text that is too long, if the manifest can say it.
    pub fn truncation(&self) -> Option<Truncation> {
        match &self.preprocess {
            Preprocess::Tokenizer(settings) => Some(settings.truncation),
            Preprocess::HashedNgrams(_) | Preprocess::String { .. } => None,
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
    /// The most n-grams of the longest text that is read: `length - n + 1` for each n.
    pub fn max_feature_count(&self) -> usize {
        let length = self.max_code_points + 2;
        let of_code_points: usize = (self.min_n..=self.max_n).map(|n| (length + 1).saturating_sub(n)).sum();
        // The shortest word is one code point, and something stands between two words.
        of_code_points + self.max_words * self.max_code_points.div_ceil(2)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Whether `value` may name a model, a version or a task.
pub fn is_name(value: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = value.as_bytes();
    (1..=63).contains(&bytes.len())
        && first(bytes[0])
        && bytes.iter().all(|&byte| first(byte) || byte == b'_' || byte == b'-')
}

/// A parser's message of several lines as one, without the drawing that shows the place.
fn one_line(message: &str) -> String {
    message
        .lines()
        .filter(|line| !line.trim_start().starts_with('|') && !line.contains(" | "))
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "|")
        .collect::<Vec<_>>()
        .join(": ")
}
