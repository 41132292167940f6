//! Tokens that stand in for others: for ids that the graph's table of embeddings does not reach, and for texts without tokens.
//!
//! No row of no tokens, and no id beyond the table, comes to ONNX Runtime: it would fail, and the text's neighbours with it.

use std::sync::OnceLock;

use tokenizers::{ModelWrapper, Tokenizer};

use crate::model::input::EncodeError;

/// What the unknown is called, where the tokenizer's model does not say.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];
/// What padding is called.
const PADDING: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];
/// What the end of a text is called.
const END: [&str; 6] = [
    "</s>",
    "[SEP]",
    "<eos>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|im_end|>",
];

/// The tokens of one tokenizer that may stand in.
pub(super) struct StandIns {
    unknown: Option<u32>,
    padding: Option<u32>,
    end: Option<u32>,
    /// How many ids the table holds, where the tokenizer gives others.
    rows: OnceLock<u32>,
}

impl StandIns {
    /// Those of a tokenizer whose padding was told as `padding`, if it was.
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

    /// From now on only the first `rows` ids are given; the first call counts.
    pub(super) fn keep_below(&self, rows: u32) {
        let _ = self.rows.set(rows);
    }

    /// How many ids are given, where the tokenizer knows more.
    pub(super) fn rows(&self) -> Option<u32> {
        self.rows.get().copied()
    }

    fn is_known(&self, id: u32) -> bool {
        self.rows().is_none_or(|rows| id < rows)
    }

    /// The token for the unknown, if it can be given.
    pub(super) fn unknown(&self) -> Option<u32> {
        self.unknown.filter(|&id| self.is_known(id))
    }

    /// Puts the token for the unknown in the place of each id beyond the table, but of the special tokens around a text: with
    /// another one there every text would be another.
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

    /// The token that a text without tokens is read as: that for the unknown, else the padding, else the end.
    pub(super) fn for_nothing(&self) -> Result<u32, EncodeError> {
        let known = [self.unknown, self.padding, self.end].into_iter().flatten();
        known
            .into_iter()
            .find(|&id| self.is_known(id))
            .ok_or(EncodeError::NoTokens)
    }
}
