//! Windows: a text that is longer than its models read, in parts that overlap.
//!
//! Where several models read the same windows, as in a cascade, a window ends where the first of them has read as much
//! as it can: each then sees all of it, and one may answer for the other. A window is a text of its own: it begins and
//! ends where a sentence or else a word does, if one does nearby, and its answer is the one that this part of the text
//! gets when it is sent alone.
//!
//! Models count by their own units: tokens, code points of the folded text, bytes. What is said of units here means
//! those of the first model. A part may have other tokens by itself than within the text, so each window is tried by
//! the models' own preprocessing, and made shorter until it fits.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Preprocessor;
use super::marks::Marks;
use crate::model::input::EncodeError;
use crate::model::manifest::Truncation;

/// A window may end, and the next may begin, earlier by this part of the step between them, to meet a sentence or a word.
const SLACK: usize = 4;
/// What is looked at behind a place, in bytes, to tell whether a sentence ends there.
const AHEAD: usize = 32;

/// How texts are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowSize {
    /// The most tokens of a window, special ones included; absent for what the model reads.
    pub width: Option<usize>,
    /// How far the next window begins after the one before it, as a part of this one's units; above 0, at most 1.
    pub stride: f64,
    /// The most windows of a text.
    pub most: usize,
}

/// A text in windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The bytes of each, in order; at least one.
    pub spans: Vec<Range<usize>>,
    /// Whether the text goes on behind the last.
    pub stopped: bool,
}

/// Cuts a text, or the first of a pair, into windows that each of the models reads whole. The first model's units count.
pub fn cut(
    readers: &[&Preprocessor],
    text: &str,
    pair: Option<&str>,
    size: &WindowSize,
) -> Result<Windows, EncodeError> {
    let fits = |window: &str| fits(readers, window, pair, size.width);
    if fits(text)? {
        return Ok(Windows::whole(text));
    }
    let marks = readers
        .iter()
        .map(|reader| reader.marks(text, pair, size.width, size.most));
    let marks: Vec<Marks> = marks.collect::<Result<_, _>>()?;
    let Some(lead) = marks.first() else {
        return Ok(Windows::whole(text));
    };
    let mut spans = Vec::new();
    let (mut start, mut before) = (0, 0);
    while spans.len() < size.most.max(1) {
        let furthest = marks.iter().map(|marks| marks.furthest(text, start)).min();
        let window = start..furthest.unwrap_or(text.len());
        let (end, units) = end_of(lead, text, window, before, size, fits)?;
        if end <= before && start < before {
            // Models that count otherwise may leave no room behind an overlap.
            start = before;
            continue;
        }
        spans.push(start..end);
        before = end;
        if end == text.len() {
            break;
        }
        start = next_start(lead, text, start..end, units, size);
    }
    let stopped = spans.last().is_some_and(|last| last.end < text.len());
    Ok(Windows { spans, stopped })
}

/// Whether each model reads all of a text; the first of them, at most `width` tokens.
fn fits(readers: &[&Preprocessor], text: &str, pair: Option<&str>, width: Option<usize>) -> Result<bool, EncodeError> {
    for reader in readers {
        match reader.encode(text, pair, Some(Truncation::Reject)) {
            Ok(encoding) => {
                if reader.tokenizer().is_some() && width.is_some_and(|width| encoding.token_count > width) {
                    return Ok(false);
                }
            }
            Err(EncodeError::TooLong { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Where a window ends that may have all of `window`, and how many units it could have had. The one before it ends at
/// `before`.
fn end_of(
    lead: &Marks,
    text: &str,
    window: Range<usize>,
    before: usize,
    size: &WindowSize,
    fits: impl Fn(&str) -> Result<bool, EncodeError>,
) -> Result<(usize, usize), EncodeError> {
    let start = window.start;
    let one = text.ceil_char_boundary(start + 1);
    let further = text.ceil_char_boundary(before + 1);
    let mut limit = window.end.max(one);
    // What is taken away from a window that does not fit, one part in so many: more each time.
    let mut part = 8;
    loop {
        let (first, behind) = (lead.from(start), lead.until(limit));
        let units = behind.saturating_sub(first);
        let end = if limit == text.len() {
            limit
        } else {
            let least = behind.saturating_sub(1 + slack(units, size)).max(first);
            let earliest = lead.units.get(least).map_or(limit, |unit| unit.end);
            near(text, earliest.max(one).max(further).min(limit), limit)
        };
        // A single character that does not fit is cut by the model itself.
        if end <= one || fits(&text[start..end])? {
            return Ok((end, units));
        }
        let kept = limit - (limit - start).div_ceil(part);
        let behind = lead.until(kept);
        let by_units = behind.checked_sub(1).map_or(start, |last| lead.units[last].end);
        let kept = if by_units > start {
            by_units
        } else {
            text.floor_char_boundary(kept)
        };
        limit = kept.max(one);
        part = (part / 2).max(2);
    }
}

/// Where the window after `window` begins, which could have had `units`.
fn next_start(lead: &Marks, text: &str, window: Range<usize>, units: usize, size: &WindowSize) -> usize {
    let overlap = units - step(units, size);
    let behind = lead.until(window.end);
    let at = behind.saturating_sub(overlap);
    let place = |at: usize| lead.units.get(at).map_or(window.end, |unit| unit.start);
    let latest = if overlap == 0 {
        window.end
    } else {
        place(at).min(window.end)
    };
    let earliest = place(at.saturating_sub(slack(units, size))).max(window.start);
    let start = near(text, earliest.min(latest), latest);
    // No window begins with white space that is in the one before it.
    let within = &text[start..window.end];
    let start = start + within.len() - within.trim_start().len();
    if start > window.start { start } else { window.end }
}

/// How many units behind the start of a window of `units` the next one begins, at most.
fn step(units: usize, size: &WindowSize) -> usize {
    ((units as f64 * size.stride).ceil() as usize)
        .clamp(1, units.max(1))
        .min(units)
}

fn slack(units: usize, size: &WindowSize) -> usize {
    step(units, size) / SLACK
}

/// The last place behind `earliest`, up to `latest`, where a sentence begins, or else a word; `latest` if none does.
fn near(text: &str, earliest: usize, latest: usize) -> usize {
    let seen = &text[earliest..text.ceil_char_boundary((latest + AHEAD).min(text.len()))];
    let within =
        |&(at, part): &(usize, &str)| at > 0 && earliest + at <= latest && !part.starts_with(char::is_whitespace);
    let sentence = seen.split_sentence_bound_indices().filter(within).last();
    let begins = sentence.or_else(|| seen.split_word_bound_indices().rfind(within));
    begins.map_or(latest, |(at, _)| earliest + at)
}

impl Windows {
    fn whole(text: &str) -> Self {
        Self {
            spans: std::iter::once(0..text.len()).collect(),
            stopped: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::manifest::HashedNgrams;
    use crate::model::preprocess::ngrams::NgramExtractor;

    fn ngrams(max_code_points: usize) -> Preprocessor {
        Preprocessor::Ngrams(NgramExtractor::new(HashedNgrams {
            max_code_points,
            min_n: 1,
            max_n: 2,
            max_words: 0,
            buckets: 1 << 10,
        }))
    }

    fn size(stride: f64, most: usize) -> WindowSize {
        WindowSize {
            width: None,
            stride,
            most,
        }
    }

    const ODD: &str = "([a-zA-Z]{1,9}|[가-각]{1,5}|[.!?] |\\. |\n|[ \t\u{3000}]{1,4}|e\u{301}|\u{1112}\u{1161}\u{11AB}|[İßΣ😀\u{FDFA}]){0,60}";

    proptest! {
        #[test]
        fn windows_cover_the_text_overlap_as_told_and_fit_every_model(
            text in ODD,
            code_points in 8_usize..40,
            max_bytes in 16_usize..80,
            stride in 0.1_f64..1.0,
            most in 1_usize..40,
        ) {
            let (lead, other) = (ngrams(code_points), Preprocessor::Text { max_bytes });
            for readers in [vec![&lead], vec![&other], vec![&lead, &other], vec![&other, &lead]] {
                let Windows { spans, stopped } = cut(&readers, &text, None, &size(stride, most)).expect("windows");
                prop_assert!(!spans.is_empty() && spans.len() <= most);
                prop_assert_eq!(spans[0].start, 0);
                let end = spans[spans.len() - 1].end;
                prop_assert_eq!(stopped, end < text.len());
                prop_assert!(!stopped || spans.len() == most, "it stops at no other place");
                for span in &spans {
                    let window = text.get(span.clone()).expect("at characters");
                    let one = window.chars().count() == 1;
                    prop_assert!(one || fits(&readers, window, None, None).expect("no error"), "{:?}", window);
                }
                for pair in spans.windows(2) {
                    prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end, "{:?}", pair);
                    prop_assert!(pair[1].start <= pair[0].end, "{:?}", pair);
                }
                if fits(&readers, &text, None, None).expect("no error") {
                    prop_assert_eq!(spans, std::iter::once(0..text.len()).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn plain_letters_overlap_to_the_letter(stride in 0.1_f64..1.0, width in 4_usize..30, letters in 0_usize..300) {
            let text = "a".repeat(letters);
            let reader = ngrams(width);
            let size = size(stride, usize::MAX >> 8);
            let Windows { spans, .. } = cut(&[&reader], &text, None, &size).expect("windows");
            let step = step(width, &size);
            for (at, pair) in spans.windows(2).enumerate() {
                prop_assert_eq!(pair[1].start, (at + 1) * step);
                prop_assert_eq!(pair[0].len(), width);
            }
            prop_assert_eq!(spans[spans.len() - 1].end, letters);
        }
    }

    #[test]
    fn windows_end_and_begin_with_sentences_or_else_with_words() {
        let reader = ngrams(40);
        let text = "One two three four five six. Seven eight nine ten. Eleven twelve thirteen fourteen fifteen sixteen";
        let Windows { spans, .. } = cut(&[&reader], text, None, &size(0.75, 32)).expect("windows");
        let parts: Vec<&str> = spans.iter().map(|span| &text[span.clone()]).collect();
        for part in &parts {
            assert!(part.starts_with(|first: char| first.is_alphabetic()), "{parts:?}");
            assert!(part.ends_with(' ') || text.ends_with(part), "{parts:?}");
        }
        let text = "One two. Three four five";
        assert_eq!(near(text, 2, 20), 9, "a sentence");
        assert_eq!(near(text, 10, 20), 20, "a word");
        assert_eq!(near(text, 10, 18), 15, "the word before");
        assert_eq!(near(text, 16, 18), 18, "neither");
    }

    #[test]
    fn a_text_without_words_and_a_character_of_many_units_go_on() {
        let reader = ngrams(1);
        // Its lower case has two code points.
        let text = "İ".repeat(5);
        for text in [text.as_str(), "ab", "abc", "   ", ""] {
            let Windows { spans, stopped } = cut(&[&reader], text, None, &size(0.5, 100)).expect("windows");
            assert!(
                !stopped && spans[spans.len() - 1].end == text.len(),
                "{text:?} {spans:?}"
            );
        }
    }
}
