//! Hugging Face tokenizers: the input of the deep model.
//!
//! Bounds the cost of a text: its bytes are cut first, words become tokens only until there are as many as the model reads,
//! and WordPiece is our own ([`super::wordpiece`]). The tokenizers crate's caches of words are off: they hold text and have no
//! bound in bytes. A tokenizer.json's padding and truncation are cleared: batches pad, the manifest or the request truncates.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::utils::truncation::{TruncationStrategy, truncate_encodings};
use tokenizers::{
    Model, ModelWrapper, NormalizerWrapper, OffsetType, PostProcessor, PostProcessorWrapper, PreTokenizer,
    PreTokenizerWrapper, Tokenizer, TruncationDirection, TruncationParams,
};

use super::cut::cut_bytes;
use super::marks::Marks;
use super::stand_ins::StandIns;
use super::wordpiece::WordPieces;
use super::{expressions, growth, predictable};
use crate::model::files;
use crate::model::input::{EncodeError, Encoding, ModelInput};
use crate::model::manifest::{TokenizerOverrides, TokenizerSettings, Truncation};

/// The number of its own tokens that a tokenizer is tried on.
const OWN_TOKENS: usize = 1000;

/// The tokens of a tokenizer that the graph's table of embeddings does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The number of ids in the table.
    pub rows: u32,
    /// The tokens, in the order of their ids.
    pub tokens: Vec<String>,
    /// The token that replaces them; if there is none, a text with one of them is refused.
    pub unknown: Option<String>,
}

/// How many such tokens a message names, and the most characters of each.
const NAMED: (usize, usize) = (5, 40);

impl Beyond {
    /// The message for people, in one line.
    pub fn doubt(&self) -> String {
        let (most, chars) = NAMED;
        let name = |token: &String| {
            let kept: String = token.chars().take(chars).collect();
            format!("`{}`", kept.escape_debug())
        };
        let names: Vec<String> = self.tokens.iter().take(most).map(name).collect();
        let count = self.tokens.len();
        let more = match count.saturating_sub(most) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let then = match &self.unknown {
            Some(unknown) => format!("they are read as `{unknown}`"),
            None => "a text with one of them is refused, since there is no token for the unknown".to_owned(),
        };
        let rows = self.rows;
        format!(
            "the tokenizer has {count} tokens that the graph does not know, whose table has {rows} rows: {}{more}; {then}",
            names.join(", ")
        )
    }

    /// The remedy.
    pub const REMEDY: &str = "export the model after model.resize_token_embeddings(len(tokenizer)), or with the tokenizer that it was trained with";
}

/// A tokenizer with the limits of a model.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// Used instead of the tokenizer's model, if that is a WordPiece.
    word_pieces: Option<WordPieces>,
    settings: TokenizerSettings,
    /// The tokens that a text may have, special tokens not counted.
    max_text_tokens: usize,
    /// The tokens that two texts may have together, special tokens not counted.
    max_pair_tokens: usize,
    pad_id: u32,
    stand_ins: StandIns,
}

impl TextTokenizer {
    /// Reads the bytes of a tokenizer.json. The error is one line.
    pub fn load(bytes: &[u8], settings: TokenizerSettings) -> Result<Self, String> {
        let bytes = files::without_mark(bytes);
        growth::check(bytes, &settings.overrides)?;
        let read = || {
            let read = Self::read(bytes, settings)?;
            // A template that names a token which is not there panics with every text.
            for pair in [None, read.takes_pairs().then(tokenizers::Encoding::default)] {
                let _ = read.tokenizer.post_process(tokenizers::Encoding::default(), pair, true);
            }
            Ok(read)
        };
        // The crate panics on some broken files, and quotes words of others.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        read.unwrap_or_else(|_| Err("not a usable tokenizer: its parts do not fit each other".to_owned()))
            .map_err(|problem| problem.replace(char::is_control, "\u{fffd}"))
    }

    fn read(bytes: &[u8], settings: TokenizerSettings) -> Result<Self, String> {
        let bytes = expressions::of_file(bytes)?;
        let mut tokenizer =
            Tokenizer::from_bytes(&bytes).map_err(|error| format!("not a usable tokenizer: {error}"))?;
        let own = || tokenizer.get_padding().map(|padding| padding.pad_id);
        let pad_id = settings
            .pad_id
            .or_else(own)
            .or_else(|| ["[PAD]", "<pad>"].iter().find_map(|token| tokenizer.token_to_id(token)));
        overrule(&mut tokenizer, &settings.overrides)?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| format!("truncation can't be cleared: {error}"))?;
        let word_pieces = match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(WordPieces::new(model)),
            ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => {
                let mut model = tokenizer.get_model().clone();
                model.resize_cache(0);
                tokenizer.with_model(model);
                None
            }
            ModelWrapper::WordLevel(_) => None,
        };
        let special = |pair| {
            tokenizer
                .get_post_processor()
                .map_or(0, |processor| processor.added_tokens(pair))
        };
        let (special, special_of_pair) = (special(false), special(true));
        // Each text of a pair keeps at least one token.
        if settings.max_tokens <= special || settings.text_pairs && settings.max_tokens < special_of_pair + 2 {
            let special = if settings.text_pairs {
                special_of_pair + 1
            } else {
                special
            };
            return Err(format!(
                "preprocess.max_tokens must be above the {special} special tokens"
            ));
        }
        Ok(Self {
            word_pieces,
            max_text_tokens: settings.max_tokens - special,
            max_pair_tokens: settings.max_tokens.saturating_sub(special_of_pair),
            settings,
            pad_id: pad_id.unwrap_or(0),
            stand_ins: StandIns::of(&tokenizer, pad_id),
            tokenizer,
        })
    }

    /// The id that fills padded rows.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// Whether its cost is known for every text. Only our own WordPiece is: its words have a longest length.
    pub fn is_predictable(&self) -> bool {
        self.word_pieces.is_some() && predictable::are_steps(&self.tokenizer)
    }

    /// Whether the model takes pairs of texts.
    pub fn takes_pairs(&self) -> bool {
        self.settings.text_pairs
    }

    /// The tokens of a text or of a pair. If a pair is too long, the longer text loses tokens first.
    pub fn encode(
        &self,
        text: &str,
        pair: Option<&str>,
        truncation: Option<Truncation>,
    ) -> Result<Encoding, EncodeError> {
        let truncation = truncation.unwrap_or(self.settings.truncation);
        let direction = match truncation {
            Truncation::End | Truncation::Reject | Truncation::Windows => TruncationDirection::Right,
            Truncation::Start => TruncationDirection::Left,
        };
        let most = if pair.is_some() {
            self.max_pair_tokens
        } else {
            self.max_text_tokens
        };
        // Which text of a pair loses tokens, and what a refusal says, depends on how many tokens there are.
        let enough = (pair.is_none() && truncation != Truncation::Reject).then_some(most + 1);
        let tokens = |text: &str| {
            let (kept, cut) = cut_bytes(text, self.settings.max_bytes, truncation)?;
            Ok((self.tokens(kept, enough, direction, OffsetType::None)?, cut))
        };
        let (mut encoded, mut cut) = tokens(text)?;
        let mut second = None;
        if let Some(pair) = pair {
            let (tokens, pair_cut) = tokens(pair)?;
            second = Some(tokens);
            cut |= pair_cut;
        }
        let found = encoded.len() + second.as_ref().map_or(0, |second| second.len());
        let too_long = found > most;
        if too_long {
            if truncation == Truncation::Reject {
                return Err(self.too_long(found, most));
            }
            let params = TruncationParams {
                direction,
                max_length: most,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            };
            (encoded, second) = truncate_encodings(encoded, second, &params).map_err(|_| EncodeError::Failed)?;
            // The crate keeps what was cut off in a field that nobody reads.
            encoded.take_overflowing();
            if let Some(second) = &mut second {
                second.take_overflowing();
            }
        }
        let encoded = self
            .tokenizer
            .post_process(encoded, second, true)
            .map_err(|_| EncodeError::Failed)?;
        if encoded.len() > self.settings.max_tokens {
            return Err(EncodeError::Failed);
        }
        let mut ids = encoded.get_ids().to_vec();
        self.stand_ins.fit(&mut ids, encoded.get_special_tokens_mask())?;
        let mut type_ids = if self.settings.token_types {
            encoded.get_type_ids().to_vec()
        } else {
            vec![0; ids.len()]
        };
        if ids.is_empty() {
            (ids, type_ids) = (vec![self.stand_ins.for_nothing()?], vec![0]);
        }
        Ok(Encoding {
            token_count: ids.len(),
            truncated: cut || too_long,
            input: ModelInput::Tokens { ids, type_ids },
        })
    }

    /// How a text, or the first of a pair, may be cut into at most `most` windows. A window has at most `width` tokens,
    /// special ones and those of the second text included; without `width`, what the model reads.
    pub fn marks(
        &self,
        text: &str,
        pair: Option<&str>,
        width: Option<usize>,
        most: usize,
    ) -> Result<Marks, EncodeError> {
        let tokens = |text, enough, places| self.tokens(text, enough, TruncationDirection::Right, places);
        let mut room = if pair.is_some() {
            self.max_pair_tokens
        } else {
            self.max_text_tokens
        };
        let special = self.settings.max_tokens - room;
        room = room.min(width.unwrap_or(usize::MAX).saturating_sub(special)).max(1);
        let mut capacity = room;
        if let Some(pair) = pair {
            let (pair, cut) = cut_bytes(pair, self.settings.max_bytes, Truncation::End)?;
            let found = tokens(pair, None, OffsetType::None)?.len();
            if cut || found > room / 2 {
                return Err(EncodeError::PairTooLong {
                    found: if cut {
                        "more than".to_owned() + &format!(" {} bytes", pair.len())
                    } else {
                        format!("{found} tokens")
                    },
                    limit: format!("{} tokens", room / 2),
                });
            }
            capacity = room - found;
        }
        let most_bytes = most.saturating_mul(self.settings.max_bytes);
        let (kept, cut) = cut_bytes(text, most_bytes, Truncation::End)?;
        let enough = most.saturating_mul(capacity).saturating_add(1);
        let encoded = tokens(kept, Some(enough), OffsetType::Byte)?;
        let units = encoded
            .get_offsets()
            .iter()
            .map(|&(start, end)| start..end)
            .collect::<Vec<_>>();
        let whole = !cut && units.len() < enough;
        Ok(Marks::new(text, units, whole, capacity, self.settings.max_bytes))
    }

    /// The largest id that it knows, added tokens included.
    pub fn greatest_id(&self) -> Option<u32> {
        self.tokenizer.get_vocab(true).into_values().max()
    }

    /// The token that stands for what the vocabulary lacks, if there is one.
    pub fn unknown_id(&self) -> Option<u32> {
        self.stand_ins.unknown()
    }

    /// Limits ids to the first `rows`: the unknown token replaces the others, or the text is refused. Only the first
    /// call has an effect.
    pub fn keep_below(&self, rows: u32) {
        self.stand_ins.keep_below(rows);
    }

    /// The tokens that it may not give, if there are any.
    pub fn beyond(&self) -> Option<Beyond> {
        let rows = self.stand_ins.rows()?;
        let mut tokens: Vec<(u32, String)> = self
            .tokenizer
            .get_vocab(true)
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        tokens.retain(|(id, _)| *id >= rows);
        tokens.sort_unstable();
        Some(Beyond {
            rows,
            tokens: tokens.into_iter().map(|(_, token)| token).collect(),
            unknown: self.stand_ins.unknown().and_then(|id| self.tokenizer.id_to_token(id)),
        })
    }

    /// One of its own tokens that it finds again in a text, if there is one.
    pub fn own_token(&self) -> Option<String> {
        let vocabulary = self.tokenizer.get_vocab(true);
        let mut texts = vocabulary.into_keys().take(OWN_TOKENS);
        texts.find(|text| self.encode(text, None, Some(Truncation::End)).is_ok())
    }

    /// The tokens of a text without the special ones. If there are more than `enough`, at least as many, from the end
    /// that `direction` keeps. The steps are those of the crate's `encode_fast`.
    fn tokens(
        &self,
        text: &str,
        enough: Option<usize>,
        direction: TruncationDirection,
        places: OffsetType,
    ) -> Result<tokenizers::Encoding, EncodeError> {
        let tokenizer = &self.tokenizer;
        let normalizer = tokenizer.get_normalizer();
        let mut words = tokenizer.get_added_vocabulary().extract_and_normalize(normalizer, text);
        if let Some(splitter) = tokenizer.get_pre_tokenizer() {
            splitter
                .pre_tokenize(&mut words)
                .map_err(|_| EncodeError::Untokenizable)?;
        }
        let of_word = |word: &str| match &self.word_pieces {
            Some(pieces) => pieces.tokenize(word).ok_or_else(|| "no token for the unknown".into()),
            None => tokenizer.get_model().tokenize(word),
        };
        let enough = enough.unwrap_or(usize::MAX);
        words
            .tokenize_with_limit(|word| of_word(word.get()), enough, direction)
            .and_then(|()| words.into_encoding(None, 0, places))
            .map_err(|_| EncodeError::Untokenizable)
    }

    fn too_long(&self, text_tokens: usize, most: usize) -> EncodeError {
        let special = self.settings.max_tokens - most;
        EncodeError::TooLong {
            found: format!("{} tokens", text_tokens + special),
            limit: format!("{} tokens", self.settings.max_tokens),
        }
    }
}

/// Applies the overrides in the order in which transformers does: added tokens are normalised when they are added.
fn overrule(tokenizer: &mut Tokenizer, overrides: &TokenizerOverrides) -> Result<(), String> {
    fn step<T: DeserializeOwned>(named: &str, value: Option<&Value>) -> Result<Option<T>, String> {
        let Some(value) = value else {
            return Ok(None);
        };
        let mut value = value.clone();
        expressions::of_step(&mut value)?;
        let step = T::deserialize(value);
        step.map(Some)
            .map_err(|error| format!("preprocess.overrides.{named}: {error}"))
    }
    tokenizer.set_encode_special_tokens(overrides.split_special_tokens);
    let tokens = overrides.added_tokens.iter().map(|token| {
        tokenizers::AddedToken::from(token.content.clone(), token.special)
            .single_word(token.single_word)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .normalized(token.normalized)
    });
    let added = tokenizer.add_tokens(tokens.collect::<Vec<_>>());
    added.map_err(|error| format!("preprocess.overrides.added_tokens: {error}"))?;
    if let Some(found) = step::<NormalizerWrapper>("normalizer", overrides.normalizer.as_ref())? {
        let set = tokenizer.with_normalizer(Some(found)).map(|_| ());
        set.map_err(|error| format!("preprocess.overrides.normalizer: {error}"))?;
    }
    if let Some(found) = step::<PreTokenizerWrapper>("pre_tokenizer", overrides.pre_tokenizer.as_ref())? {
        tokenizer.with_pre_tokenizer(Some(found));
    }
    if let Some(found) = step::<PostProcessorWrapper>("post_processor", overrides.post_processor.as_ref())? {
        tokenizer.with_post_processor(Some(found));
    }
    Ok(())
}
