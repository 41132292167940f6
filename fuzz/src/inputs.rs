//! What the readers share, and the inputs that are kept of each.

use std::path::{Path, PathBuf};

/// A function of bytes that panics if a promise is broken.
pub type Reader = fn(&[u8]);

/// Fails unless it is one line.
#[track_caller]
pub fn one_line(problem: impl AsRef<str>) {
    let problem = problem.as_ref();
    assert!(!problem.is_empty() && !problem.contains('\n'), "one line: {problem:?}");
}

/// Has a reader read a file with these bytes, in a folder of its own.
pub fn in_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    std::fs::write(&file, bytes).expect("written");
    read(&file);
}

/// Calls each reader with the inputs that are kept of it, below the root of the sources.
pub fn replay(root: &Path, readers: &[(&str, Reader)]) {
    for (name, read) in readers {
        let folder = root.join("fuzz/corpus").join(name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "nothing is kept in {}", folder.display());
        for file in files {
            // What fails is told below this line.
            println!("{}", file.display());
            read(&std::fs::read(&file).expect("an input"));
        }
    }
}
