//! The small files that whoever starts the program names: the configuration, keys, certificates.
//!
//! They may be pipes, such as a shell's `<(…)`: those are waited for, for a while, and read once. Whatever a file is, no more is
//! read of it than a bound.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::model::files;

/// The most bytes of such a file.
pub const MOST: u64 = files::MOST_OF_TOML;
/// How long the writer of a pipe may take to its end: somebody may have to type a password first.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A file that was read, and may be looked at again.
#[derive(Debug)]
pub struct Given {
    /// The setting that names it.
    setting: &'static str,
    path: PathBuf,
    /// It was a pipe or a device, which has its content once.
    once: bool,
}

impl Given {
    /// Reads the file of a setting for the first time. The error is one line that names both.
    pub fn open(setting: &'static str, path: &Path) -> Result<(Self, Vec<u8>), String> {
        let path = path.to_owned();
        let mut given = Self {
            setting,
            path,
            once: false,
        };
        let (bytes, once) = read_within(&given.path, PATIENCE).map_err(|problem| given.named(problem))?;
        given.once = once;
        Ok((given, bytes))
    }

    /// Looks at it again and never waits: what is there now must be a regular file. Nothing if it has its content once.
    pub fn again(&self) -> Result<Option<Vec<u8>>, String> {
        if self.once {
            Ok(None)
        } else {
            files::read(&self.path, MOST)
                .map(Some)
                .map_err(|error| error.to_string())
        }
    }

    /// One line that says what is wrong with it: the setting, the path, and the problem.
    pub fn named(&self, problem: impl Display) -> String {
        format!("{}: {}: {problem}", self.setting, self.path.display())
    }
}

/// Reads a file once. The error is a part of a line that does not name it.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    read_within(path, PATIENCE).map(|(bytes, _)| bytes)
}

/// What a file holds, and whether it is anything but a regular one.
fn read_within(path: &Path, patience: Duration) -> Result<(Vec<u8>, bool), String> {
    // Without waiting, so that opening a pipe does not wait for its writer.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = file.map_err(|error| error.to_string())?;
    let once = !file.metadata().map_err(|error| error.to_string())?.is_file();
    let until = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut part = vec![0; 64 << 10];
    loop {
        wait(&file, until).map_err(|late| match late {
            Late::Over => format!("did not come to its end within {patience:?}"),
            Late::Failed(error) => error.to_string(),
        })?;
        match file.read(&mut part) {
            Ok(0) => return Ok((bytes, once)),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.to_string()),
        }
        if bytes.len() as u64 > MOST {
            return Err(files::too_large(MOST));
        }
    }
}

enum Late {
    Over,
    Failed(Errno),
}

/// Waits until something can be read, or the writer has gone.
fn wait(file: &File, until: Instant) -> Result<(), Late> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Late::Over)?;
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(Late::Over),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Late::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a pipe");
        path
    }

    #[test]
    fn a_pipe_is_read_once_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = pipe(folder.path());
        let to = path.clone();
        let writer = std::thread::spawn(move || {
            let mut file = OpenOptions::new().write(true).open(to).expect("a reader");
            for part in ["one\n", "two\n"] {
                file.write_all(part.as_bytes()).expect("written");
            }
        });
        let (given, bytes) = Given::open("tls_key", &path).expect("read");
        writer.join().expect("it wrote");
        assert_eq!(bytes, b"one\ntwo\n");
        assert_eq!(given.again(), Ok(None), "it is not waited for again");
    }

    #[test]
    fn a_pipe_without_a_writer_and_one_whose_writer_stops_are_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = pipe(folder.path());
        let late = Err("did not come to its end within 1ms".to_owned());
        assert_eq!(read_within(&path, Duration::from_millis(1)), late);
        let mut both = OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
        both.write_all(b"half").expect("written");
        assert_eq!(read_within(&path, Duration::from_millis(1)), late);
    }

    #[test]
    fn what_has_no_end_is_read_to_the_bound() {
        assert_eq!(read(Path::new("/dev/zero")), Err("is larger than 8 MiB".to_owned()));
        assert_eq!(read(Path::new("/dev/null")), Ok(Vec::new()));
    }

    #[test]
    fn a_file_that_became_a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        std::fs::write(&path, "a").expect("written");
        let (given, _) = Given::open("tls_key", &path).expect("read");
        assert_eq!(given.again(), Ok(Some(b"a".to_vec())));
        std::fs::remove_file(&path).expect("removed");
        pipe(folder.path());
        assert_eq!(given.again(), Err("is not a regular file".to_owned()));
        let missing = Given::open("tokens_file", Path::new("/nowhere")).expect_err("it is missing");
        assert!(missing.starts_with("tokens_file: /nowhere: No such file"), "{missing}");
    }
}
