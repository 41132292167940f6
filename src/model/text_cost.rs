//! What preprocessing costs on this machine, measured on texts that are hard for tokenizers.

use std::time::{Duration, Instant};

use super::manifest::Truncation;
use super::preprocess::Preprocessor;

/// The cost of preprocessing: the highest over several texts, each of which is hard for some step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextCost {
    /// Nanoseconds for each text, whatever its length.
    pub text_nanos: f64,
    /// Nanoseconds for each byte of a hard text.
    pub byte_nanos: f64,
    /// The cost of an ordinary text, relative to a hard one.
    pub usual: f64,
    /// The most bytes of a text that cost anything, since longer texts are cut.
    pub max_bytes: usize,
}

impl TextCost {
    /// The cost of texts of these sizes in bytes, if all of them are hard.
    pub fn of(&self, sizes: impl Iterator<Item = usize>) -> Duration {
        let nanos: f64 = sizes
            .map(|size| self.text_nanos + self.byte_nanos * size.min(self.max_bytes) as f64)
            .sum();
        Duration::from_nanos(nanos as u64)
    }
}

/// The longest that measuring preprocessing may take, apart from the text that is under way when the time ends.
const TEXTS_BUDGET: Duration = Duration::from_millis(50);
/// The sizes of the measured texts, in bytes: short ones cost more for each byte, because each text has a fixed cost.
const TEXT_SIZES: [usize; 2] = [64, 1024];
/// Parts of hard texts: many words, long words that become many tokens or none, characters that take several bytes,
/// decompose, compose or disappear, white space alone.
const HARD: [&str; 14] = [
    ".",
    "a ",
    "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq.",
    "oooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo\u{12000} ",
    "\u{FDFA}",
    "\u{344}",
    "漢",
    "가.",
    "\u{1112}\u{1161}\u{11AB}",
    "😀",
    "e\u{301}",
    "\u{301}\u{323}",
    "İ",
    " ",
];
/// An ordinary text.
const ORDINARY: &str = "The acting is good, 하지만 이야기는 너무 길고 지루하다. ";

/// Measures the cost of preprocessing, by `clock`. `max_bytes` is the most that is read of a text.
pub fn of_texts(preprocessor: &Preprocessor, max_bytes: usize, clock: impl Fn() -> Instant) -> TextCost {
    let started = clock();
    let nanos = |text: &str| {
        // The fastest of a few: any disturbance makes it slower.
        let run = |_| {
            let started = clock();
            // A text that can't be encoded costs the time that it took to find out.
            let _ = std::hint::black_box(preprocessor.encode(text, None, Some(Truncation::End)));
            clock().saturating_duration_since(started).as_nanos() as f64
        };
        (0..3).map(run).fold(f64::INFINITY, f64::min)
    };
    let for_byte = |unit: &str, size: usize| {
        let text = unit.repeat(size.div_ceil(unit.len()));
        nanos(&text) / text.len() as f64
    };
    let usual = TEXT_SIZES.map(|size| for_byte(ORDINARY, size))[1];
    let mut hardest = usual;
    for unit in HARD {
        for size in TEXT_SIZES {
            hardest = f64::max(hardest, for_byte(unit, size));
        }
        if clock().saturating_duration_since(started) > TEXTS_BUDGET {
            break;
        }
    }
    let byte_nanos = hardest.max(1.0);
    TextCost {
        text_nanos: nanos(""),
        byte_nanos,
        usual: usual / byte_nanos,
        max_bytes,
    }
}
