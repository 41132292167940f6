//! What a manifest says of a tokenizer: `preprocess` of the kind `tokenizer`.

use serde::{Deserialize, Serialize};

use super::truncation::{Truncation, default_max_bytes};

/// The settings of a tokenizer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSettings {
    /// The tokenizer.json file.
    pub file: String,
    /// The most tokens that the model reads, special tokens included.
    pub max_tokens: usize,
    /// Longer texts are cut to so many bytes before tokenizing, which bounds its cost.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: usize,
    /// What happens to longer texts unless the request says.
    #[serde(default)]
    pub truncation: Truncation,
    /// Whether it takes pairs of texts too.
    #[serde(default)]
    pub text_pairs: bool,
    /// The id that fills padded rows; the tokenizer's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_id: Option<u32>,
    /// Whether a graph that has an input for them is told which text of a pair a token is from; else all are of the first.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub token_types: bool,
    /// What overrules the tokenizer.json.
    #[serde(default, skip_serializing_if = "TokenizerOverrides::is_empty")]
    pub overrides: TokenizerOverrides,
}

/// What is done otherwise than a tokenizer.json says, in its own words: what transformers takes from other files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerOverrides {
    /// Whether special tokens that a text spells out are taken as text.
    #[serde(skip_serializing_if = "is_no")]
    pub split_special_tokens: bool,
    /// In place of its normalizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<serde_json::Value>,
    /// In place of its pre_tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_tokenizer: Option<serde_json::Value>,
    /// In place of its post_processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_processor: Option<serde_json::Value>,
    /// Added to its added_tokens, in this order; one that is there already takes these properties.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_tokens: Vec<AddedToken>,
}

impl TokenizerOverrides {
    /// Whether nothing is done otherwise.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A token that is found in texts before they are cut into words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddedToken {
    /// Its text.
    pub content: String,
    /// Whether it must stand as a word of its own.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it takes the white space before it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether it takes the white space after it.
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
