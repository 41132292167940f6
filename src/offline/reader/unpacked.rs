//! What the compressed parts of an Arrow file claim to unpack to: the library takes that much memory before it looks further,
//! and where the system has none the program ends. So claims are looked at first, and lengths against what is there.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use arrow_ipc::{Message, root_as_footer, root_as_message};

/// The most bytes that the parts of one batch may unpack to.
const MOST_UNPACKED: u64 = 2 << 30;
/// The most bytes of a message's description.
const MOST_DESCRIBED: u64 = 64 << 20;
/// What stands before the length of a message, but in old files.
const CONTINUED: [u8; 4] = [0xff; 4];
/// The length of the footer and the mark, which end a file.
const END: u64 = 10;

/// Passes an Arrow stream on, a message at a time, once it was looked at.
pub struct Checked<R> {
    input: R,
    message: Cursor<Vec<u8>>,
}

impl<R: Read> Checked<R> {
    pub fn new(input: R) -> Self {
        let message = Cursor::default();
        Self { input, message }
    }

    /// The next message with its body; empty at the end.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut whole = self.part(4)?;
        if whole == CONTINUED {
            whole.extend(self.part(4)?);
        }
        let Some(&length) = whole.last_chunk::<4>() else {
            // What is cut off here is the library's to tell.
            return Ok(whole);
        };
        let length = u64::try_from(i32::from_le_bytes(length)).map_err(|_| damaged("a message has no length"))?;
        if length == 0 {
            return Ok(whole);
        }
        if length > MOST_DESCRIBED {
            return Err(damaged("the description of a message is too long"));
        }
        let described = self.part(length)?;
        let body = {
            let message = root_as_message(&described).map_err(|_| damaged("a message is not one"))?;
            let length = u64::try_from(message.bodyLength()).map_err(|_| damaged("a message has no length"))?;
            let body = self.part(length)?;
            if body.len() as u64 != length {
                return Err(damaged("it ends within a message"));
            }
            let part = |at| body.get(usize::try_from(at).ok()?..);
            check(&message, |at| first(part(at).ok_or_else(outside)?))?;
            body
        };
        whole.extend(described);
        whole.extend(body);
        Ok(whole)
    }

    /// So many bytes, or fewer at the end. Takes memory for those that are there.
    fn part(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.message.position() == self.message.get_ref().len() as u64 {
            self.message = Cursor::new(self.next()?);
        }
        self.message.read(out)
    }
}

/// Looks at all batches that the footer of an Arrow file names; leaves the file at its beginning.
pub fn check_file(file: &mut (impl Read + Seek)) -> io::Result<()> {
    let size = file.seek(SeekFrom::End(0))?;
    let end = size.checked_sub(END).ok_or_else(outside)?;
    let length = first::<4>(&within(file, size, end, 4)?)?;
    let length = u64::try_from(i32::from_le_bytes(length)).map_err(|_| outside())?;
    let footer = within(file, size, end.checked_sub(length).ok_or_else(outside)?, length)?;
    let footer = root_as_footer(&footer).map_err(|_| damaged("its footer is not one"))?;
    for blocks in [footer.dictionaries(), footer.recordBatches()].into_iter().flatten() {
        for block in blocks {
            let places = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()];
            check_block(file, size, places)?;
        }
    }
    file.rewind()
}

/// Looks at a batch of a file: where it is, and the lengths of its description and its body.
fn check_block(file: &mut (impl Read + Seek), size: u64, places: [i64; 3]) -> io::Result<()> {
    let [at, described, body] = places.map(u64::try_from);
    let (at, described) = (at.map_err(|_| outside())?, described.map_err(|_| outside())?);
    let start = at.checked_add(described).ok_or_else(outside)?;
    let end = start.checked_add(body.map_err(|_| outside())?);
    if end.is_none_or(|end| end > size) {
        return Err(outside());
    }
    let described = within(file, size, at, described)?;
    let skip = if described.starts_with(&CONTINUED) { 8 } else { 4 };
    let described = described.get(skip..).ok_or_else(outside)?;
    let message = root_as_message(described).map_err(|_| damaged("a message is not one"))?;
    check(&message, |at| {
        first(&within(file, size, start.checked_add(at).ok_or_else(outside)?, 8)?)
    })
}

/// A part of a file of this size.
fn within(file: &mut (impl Read + Seek), size: u64, at: u64, length: u64) -> io::Result<Vec<u8>> {
    if at.checked_add(length).is_none_or(|end| end > size) {
        return Err(outside());
    }
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Looks at what the compressed parts of a batch claim; `first_of` gives the first bytes of the part at a place of its body.
fn check(message: &Message<'_>, mut first_of: impl FnMut(u64) -> io::Result<[u8; 8]>) -> io::Result<()> {
    let of_dictionary = || message.header_as_dictionary_batch()?.data();
    let Some(batch) = message.header_as_record_batch().or_else(of_dictionary) else {
        return Ok(());
    };
    if batch.compression().is_none() {
        return Ok(());
    }
    let mut unpacked: u64 = 0;
    for part in batch.buffers().into_iter().flatten().filter(|part| part.length() >= 8) {
        let at = u64::try_from(part.offset()).map_err(|_| outside())?;
        // -1 says that it is not compressed.
        let claimed = u64::try_from(i64::from_le_bytes(first_of(at)?)).unwrap_or(0);
        unpacked = unpacked.saturating_add(claimed);
    }
    if unpacked > MOST_UNPACKED {
        let most = MOST_UNPACKED >> 30;
        return Err(damaged(&format!(
            "a batch unpacks to {unpacked} bytes, the limit is {most} GiB"
        )));
    }
    Ok(())
}

fn first<const N: usize>(bytes: &[u8]) -> io::Result<[u8; N]> {
    bytes.first_chunk::<N>().copied().ok_or_else(outside)
}

fn outside() -> io::Error {
    damaged("a part lies outside of it")
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

    use super::*;

    fn texts() -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..500).map(|at| format!("text {at} text")),
        ));
        RecordBatch::try_from_iter([("text", texts)]).expect("a batch")
    }

    fn options() -> IpcWriteOptions {
        let options = IpcWriteOptions::default();
        options
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .expect("there is LZ4")
    }

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &texts().schema(), options()).expect("opened");
        writer.write(&texts()).expect("written");
        writer.finish().expect("finished");
        drop(writer);
        bytes
    }

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &texts().schema(), options()).expect("opened");
        writer.write(&texts()).expect("written");
        writer.finish().expect("finished");
        drop(writer);
        bytes
    }

    fn passed(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut passed = Vec::new();
        Checked::new(bytes).read_to_end(&mut passed)?;
        Ok(passed)
    }

    /// Every place of the bytes where a compressed part may say its length gets a huge one; what is said of each.
    fn with_claims(bytes: &[u8], look: impl Fn(&[u8]) -> io::Result<()>) -> Vec<String> {
        let claims = (0..bytes.len() / 8).map(|at| {
            let mut claim = bytes.to_vec();
            claim[at * 8..at * 8 + 8].copy_from_slice(&(i64::MAX / 3).to_le_bytes());
            look(&claim).err().map(|error| error.to_string())
        });
        claims.flatten().collect()
    }

    #[test]
    fn what_is_sound_passes_as_it_is() {
        assert_eq!(passed(&stream()).expect("it is sound"), stream());
        check_file(&mut Cursor::new(file())).expect("it is sound");
        assert_eq!(passed(b"").expect("nothing"), b"");
        assert_eq!(passed(b"abc").expect("the library's to tell"), b"abc");
    }

    #[test]
    fn claims_that_nobody_has_memory_for_are_refused() {
        let of_stream = with_claims(&stream(), |bytes| passed(bytes).map(drop));
        let of_file = with_claims(&file(), |bytes| check_file(&mut Cursor::new(bytes)));
        for told in [of_stream, of_file] {
            assert!(told.iter().any(|told| told.contains("unpacks to")), "{told:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_told_or_the_librarys_to_tell() {
        let (stream, file) = (stream(), file());
        for end in 0..stream.len() {
            if let Ok(passed) = passed(&stream[..end]) {
                assert!(stream.starts_with(&passed));
            }
        }
        for end in 0..file.len() {
            // Without the mark at its end the library does not take it.
            drop(check_file(&mut Cursor::new(&file[..end])));
        }
    }
}
