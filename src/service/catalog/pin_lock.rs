//! The lock of a file of pins that servers share. It is the file system's, on a file beside it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::pins::beside;

/// How often a lock is tried that another server holds.
const LOCK_TRY: Duration = Duration::from_millis(20);

/// Takes the lock of a file that servers share; it ends with what this gives, or with the process.
pub fn lock(file: &Path, until: Instant) -> io::Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside(file, ".lock"))?;
    loop {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(LOCK_TRY),
            Err(Errno::WOULDBLOCK) => return Err(io::Error::other("another server holds the lock of labels_file")),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::catalog::pins::LABELS_FILE;

    #[test]
    fn a_lock_that_another_server_holds_is_waited_for_within_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(LABELS_FILE);
        let held = lock(&file, Instant::now()).expect("the lock");
        let refused = lock(&file, Instant::now()).expect_err("it is held");
        assert!(refused.to_string().contains("another server"), "{refused}");
        drop(held);
        lock(&file, Instant::now()).expect("it is free again");
    }
}
