//! Hashed n-grams of code points and of words: the features of the fast model.
//!
//! `tandem train` and the server both call this. `training/tandem_training/features.py` is the same algorithm, written
//! a second time, and `tests/data/ngrams.jsonl` tests both. Keeps the place in the original text of each feature.

use std::cell::RefCell;
use std::ops::Range;

use crate::model::input::{EncodeError, Encoding, ModelInput};
use crate::model::manifest::{HashedNgrams, Truncation};
use crate::model::preprocess::distinct::DistinctIds;
use crate::model::preprocess::folding::{FoldedChar, Place, fold_end, fold_start};
use crate::model::preprocess::marks::Marks;

thread_local! {
    /// What each thread collects the features of a text in.
    static DISTINCT: RefCell<DistinctIds> = RefCell::default();
}

/// Turns texts into sets of n-gram buckets.
pub struct NgramExtractor {
    settings: HashedNgrams,
}

/// One occurrence of an n-gram in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NgramSpan {
    /// The bucket that the n-gram is hashed into.
    pub bucket: u32,
    /// Its place in the original text, in bytes. Empty for the space that is put before and after the text.
    pub bytes: Range<usize>,
}

impl NgramExtractor {
    /// An extractor; the settings were checked with the manifest.
    pub fn new(settings: HashedNgrams) -> Self {
        Self { settings }
    }

    /// The number of buckets, which is also the id that pads rows.
    pub fn buckets(&self) -> u32 {
        self.settings.buckets
    }

    /// The features of a text, in no order that means anything.
    pub fn encode(&self, text: &str, truncation: Truncation) -> Result<Encoding, EncodeError> {
        let (folded, truncated) = self.fold_and_cut::<()>(text, truncation)?;
        let sizes = self.settings.max_n - self.settings.min_n + 1 + self.settings.max_words;
        let ids = DISTINCT.with_borrow_mut(|distinct| {
            distinct.begin(folded.len() * sizes);
            self.for_each_ngram(&folded, |bucket, (), ()| distinct.insert(bucket));
            distinct.take()
        });
        Ok(Encoding {
            token_count: ids.len(),
            input: ModelInput::Features(ids),
            truncated,
        })
    }

    /// Every n-gram of the text that the model reads, with its place in the original text, and whether they come from
    /// only a part of the text.
    pub fn spans(&self, text: &str, truncation: Truncation) -> Result<(Vec<NgramSpan>, bool), EncodeError> {
        let (folded, truncated) = self.fold_and_cut::<Range<usize>>(text, truncation)?;
        let mut spans = Vec::new();
        self.for_each_ngram(&folded, |bucket, first, last| {
            spans.push(NgramSpan {
                bucket,
                bytes: first.until(last),
            });
        });
        Ok((spans, truncated))
    }

    /// How a text may be cut into at most `most` windows.
    pub fn marks(&self, text: &str, most: usize) -> Marks {
        let capacity = self.settings.max_code_points;
        let enough = most.saturating_mul(capacity).saturating_add(1);
        let folded: Vec<FoldedChar<Range<usize>>> = fold_start(text, enough);
        let whole = folded.len() < enough;
        let units = folded.into_iter().map(|folded| folded.place).collect();
        Marks::new(text, units, whole, capacity, usize::MAX)
    }

    fn fold_and_cut<P: Place>(
        &self,
        text: &str,
        truncation: Truncation,
    ) -> Result<(Vec<FoldedChar<P>>, bool), EncodeError> {
        let limit = self.settings.max_code_points;
        let mut folded: Vec<FoldedChar<P>> = match truncation {
            Truncation::End | Truncation::Reject | Truncation::Windows => fold_start(text, limit + 1),
            Truncation::Start => fold_end(text, limit + 1),
        };
        let truncated = folded.len() > limit;
        if truncated {
            match truncation {
                Truncation::End | Truncation::Windows => folded.truncate(limit),
                Truncation::Start => drop(folded.drain(..folded.len() - limit)),
                Truncation::Reject => {
                    return Err(EncodeError::TooLong {
                        found: format!("more than {limit} code points"),
                        limit: format!("{limit} code points"),
                    });
                }
            }
        }
        let space = |place| FoldedChar { value: ' ', place };
        let before = folded.first().map_or_else(P::default, |first| first.place.before());
        let after = folded.last().map_or_else(P::default, |last| last.place.after());
        folded.insert(0, space(before));
        folded.push(space(after));
        Ok((folded, truncated))
    }

    fn for_each_ngram<'a, P>(&self, folded: &'a [FoldedChar<P>], mut each: impl FnMut(u32, &'a P, &'a P)) {
        let mask = self.settings.buckets - 1;
        for start in 0..folded.len() {
            let mut hash = FNV_OFFSET;
            for (at, last) in folded[start..].iter().take(self.settings.max_n).enumerate() {
                hash = (hash ^ u32::from(last.value)).wrapping_mul(FNV_PRIME);
                if at + 1 >= self.settings.min_n {
                    each(mix(hash) & mask, &folded[start].place, &last.place);
                }
            }
        }
        if self.settings.max_words > 0 {
            self.for_each_ngram_of_words(folded, &mut each);
        }
    }

    fn for_each_ngram_of_words<'a, P>(&self, folded: &'a [FoldedChar<P>], each: &mut impl FnMut(u32, &'a P, &'a P)) {
        let mask = self.settings.buckets - 1;
        let is_end = |folded: &FoldedChar<P>| is_between_words(folded.value);
        let mut words = folded.split(is_end).filter(|word| !word.is_empty());
        while let Some(first) = words.next() {
            let mut hash = WORD_OFFSET;
            let run = std::iter::once(first).chain(words.clone());
            for (at, word) in run.take(self.settings.max_words).enumerate() {
                let space = (at > 0).then_some(' ');
                for value in space.into_iter().chain(word.iter().map(|folded| folded.value)) {
                    hash = (hash ^ u32::from(value)).wrapping_mul(FNV_PRIME);
                }
                each(mix(hash) & mask, &first[0].place, &word[word.len() - 1].place);
            }
        }
    }
}

/// Whether a code point separates words: a space, or a sign of the blocks that hold punctuation. By ranges, so that any
/// language can say the same.
fn is_between_words(value: char) -> bool {
    match value {
        value if value.is_ascii() => !value.is_ascii_alphanumeric(),
        // Latin-1 signs, General Punctuation, CJK Symbols and Punctuation, full-width signs.
        '\u{80}'..='\u{BF}'
        | '\u{2000}'..='\u{206F}'
        | '\u{3000}'..='\u{303F}'
        | '\u{FF01}'..='\u{FF0F}'
        | '\u{FF1A}'..='\u{FF20}'
        | '\u{FF3B}'..='\u{FF40}'
        | '\u{FF5B}'..='\u{FF65}' => true,
        _ => false,
    }
}

const FNV_OFFSET: u32 = 0x811C_9DC5;
/// Where the hash of words starts, so that the word `card` and the four code points are two features.
const WORD_OFFSET: u32 = 0x9747_B28C;
const FNV_PRIME: u32 = 0x0100_0193;

/// The final step of MurmurHash3: FNV-1a alone spreads the low bits of short n-grams poorly.
fn mix(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_point_into_the_original_text() {
        let extractor = NgramExtractor::new(HashedNgrams {
            max_code_points: 256,
            min_n: 1,
            max_n: 4,
            max_words: 0,
            buckets: 1 << 20,
        });
        let text = "  \u{1112}\u{1161}\u{11AB}  글";
        let (spans, _) = extractor.spans(text, Truncation::End).expect("short");
        let ids: std::collections::BTreeSet<u32> = spans.iter().map(|span| span.bucket).collect();
        let encoding = extractor.encode(text, Truncation::End).expect("short");
        assert_eq!(encoding.input.golden_ids(), ids.into_iter().collect::<Vec<_>>());
        assert!(
            spans
                .iter()
                .any(|span| &text[span.bytes.clone()] == "\u{1112}\u{1161}\u{11AB}")
        );
        assert!(
            spans
                .iter()
                .any(|span| &text[span.bytes.clone()] == "\u{1112}\u{1161}\u{11AB}  글")
        );
    }

    #[test]
    fn truncation_keeps_the_asked_end() {
        let extractor = NgramExtractor::new(HashedNgrams {
            max_code_points: 2,
            min_n: 1,
            max_n: 2,
            max_words: 0,
            buckets: 1 << 10,
        });
        let end = extractor.encode("abc", Truncation::End).expect("cut");
        let start = extractor.encode("abc", Truncation::Start).expect("cut");
        assert!(end.truncated && start.truncated);
        assert_eq!(end.input, extractor.encode("ab", Truncation::End).expect("short").input);
        assert_eq!(
            start.input,
            extractor.encode("bc", Truncation::End).expect("short").input
        );
        assert!(extractor.encode("abc", Truncation::Reject).is_err());
    }
}
