//! The folder that is looked at: its files, read within bounds and hashed as they are read, and what is wrong with them.

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
    /// How to put it right.
    pub remedy: String,
}

impl Problem {
    /// A problem, and how to put it right.
    pub fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            remedy: remedy.into(),
        }
    }
}

/// The folder, and what its owner said of it.
pub(super) struct Place<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// The folder that no file may leave.
    pub root: &'a Path,
    /// What the folder itself does not say.
    pub hints: &'a Hints,
    /// The SHA-256 of what was read, by the file's name.
    pub sums: RefCell<BTreeMap<String, String>>,
}

impl Place<'_> {
    /// Whether the folder has this file.
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).is_file()
    }

    /// The path of a file of the folder, if it is there and does not leave the root.
    pub fn path(&self, file: &str) -> Result<PathBuf, Problem> {
        paths::inside(self.root, &self.folder.join(file)).map_err(|problem| self.unreadable(file, problem))
    }

    /// Reads a file of the folder, and remembers its SHA-256.
    pub fn read(&self, file: &str, most: u64) -> Result<Vec<u8>, Problem> {
        let bytes = files::read(&self.path(file)?, most).map_err(|problem| self.unreadable(file, problem))?;
        check_beginning(file, &bytes)?;
        self.sums.borrow_mut().insert(file.to_owned(), files::sha256(&bytes));
        Ok(bytes)
    }

    /// Walks through an ONNX file of the folder, and remembers its SHA-256.
    pub fn scan(&self, file: &str) -> Result<Scan, Problem> {
        self.check_is_itself(file)?;
        let scan = scan::file(&self.path(file)?, true);
        let scan = scan.map_err(|problem| self.unreadable(file, io::Error::other(problem)))?;
        self.sums.borrow_mut().insert(file.to_owned(), scan.sha256.clone());
        Ok(scan)
    }

    /// Whether a file is there itself, and not something that only says where it is.
    pub fn check_is_itself(&self, file: &str) -> Result<(), Problem> {
        let beginning = files::beginning(&self.path(file)?).map_err(|problem| self.unreadable(file, problem))?;
        check_beginning(file, &beginning)
    }

    /// The path of a file of the folder as a shell takes it; of the folder itself without a name.
    pub fn quoted(&self, file: &str) -> String {
        // Without a slash at its end, and without the dots that say nothing.
        let path: PathBuf = self.folder.join(file).components().collect();
        paths::quoted(&path.display().to_string())
    }

    fn unreadable(&self, file: &str, problem: io::Error) -> Problem {
        let remedy = match problem.kind() {
            io::ErrorKind::PermissionDenied => format!("let the server read it: chmod a+r {}", self.quoted(file)),
            _ => "copy it again from the folder that the model was exported from (cp -rL follows links)".to_owned(),
        };
        Problem::new(format!("{file}: {problem}"), remedy)
    }

    /// The files' SHA-256, as a manifest lists them: of what was read, where it was.
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

/// Whether a file that begins like this is what its name says.
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
        let folder = Path::new("/models/a");
        let place = Place {
            folder,
            root: folder,
            hints: &Hints::of_folder(folder),
            sums: RefCell::default(),
        };
        let remedy = |problem| place.unreadable("model.onnx", problem).remedy;
        let denied = remedy(io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied, "let the server read it: chmod a+r /models/a/model.onnx");
        // A folder may be called anything.
        let link = io::Error::other("it is a link out of /Permission denied; copy the file itself");
        assert!(remedy(link).starts_with("copy it again"));
    }
}
