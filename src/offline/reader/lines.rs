//! The lines of a file of texts, each with its number, decoded. A line that is too long or can't be decoded is an error
//! by itself.

use std::io::{self, BufRead, Read};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The longest text, in bytes of UTF-8: the most that a server can be set to accept.
pub const TEXT_BOUND: usize = 16 << 20;
/// The longest line, in bytes: room for a text in which every character is escaped, and for other columns.
const LINE_BOUND: usize = 4 * TEXT_BOUND;

/// The longest line that is skipped, in bytes. A longer one may have no end, so reading stops.
const END_BOUND: usize = 4 * LINE_BOUND;

#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// The text without its line end and without a byte order mark, or why it can't be read.
    pub text: Result<String, String>,
    /// The line end.
    pub end: &'static str,
}

/// The lines of a file.
pub struct Lines {
    input: Box<dyn BufRead + Send>,
    encoding: &'static Encoding,
    terminator: u8,
    number: u64,
    position: u64,
    /// Lines that were read already and will be given again.
    returned: Vec<Line>,
}

impl Lines {
    /// The lines of `input`, each ended by the byte `terminator` (in UTF-16, by a unit of that value).
    pub fn new(input: Box<dyn BufRead + Send>, encoding: &'static Encoding, terminator: u8) -> Self {
        Self {
            input,
            encoding,
            terminator,
            number: 0,
            position: 0,
            returned: Vec::new(),
        }
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.position
    }

    /// Takes lines back; they are given again, in this order.
    pub fn put_back(&mut self, lines: Vec<Line>) {
        self.returned.extend(lines.into_iter().rev());
    }

    /// The bytes of the next line with its end; an inner `None` for a line that is too long.
    fn raw(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut bytes = Vec::new();
        let mut length = 0;
        loop {
            let before = bytes.len();
            let room = (LINE_BOUND + 2).saturating_sub(before).max(2) as u64;
            let mut read = self.input.by_ref().take(room).read_until(self.terminator, &mut bytes)?;
            let at_end = read == 0;
            let mut ended = bytes.ends_with(&[self.terminator]);
            if ended && self.encoding == UTF_16LE {
                // In UTF-16 the byte is the first of a unit whose second byte is zero.
                let first = bytes.len() % 2 == 1;
                let mut next = [0];
                ended = false;
                if first && self.input.read(&mut next)? == 1 {
                    bytes.extend(next);
                    read += 1;
                    ended = next == [0];
                }
            } else if ended && self.encoding == UTF_16BE {
                ended = bytes.len().is_multiple_of(2) && bytes[bytes.len() - 2] == 0;
            }
            length += read;
            self.position += read as u64;
            if at_end && length == 0 {
                return Ok(None);
            }
            if ended || at_end {
                return Ok(Some((length <= LINE_BOUND).then_some(bytes)));
            }
            if length > END_BOUND {
                let problem = format!("line {} does not end within {} MiB", self.number + 1, END_BOUND >> 20);
                return Err(io::Error::other(problem));
            }
            if length > LINE_BOUND {
                // Bytes that are skipped are not kept, but for two, which keep the place within a unit.
                bytes.drain(..(bytes.len() - 1) & !1);
            }
        }
    }

    fn decoded(&self, bytes: &[u8]) -> Result<(String, &'static str), String> {
        let decoded = self.encoding.decode_without_bom_handling_and_without_replacement(bytes);
        let Some(text) = decoded else {
            return Err(self.undecodable(bytes));
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for end in ["\r\n", "\n"] {
            if let Some(text) = text.strip_suffix(end) {
                return Ok((text.to_owned(), end));
            }
        }
        match text.strip_suffix('\r') {
            Some(text) if self.terminator == b'\r' => Ok((text.to_owned(), "\r")),
            _ => Ok((text.to_owned(), "")),
        }
    }

    fn undecodable(&self, bytes: &[u8]) -> String {
        if self.encoding != UTF_8 {
            return format!("not all of it is {}", super::encoding::name(self.encoding));
        }
        let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        format!(
            "byte {} is no UTF-8; say the encoding with --encoding (cp949, shift_jis, gb18030, windows-1252, …), or convert the file: \
             iconv -f ENCODING -t utf-8 FILE > NEW",
            at + 1
        )
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.returned.pop() {
            return Some(Ok(line));
        }
        let raw = match self.raw() {
            Ok(raw) => raw?,
            Err(error) => return Some(Err(error)),
        };
        self.number += 1;
        let too_long = || format!("the line has more than {LINE_BOUND} bytes");
        let decoded = raw.ok_or_else(too_long).and_then(|bytes| self.decoded(&bytes));
        let (text, end) = match decoded {
            Ok((text, end)) => (Ok(text), end),
            Err(problem) => (Err(problem), "\n"),
        };
        Some(Ok(Line {
            number: self.number,
            text,
            end,
        }))
    }
}
