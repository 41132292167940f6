//! Hashed n-grams of code points and of words: the features of the fast model.
//!
//! `tandem train` and the server both call this. `training/tandem_training/features.py` is the same algorithm, written
//! a second time, and `tests/data/ngrams.jsonl` tests both. Keeps the place in the original text of each feature.

use std::ops::Range;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::model::input::{EncodeError, Encoding, ModelInput};
use crate::model::manifest::{HashedNgrams, Truncation};

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

/// A code point of the folded text, and the bytes of the original text that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FoldedChar {
    value: char,
    bytes: Range<usize>,
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

    /// The features of a text.
    pub fn encode(&self, text: &str, truncation: Truncation) -> Result<Encoding, EncodeError> {
        let (folded, truncated) = self.fold_and_cut(text, truncation)?;
        let mut ids = Vec::with_capacity(folded.len() * (self.settings.max_n - self.settings.min_n + 1));
        self.for_each_ngram(&folded, |bucket, _, _| ids.push(bucket));
        ids.sort_unstable();
        ids.dedup();
        Ok(Encoding {
            token_count: ids.len(),
            input: ModelInput::Features(ids),
            truncated,
        })
    }

    /// Every n-gram of the text that the model reads, with its place in the original text, and whether they come from
    /// only a part of the text.
    pub fn spans(&self, text: &str, truncation: Truncation) -> Result<(Vec<NgramSpan>, bool), EncodeError> {
        let (folded, truncated) = self.fold_and_cut(text, truncation)?;
        let mut spans = Vec::new();
        self.for_each_ngram(&folded, |bucket, first, last| {
            spans.push(NgramSpan {
                bucket,
                bytes: first.bytes.start..last.bytes.end,
            });
        });
        Ok((spans, truncated))
    }

    fn fold_and_cut(&self, text: &str, truncation: Truncation) -> Result<(Vec<FoldedChar>, bool), EncodeError> {
        let limit = self.settings.max_code_points;
        let mut folded = match truncation {
            Truncation::End | Truncation::Reject => fold_start(text, limit + 1),
            Truncation::Start => fold_end(text, limit + 1),
        };
        let truncated = folded.len() > limit;
        if truncated {
            match truncation {
                Truncation::End => folded.truncate(limit),
                Truncation::Start => drop(folded.drain(..folded.len() - limit)),
                Truncation::Reject => {
                    return Err(EncodeError::TooLong {
                        found: format!("more than {limit} code points"),
                        limit: format!("{limit} code points"),
                    });
                }
            }
        }
        let start = folded.first().map_or(0, |first| first.bytes.start);
        let end = folded.last().map_or(0, |last| last.bytes.end);
        folded.insert(
            0,
            FoldedChar {
                value: ' ',
                bytes: start..start,
            },
        );
        folded.push(FoldedChar {
            value: ' ',
            bytes: end..end,
        });
        Ok((folded, truncated))
    }

    fn for_each_ngram<'a>(&self, folded: &'a [FoldedChar], mut each: impl FnMut(u32, &'a FoldedChar, &'a FoldedChar)) {
        let mask = self.settings.buckets - 1;
        for start in 0..folded.len() {
            let mut hash = FNV_OFFSET;
            for (at, last) in folded[start..].iter().take(self.settings.max_n).enumerate() {
                hash = (hash ^ u32::from(last.value)).wrapping_mul(FNV_PRIME);
                if at + 1 >= self.settings.min_n {
                    each(mix(hash) & mask, &folded[start], last);
                }
            }
        }
        if self.settings.max_words > 0 {
            self.for_each_ngram_of_words(folded, &mut each);
        }
    }

    fn for_each_ngram_of_words<'a>(
        &self,
        folded: &'a [FoldedChar],
        each: &mut impl FnMut(u32, &'a FoldedChar, &'a FoldedChar),
    ) {
        let mask = self.settings.buckets - 1;
        let is_end = |folded: &FoldedChar| is_between_words(folded.value);
        let words: Vec<&[FoldedChar]> = folded.split(is_end).filter(|word| !word.is_empty()).collect();
        for (start, first) in words.iter().enumerate() {
            let mut hash = WORD_OFFSET;
            for (at, word) in words[start..].iter().take(self.settings.max_words).enumerate() {
                let space = (at > 0).then_some(' ');
                for value in space.into_iter().chain(word.iter().map(|folded| folded.value)) {
                    hash = (hash ^ u32::from(value)).wrapping_mul(FNV_PRIME);
                }
                each(mix(hash) & mask, &first[0], &word[word.len() - 1]);
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

/// Folds a text from its start: NFC, lower case, each run of white space to one space, trimmed. Gives each code point
/// with its bytes in the original text. Stops at `enough` code points, so that a long text costs no more than the part
/// that is read.
fn fold_start(text: &str, enough: usize) -> Vec<FoldedChar> {
    fold_from(text, 0, is_normal(text), enough)
}

/// The last `enough` code points of the folded text or a few more; all of them if there are fewer.
fn fold_end(text: &str, enough: usize) -> Vec<FoldedChar> {
    let normal = is_normal(text);
    let mut length = enough.saturating_mul(8);
    loop {
        // A part of a text that begins with a character that never joins the one before it folds to the end of the
        // whole folded text.
        let start = text[..text.ceil_char_boundary(text.len().saturating_sub(length))]
            .char_indices()
            .rev()
            .find(|&(_, value)| is_boundary(value) && !value.is_whitespace())
            .map_or(0, |(at, _)| at);
        let folded = fold_from(text, start, normal, usize::MAX);
        if folded.len() >= enough || start == 0 {
            return folded;
        }
        length = length.saturating_mul(8);
    }
}

/// Whether a text is known to be NFC by a quick check.
fn is_normal(text: &str) -> bool {
    is_nfc_quick(text.chars()) == IsNormalized::Yes
}

/// Folds the text from `start` on, until there are `enough` code points.
fn fold_from(text: &str, start: usize, normal: bool, enough: usize) -> Vec<FoldedChar> {
    let rest = &text[start..];
    let mut folding = Folding {
        folded: Vec::with_capacity(enough.min(rest.len() / 2)),
        // A space at the end is removed later, so one more is needed.
        enough: enough.saturating_add(1),
    };
    if normal {
        let mut characters = rest.char_indices();
        while let Some((at, value)) = characters.next()
            && folding.wants_more()
        {
            folding.push(value, start + at..start + at + value.len_utf8());
        }
    } else {
        let mut segments = composition_segments(rest);
        while let Some(segment) = segments.next()
            && folding.wants_more()
        {
            for value in rest[segment.clone()].nfc() {
                folding.push(value, start + segment.start..start + segment.end);
                // A segment may be very long: a letter may have a million accents.
                if !folding.wants_more() {
                    break;
                }
            }
        }
    }
    let mut folded = folding.folded;
    if folded.last().is_some_and(|last| last.value == ' ') {
        folded.pop();
    }
    folded
}

/// A text that is being folded.
struct Folding {
    folded: Vec<FoldedChar>,
    enough: usize,
}

impl Folding {
    fn wants_more(&self) -> bool {
        self.folded.len() < self.enough
    }

    /// Adds a character of the text in NFC.
    fn push(&mut self, value: char, bytes: Range<usize>) {
        for lower in value.to_lowercase() {
            if !lower.is_whitespace() {
                self.folded.push(FoldedChar {
                    value: lower,
                    bytes: bytes.clone(),
                });
            } else if let Some(last) = self.folded.last_mut() {
                if last.value == ' ' {
                    last.bytes.end = bytes.end;
                } else {
                    self.folded.push(FoldedChar {
                        value: ' ',
                        bytes: bytes.clone(),
                    });
                }
            }
        }
    }
}

/// Splits a text where no composition crosses: before each character that starts a cluster and never joins the one
/// before it. The NFC of the text is then the NFC of its segments, one after the other.
fn composition_segments(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut starts = text
        .char_indices()
        .filter(|&(at, value)| at == 0 || is_boundary(value))
        .map(|(at, _)| at)
        .chain([text.len()])
        .peekable();
    std::iter::from_fn(move || {
        let start = starts.next()?;
        starts.peek().map(|&end| start..end)
    })
}

fn is_boundary(value: char) -> bool {
    canonical_combining_class(value) == 0 && is_nfc_quick(std::iter::once(value)) == IsNormalized::Yes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_folded_of_a_long_text_is_what_the_whole_text_folds_to(
            text in "([a-zA-Z \\t\u{85}\u{3000}가-각\u{1100}-\u{1115}\u{1161}-\u{1165}\u{11A8}-\u{11AA}\u{301}\u{323}İßΣ]{0,9}){0,30}",
            enough in 1_usize..20,
        ) {
            let whole = fold_start(&text, usize::MAX);
            let start = fold_start(&text, enough);
            prop_assert!(start.len() >= enough.min(whole.len()));
            let sure = enough.min(whole.len());
            prop_assert_eq!(&start[..sure], &whole[..sure]);
            let end = fold_end(&text, enough);
            prop_assert!(end.len() >= sure);
            prop_assert_eq!(&end[..], &whole[whole.len() - end.len()..]);
        }
    }

    fn folded_text(text: &str) -> String {
        fold_start(text, usize::MAX).iter().map(|folded| folded.value).collect()
    }

    #[test]
    fn folding_composes_lowers_and_folds_white_space() {
        assert_eq!(folded_text("  A\u{3000}\u{2009}B\tc \n"), "a b c");
        assert_eq!(folded_text("\u{1112}\u{1161}\u{11AB}글"), "한글");
        assert_eq!(folded_text("ΟΣ"), "οσ");
        assert_eq!(folded_text("a\u{1C}b"), "a\u{1C}b");
        assert_eq!(folded_text(" \u{85}\u{2028} "), "");
    }

    #[test]
    fn segments_compose_like_the_whole_text() {
        for text in [
            "e\u{301}\u{323}x",
            "\u{1100}\u{1161}\u{11A8}\u{11A8}",
            "\u{958}\u{93C}",
            "a\u{0F71}\u{0F72}\u{0F74}",
            "각\u{11A8}e\u{301}",
        ] {
            let whole: String = text.nfc().collect();
            let parts: String = composition_segments(text)
                .flat_map(|range| text[range].nfc().collect::<Vec<_>>())
                .collect();
            assert_eq!(parts, whole, "{text:?}");
        }
    }

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
        assert_eq!(encoding.input.ids(), ids.into_iter().collect::<Vec<_>>());
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
