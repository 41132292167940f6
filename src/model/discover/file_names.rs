//! The names of the files that exporters of Hugging Face write.

pub(super) const CONFIG_FILE: &str = "config.json";
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
/// What transformers adds to the tokenizer.
pub(super) const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// Which tokens are special, in older exports.
pub(super) const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
/// Which tokens were added to the vocabulary, in older exports.
pub(super) const ADDED_TOKENS_FILE: &str = "added_tokens.json";
