//! Preprocessing: how a text becomes a model's input. The same rules as in training, to the last id.
//!
//! Runs on worker threads, on the async ones only where that is sure to be short. Must not know of batches: padding is `onnx/`'s.

mod expressions;
mod growth;
pub mod ngrams;
mod stand_ins;
pub mod tokenizer;
pub mod wordpiece;

use std::path::Path;
use std::sync::Arc;

use super::manifest::{Manifest, Preprocess, Truncation};
use super::repository::read_listed;
use super::{ModelError, files};

/// What a model reads of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelInput {
    /// Token ids and, for models that tell segments apart, the segment of each.
    Tokens {
        /// `input_ids`, special tokens included.
        ids: Vec<u32>,
        /// `token_type_ids`.
        type_ids: Vec<u32>,
    },
    /// The distinct buckets of the text's n-grams, ascending.
    Features(Vec<u32>),
    /// The text, for graphs that hold their own preprocessing.
    Text(Arc<str>),
}

impl ModelInput {
    /// The width of the row in a padded batch.
    pub fn width(&self) -> usize {
        match self {
            ModelInput::Tokens { ids, .. } => ids.len(),
            ModelInput::Features(ids) => ids.len(),
            ModelInput::Text(_) => 1,
        }
    }

    /// The ids, as golden examples list them.
    pub fn ids(&self) -> &[u32] {
        match self {
            ModelInput::Tokens { ids, .. } | ModelInput::Features(ids) => ids,
            ModelInput::Text(_) => &[],
        }
    }
}

/// A text, preprocessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// What the model reads.
    pub input: ModelInput,
    /// How many tokens or features that is.
    pub token_count: usize,
    /// Whether the model sees only a part of the text.
    pub truncated: bool,
}

/// Why a text could not be encoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The text is longer than the model reads, and the caller wants none cut.
    #[error("the text is longer than the model reads: {found}, the limit is {limit}")]
    TooLong {
        /// What was found, with its unit.
        found: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The model takes single texts only.
    #[error("the model does not classify pairs of texts")]
    NoPairs,
    /// The tokenizer can't cut the text into tokens: it holds what the vocabulary does not, and there is no token for the unknown.
    #[error("the tokenizer can't cut the text into tokens")]
    Untokenizable,
    /// The tokenizer finds no tokens in the text, and has none that could stand for it.
    #[error("the text has no tokens")]
    NoTokens,
    /// The text has a token for which the graph has no embedding, and there is none for the unknown.
    #[error("the text has the token {id}, and the graph knows {rows}")]
    BeyondTable {
        /// The token's id.
        id: u32,
        /// How many ids the graph knows, from 0 on.
        rows: u32,
    },
    /// The tokenizer failed.
    #[error("tokenizing failed")]
    Failed,
}

/// A model's preprocessing, ready to use.
pub enum Preprocessor {
    /// Hashed n-grams.
    Ngrams(ngrams::NgramExtractor),
    /// A Hugging Face tokenizer.
    Tokenizer(Box<tokenizer::TextTokenizer>),
    /// The text as it is.
    Text {
        /// The longest text that the model reads.
        max_bytes: usize,
    },
}

impl Preprocessor {
    /// Reads what the manifest names from the model's folder. A file must be the one whose SHA-256 the manifest has.
    pub fn load(manifest: &Manifest, folder: &Path) -> Result<Self, ModelError> {
        Ok(match &manifest.preprocess {
            Preprocess::HashedNgrams(settings) => Self::Ngrams(ngrams::NgramExtractor::new(settings.clone())),
            Preprocess::Tokenizer(settings) => {
                let path = folder.join(&settings.file);
                let bytes = read_listed(folder, manifest, &settings.file, files::MOST_OF_TOKENIZER)?;
                let tokenizer = tokenizer::TextTokenizer::load(&bytes, settings.clone())
                    .map_err(|problem| ModelError::new(&path, problem))?;
                Self::Tokenizer(Box::new(tokenizer))
            }
            Preprocess::String { max_bytes } => Self::Text { max_bytes: *max_bytes },
        })
    }

    /// Encodes one text, or a pair where the model takes pairs; `truncation` overrides the model's own setting.
    pub fn encode(
        &self,
        text: &str,
        pair: Option<&str>,
        truncation: Option<Truncation>,
    ) -> Result<Encoding, EncodeError> {
        if pair.is_some() && !self.takes_pairs() {
            return Err(EncodeError::NoPairs);
        }
        match self {
            Self::Ngrams(extractor) => extractor.encode(text, truncation.unwrap_or_default()),
            Self::Tokenizer(tokenizer) => tokenizer.encode(text, pair, truncation),
            Self::Text { max_bytes } => {
                let (kept, truncated) = cut_bytes(text, *max_bytes, truncation.unwrap_or_default())?;
                Ok(Encoding {
                    // ONNX Runtime takes strings that end at the first NUL. Another control character is as unknown to a
                    // vocabulary, and like NUL no letter and no white space.
                    input: ModelInput::Text(kept.replace('\0', "\u{1}").into()),
                    token_count: kept.len(),
                    truncated,
                })
            }
        }
    }

    /// Whether it takes pairs of texts.
    pub fn takes_pairs(&self) -> bool {
        match self {
            Self::Tokenizer(tokenizer) => tokenizer.takes_pairs(),
            Self::Ngrams(_) | Self::Text { .. } => false,
        }
    }

    /// The tokenizer, if it has one.
    pub fn tokenizer(&self) -> Option<&tokenizer::TextTokenizer> {
        match self {
            Self::Tokenizer(tokenizer) => Some(tokenizer),
            Self::Ngrams(_) | Self::Text { .. } => None,
        }
    }

    /// The id that fills a padded row.
    pub fn pad_id(&self) -> u32 {
        match self {
            Self::Ngrams(extractor) => extractor.buckets(),
            Self::Tokenizer(tokenizer) => tokenizer.pad_id(),
            Self::Text { .. } => 0,
        }
    }
}

/// Cuts `text` to at most `max_bytes` bytes at a character boundary.
pub(crate) fn cut_bytes(text: &str, max_bytes: usize, truncation: Truncation) -> Result<(&str, bool), EncodeError> {
    if text.len() <= max_bytes {
        return Ok((text, false));
    }
    match truncation {
        Truncation::End => Ok((&text[..text.floor_char_boundary(max_bytes)], true)),
        Truncation::Start => Ok((&text[text.ceil_char_boundary(text.len() - max_bytes)..], true)),
        Truncation::Reject => Err(EncodeError::TooLong {
            found: format!("{} bytes", text.len()),
            limit: format!("{max_bytes} bytes"),
        }),
    }
}
