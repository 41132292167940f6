//! What is told of the data on a report's card: how many rows, what was left out, how long the texts are, in which
//! scripts, how many rows of each label.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};
use unicode_script::{Script, UnicodeScript};

/// Facts of a file of texts and of the dataset that was made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// The file's name, without its folder.
    pub file: String,
    /// Its size in bytes and its SHA-256 in hexadecimal; absent for a stream.
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    /// How many rows the file has, and how many of them are in the dataset.
    pub rows: u64,
    pub used: u64,
    /// How many rows were left out, by the reason.
    pub left_out: BTreeMap<String, u64>,
    /// How many rows of the dataset are without a label.
    pub unlabelled: u64,
    /// How many rows are further rows of a text that was there before (case and spaces folded).
    pub duplicates: u64,
    /// How many texts have rows with different labels.
    pub conflicts: u64,
    /// How many rows have each label, in the order of the labels: the right ones, and the likeliest one of probabilities.
    pub classes: Vec<u64>,
    pub lengths: Lengths,
    /// How many letters there are of each script, by its name in Unicode, most first.
    pub scripts: Vec<(String, u64)>,
}

/// How long texts are, in code points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    pub least: u32,
    pub median: u32,
    pub p90: u32,
    pub p99: u32,
    pub most: u32,
}

/// Counts what the texts are like while they are read.
#[derive(Default)]
pub struct Tally {
    lengths: Vec<u32>,
    scripts: BTreeMap<&'static str, u64>,
    latin: u64,
}

impl Tally {
    pub fn add(&mut self, text: &str) {
        let mut length = 0_u32;
        for value in text.chars() {
            length = length.saturating_add(1);
            if value.is_ascii() {
                self.latin += u64::from(value.is_ascii_alphabetic());
                continue;
            }
            match value.script() {
                // Digits, signs, marks that go with any letter.
                Script::Common | Script::Inherited | Script::Unknown => {}
                script => *self.scripts.entry(script.full_name()).or_default() += 1,
            }
        }
        self.lengths.push(length);
    }

    /// The lengths of the texts and the letters by script.
    pub fn finish(mut self) -> (Lengths, Vec<(String, u64)>) {
        if self.latin > 0 {
            *self.scripts.entry(Script::Latin.full_name()).or_default() += self.latin;
        }
        let named = self.scripts.into_iter().map(|(name, count)| (name.to_owned(), count));
        let mut scripts: Vec<(String, u64)> = named.collect();
        scripts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.lengths.sort_unstable();
        let at = |share: f64| {
            let place = (self.lengths.len() as f64 * share).ceil() as usize;
            self.lengths.get(place.saturating_sub(1)).copied().unwrap_or_default()
        };
        let lengths = Lengths {
            least: at(0.0),
            median: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            most: at(1.0),
        };
        (lengths, scripts)
    }
}

/// The size and the SHA-256 of a file; `None` if it is no plain file, which can be read only once.
pub fn fingerprint(path: &Path) -> io::Result<Option<(u64, String)>> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let (mut hash, mut size, mut part) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => {
                hash.update(&part[..read]);
                size += read as u64;
            }
        }
    }
    let hexadecimal = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some((size, hexadecimal)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_by_script_and_texts_by_length() {
        let mut tally = Tally::default();
        for text in ["좋아요 ok 1!", "Привет", "漢字かな", "مرحبا é", ""] {
            tally.add(text);
        }
        let (lengths, scripts) = tally.finish();
        let expected = [
            ("Cyrillic", 6),
            ("Arabic", 5),
            ("Hangul", 3),
            ("Latin", 3),
            ("Han", 2),
            ("Hiragana", 2),
        ];
        assert_eq!(scripts, expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!((lengths.least, lengths.median, lengths.most), (0, 6, 9));
        assert_eq!(Tally::default().finish().0, Lengths::default());
    }

    #[test]
    fn percentiles_are_those_of_the_rows() {
        let mut tally = Tally::default();
        (1..=100).for_each(|length| tally.add(&"a".repeat(length)));
        let expected = Lengths {
            least: 1,
            median: 50,
            p90: 90,
            p99: 99,
            most: 100,
        };
        assert_eq!(tally.finish().0, expected);
    }
}
