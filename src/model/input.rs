//! A text in the form that a model reads.

use std::sync::Arc;

/// One text in the form that a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelInput {
    /// Token ids and, for models with token types, the token type of each.
    Tokens {
        /// `input_ids`, special tokens included.
        ids: Vec<u32>,
        /// `token_type_ids`.
        type_ids: Vec<u32>,
    },
    /// The distinct buckets of the text's n-grams, in any order: the fast model's features.
    Features(Vec<u32>),
    /// The text itself, for graphs that preprocess texts themselves.
    Text(Arc<str>),
}

impl ModelInput {
    /// The width of the row in a padded batch: tokens or features; 1 for a text.
    pub fn width(&self) -> usize {
        match self {
            ModelInput::Tokens { ids, .. } => ids.len(),
            ModelInput::Features(ids) => ids.len(),
            ModelInput::Text(_) => 1,
        }
    }

    /// The ids of tokens or features; none for a text.
    pub fn ids(&self) -> &[u32] {
        match self {
            ModelInput::Tokens { ids, .. } | ModelInput::Features(ids) => ids,
            ModelInput::Text(_) => &[],
        }
    }

    /// The ids as golden examples list them: tokens in their order, features ascending.
    pub fn golden_ids(&self) -> Vec<u32> {
        let mut ids = self.ids().to_vec();
        if matches!(self, ModelInput::Features(_)) {
            ids.sort_unstable();
        }
        ids
    }
}

/// A preprocessed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub input: ModelInput,
    /// The number of its tokens or features.
    pub token_count: usize,
    /// Whether the model reads only a part of the text.
    pub truncated: bool,
}

/// Why a text could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The text is too long for the model, and the caller does not want it cut.
    #[error("the text is longer than the model reads: {found}, the limit is {limit}")]
    TooLong {
        /// How long it is, with the unit.
        found: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The second text of a pair leaves too little of a window for the first.
    #[error("the second text is too long to stand in each window: {found}, the limit is {limit}")]
    PairTooLong {
        /// How long it is, with the unit.
        found: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The text is a pair, and the model takes single texts only.
    #[error("the model does not classify pairs of texts")]
    NoPairs,
    /// The tokenizer can't split the text into tokens: a part of it is not in the vocabulary, and there is no token for
    /// unknown parts.
    #[error("the tokenizer can't cut the text into tokens")]
    Untokenizable,
    /// The tokenizer finds no tokens in the text, and has no token that could stand for it.
    #[error("the text has no tokens")]
    NoTokens,
    /// The text has a token without an embedding in the graph, and there is no token for unknown parts.
    #[error("the text has the token {id}, and the graph knows {rows}")]
    BeyondTable {
        id: u32,
        /// How many ids have an embedding, from 0 on.
        rows: u32,
    },
    /// The tokenizer failed on the text.
    #[error("tokenizing failed")]
    Failed,
}

/// Cuts rows into batches, in their order: each as large as the bounds allow. A single row may have more cells.
pub fn batches<T>(rows: &[T], most: BatchBounds, width: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut widest = 0;
        let fits = rest.iter().take(most.rows.max(1)).enumerate().take_while(|(at, row)| {
            widest = widest.max(width(row));
            *at == 0 || (at + 1) * widest <= most.cells
        });
        let (batch, others) = rest.split_at(fits.count());
        batches.push(batch);
        rest = others;
    }
    batches
}

/// The most that a batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchBounds {
    pub rows: usize,
    /// Rows × the width of the widest.
    pub cells: usize,
}
