//! Folds a text for its n-grams: NFC, lower case, each run of white space to one space, trimmed; keeps the place of each
//! code point in the original text where that is asked for.

use std::ops::Range;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A code point of the folded text, and the place in the original text that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldedChar<P> {
    pub value: char,
    pub place: P,
}

/// What is kept of a code point's place: its bytes where they are asked for, else nothing, which is faster.
pub trait Place: Clone + Default {
    fn of(bytes: Range<usize>) -> Self;
    /// Takes in what lies between this place and another, which comes after it.
    fn until(&self, last: &Self) -> Self;
    /// The empty place before this one.
    fn before(&self) -> Self;
    /// The empty place after this one.
    fn after(&self) -> Self;
}

impl Place for () {
    fn of(_: Range<usize>) -> Self {}
    fn until(&self, (): &Self) -> Self {}
    fn before(&self) -> Self {}
    fn after(&self) -> Self {}
}

impl Place for Range<usize> {
    fn of(bytes: Range<usize>) -> Self {
        bytes
    }

    fn until(&self, last: &Self) -> Self {
        self.start..last.end
    }

    fn before(&self) -> Self {
        self.start..self.start
    }

    fn after(&self) -> Self {
        self.end..self.end
    }
}

/// Folds a text from its start: NFC, lower case, each run of white space to one space, trimmed. Gives each code point
/// with its bytes in the original text. Stops at `enough` code points, so that a long text costs no more than the part
/// that is read.
pub fn fold_start<P: Place>(text: &str, enough: usize) -> Vec<FoldedChar<P>> {
    fold_from(text, 0, is_normal(text), enough)
}

/// The last `enough` code points of the folded text or a few more; all of them if there are fewer.
pub fn fold_end<P: Place>(text: &str, enough: usize) -> Vec<FoldedChar<P>> {
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
    text.chars().all(|value| value.is_ascii() || is_hangul(value)) || is_nfc_quick(text.chars()) == IsNormalized::Yes
}

/// Hangul syllables, and the letters that are written by themselves: they are NFC, have no case and are no white space.
/// Said here only because the general answer takes ten times as long.
fn is_hangul(value: char) -> bool {
    matches!(value, '\u{AC00}'..='\u{D7A3}' | '\u{3131}'..='\u{318E}')
}

/// Folds the text from `start` on, until there are `enough` code points.
fn fold_from<P: Place>(text: &str, start: usize, normal: bool, enough: usize) -> Vec<FoldedChar<P>> {
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
struct Folding<P> {
    folded: Vec<FoldedChar<P>>,
    enough: usize,
}

impl<P: Place> Folding<P> {
    fn wants_more(&self) -> bool {
        self.folded.len() < self.enough
    }

    /// Adds a character of the text in NFC.
    fn push(&mut self, value: char, bytes: Range<usize>) {
        let place = P::of(bytes);
        if value.is_ascii() {
            self.push_lower(value.to_ascii_lowercase(), place);
        } else if is_hangul(value) {
            self.folded.push(FoldedChar { value, place });
        } else {
            for lower in value.to_lowercase() {
                self.push_lower(lower, place.clone());
            }
        }
    }

    fn push_lower(&mut self, value: char, place: P) {
        if !value.is_whitespace() {
            self.folded.push(FoldedChar { value, place });
        } else if let Some(last) = self.folded.last_mut() {
            if last.value == ' ' {
                last.place = last.place.until(&place);
            } else {
                self.folded.push(FoldedChar { value: ' ', place });
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
            let whole: Vec<FoldedChar<Range<usize>>> = fold_start(&text, usize::MAX);
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
        let folded: Vec<FoldedChar<()>> = fold_start(text, usize::MAX);
        folded.iter().map(|folded| folded.value).collect()
    }

    #[test]
    fn hangul_is_what_is_said_of_it() {
        for value in ('\u{0}'..=char::MAX).filter(|&value| is_hangul(value)) {
            assert_eq!(is_nfc_quick(std::iter::once(value)), IsNormalized::Yes, "{value:?}");
            assert_eq!(canonical_combining_class(value), 0, "{value:?}");
            assert!(value.to_lowercase().eq([value]) && !value.is_whitespace(), "{value:?}");
        }
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
}
