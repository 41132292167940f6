//! Texts of `tandem bench`: from a file, or the built-in ones. Nothing here depends on time.

use std::path::Path;

use crate::offline::reader::{Columns, Options, Rows};

/// 512 reviews from the held-out part of the Naver sentiment movie corpus (CC0 1.0): the first ones of
/// `tests/data/reviews.tsv`.
const BUILT_IN: &str = include_str!("reviews.txt");

/// The texts, and remarks on the file that they came from.
pub struct Texts {
    pub texts: Vec<String>,
    /// Each is one line.
    pub notes: Vec<String>,
}

/// Reads `file`, or returns the built-in texts. The error is one line that names the file.
pub fn load(file: Option<&Path>, options: &Options, text_column: Option<&str>) -> Result<Texts, String> {
    let Some(path) = file else {
        return Ok(Texts {
            texts: BUILT_IN.lines().map(str::to_owned).collect(),
            notes: Vec::new(),
        });
    };
    let of_file = |told: String| format!("{}: {told}", path.display());
    let columns = Columns {
        text: text_column.map(str::to_owned),
        ..Columns::default()
    };
    let mut rows = Rows::open(path, options, columns).map_err(of_file)?;
    let mut notes = rows.notes().to_vec();
    let mut texts = Vec::new();
    let (mut bad, mut first) = (0_u64, String::new());
    while let Some(row) = rows.next() {
        rows.may_hold(texts.len()).map_err(of_file)?;
        let row = row.map_err(|error| of_file(error.to_string()))?;
        match row.fields {
            Ok(fields) if fields.text.trim().is_empty() => {}
            Ok(fields) => texts.push(fields.text),
            Err(problem) => {
                if bad == 0 {
                    first = format!("line {}: {problem}", row.line);
                }
                bad += 1;
            }
        }
    }
    if texts.is_empty() {
        let problem = if bad > 0 { format!("; {first}") } else { String::new() };
        return Err(of_file(format!("it holds no texts{problem}")));
    }
    if bad > 0 {
        notes.push(format!("left out: {bad} rows that can't be read; {first}"));
    }
    let notes = notes.into_iter().map(of_file).collect();
    Ok(Texts { texts, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: Option<&Path>) -> Result<Vec<String>, String> {
        super::load(file, &Options::default(), None).map(|found| found.texts)
    }

    #[test]
    fn texts_are_found_in_each_kind_of_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in [
            ("a.txt", "one, \"1\"\n\ntwo\n"),
            ("a.tsv", "id\tdocument\n1\tone, \"1\"\n2\ttwo\n"),
            ("a.csv", "text,id\n\"one, \"\"1\"\"\",1\ntwo,2\n"),
            ("a.jsonl", "{\"text\": \"one, \\\"1\\\"\"}\n{\"document\": \"two\"}\n"),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).expect("write");
            assert_eq!(load(Some(&file)).expect("texts"), ["one, \"1\"", "two"], "{name}");
        }
    }

    #[test]
    fn a_file_without_texts_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in [("a.txt", "\n"), ("a.tsv", "id\n1\n"), ("a.jsonl", "{}\n")] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).expect("write");
            let problem = load(Some(&file)).expect_err(name);
            assert!(problem.starts_with(&file.display().to_string()), "{problem}");
        }
    }

    #[test]
    fn some_texts_are_built_in() {
        assert_eq!(load(None).expect("texts").len(), 512);
    }
}
