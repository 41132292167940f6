//! The memory that one run of a transformer takes beside its weights, estimated before it is loaded: attention takes
//! the square of the tokens.
//!
//! Estimated from `config.json` if the folder has one, else for a model of common size. Measured with ONNX Runtime on
//! rows of 512 to 4,096 tokens: scores are held twice, before softmax and after it.

use serde_json::{Map, Value};

use super::files;
use super::manifest::Preprocess;
use super::repository::VerifiedModel;

const CONFIG_FILE: &str = "config.json";
/// The bytes of a score: two copies of a 32-bit float.
const PER_SCORE: u64 = 8;
/// The bytes for each number of a token's vector, with the wider layer inside and what is still held of the layer
/// before.
const PER_NUMBER: u64 = 64;
/// The largest value of a `config.json` that is believed.
const MOST: u64 = 1 << 16;

/// The figures of a transformer that decide the memory of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSize {
    heads: u64,
    hidden: u64,
    /// The most tokens of a row.
    pub tokens: u64,
    /// The most rows of that length that run together.
    rows: u64,
}

impl RunSize {
    /// The figures of a verified model; `None` for one that reads no tokens. `max_cells` bounds rows × tokens of a
    /// batch.
    pub fn of(verified: &VerifiedModel, max_cells: usize) -> Option<Self> {
        let Preprocess::Tokenizer(settings) = &verified.manifest.preprocess else {
            return None;
        };
        let listed = verified.manifest.files.contains_key(CONFIG_FILE);
        let config = listed.then(|| files::read(&verified.folder.join(CONFIG_FILE), files::MOST_OF_JSON));
        let config = config
            .and_then(Result::ok)
            .and_then(|bytes| serde_json::from_slice(files::without_mark(&bytes)).ok());
        let config: Map<String, Value> = config.unwrap_or_default();
        let number = |keys: &[&str], usual: u64| {
            let found = keys.iter().find_map(|key| config.get(*key)?.as_u64());
            found.filter(|&value| (1..=MOST).contains(&value)).unwrap_or(usual)
        };
        let tokens = settings.max_tokens.max(1);
        let rows = (max_cells / tokens).clamp(1, verified.manifest.limits.most_texts().max(1));
        Some(Self {
            heads: number(
                &[
                    "num_attention_heads",
                    "encoder_attention_heads",
                    "n_heads",
                    "n_head",
                    "num_heads",
                ],
                12,
            ),
            hidden: number(&["hidden_size", "d_model", "dim", "n_embd"], 384),
            tokens: tokens as u64,
            rows: rows as u64,
        })
    }

    /// The same model with rows of `tokens` tokens.
    pub fn with_tokens(self, tokens: u64) -> Self {
        Self { tokens, ..self }
    }

    /// The bytes of memory that a run of the largest batch takes.
    pub fn bytes(self) -> u64 {
        let scores = self.heads * self.tokens * self.tokens * PER_SCORE;
        let numbers = self.hidden * self.tokens * PER_NUMBER;
        (scores + numbers) * self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_takes_grows_by_the_square_of_its_tokens() {
        let long = RunSize {
            heads: 12,
            hidden: 768,
            tokens: 8192,
            rows: 1,
        };
        let mib = |size: RunSize| size.bytes() >> 20;
        assert_eq!(mib(long), 6144 + 384);
        assert_eq!(mib(long.with_tokens(4096)), 1536 + 192);
        assert_eq!(mib(long.with_tokens(512)), 24 + 24);
    }
}
