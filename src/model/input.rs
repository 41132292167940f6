//! A text as a model reads it.

use std::sync::Arc;

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
