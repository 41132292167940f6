//! Tokens that replace others: for ids that the graph's table of embeddings does not have, and for texts without
//! tokens.
//!
//! ONNX Runtime must never see an empty row, or an id beyond the table: the run would fail, and with it the other texts
//! of the batch.

use std::sync::OnceLock;

use tokenizers::{ModelWrapper, Tokenizer};

use crate::model::input::EncodeError;

/// The usual names of the unknown token, if the tokenizer's model names none.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];
/// The usual names of the padding token.
const PADDING: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];
/// The usual names of the token at the end of a text.
const END: [&str; 6] = [
    "</s>",
    "[SEP]",
    "<eos>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|im_end|>",
];

/// The tokens of one tokenizer that may replace others.
pub(super) struct StandIns {
    unknown: Option<u32>,
    padding: Option<u32>,
    end: Option<u32>,
    /// The number of ids in the table, if the tokenizer has more.
    rows: OnceLock<u32>,
}

impl StandIns {
    /// The stand-ins of a tokenizer; `padding` is the padding's id, if the manifest names it.
    pub(super) fn of(tokenizer: &Tokenizer, padding: Option<u32>) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| tokenizer.token_to_id(name));
        let named = match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.unk_token.as_str()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.as_str()),
            ModelWrapper::BPE(model) => model.unk_token.as_deref(),
            ModelWrapper::Unigram(_) => None,
        };
        let named = named.and_then(|token| tokenizer.token_to_id(token));
        Self {
            unknown: named.or_else(|| first(&UNKNOWN)),
            padding: padding.or_else(|| first(&PADDING)),
            end: first(&END),
            rows: OnceLock::new(),
        }
    }

    /// Limits ids to the first `rows`; only the first call has an effect.
    pub(super) fn keep_below(&self, rows: u32) {
        let _ = self.rows.set(rows);
    }

    /// The number of ids that may be given, if the tokenizer has more.
    pub(super) fn rows(&self) -> Option<u32> {
        self.rows.get().copied()
    }

    fn is_known(&self, id: u32) -> bool {
        self.rows().is_none_or(|rows| id < rows)
    }

    /// The id of the unknown token, if it may be given.
    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown.filter(|&id| self.is_known(id))
    }

    /// Replaces each id beyond the table by that of the unknown token. The special tokens around a text are left alone:
    /// replacing one would change every text.
    pub(super) fn fit(&self, ids: &mut [u32], special: &[u32]) -> Result<(), EncodeError> {
        let Some(rows) = self.rows() else {
            return Ok(());
        };
        for (id, special) in ids.iter_mut().zip(special) {
            if *id >= rows && *special == 0 {
                *id = self.unknown().ok_or(EncodeError::BeyondTable { id: *id, rows })?;
            }
        }
        Ok(())
    }

    /// The id that a text without tokens is read as: that of the unknown token, else the padding, else the end.
    pub(super) fn for_nothing(&self) -> Result<u32, EncodeError> {
        let known = [self.unknown, self.padding, self.end].into_iter().flatten();
        known
            .into_iter()
            .find(|&id| self.is_known(id))
            .ok_or(EncodeError::NoTokens)
    }
}
