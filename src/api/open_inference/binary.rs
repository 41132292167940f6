//! Texts as one piece of bytes, as the protocol has the elements of a BYTES tensor: each after its length, a
//! little-endian number of 32 bits. Numbers of FP32 follow each other, little-endian too.

use crate::error::{Error, Reason};

/// The bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Reads `count` texts. `tensor` is the tensor's name, for errors. The caller bounds `count`; no declared length makes
/// this take more room than the bytes that are there.
pub fn read_texts(mut bytes: &[u8], count: usize, tensor: &str) -> Result<Vec<String>, Error> {
    let mut texts = Vec::with_capacity(count.min(bytes.len() / LENGTH_BYTES));
    for at in 0..count {
        let place = format!("{tensor}[{at}]");
        let left = bytes.len();
        if left == 0 {
            let problem = format!("its shape says {count} texts, its bytes end after {at}");
            return Err(Error::invalid_field(tensor, problem));
        }
        let Some(length) = bytes.split_off(..LENGTH_BYTES) else {
            let problem = format!("needs {LENGTH_BYTES} bytes for its length, {left} are left");
            return Err(Error::invalid_field(place, problem));
        };
        let length = length.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        let left = bytes.len();
        let Some(text) = usize::try_from(length)
            .ok()
            .and_then(|length| bytes.split_off(..length))
        else {
            let problem = format!("says that it has {length} bytes, {left} are left");
            return Err(Error::invalid_field(place, problem));
        };
        texts.push(text_of(text.to_vec(), tensor, at)?);
    }
    if bytes.is_empty() {
        return Ok(texts);
    }
    let problem = format!(
        "its shape says {count} texts, {} bytes follow the last of them",
        bytes.len()
    );
    Err(Error::invalid_field(tensor, problem))
}

/// An element as a text.
pub fn text_of(bytes: Vec<u8>, tensor: &str, at: usize) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error {
        reason: Reason::InvalidUtf8,
        ..Error::invalid_field(format!("{tensor}[{at}]"), "holds bytes that are not UTF-8")
    })
}

/// Writes texts.
pub fn write_texts(texts: &[String]) -> Vec<u8> {
    let size = texts.iter().map(|text| LENGTH_BYTES + text.len()).sum();
    let mut bytes = Vec::with_capacity(size);
    for text in texts {
        // A label is far shorter than 4 GiB.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Writes numbers.
pub fn write_numbers(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8], count: usize) -> (String, String) {
        let error = read_texts(bytes, count, "text").expect_err("it does not fit");
        let violation = error.violations.first().expect("a field is named");
        (violation.field.clone(), violation.description.clone())
    }

    #[test]
    fn what_is_written_is_read() {
        let texts = ["", "한글", "a\0b"].map(str::to_owned);
        let bytes = write_texts(&texts);
        assert_eq!(bytes[..9], *b"\0\0\0\0\x06\0\0\0\xed");
        assert_eq!(read_texts(&bytes, 3, "text").expect("texts"), texts);
        assert_eq!(read_texts(&[], 0, "text").expect("no texts"), [""; 0]);
        assert_eq!(write_numbers(&[1.0, -0.5]), [0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]);
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_place() {
        let two = write_texts(&["ab".to_owned(), "c".to_owned()]);
        for (bytes, count, field, told_of) in [
            (&two[..], 1, "text", "5 bytes follow"),
            (&two[..], 3, "text", "end after 2"),
            (&two[..8], 2, "text[1]", "2 are left"),
            (&two[..10], 2, "text[1]", "says that it has 1 bytes, 0 are left"),
            (
                b"\xff\xff\xff\xffa",
                1,
                "text[0]",
                "says that it has 4294967295 bytes, 1 are left",
            ),
            (b"\xff\xff\xff\x7f", 1, "text[0]", "2147483647"),
            (b"\x01\0\0\0\xff", 1, "text[0]", "not UTF-8"),
            (b"", usize::MAX, "text", "end after 0"),
        ] {
            let (place, problem) = told(bytes, count);
            assert_eq!(place, field, "{problem}");
            assert!(problem.contains(told_of), "{problem}");
        }
    }
}
