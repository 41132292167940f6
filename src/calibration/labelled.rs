//! Labelled texts from a file: TSV, CSV or JSON Lines, by the names of two columns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A text with the label that people gave, as an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// The label.
    pub label: usize,
}

/// How a file is read.
pub struct Columns<'a> {
    /// The column, or key, of the text.
    pub text: &'a str,
    /// The column, or key, of the label.
    pub label: &'a str,
    /// The models' labels.
    pub labels: &'a [String],
    /// What values of the label column mean, where they are not the labels themselves.
    pub meanings: &'a BTreeMap<String, String>,
}

/// Reads a file; its format follows from its name. The error is one line without the path.
pub fn read(path: &Path, columns: &Columns<'_>) -> Result<Vec<Labelled>, String> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let rows = match extension.as_deref() {
        Some("tsv") => read_separated(path, columns, b'\t'),
        Some("csv") => read_separated(path, columns, b','),
        Some("jsonl" | "ndjson") => read_json_lines(path, columns),
        _ => Err("the name must end in .tsv, .csv or .jsonl".to_owned()),
    }?;
    let meaning = Meaning::of(&rows, columns);
    let labelled = rows.into_iter().map(|(line, text, value)| {
        let label = meaning.label(&value).ok_or_else(|| {
            let known = columns.labels.join(", ");
            format!("line {line}: `{value}` is none of the labels {known}; say what it means with --map {value}=LABEL")
        })?;
        Ok(Labelled { text, label })
    });
    labelled.collect()
}

/// The number of its line, the text, the value of the label.
type Row = (usize, String, String);

fn read_separated(path: &Path, columns: &Columns<'_>, delimiter: u8) -> Result<Vec<Row>, String> {
    let told = |error: csv::Error| error.to_string();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        // In TSV a quotation mark is a character like any other.
        .quoting(delimiter != b'\t')
        .from_path(path)
        .map_err(told)?;
    let header = reader.headers().map_err(told)?.clone();
    let place = |name: &str| {
        header.iter().position(|found| found == name).ok_or_else(|| {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            format!("there is no column `{name}`; there are: {found}")
        })
    };
    let (text, label) = (place(columns.text)?, place(columns.label)?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(told)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().to_owned();
        rows.push((usize::try_from(line).unwrap_or(usize::MAX), field(text), field(label)));
    }
    Ok(rows)
}

fn read_json_lines(path: &Path, columns: &Columns<'_>) -> Result<Vec<Row>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        let told = |problem: String| format!("line {}: {problem}", at + 1);
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line).map_err(|error| told(error.to_string()))?;
        let field = |name: &str| match object.get(name) {
            Some(serde_json::Value::String(value)) => Ok(value.clone()),
            Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => Ok(value.to_string()),
            Some(_) => Err(told(format!("`{name}` is neither a string nor a number"))),
            None => Err(told(format!("there is no key `{name}`"))),
        };
        rows.push((at + 1, field(columns.text)?, field(columns.label)?));
    }
    Ok(rows)
}

/// What the values of the label column mean.
struct Meaning<'a> {
    columns: &'a Columns<'a>,
    /// Every value is the place of a label.
    places: bool,
}

impl<'a> Meaning<'a> {
    fn of(rows: &[Row], columns: &'a Columns<'a>) -> Self {
        let is_place = |value: &str| value.parse::<usize>().is_ok_and(|place| place < columns.labels.len());
        Self {
            columns,
            places: columns.meanings.is_empty() && rows.iter().all(|(_, _, value)| is_place(value)),
        }
    }

    fn label(&self, value: &str) -> Option<usize> {
        if self.places {
            return value.parse().ok();
        }
        let name = self.columns.meanings.get(value).map_or(value, String::as_str);
        self.columns.labels.iter().position(|label| label == name)
    }
}

/// Splits texts into the half to fit on and the half to measure on, by a seed. Equal texts go into the same half: no text
/// that is measured on was fitted on.
pub fn in_fit_half(text: &str, seed: u64) -> bool {
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(text)
        .finalize();
    digest[0] & 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, content: &str, meanings: &[(&str, &str)]) -> Result<Vec<Labelled>, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        let own = |text: &&str| (*text).to_owned();
        let columns = Columns {
            text: "text",
            label: "label",
            labels: &["negative".to_owned(), "positive".to_owned()],
            meanings: &meanings.iter().map(|(value, label)| (own(value), own(label))).collect(),
        };
        read(&path, &columns)
    }

    fn expected() -> Vec<Labelled> {
        [("좋다, \"정말\"", 1), ("나쁘다", 0)]
            .map(|(text, label)| Labelled {
                text: text.to_owned(),
                label,
            })
            .to_vec()
    }

    #[test]
    fn every_format_is_read() {
        for (name, content) in [
            (
                "a.tsv",
                "id\tlabel\ttext\n1\tpositive\t좋다, \"정말\"\n2\tnegative\t나쁘다\n",
            ),
            ("a.csv", "text,label\n\"좋다, \"\"정말\"\"\",1\n나쁘다,0\n"),
            (
                "a.jsonl",
                "{\"text\": \"좋다, \\\"정말\\\"\", \"label\": 1}\n\n{\"label\": 0, \"text\": \"나쁘다\"}\n",
            ),
        ] {
            assert_eq!(read_as(name, content, &[]).expect(name), expected(), "{name}");
        }
        let mapped = read_as(
            "a.csv",
            "text,label\n\"좋다, \"\"정말\"\"\",good\n나쁘다,negative\n",
            &[("good", "positive")],
        );
        assert_eq!(mapped.expect("mapped"), expected());
    }

    #[test]
    fn what_cannot_be_read_is_told_by_line_and_column() {
        let refused = |name, content| read_as(name, content, &[]).expect_err("refused");
        assert_eq!(
            refused("a.csv", "text,star\na,1\n"),
            "there is no column `label`; there are: text, star"
        );
        assert!(
            refused("a.tsv", "text\tlabel\na\tpositive\nb\tgood\n").starts_with("line 3: `good` is none of the labels")
        );
        assert_eq!(
            refused("a.jsonl", "{\"text\": \"a\"}"),
            "line 1: there is no key `label`"
        );
        assert!(refused("a.txt", "").contains(".tsv"));
    }

    #[test]
    fn halves_follow_from_the_seed_and_keep_equal_texts_together() {
        let first = (0..1000).filter(|at| in_fit_half(&at.to_string(), 1)).count();
        assert!((400..600).contains(&first), "{first}");
        assert!((0..1000).any(|at| in_fit_half(&at.to_string(), 1) != in_fit_half(&at.to_string(), 2)));
    }
}
