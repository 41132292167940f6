//! Labelled texts from a file: TSV, CSV or JSON Lines, by the names of two columns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::reader::{Columns, Options, Rows};
use crate::model::paths::quoted;

/// How many values, or rows, one message names.
const NAMED: usize = 16;

/// A text with the label that people gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    pub text: String,
    /// The index of the label in [`Meanings::labels`].
    pub label: usize,
}

/// How values of the label column become labels.
pub struct Meanings<'a> {
    /// The models' labels.
    pub labels: &'a [String],
    /// The labels that values stand for, where a value is not a label itself.
    pub map: &'a BTreeMap<String, String>,
    /// Whether rows without a label are skipped; otherwise they are an error.
    pub skip_unlabelled: bool,
}

/// The labelled texts of a file.
#[derive(Debug, Default)]
pub struct LabelledTexts {
    pub texts: Vec<Labelled>,
    /// What people should know about how the file was read, in one line each: its layout, the rows that were left out.
    pub notes: Vec<String>,
}

/// Reads a file. Rows that can't be read are left out, and the notes say so. The error is one line without the path.
pub fn read(
    path: &Path,
    options: &Options,
    columns: Columns,
    meanings: &Meanings<'_>,
) -> Result<LabelledTexts, String> {
    let mut rows = Rows::open(path, options, columns)?;
    let mut notes = rows.notes().to_vec();
    let (mut labelled, mut unlabelled, mut bad) = (Vec::new(), Places::default(), Places::default());
    let mut first_problem = String::new();
    while let Some(row) = rows.next() {
        rows.may_hold(labelled.len())?;
        let row = row.map_err(|error| error.to_string())?;
        match row.fields {
            Ok(fields) => match fields.label {
                Some(label) => labelled.push((row.line, fields.text, label)),
                None => unlabelled.add(row.line),
            },
            Err(problem) => {
                if bad.count == 0 {
                    first_problem = format!("line {}: {problem}", row.line);
                }
                bad.add(row.line);
            }
        }
    }
    if bad.count > 0 {
        let told = format!("{bad} can't be read; {first_problem}");
        if labelled.is_empty() {
            return Err(told);
        }
        notes.push(format!("left out: {told}"));
    }
    if unlabelled.count > 0 {
        let told = format!("{unlabelled} without a label");
        if !meanings.skip_unlabelled {
            return Err(format!("{told}; --skip-unlabelled leaves them out"));
        }
        notes.push(format!("left out: {told}"));
    }
    let texts = meanings.apply(labelled)?;
    Ok(LabelledTexts { texts, notes })
}

/// How many rows there are of a kind, and on which lines the first of them begin.
#[derive(Default)]
struct Places {
    count: u64,
    first: Vec<String>,
}

impl Places {
    fn add(&mut self, line: u64) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(line.to_string());
        }
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, line) = if self.count == 1 {
            ("row", "line")
        } else {
            ("rows", "lines")
        };
        let more = if self.count > NAMED as u64 { ", …" } else { "" };
        write!(f, "{} {noun} ({line} {}{more})", self.count, self.first.join(", "))
    }
}

/// The number of its line, the text, and the value of the label column.
type Row = (u64, String, String);

impl Meanings<'_> {
    /// Replaces the values of all rows by labels. The error names every value that is no label.
    fn apply(&self, rows: Vec<Row>) -> Result<Vec<Labelled>, String> {
        let is_place = |value: &str| value.parse::<usize>().is_ok_and(|place| place < self.labels.len());
        let places = self.map.is_empty() && rows.iter().all(|(_, _, value)| is_place(value));
        let mut unknown: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut texts = Vec::with_capacity(rows.len());
        for (line, text, value) in rows {
            let label = if places {
                value.parse().ok()
            } else {
                let name = self.map.get(&value).unwrap_or(&value);
                self.labels.iter().position(|label| label == name)
            };
            match label {
                Some(label) => texts.push(Labelled { text, label }),
                None => unknown.entry(value).or_insert((line, 0)).1 += 1,
            }
        }
        if unknown.is_empty() {
            Ok(texts)
        } else {
            Err(self.refusal(unknown))
        }
    }

    fn refusal(&self, unknown: BTreeMap<String, (u64, u64)>) -> String {
        let mut unknown: Vec<(String, (u64, u64))> = unknown.into_iter().collect();
        unknown.sort_by_key(|(_, (line, _))| *line);
        let count = unknown.len();
        let named = unknown.iter().take(NAMED).map(|(value, (line, rows))| {
            let rows = if *rows > 1 {
                format!(", {rows} rows")
            } else {
                String::new()
            };
            format!("`{}` (line {line}{rows})", short(value))
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let more = folded(count, NAMED);
        let labels: Vec<String> = self.labels.iter().take(NAMED).cloned().collect();
        let labels = format!("{}{}", labels.join(", "), folded(self.labels.len(), NAMED));
        let hints = unknown
            .iter()
            .take(NAMED)
            .map(|(value, _)| format!("--map {}", quoted(&format!("{value}=LABEL"))));
        let hints = hints.collect::<Vec<_>>().join(" ");
        format!(
            "{named}{more} {} none of the labels {labels}; say what {}: {hints}",
            if count == 1 { "is" } else { "are" },
            if count == 1 { "it means" } else { "each means" },
        )
    }
}

/// How many items of a list a message does not show; empty if it shows all.
fn folded(count: usize, shown: usize) -> String {
    if count > shown {
        format!(" and {} more", count - shown)
    } else {
        String::new()
    }
}

/// The beginning of a value, on one line: a value may be a whole text.
fn short(value: &str) -> String {
    let plain = value.chars().map(|value| if value.is_control() { ' ' } else { value });
    let mut shown: String = plain.take(40).collect();
    if value.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a text is in the half to fit on, and not in the half to measure on, by a seed. Equal texts are in the same
/// half, so that no text is measured on that was fitted on.
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

    fn read_all(name: &str, content: &str, meanings: &[(&str, &str)], skip: bool) -> Result<LabelledTexts, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        let own = |text: &&str| (*text).to_owned();
        let columns = Columns {
            label: Some("label".to_owned()),
            ..Columns::default()
        };
        let meanings = Meanings {
            labels: &["negative".to_owned(), "positive".to_owned()],
            map: &meanings.iter().map(|(value, label)| (own(value), own(label))).collect(),
            skip_unlabelled: skip,
        };
        read(&path, &Options::default(), columns, &meanings)
    }

    fn read_as(name: &str, content: &str, meanings: &[(&str, &str)]) -> Result<Vec<Labelled>, String> {
        read_all(name, content, meanings, false).map(|read| read.texts)
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
        assert_eq!(
            refused("a.jsonl", "{\"text\": \"a\"}"),
            "1 row (line 1) can't be read; line 1: there is no key `label`"
        );
    }

    #[test]
    fn every_value_that_is_no_label_is_named_with_what_a_shell_takes() {
        let content = "text\tlabel\na\tpositive\nb\tBilling & Rechnung\nc\tgood\nd\tgood\n";
        assert_eq!(
            read_as("a.tsv", content, &[]).expect_err("refused"),
            "`Billing & Rechnung` (line 3), `good` (line 4, 2 rows) are none of the labels negative, positive; say what each means: \
             --map 'Billing & Rechnung=LABEL' --map good=LABEL"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn rows_that_can_not_be_used_are_left_out_and_said() {
        let content = "text,label\na,1\nb\nc,0\nd,\n";
        let problem = read_all("a.csv", content, &[], false).expect_err("refused");
        assert!(
            problem.starts_with("1 row (line 5) without a label; --skip-unlabelled"),
            "{problem}"
        );
        let read = read_all("a.csv", content, &[], true).expect("the others");
        assert_eq!(read.texts.len(), 2);
        assert_eq!(
            read.notes,
            [
                "left out: 1 row (line 3) can't be read; line 3: 1 column where the header has 2",
                "left out: 1 row (line 5) without a label",
            ]
        );
    }

    #[test]
    fn halves_follow_from_the_seed_and_keep_equal_texts_together() {
        let first = (0..1000).filter(|at| in_fit_half(&at.to_string(), 1)).count();
        assert!((400..600).contains(&first), "{first}");
        assert!((0..1000).any(|at| in_fit_half(&at.to_string(), 1) != in_fit_half(&at.to_string(), 2)));
    }
}
