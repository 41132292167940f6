//! Files that a command writes: whether they can be written, asked before all the work, and the writing, which leaves
//! nothing half-written.

use std::path::Path;

use crate::offline::whole_files::{self, folder_of};

/// Checks that a file can be written there. `what` is its name in the message. The error is one line.
pub fn check_file(out: &Path, what: &str) -> Result<(), String> {
    check(out, what).map_err(with_remedy)
}

/// The same for the file of another flag than `--out`.
pub fn check(out: &Path, what: &str) -> Result<(), String> {
    let folder = folder_of(out);
    let problem = |at: &Path, problem: &str| Err(format!("{}: {what} can't be written there: {problem}", at.display()));
    if !folder.is_dir() {
        return problem(folder, "no such folder");
    }
    if out.is_dir() {
        return problem(out, "it is a folder, it must be a file");
    }
    try_folder(folder, what)
}

/// Writes a file under another name and gives it its own once it is whole. The error is one line.
pub fn write(out: &Path, content: &[u8]) -> Result<(), String> {
    whole_files::write(&[(out.to_owned(), content.to_vec())])
}

/// Checks that a folder can be made there, or is there and can be written. `what` is its name in the message. The error
/// is one line.
pub fn check_folder(out: &Path, what: &str) -> Result<(), String> {
    let there = existing(out);
    try_folder(there, what).map_err(with_remedy)
}

/// How many bytes are free for us where a path is or will be; `None` if nobody can say.
pub fn free(out: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(existing(out)).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

/// The path, or else the nearest folder above it that is there.
fn existing(path: &Path) -> &Path {
    let named = path.ancestors().take_while(|path| !path.as_os_str().is_empty());
    let mut there = named.filter(|path| path.exists());
    there.next().unwrap_or(Path::new("."))
}

/// The only sure way to know whether files can be made in a folder is to make one. It is removed at once.
fn try_folder(folder: &Path, what: &str) -> Result<(), String> {
    let trial = tempfile::tempfile_in(folder);
    trial
        .map(drop)
        .map_err(|error| format!("{}: {what} can't be written there: {error}", folder.display()))
}

fn with_remedy(problem: String) -> String {
    format!("{problem}; name another place with --out, or write none with --dry-run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_tried_and_nothing_is_left_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").expect("written");
        assert_eq!(check_file(&at("new"), "the report"), Ok(()));
        assert_eq!(check_folder(&at("models/a/1"), "the model"), Ok(()));
        assert_eq!(check_folder(folder.path(), "the model"), Ok(()));
        for (refused, said) in [
            (
                check_file(&at("no/new"), "the report"),
                "no: the report can't be written there: no such folder",
            ),
            (check_file(folder.path(), "the report"), "is a folder"),
            (
                check_folder(&at("file"), "the model"),
                "file: the model can't be written there: ",
            ),
            (check_folder(&at("file/a"), "the model"), "can't be written there"),
        ] {
            let problem = refused.expect_err(said);
            assert!(problem.contains(said), "{problem}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert!(free(&at("models/a/1")).is_some_and(|bytes| bytes > 0));
    }
}
