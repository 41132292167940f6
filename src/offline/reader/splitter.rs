//! Splits records of TSV and CSV into fields.

/// Splits records into fields. Made once for a file: its tables take longer to build than a record to split.
pub struct Splitter {
    reader: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    /// A splitter for one kind of file.
    pub fn new(delimiter: char, quoted: bool) -> Self {
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .quoting(quoted)
            // Line breaks that end a record were found before; those that are left belong to a field.
            .terminator(csv_core::Terminator::Any(b'\n'))
            .build();
        Self {
            reader,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The fields of one record.
    pub fn split(&mut self, text: &str) -> csv::StringRecord {
        self.reader.reset();
        // Fields are no longer than the text, and no more than its bytes and one.
        let most = self.bytes.len().max(text.len() + 1);
        self.bytes.resize(most, 0);
        self.ends.resize(most, 0);
        let mut input = text.as_bytes();
        let (mut written, mut count) = (0, 0);
        loop {
            let (outcome, read, bytes, ends) =
                self.reader
                    .read_record(input, &mut self.bytes[written..], &mut self.ends[count..]);
            input = &input[read..];
            written += bytes;
            count += ends;
            // An end of input that is told twice ends the record.
            if outcome != csv_core::ReadRecordResult::InputEmpty {
                break;
            }
        }
        let starts = std::iter::once(0).chain(self.ends[..count].iter().copied());
        let fields = starts.zip(&self.ends[..count]).map(|(from, &to)| &self.bytes[from..to]);
        // A text of whole characters is cut at ASCII alone.
        fields
            .map(|field| std::str::from_utf8(field).unwrap_or_default())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the library's reader makes of a text that is one record.
    fn by_the_reader(text: &str, quoted: bool) -> csv::StringRecord {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(quoted)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        reader.read_record(&mut record).expect("UTF-8 in memory");
        record
    }

    proptest! {
        #[test]
        fn one_splitter_for_all_records_splits_as_a_reader_for_each(
            texts in prop::collection::vec("[a한,\" ]{1,12}", 1..6),
            quoted: bool,
        ) {
            let mut splitter = Splitter::new(',', quoted);
            for text in texts {
                prop_assert_eq!(splitter.split(&text), by_the_reader(&text, quoted), "{:?}", text);
            }
        }
    }
}
