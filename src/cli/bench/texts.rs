//! The texts of `tandem bench`: from a file, or the ones that are built in. Nothing here depends on time.

use std::io::{BufRead, BufReader};
use std::path::Path;

/// 512 reviews from the held-out part of the Naver sentiment movie corpus (CC0 1.0), the first of
/// `tests/data/reviews.tsv`.
const BUILT_IN: &str = include_str!("reviews.txt");

/// The columns and keys that may hold the text, the first that is there.
const NAMES: [&str; 2] = ["text", "document"];

/// Reads `file`, or gives the texts that are built in. The error is one line that names the file.
pub fn load(file: Option<&Path>) -> Result<Vec<String>, String> {
    let Some(path) = file else {
        return Ok(BUILT_IN.lines().map(str::to_owned).collect());
    };
    let problem = |problem: String| format!("{}: {problem}", path.display());
    let input = std::fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    let input = BufReader::new(input);
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    let texts = match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("tsv") => columns(input, b'\t'),
        Some("csv") => columns(input, b','),
        Some("jsonl" | "ndjson") => objects(input),
        _ => input
            .lines()
            .map(|line| line.map_err(|error| error.to_string()))
            .collect(),
    };
    let mut texts = texts.map_err(problem)?;
    texts.retain(|text| !text.trim().is_empty());
    if texts.is_empty() {
        return Err(problem("it holds no texts".into()));
    }
    Ok(texts)
}

fn columns(input: impl BufRead, delimiter: u8) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        // Files with tabs are written without quotes.
        .quoting(delimiter == b',')
        .from_reader(input);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = NAMES
        .iter()
        .find_map(|name| header.iter().position(|found| found == *name));
    let column = column.ok_or("its header names no column `text` or `document`")?;
    let mut texts = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        texts.push(record.get(column).unwrap_or_default().to_owned());
    }
    Ok(texts)
}

fn objects(input: impl BufRead) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for (at, line) in input.lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        let object: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| format!("line {}: {error}", at + 1))?;
        let text = NAMES.iter().find_map(|name| object.get(name)?.as_str());
        let text = text.ok_or_else(|| format!("line {}: it has no string `text` or `document`", at + 1))?;
        texts.push(text.to_owned());
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::load;

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
