//! Opens files that somebody else wrote: regular files only, up to a size that the caller names, and hashed while they
//! are read, so that the bytes that were checked are the bytes that are used.
//!
//! Opening a pipe would wait for a writer, a device has no end, and a file may be exchanged between two looks at it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::paths;

/// The most bytes of a manifest, and of the small TOML files beside models.
pub const MOST_OF_TOML: u64 = 8 << 20;
/// The most bytes of a configuration in JSON.
pub const MOST_OF_JSON: u64 = 16 << 20;
/// The most bytes of a tokenizer: four times the largest vocabularies.
pub const MOST_OF_TOKENIZER: u64 = 128 << 20;
/// The most bytes of a file of golden examples.
pub const MOST_OF_GOLDEN: u64 = 64 << 20;
/// The most bytes of an ONNX file: the format allows no more.
pub const MOST_OF_ONNX: u64 = (2 << 30) - 1;
/// The most bytes of any other file: weights beside an ONNX file.
pub const MOST_OF_ANY: u64 = 64 << 30;

/// Opens a regular file of at most `most` bytes. Never waits for a writer to a pipe. The error is a part of a line.
pub fn open(path: &Path, most: u64) -> io::Result<File> {
    let regular = |file: &std::fs::Metadata| {
        if file.is_file() {
            Ok(())
        } else {
            Err(io::Error::other("is not a regular file"))
        }
    };
    // Opening some devices has effects, so the kind is checked first, and again after opening: the file may be another
    // one by then.
    regular(&path.metadata()?)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    if metadata.len() > most {
        Err(io::Error::other(too_large(most)))
    } else {
        Ok(file)
    }
}

/// The error for a file of more than `most` bytes, as a part of a line.
pub fn too_large(most: u64) -> String {
    match most >> 20 {
        0 => format!("is larger than {most} bytes"),
        mib => format!("is larger than {mib} MiB"),
    }
}

/// Reads a regular file of at most `most` bytes, even if it grows while it is read. The error is a part of a line.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, most)?;
    let expected = file.metadata().map_or(0, |file| file.len());
    let mut bytes = Vec::new();
    let room = usize::try_from(expected + 1).unwrap_or(usize::MAX);
    bytes
        .try_reserve_exact(room)
        .map_err(|_| io::Error::other("does not fit into memory"))?;
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        Err(io::Error::other(too_large(most)))
    } else {
        Ok(bytes)
    }
}

/// The bytes without the byte order mark that some editors put first.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// What a file is that was put in place of another one (a Git LFS pointer, say), and how to get the right one, by how
/// it begins. `None` if it is no such file.
pub fn stand_in(beginning: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = without_mark(beginning).trim_ascii_start();
    let begins = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins("version https://git-lfs.github.com/spec/") {
        Some((
            "is a pointer of Git LFS, not the file itself",
            "get the file: git lfs install && git lfs pull in the clone, or hf download ORGANISATION/MODEL --local-dir FOLDER",
        ))
    } else if begins("<!doctype html") || begins("<html") {
        Some((
            "is a web page, not the file itself",
            "get the file: hf download ORGANISATION/MODEL --local-dir FOLDER",
        ))
    } else if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        Some((
            "is UTF-16, not UTF-8",
            "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW && mv NEW FILE",
        ))
    } else {
        None
    }
}

/// The first 256 bytes of a file: enough for [`stand_in`].
pub fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, MOST_OF_ANY)?.take(256).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Like [`read`], for a file that must be UTF-8. The error is a part of a line.
pub fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let bytes = read(path, most).map_err(|error| paths::told(path, &error))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// Reads a file and checks that its bytes have this SHA-256, in hexadecimal.
pub fn read_known(path: &Path, most: u64, sha256: &str) -> Result<Vec<u8>, String> {
    let bytes = read(path, most).map_err(|error| paths::told(path, &error))?;
    if self::sha256(&bytes).eq_ignore_ascii_case(sha256) {
        Ok(bytes)
    } else {
        Err("it is not the file any more whose SHA-256 was checked".to_owned())
    }
}

/// The SHA-256 of a file of any size, in hexadecimal; holds a small part of the file at a time.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = Hashing::new(open(path, MOST_OF_ANY)?);
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.sum())
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A reader that computes the SHA-256 of all bytes that it passes on.
pub struct Hashing<R> {
    from: R,
    hasher: Sha256,
}

impl<R: Read> Hashing<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            hasher: Sha256::new(),
        }
    }

    /// The SHA-256 of the bytes read so far, in hexadecimal.
    pub fn sum(self) -> String {
        hex(&self.hasher.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_within_the_bound_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), b"abcd").expect("written");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("a pipe");
        symlink("pipe", path("link")).expect("a link");
        symlink("round", path("round")).expect("a link");
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
        for odd in ["pipe", "link", "socket", ".", "/dev/null", "/dev/zero"] {
            let refused = open(&path(odd), MOST_OF_ANY).expect_err(odd);
            assert_eq!(refused.to_string(), "is not a regular file", "{odd}");
        }
        assert!(open(&path("round"), 4).is_err(), "a link to itself");
        assert_eq!(read(&path("file"), 4).expect("it fits"), b"abcd");
        let refused = read(&path("file"), 3).expect_err("too large");
        assert_eq!(refused.to_string(), "is larger than 3 bytes");
    }

    #[test]
    fn a_known_file_is_the_one_that_was_hashed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"abcd").expect("written");
        let sum = sha256_of(&path).expect("hashed");
        assert_eq!(
            read_known(&path, 4, &sum.to_uppercase()).as_deref(),
            Ok(b"abcd".as_slice())
        );
        std::fs::write(&path, b"abce").expect("written");
        assert!(read_known(&path, 4, &sum).is_err());
    }
}
