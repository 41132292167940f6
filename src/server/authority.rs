//! Makes the `:authority` of gRPC calls acceptable to the HTTP/2 library, whatever it says, since nothing here uses it.
//!
//! gRPC's C core, which is behind Python, Ruby, PHP and C++, writes the target into `:authority`: the path of a Unix
//! socket as `%2Frun%2Fa.sock`, a list of addresses as `10.0.0.1:1,10.0.0.2:1`. The HTTP/2 library resets such calls as
//! malformed before our code sees them. So each byte that no host name has becomes `-` on its way in. The length stays
//! the same, so the compression of headers stays in step. gRPC of Go writes `etcd:///services/a` as `services%2Fa` and
//! packs it by Huffman's code: there such a byte becomes another with the same number of bits (`packed.rs`). An empty
//! authority has no byte to change, so such a call is still reset.

use super::packed::Bits;

/// The length of HTTP/2's preface.
const PREFACE_BYTES: usize = 24;
/// The length of a frame's head.
const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// The length of a priority in a HEADERS frame.
const PRIORITY_BYTES: usize = 5;

const NAME: &[u8] = b":authority";
/// Its index in HTTP/2's static table (RFC 7541, appendix A).
const NAME_INDEX: u8 = 1;

/// Rewrites authorities in a stream of HTTP/2. It follows the frames, however the bytes are cut into reads. It accepts
/// any bytes: the library refuses what is not HTTP/2.
pub struct AuthorityFilter {
    /// How many bytes to skip before the next part.
    skip: usize,
    /// The head of the current frame; `got` of its bytes have come.
    head: [u8; HEAD_BYTES],
    got: usize,
    /// Whether the next byte says how much of the frame is padding.
    padded: bool,
    /// Whether a priority comes before the header block.
    priority: bool,
    /// How many bytes of the header block are to come in this frame; `padding`: how many after it.
    block: usize,
    padding: usize,
    field: Field,
}

/// The position within a header block (RFC 7541, section 6).
#[derive(Clone, Copy)]
enum Field {
    /// At the start of a field.
    Start,
    /// In a number that does not matter here. Then comes a value or the next field.
    Number { value_follows: bool },
    /// At the length of a string.
    Length(Text),
    /// In the further bytes of that length: its value so far, the shift of its next bits, and whether the string is
    /// packed.
    LongLength(Text, usize, u32, bool),
    /// In a string with this many bytes left.
    Text(Text, usize),
}

/// A string within a field.
#[derive(Clone, Copy)]
enum Text {
    /// A name. Its first bytes match `:authority`, this many; `None` once one did not.
    Name(Option<usize>),
    /// A value; `true` for the authority's.
    Value(bool),
    /// The authority's value, packed by Huffman's code.
    Packed(Bits),
}

impl Default for AuthorityFilter {
    fn default() -> Self {
        Self {
            skip: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            got: 0,
            padded: false,
            priority: false,
            block: 0,
            padding: 0,
            field: Field::Start,
        }
    }
}

impl AuthorityFilter {
    /// Rewrites the next bytes of the stream. Must see every byte from the first one on.
    pub fn pass(&mut self, mut bytes: &mut [u8]) {
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = &mut bytes[passed..];
            let passed = self.pass_text(bytes.len());
            bytes = &mut bytes[passed..];
            if passed > 0 {
                continue;
            }
            let Some((byte, rest)) = bytes.split_first_mut() else {
                return;
            };
            self.byte(byte);
            bytes = rest;
        }
    }

    /// Passes as much of a string that stays as it is as there is among the next bytes; gives the number of bytes.
    fn pass_text(&mut self, bytes: usize) -> usize {
        let Field::Text(text @ (Text::Name(None) | Text::Value(false)), left) = self.field else {
            return 0;
        };
        let passed = if self.padded {
            0
        } else {
            left.min(self.block).min(bytes)
        };
        self.block -= passed;
        self.field = Field::rest(text, left - passed);
        if passed > 0 {
            self.end_block();
        }
        passed
    }

    /// Skips the padding after a header block that has passed.
    fn end_block(&mut self) {
        if self.block == 0 && !self.padded {
            self.skip += std::mem::take(&mut self.padding);
        }
    }

    fn byte(&mut self, byte: &mut u8) {
        if self.padded {
            self.padded = false;
            self.padding = usize::from(*byte).min(self.block);
            self.block -= self.padding;
            self.begin_block();
        } else if self.block > 0 {
            self.block -= 1;
            self.field = self.field.after(byte);
        } else {
            self.head[self.got] = *byte;
            self.got += 1;
            if self.got < HEAD_BYTES {
                return;
            }
            self.got = 0;
            self.begin_frame();
        }
        self.end_block();
    }

    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS => {
                self.field = Field::Start;
                self.padded = flags & PADDED != 0 && length > 0;
                self.priority = flags & PRIORITY != 0;
                self.block = length - usize::from(self.padded);
                if !self.padded {
                    self.begin_block();
                }
            }
            CONTINUATION => self.block = length,
            _ => self.skip = length,
        }
    }

    fn begin_block(&mut self) {
        if self.priority {
            self.skip = PRIORITY_BYTES.min(self.block);
            self.block -= self.skip;
        }
    }
}

impl Field {
    /// The position after one more byte, which is rewritten if it belongs to an authority.
    fn after(self, byte: &mut u8) -> Self {
        match self {
            Self::Start => Self::begin(*byte),
            Self::Number { .. } if *byte & 0x80 != 0 => self,
            Self::Number { value_follows: true } => Self::Length(Text::Value(false)),
            Self::Number { value_follows: false } => Self::Start,
            Self::Length(text) => match (*byte & 0x7f, *byte & 0x80 != 0) {
                (0x7f, packed) => Self::LongLength(text, 0x7f, 0, packed),
                (length, packed) => Self::string(text, length.into(), packed),
            },
            Self::LongLength(text, length, shift, packed) => {
                // A longer one is refused by the library anyway, so its value does not matter.
                let more = usize::from(*byte & 0x7f).checked_shl(shift).unwrap_or(usize::MAX);
                let length = length.saturating_add(more);
                match *byte & 0x80 {
                    0 => Self::string(text, length, packed),
                    _ => Self::LongLength(text, length, shift.saturating_add(7), packed),
                }
            }
            Self::Text(text, left) => Self::rest(text.after(byte), left - 1),
        }
    }

    /// The position after the first byte of a field.
    fn begin(byte: u8) -> Self {
        // The bits of its number, and whether strings follow. In order: a field of a table, a literal that is added to
        // the table, a new size of the table, and other literals.
        let (mask, literal) = match byte {
            0x80.. => (0x7f, false),
            0x40.. => (0x3f, true),
            0x20.. => (0x1f, false),
            _ => (0x0f, true),
        };
        match byte & mask {
            number if number == mask => Self::Number { value_follows: literal },
            _ if !literal => Self::Start,
            0 => Self::Length(Text::Name(Some(0))),
            number => Self::Length(Text::Value(number == NAME_INDEX)),
        }
    }

    /// The position at the start of a string of `left` bytes; after it, if that is none.
    fn string(text: Text, left: usize, packed: bool) -> Self {
        let text = match text {
            _ if !packed => text,
            Text::Name(_) => Text::Name(None),
            Text::Value(true) => Text::Packed(Bits::default()),
            text => text,
        };
        Self::rest(text, left)
    }

    /// The position with `left` bytes of a string to come; after it, if that is none.
    fn rest(text: Text, left: usize) -> Self {
        match (left, text) {
            (0, Text::Name(known)) => Self::Length(Text::Value(known == Some(NAME.len()))),
            (0, Text::Value(_) | Text::Packed(_)) => Self::Start,
            _ => Self::Text(text, left),
        }
    }
}

impl Text {
    /// The string after one more byte.
    fn after(self, byte: &mut u8) -> Self {
        match self {
            Self::Name(known) => Self::Name(
                known
                    .filter(|&known| NAME.get(known) == Some(byte))
                    .map(|known| known + 1),
            ),
            Self::Value(true) if !byte.is_ascii_alphanumeric() && !b"-._".contains(byte) => {
                *byte = b'-';
                self
            }
            Self::Value(_) => self,
            Self::Packed(bits) => Self::Packed(bits.after(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], content].concat()
    }

    fn string(text: &str) -> Vec<u8> {
        let (mut bytes, length) = (Vec::new(), text.len());
        match length {
            0..0x7f => bytes.push(u8::try_from(length).expect("short")),
            _ => bytes.extend([0x7f, u8::try_from(length - 0x7f).expect("not so long")]),
        }
        [bytes, text.as_bytes().to_vec()].concat()
    }

    /// A header block: `start`, then an authority with this name index.
    fn block(start: &[u8], authority: &str) -> Vec<u8> {
        let path = [vec![0x04], string("/a,b%2F")].concat();
        let other = [vec![0x40], string(":authoritx"), string("a,b")].concat();
        // A field and a table size, with numbers of several bytes.
        let known = vec![0x83, 0xff, 0x80, 0x01, 0x3f, 0xe1, 0x1f, 0x7f, 0x01, 0x01, b','];
        [known, path, start.to_vec(), string(authority), other].concat()
    }

    fn passed(bytes: &[u8], pieces: usize) -> Vec<u8> {
        let (mut reader, mut bytes) = (AuthorityFilter::default(), bytes.to_vec());
        bytes.chunks_mut(pieces).for_each(|piece| reader.pass(piece));
        bytes
    }

    #[test]
    fn an_authority_is_made_a_host_and_nothing_else_is_changed() {
        let name = [vec![0x40], string(":authority")].concat();
        let long = "/x".repeat(100);
        for start in [&[0x41][..], &[0x01], &[0x11], &name] {
            for (said, becomes) in [
                ("%2Frun%2Fa.sock", "-2Frun-2Fa.sock"),
                ("10.0.0.1:1,10.0.0.2:1", "10.0.0.1-1-10.0.0.2-1"),
                ("a b", "a-b"),
                ("", ""),
                (&long, &long.replace('/', "-")),
            ] {
                let write = |authority: &str| {
                    let block = block(start, authority);
                    let (first, second) = block.split_at(block.len() / 2);
                    let padded = [&[3][..], &[b','; 5], first, &[b','; 3]].concat();
                    [
                        vec![b'%'; PREFACE_BYTES],
                        frame(4, 0, b"\x41\x01,"),
                        frame(HEADERS, PADDED | PRIORITY, &padded),
                        frame(CONTINUATION, 4, second),
                        frame(0, 1, b"\x41\x01,"),
                        frame(HEADERS, 5, &block),
                    ]
                    .concat()
                };
                for pieces in [1, 7, 10_000] {
                    assert_eq!(passed(&write(said), pieces), write(becomes), "{said} after {start:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..400), pieces in 1usize..50) {
            let mut framed = vec![0; PREFACE_BYTES];
            framed.extend(frame(HEADERS, bytes.first().copied().unwrap_or(0), &bytes));
            framed.extend(&bytes);
            prop_assert_eq!(passed(&framed, pieces).len(), framed.len());
            prop_assert_eq!(passed(&framed, pieces), passed(&framed, 1));
        }
    }
}
