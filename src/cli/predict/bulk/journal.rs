//! What a bulk job has done so far, in a small file beside its output: a run that was ended goes on from there.
//!
//! It is written after the output that it tells of is on the disk, and never the other way round, so it never tells of
//! more than there is. What the output has beyond it is cut off.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::block::Place;
use super::columns::Added;
use super::inputs::Input;
use crate::offline::whole_files;

/// The form of the file.
const VERSION: u32 = 1;
/// The largest file that is read.
const MOST_BYTES: u64 = 256 << 20;

/// What a job is: a run goes on only with the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The files that are read.
    pub inputs: Vec<Input>,
    /// What is asked and how it is written, by the name of the flag.
    pub options: BTreeMap<String, String>,
    /// The models that serve, as `name@version fingerprint`.
    pub models: Vec<String>,
}

impl Job {
    /// What is not the same in `now`; `None` if all is.
    pub fn differs(&self, now: &Self) -> Option<String> {
        if self.inputs.len() != now.inputs.len() {
            let (was, is) = (self.inputs.len(), now.inputs.len());
            return Some(format!("--file named {was} files, now it names {is}"));
        }
        for (was, is) in self.inputs.iter().zip(&now.inputs) {
            if was.path != is.path {
                return Some(format!("--file: {} is now {}", was.path.display(), is.path.display()));
            }
            if was != is {
                return Some(format!("{}: was changed since", was.path.display()));
            }
        }
        for name in self.options.keys().chain(now.options.keys()) {
            let (was, is) = (self.options.get(name), now.options.get(name));
            if was != is {
                let told = |value: Option<&String>| value.map_or("not given", String::as_str).to_owned();
                return Some(format!("--{name} was {}, now it is {}", told(was), told(is)));
            }
        }
        let (was, is) = (self.models.join(", "), now.models.join(", "));
        (was != is).then(|| format!("other models serve: {was} before, {is} now"))
    }
}

/// The columns of the output, once the first rows are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The columns of the input that have a place in the output.
    pub kept: Vec<String>,
    /// The columns that are added.
    pub added: Added,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    pub job: Job,
    pub shape: Option<Shape>,
    /// Where reading goes on.
    pub end: Place,
    /// The rows that were written.
    pub rows: u64,
    /// How many of them have no answer.
    pub errors: u64,
    /// What is wrong with the first of them.
    pub first: Option<String>,
    /// How many bytes of the output are on the disk.
    pub bytes: u64,
    /// How many files of Parquet or Arrow are.
    #[serde(default)]
    pub parts: u64,
    /// Whether all rows were written.
    pub done: bool,
}

impl Journal {
    /// That of a job that begins.
    pub fn new(job: Job) -> Self {
        Self {
            version: VERSION,
            job,
            ..Self::default()
        }
    }

    /// Reads it; `None` if there is none. The error is one line.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let told = |problem: String| format!("{}: {problem}; remove it to begin anew", path.display());
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error.to_string())),
            Ok(about) if about.len() > MOST_BYTES => return Err(told(format!("has more than {MOST_BYTES} bytes"))),
            Ok(_) => {}
        }
        let content = std::fs::read(path).map_err(|error| told(error.to_string()))?;
        let journal: Self = serde_json::from_slice(&content).map_err(|error| told(error.to_string()))?;
        if journal.version != VERSION {
            return Err(told("is of another version of tandem".to_owned()));
        }
        Ok(Some(journal))
    }

    /// Puts it in the place of the one before.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let content = serde_json::to_vec(self).expect("strings and numbers");
        whole_files::write(&[(path.to_owned(), content)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let input = Input {
            path: "a.csv".into(),
            bytes: 7,
            changed: 1,
        };
        Job {
            inputs: vec![input],
            options: [("route".to_owned(), "fast".to_owned())].into(),
            models: vec!["a@1 00".to_owned()],
        }
    }

    #[test]
    fn what_is_not_the_same_is_named() {
        assert_eq!(job().differs(&job()), None);
        let changed = |change: fn(&mut Job)| {
            let mut now = job();
            change(&mut now);
            job().differs(&now).expect("a difference")
        };
        assert_eq!(changed(|job| job.inputs[0].bytes = 8), "a.csv: was changed since");
        assert_eq!(
            changed(|job| job.inputs.clear()),
            "--file named 1 files, now it names 0"
        );
        assert_eq!(
            changed(|job| job.inputs[0].path = "b.csv".into()),
            "--file: a.csv is now b.csv"
        );
        assert_eq!(
            changed(|job| job.options.clear()),
            "--route was fast, now it is not given"
        );
        assert!(changed(|job| job.models.clear()).starts_with("other models serve: a@1 00 before"));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal");
        assert_eq!(Journal::read(&path), Ok(None));
        let journal = Journal {
            rows: 3,
            shape: Some(Shape::default()),
            ..Journal::new(job())
        };
        journal.write(&path).expect("written");
        assert_eq!(Journal::read(&path), Ok(Some(journal)));
        std::fs::write(&path, "{").expect("written");
        let problem = Journal::read(&path).expect_err("broken");
        assert!(
            problem.contains("journal: ") && problem.contains("remove it"),
            "{problem}"
        );
    }
}
