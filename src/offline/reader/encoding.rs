//! Which encoding a file of texts has: one that is certain, or else UTF-8.
//!
//! A byte order mark makes it certain. So do the zero bytes of UTF-16, and for cp949 (which includes EUC-KR) the common
//! syllables of Korean. In any other file rows that are not UTF-8 are errors, and the user says which encoding it has.

use std::io::{self, BufRead, Read};

use encoding_rs::{EUC_KR, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The most bytes that are looked at in one step.
const STEP: u64 = 1 << 16;
/// The fewest Korean syllables that make cp949 certain.
const LEAST_SYLLABLES: u64 = 4;
/// The commonest syllables of written Korean: about half of any text.
const COMMON: &str = "이다는가고에의을지도하은로한를어나아리기사서인그게들만라시자해있보대정일수여제부전구것스장거면무었주자적상안화영말요네음없니좋재";

/// Detects the encoding of a file, given whole or in parts; holds counts only.
#[derive(Default)]
pub struct Detector {
    start: Vec<u8>,
    length: u64,
    /// Zero bytes at even and at odd offsets.
    zeros: [u64; 2],
    line_feeds: u64,
    /// Line feeds right before and right after a zero byte.
    feeds_at_zeros: [u64; 2],
    last: Option<u8>,
    carriage_returns: u64,
    /// Characters of more than one byte that are UTF-8, and places that are not.
    utf8: [u64; 2],
    korean: Korean,
}

/// What a file holds if it is read as cp949.
#[derive(Default)]
struct Korean {
    /// Syllables of KS X 1001.
    syllables: u64,
    /// Those of them that are common in Korean.
    common: u64,
    /// Rare syllables, Chinese characters, and bytes that are no character.
    others: u64,
}

impl Detector {
    /// Looks at all of `input`.
    pub fn read(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let mut part = Vec::new();
        loop {
            part.clear();
            // Up to the end of a line where there is one, so that no character is cut in two.
            if input.by_ref().take(STEP).read_until(b'\n', &mut part)? == 0 {
                return Ok(());
            }
            self.look(&part);
        }
    }

    fn look(&mut self, part: &[u8]) {
        let room = 4_usize.saturating_sub(self.start.len());
        self.start.extend(part.iter().take(room));
        for (at, byte) in (self.length..).zip(part) {
            match (self.last, byte) {
                (Some(b'\n'), 0) => self.feeds_at_zeros[0] += 1,
                (Some(0), b'\n') => self.feeds_at_zeros[1] += 1,
                _ => {}
            }
            self.last = Some(*byte);
            match byte {
                0 => self.zeros[usize::from(at % 2 == 1)] += 1,
                b'\n' => self.line_feeds += 1,
                b'\r' => self.carriage_returns += 1,
                _ => {}
            }
        }
        self.length += part.len() as u64;
        if part.is_ascii() {
            return;
        }
        for chunk in part.utf8_chunks() {
            let valid = chunk.valid();
            self.utf8[0] += valid.chars().filter(|value| !value.is_ascii()).count() as u64;
            self.utf8[1] += u64::from(!chunk.invalid().is_empty());
        }
        self.korean.look(part);
    }

    /// The encoding that is certain, else UTF-8. The error says that the file is no text that can be read.
    pub fn encoding(&self) -> Result<&'static Encoding, String> {
        match *self.start {
            [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] => {
                return Err("is UTF-32; convert it: iconv -f UTF-32 -t UTF-8 FILE > NEW".to_owned());
            }
            [0xef, 0xbb, 0xbf, ..] => return Ok(UTF_8),
            [0xff, 0xfe, ..] => return Ok(UTF_16LE),
            [0xfe, 0xff, ..] => return Ok(UTF_16BE),
            _ => {}
        }
        let [even, odd] = self.zeros;
        let units = self.length / 2;
        // Spaces, line breaks and Latin letters have one zero byte of two, always the same one. A line feed that has none is a
        // half of another character, or one of a file of single bytes.
        let many = |zeros: u64, others: u64, at_feeds: u64| {
            zeros > 0 && zeros * 20 >= units && zeros > 3 * others && at_feeds * 2 >= self.line_feeds
        };
        let [before, after] = self.feeds_at_zeros;
        if many(odd, even, before) {
            return Ok(UTF_16LE);
        }
        if many(even, odd, after) {
            return Ok(UTF_16BE);
        }
        if (even + odd) * 100 > self.length {
            return Err("is no text: it holds many zero bytes".to_owned());
        }
        let [characters, errors] = self.utf8;
        if errors > characters && self.korean.is_sure() {
            return Ok(EUC_KR);
        }
        Ok(UTF_8)
    }

    /// Whether it begins with a byte order mark.
    pub fn has_mark(&self) -> bool {
        let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        marks.iter().any(|mark| self.start.starts_with(mark))
    }

    /// The byte that ends a line: a carriage return in very old files that have no line feed.
    pub fn terminator(&self) -> u8 {
        if self.line_feeds == 0 && self.carriage_returns > 0 {
            b'\r'
        } else {
            b'\n'
        }
    }

    /// The first byte of the file, a byte order mark left out.
    pub fn first_byte(&self) -> Option<u8> {
        let start = self.start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.start);
        start.first().copied()
    }
}

impl Korean {
    fn look(&mut self, part: &[u8]) {
        let mut rest = part;
        while let [first, tail @ ..] = rest {
            rest = tail;
            if first.is_ascii() {
                continue;
            }
            match (*first, tail) {
                (0xb0..=0xc8, [second @ 0xa1..=0xfe, tail @ ..]) => {
                    self.syllables += 1;
                    let pair = [*first, *second];
                    let (text, _) = EUC_KR.decode_without_bom_handling(&pair);
                    self.common += u64::from(COMMON.contains(&*text));
                    rest = tail;
                }
                // Punctuation, and single letters such as ㅋ.
                (0xa1..=0xaf, [0xa1..=0xfe, tail @ ..]) => rest = tail,
                (0x81..=0xfe, [0x41..=0xfe, tail @ ..]) => {
                    self.others += 1;
                    rest = tail;
                }
                _ => self.others += 1,
            }
        }
    }

    /// Whether the text is Korean: Chinese and Japanese, read as cp949, have many rare characters and few common
    /// syllables.
    fn is_sure(&self) -> bool {
        let all = self.syllables + self.others;
        self.syllables >= LEAST_SYLLABLES && self.others * 10 <= all && self.common * 4 >= self.syllables
    }
}

/// The name of an encoding as people say it.
pub fn name(encoding: &'static Encoding) -> &'static str {
    if encoding == EUC_KR {
        "cp949 (EUC-KR)"
    } else {
        encoding.name()
    }
}

/// The encoding with this name. The error is one line.
pub fn named(name: &str) -> Result<&'static Encoding, String> {
    let usual = match name.to_ascii_lowercase().as_str() {
        "cp949" | "uhc" => "euc-kr",
        "cp932" => "shift_jis",
        "cp936" => "gbk",
        "cp950" => "big5",
        _ => name,
    };
    match Encoding::for_label(usual.as_bytes()) {
        // In the other encodings the byte of a line break may be a part of something else.
        Some(found) if found.is_ascii_compatible() || found == UTF_16LE || found == UTF_16BE => Ok(found),
        _ => Err(format!("`{name}` is not known; convert the file with iconv")),
    }
}
