//! The folder that discovery looks at: its files, read within bounds and hashed as they are read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::hints::Hints;
use crate::model::scan::{self, Scan};
use crate::model::{files, paths};

/// What is wrong with a part of a folder.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// One line; names the file.
    pub text: String,
    /// How to repair it.
    pub remedy: String,
}

impl Problem {
    pub fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            remedy: remedy.into(),
        }
    }
}

/// The folder, and what the operator says about it.
pub(super) struct Place<'a> {
    pub folder: &'a Path,
    /// The folder that no file may leave.
    pub root: &'a Path,
    pub hints: &'a Hints,
    /// The SHA-256 of each file that was read, by its name.
    pub sums: RefCell<BTreeMap<String, String>>,
}

impl Place<'_> {
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).is_file()
    }

    /// The path of a file in the folder, if it is there and does not leave the root.
    pub fn path(&self, file: &str) -> Result<PathBuf, Problem> {
        paths::inside(self.root, &self.folder.join(file)).map_err(|problem| self.unreadable(file, problem))
    }

    /// Reads a file of the folder, at most `most` bytes, and keeps its SHA-256.
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>, Problem> {
        let bytes = files::read(&self.path(file)?, most).map_err(|problem| self.unreadable(file, problem))?;
        check_beginning(file, &bytes)?;
        self.sums.borrow_mut().insert(file.to_owned(), files::sha256(&bytes));
        Ok(bytes)
    }

    /// Walks through an ONNX file of the folder, and keeps its SHA-256.
    pub fn scan(&self, file: &str) -> Result<Scan, Problem> {
        self.check_is_itself(file)?;
        let scan = scan::file(&self.path(file)?, true);
        let scan = scan.map_err(|problem| self.unreadable(file, io::Error::other(problem)))?;
        self.sums.borrow_mut().insert(file.to_owned(), scan.sha256.clone());
        Ok(scan)
    }

    /// Checks that a file is what its name says, and not a placeholder for it, such as a Git LFS pointer.
    pub fn check_is_itself(&self, file: &str) -> Result<(), Problem> {
        let beginning = files::beginning(&self.path(file)?).map_err(|problem| self.unreadable(file, problem))?;
        check_beginning(file, &beginning)
    }

    /// The path of a file in the folder, quoted for a shell; of the folder itself for an empty name.
    pub fn quoted(&self, file: &str) -> String {
        // Without a slash at the end, and without `.` components.
        let path: PathBuf = self.folder.join(file).components().collect();
        paths::quoted(&path.display().to_string())
    }

    /// A file of the folder, or the folder itself for an empty name, that can't be read.
    pub fn unreadable(&self, file: &str, problem: io::Error) -> Problem {
        let remedy = paths::opened(&self.folder.join(file), &problem).unwrap_or_else(|| {
            "copy it again from the folder that the model was exported from (cp -rL follows links)".to_owned()
        });
        let text = match file {
            "" => format!("the folder can't be read: {problem}"),
            file => format!("{file}: {problem}"),
        };
        Problem::new(text, remedy)
    }

    /// The SHA-256 of each of these files, as a manifest lists them. Files that were read before are not read again.
    pub fn checksums(&self, files: &[String]) -> Result<BTreeMap<String, String>, Problem> {
        let sum = |file: &String| {
            let read = self.sums.borrow().get(file).cloned();
            let sum = match read {
                Some(sum) => sum,
                None => files::sha256_of(&self.path(file)?).map_err(|problem| self.unreadable(file, problem))?,
            };
            Ok((file.clone(), sum))
        };
        files.iter().map(sum).collect()
    }
}

/// Checks that a file which begins like this is what its name says.
fn check_beginning(file: &str, beginning: &[u8]) -> Result<(), Problem> {
    match files::stand_in(beginning) {
        Some((problem, remedy)) => Err(Problem::new(format!("{file} {problem}"), remedy.replace("FILE", file))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_must_not_be_read_is_told_from_others_by_the_kind_of_the_error() {
        let whole = tempfile::tempdir().expect("a temporary folder");
        let folder = whole.path();
        let place = Place {
            folder,
            root: folder,
            hints: &Hints::of_folder(folder),
            sums: RefCell::default(),
        };
        let remedy = |problem| place.unreadable("model.onnx", problem).remedy;
        let denied = remedy(io::ErrorKind::PermissionDenied.into());
        // The file is not there, so it is the folder that is taken to be closed.
        let expected = format!("let the server read it: chmod a+rX {}", folder.display());
        assert_eq!(denied, expected);
        // The folder may have any name.
        let link = io::Error::other("it is a link out of /Permission denied; copy the file itself");
        assert!(remedy(link).starts_with("copy it again"));
    }
}
