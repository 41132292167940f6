//! The settings of a tokenizer in a manifest: `preprocess` of the kind `tokenizer`.

use serde::{Deserialize, Serialize};

use super::truncation::{Truncation, default_max_bytes};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSettings {
    /// The path of its tokenizer.json in the folder.
    pub file: String,
    /// The most tokens that the model reads, special tokens included.
    pub max_tokens: usize,
    /// Longer texts are cut to this many bytes before they are tokenised, which bounds the cost.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: usize,
    /// Which end of a longer text is cut, unless the request says otherwise.
    #[serde(default)]
    pub truncation: Truncation,
    /// Whether the model takes pairs of texts.
    #[serde(default)]
    pub text_pairs: bool,
    /// The id that fills padded rows; the tokenizer's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_id: Option<u32>,
    /// Whether a graph with token types is told which text of a pair a token belongs to; otherwise all tokens belong to
    /// the first.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub token_types: bool,
    /// What replaces parts of tokenizer.json.
    #[serde(default, skip_serializing_if = "TokenizerOverrides::is_empty")]
    pub overrides: TokenizerOverrides,
}

/// What replaces parts of a tokenizer.json, in its own format: what transformers takes from other files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerOverrides {
    /// Whether special tokens that are spelled out in a text are read as ordinary text.
    #[serde(skip_serializing_if = "is_no")]
    pub split_special_tokens: bool,
    /// Replaces its normalizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<serde_json::Value>,
    /// Replaces its pre_tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_tokenizer: Option<serde_json::Value>,
    /// Replaces its post_processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_processor: Option<serde_json::Value>,
    /// Added to its added_tokens, in this order; a token that is there already gets these properties.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_tokens: Vec<AddedToken>,
}

impl TokenizerOverrides {
    /// Whether nothing is replaced.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A token that is found in texts before they are split into words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddedToken {
    pub content: String,
    /// Whether it is found only as a word of its own.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it includes the white space before it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether it includes the white space after it.
    #[serde(default)]
    pub rstrip: bool,
    /// Whether it is looked for in the normalised text.
    #[serde(default)]
    pub normalized: bool,
    /// Whether it is a special token.
    #[serde(default)]
    pub special: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn is_no(value: &bool) -> bool {
    !value
}
