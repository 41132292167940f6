//! Hugging Face tokenizers: the input of the deep model.
//!
//! Bounds the cost of a text by cutting its bytes first. Padding and truncation that a tokenizer.json carries are
//! cleared: padding is the batch's, truncation the manifest's or the request's.

use std::path::Path;

use tokenizers::{PostProcessor, Tokenizer, TruncationDirection};

use super::{EncodeError, Encoding, ModelInput, cut_bytes};
use crate::model::manifest::{TokenizerSettings, Truncation};

/// A tokenizer with the model's limits.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    settings: TokenizerSettings,
    /// How many of the model's tokens are left for the text, special tokens taken off.
    max_text_tokens: usize,
    pad_id: u32,
}

impl TextTokenizer {
    /// Reads a tokenizer.json. The error is one line.
    pub fn load(path: &Path, settings: TokenizerSettings) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| format!("not a usable tokenizer: {error}"))?;
        let pad_id = tokenizer
            .get_padding()
            .map(|padding| padding.pad_id)
            .or_else(|| ["[PAD]", "<pad>"].iter().find_map(|token| tokenizer.token_to_id(token)))
            .unwrap_or(0);
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| format!("truncation can't be cleared: {error}"))?;
        let special = tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        if settings.max_tokens <= special {
            return Err(format!(
                "preprocess.max_tokens must be above the {special} special tokens"
            ));
        }
        Ok(Self {
            tokenizer,
            max_text_tokens: settings.max_tokens - special,
            settings,
            pad_id,
        })
    }

    /// The id that fills a padded row.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// The tokens of a text.
    pub fn encode(&self, text: &str, truncation: Option<Truncation>) -> Result<Encoding, EncodeError> {
        let truncation = truncation.unwrap_or(self.settings.truncation);
        let (kept, cut) = cut_bytes(text, self.settings.max_bytes, truncation)?;
        let mut encoded = self
            .tokenizer
            .encode_fast(kept, false)
            .map_err(|_| EncodeError::Failed)?;
        let too_long = encoded.len() > self.max_text_tokens;
        if too_long {
            let direction = match truncation {
                Truncation::End => TruncationDirection::Right,
                Truncation::Start => TruncationDirection::Left,
                Truncation::Reject => return Err(self.too_long(encoded.len())),
            };
            encoded.truncate(self.max_text_tokens, 0, direction);
            encoded.take_overflowing();
        }
        let encoded = self
            .tokenizer
            .post_process(encoded, None, true)
            .map_err(|_| EncodeError::Failed)?;
        Ok(Encoding {
            token_count: encoded.len(),
            truncated: cut || too_long,
            input: ModelInput::Tokens {
                ids: encoded.get_ids().to_vec(),
                type_ids: encoded.get_type_ids().to_vec(),
            },
        })
    }

    fn too_long(&self, text_tokens: usize) -> EncodeError {
        let special = self.settings.max_tokens - self.max_text_tokens;
        EncodeError::TooLong {
            found: format!("{} tokens", text_tokens + special),
            limit: format!("{} tokens", self.settings.max_tokens),
        }
    }
}
