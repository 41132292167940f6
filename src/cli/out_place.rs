//! Files that a command writes: whether they can be written, asked before all the work, and the writing, which leaves
//! nothing half-written.

use std::path::{Path, PathBuf};

use crate::model::paths::folder_of;
use crate::offline::whole_files;

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

/// Checks that no file that is written is one that is read, or is written twice: `written` has each with the flag that names
/// it. The error is one line.
pub fn check_apart(read: &[&Path], written: &[(&Path, &str)]) -> Result<(), String> {
    let read = read.iter().map(|path| (*path, "what is read"));
    let mut seen: Vec<(PathBuf, &str)> = read.map(|(path, what)| (whole(path), what)).collect();
    for (path, flag) in written {
        let place = whole(path);
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == place) {
            return Err(format!("{flag}: {} is {other} too; name another place", path.display()));
        }
        seen.push((place, flag));
    }
    Ok(())
}

/// A path as it is found from anywhere, links followed; of a file that is not there yet, its folder is.
fn whole(path: &Path) -> PathBuf {
    let of_folder = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    let found = path.canonicalize().ok().or_else(of_folder);
    found.unwrap_or_else(|| path.to_path_buf())
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

    #[test]
    fn what_is_read_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("gold.tsv"), "").expect("written");
        std::os::unix::fs::symlink(at("gold.tsv"), at("link.tsv")).expect("a link");
        let (gold, link, new) = (at("gold.tsv"), at("link.tsv"), at("new.csv"));
        let round = folder
            .path()
            .join("..")
            .join(folder.path().file_name().expect("a name"))
            .join("new.csv");
        let read: [&Path; 1] = [&gold];
        assert_eq!(
            check_apart(&read, &[(&new, "--doubts"), (&at("b.csv"), "--json")]),
            Ok(())
        );
        for (written, said) in [
            (vec![(gold.as_path(), "--doubts")], "--doubts: "),
            (vec![(link.as_path(), "--json")], "what is read too"),
            (
                vec![(new.as_path(), "--doubts"), (round.as_path(), "--differences")],
                "is --doubts too",
            ),
        ] {
            let problem = check_apart(&read, &written).expect_err(said);
            assert!(problem.contains(said), "{problem}");
        }
    }
}
