//! Preprocessing: how a text becomes a model's input, by exactly the rules of training.
//!
//! Runs on worker threads; on async threads only if it is sure to be short. Must not know of batches: padding is the
//! job of `onnx/`.
//!
//! In reading order: [`cut`] (texts that are too long) → [`ngrams`] (for the fast model) → [`tokenizer`] (for
//! transformers) → [`wordpiece`] (a tokenizer's vocabulary) → `stand_ins.rs` (tokens in place of others) → `growth.rs`
//! (tokenizers that make texts too long) → `predictable.rs` (those of known cost) → `expressions.rs`, `oniguruma.rs` and
//! `oniguruma_classes.rs` (their regular expressions). Besides: [`marks`] and [`windows`]
//! (a long text in parts).

pub mod cut;
mod distinct;
mod expressions;
mod folding;
mod growth;
pub mod marks;
pub mod ngrams;
mod oniguruma;
mod oniguruma_classes;
mod predictable;
mod stand_ins;
pub mod tokenizer;
pub mod windows;
pub mod wordpiece;

use std::path::Path;

use self::cut::cut_bytes;
use self::marks::Marks;
use super::files;
use super::input::{EncodeError, Encoding, ModelInput};
use super::listed_files::read_listed;
use super::manifest::{Manifest, Preprocess, Truncation};
use super::model_error::ModelError;

/// A model's preprocessing, ready to use.
pub enum Preprocessor {
    /// Hashed n-grams.
    Ngrams(ngrams::NgramExtractor),
    /// A Hugging Face tokenizer.
    Tokenizer(Box<tokenizer::TextTokenizer>),
    /// The text as it is.
    Text {
        /// The longest text that the model reads, in bytes.
        max_bytes: usize,
    },
}

impl Preprocessor {
    /// Reads the files that the manifest names from the model's folder. Each must have the SHA-256 that the manifest
    /// lists.
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

    /// Encodes one text, or a pair if the model takes pairs; `truncation` overrides the manifest's setting.
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
                    // ONNX Runtime takes strings that end at the first NUL. The character that replaces it is also a
                    // control character, as rare in vocabularies as NUL, and neither letter nor white space.
                    input: ModelInput::Text(kept.replace('\0', "\u{1}").into()),
                    token_count: kept.len(),
                    truncated,
                })
            }
        }
    }

    /// How a text, or the first of a pair, may be cut into at most `most` windows of at most `width` tokens; `width` is
    /// for tokenizers, the others read as much as they can.
    pub fn marks(
        &self,
        text: &str,
        pair: Option<&str>,
        width: Option<usize>,
        most: usize,
    ) -> Result<Marks, EncodeError> {
        match self {
            Self::Ngrams(extractor) => Ok(extractor.marks(text, most)),
            Self::Tokenizer(tokenizer) => tokenizer.marks(text, pair, width, most),
            Self::Text { max_bytes } => {
                let (kept, cut) = cut_bytes(text, most.saturating_mul(*max_bytes), Truncation::End)?;
                let units = kept.char_indices().map(|(at, letter)| at..at + letter.len_utf8());
                Ok(Marks::new(text, units.collect(), !cut, usize::MAX, *max_bytes))
            }
        }
    }

    /// Whether the model takes pairs of texts.
    pub fn takes_pairs(&self) -> bool {
        match self {
            Self::Tokenizer(tokenizer) => tokenizer.takes_pairs(),
            Self::Ngrams(_) | Self::Text { .. } => false,
        }
    }

    pub fn tokenizer(&self) -> Option<&tokenizer::TextTokenizer> {
        match self {
            Self::Tokenizer(tokenizer) => Some(tokenizer),
            Self::Ngrams(_) | Self::Text { .. } => None,
        }
    }

    /// The id that fills padded rows.
    pub fn pad_id(&self) -> u32 {
        match self {
            Self::Ngrams(extractor) => extractor.buckets(),
            Self::Tokenizer(tokenizer) => tokenizer.pad_id(),
            Self::Text { .. } => 0,
        }
    }
}
