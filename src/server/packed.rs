//! Authorities that are packed by Huffman's code, made hosts bit by bit.

/// Where in a packed string it is (RFC 7541, appendix B): in a letter of which so many bits were read.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits {
    code: u16,
    count: u8,
    /// Whether this letter is another by now.
    changed: bool,
    /// Whether a letter came that has more bits than any of a host: the rest stays as it is.
    long: bool,
}

impl Bits {
    /// Where it is after one more byte. No bit depends on a later one: that may come with the next read.
    pub(super) fn after(mut self, byte: &mut u8) -> Self {
        for at in (0..8).rev() {
            if !self.long {
                let bit = self.bit(*byte >> at & 1);
                *byte = *byte & !(1 << at) | bit << at;
            }
        }
        self
    }

    /// A bit as it is passed on.
    fn bit(&mut self, bit: u8) -> u8 {
        self.count += 1;
        let code = self.code << 1 | u16::from(bit);
        let passed = match (self.count, code) {
            // A space and `%` become `-` and `.`; `/` 3, `=` A, `:` B; `&`, `*`, `,` and `;` X and Z.
            (5, 0b01010) | (6, 0b01_1000 | 0b10_0000 | 0b11_1110) | (7, 0b101_1100) => 1,
            (7, 0b111_1111) if self.changed => 0,
            _ => bit,
        };
        self.changed |= passed != bit;
        self.code = self.code << 1 | u16::from(passed);
        // The greatest letter of so many bits.
        let greatest = match self.count {
            5 => 0b01001,
            6 => 0b10_1101,
            7 => 0b111_1011,
            8 => 0b1111_1101,
            9.. => {
                self.long = true;
                return passed;
            }
            _ => return passed,
        };
        if self.code <= greatest {
            *self = Self::default();
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte and its bits in Huffman's code, of those that the tests write.
    const PACKED: [(char, &str); 18] = [
        ('a', "00011"),
        ('2', "00010"),
        ('s', "01000"),
        (' ', "010100"),
        ('%', "010101"),
        ('-', "010110"),
        ('.', "010111"),
        ('/', "011000"),
        ('3', "011001"),
        ('=', "100000"),
        ('A', "100001"),
        (':', "1011100"),
        ('B', "1011101"),
        ('F', "1100001"),
        (',', "11111010"),
        ('X', "11111100"),
        ('Z', "11111101"),
        ('[', "1111111111011"),
    ];

    fn packed(text: &str) -> Vec<u8> {
        let bits = |letter| PACKED.iter().find(|(known, _)| *known == letter).expect("known").1;
        let mut bits: String = text.chars().map(bits).collect();
        bits.push_str(&"1".repeat(bits.len().next_multiple_of(8) - bits.len()));
        let byte = |at| u8::from_str_radix(&bits[at..at + 8], 2).expect("bits");
        (0..bits.len()).step_by(8).map(byte).collect()
    }

    #[test]
    fn a_packed_authority_is_made_a_host_of_as_many_bits() {
        for (said, becomes) in [
            ("", ""),
            ("as%2Fa", "as.2Fa"),
            ("a/a", "a3a"),
            ("a a=a", "a-aAa"),
            ("2.2:22,2.a:a", "2.2B22X2.aBa"),
            ("sssssss,", "sssssssX"),
            ("/////%%%%", "33333...."),
            // Letters of more bits than any of a host has stay, and what comes after them.
            ("a[::a", "a[::a"),
            ("a-.3AFBXZ", "a-.3AFBXZ"),
        ] {
            let mut bits = Bits::default();
            let mut bytes = packed(said);
            for byte in &mut bytes {
                bits = bits.after(byte);
            }
            assert_eq!(bytes, packed(becomes), "{said}");
        }
    }
}
