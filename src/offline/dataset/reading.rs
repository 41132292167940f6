//! A file becomes a dataset: in one pass, with memory that does not grow with the texts.

use std::borrow::Cow;
use std::path::Path;

use super::columns::{DatasetColumns, Unlabelled};
use super::duplicates::{self, Duplicates};
use super::example::{Example, Target};
use super::facts::{Facts, Tally, fingerprint};
use super::group::group_of;
use super::labels::{Labels, Values};
use super::places::Places;
use super::target::{Cells, Refused};
use super::texts::Texts;
use crate::model::manifest::ProblemType;
use crate::offline::reader::{Options, Rows};

/// The most rows of a dataset.
pub const MOST_ROWS: usize = 20_000_000;
/// The most probabilities of a dataset, rows × labels: 1 GiB.
const MOST_PROBABILITIES: usize = 1 << 28;

/// The longest text, in bytes, that a server takes where nobody says otherwise.
pub const LONG: usize = 16 << 10;

/// Labelled texts.
pub struct Dataset {
    /// In the order of the models' labels if those were given, else sorted: by value if all are numbers, else by name.
    pub labels: Vec<String>,
    /// Whether one label is right, or several may be.
    pub problem_type: ProblemType,
    /// What stands between the labels of a row, where several may be right.
    pub label_separator: String,
    pub examples: Vec<Example>,
    /// What people should know about how the file was read, in one line each: what was left out, converted, merged.
    pub notes: Vec<String>,
    pub facts: Facts,
    /// Rows of equal texts.
    pub duplicates: Duplicates,
    /// Rows with a text of more than [`LONG`] bytes.
    pub long: Places,
    texts: Texts,
}

impl Dataset {
    /// The text of an example. One that the disk does not give back is empty, and [`Self::check_whole`] tells.
    ///
    /// # Panics
    ///
    /// If there is no such example.
    pub fn text(&self, at: usize) -> Cow<'_, str> {
        self.texts.get(at)
    }

    /// Fails if a text could not be read back. Asked before anything that was made of the texts is written. The error is
    /// one line.
    pub fn check_whole(&self) -> Result<(), String> {
        let told = |problem: String| format!("{}: {problem}", self.facts.file);
        self.texts.check_whole().map_err(told)
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }
}

/// Reads a file. Rows that can't be read and rows with an empty text are left out, and the notes say so. The error is one
/// line without the path.
pub fn read(path: &Path, columns: &DatasetColumns, options: &Options, labels: Labels<'_>) -> Result<Dataset, String> {
    let (to_read, places) = columns.to_read();
    let mut values = Values::new(labels, columns.trim, columns.multi_label)?;
    let cells = Cells::new(columns, places, &mut values)?;
    let mut rows = Rows::open(path, options, to_read)?;
    let mut pass = Pass {
        columns,
        cells,
        values,
        texts: Texts::default(),
        examples: Vec::new(),
        tally: Tally::default(),
        probabilities: 0,
        bad: Places::default(),
        first_problem: String::new(),
        unlabelled: Places::default(),
        empty: Places::default(),
        long: Places::default(),
    };
    let mut count = 0;
    for row in rows.by_ref() {
        let row = row.map_err(|error| error.to_string())?;
        count += 1;
        match row.fields {
            Ok(fields) => pass.row(row.line, &fields.text, &fields.others)?,
            Err(problem) => pass.bad(row.line, &problem),
        }
    }
    let mut dataset = pass.finish(&rows)?;
    dataset.facts.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    dataset.facts.rows = count;
    if let Some((bytes, sha256)) = fingerprint(path).map_err(|error| error.to_string())? {
        dataset.facts.bytes = Some(bytes);
        dataset.facts.sha256 = Some(sha256);
    }
    Ok(dataset)
}

/// What is known while rows are read.
struct Pass<'a> {
    columns: &'a DatasetColumns,
    cells: Cells<'a>,
    values: Values<'a>,
    texts: Texts,
    examples: Vec<Example>,
    tally: Tally,
    /// How many probabilities are held.
    probabilities: usize,
    /// Rows that can't be read, and what is wrong with the first of them.
    bad: Places,
    first_problem: String,
    unlabelled: Places,
    empty: Places,
    long: Places,
}

impl Pass<'_> {
    fn row(&mut self, line: u64, text: &str, cells: &[serde_json::Value]) -> Result<(), String> {
        if text.trim().is_empty() {
            self.empty.add(line);
            return Ok(());
        }
        let target = match self.cells.target(cells, line, &mut self.values) {
            Ok(target) => target,
            Err(Refused::File(problem)) => return Err(problem),
            Err(Refused::Row(problem)) => {
                self.bad(line, &problem);
                return Ok(());
            }
        };
        if target == Target::Unknown {
            self.unlabelled.add(line);
            if self.columns.unlabelled != Unlabelled::Keep {
                return Ok(());
            }
        }
        let weight = match self.cells.weight(cells) {
            Ok(weight) => weight,
            Err(problem) => {
                self.bad(line, &problem);
                return Ok(());
            }
        };
        if self.examples.len() >= MOST_ROWS {
            return Err(format!(
                "has more than {MOST_ROWS} rows, the limit; take a part of it: head -n 1000000 FILE > PART"
            ));
        }
        if let Target::Soft(probabilities) = &target {
            self.probabilities += probabilities.len();
            may_hold(self.probabilities)?;
        }
        self.texts.push(text)?;
        self.tally.add(text);
        if text.len() > LONG {
            self.long.add(line);
        }
        self.examples.push(Example {
            line,
            target,
            weight,
            group: group_of(text),
        });
        Ok(())
    }

    fn bad(&mut self, line: u64, problem: &str) {
        if self.bad.count == 0 {
            self.first_problem = format!("line {line}: {problem}");
        }
        self.bad.add(line);
    }

    fn finish(mut self, rows: &Rows) -> Result<Dataset, String> {
        let mut facts = Facts::default();
        let mut notes = rows.notes().to_vec();
        notes.extend(rows.has_mark().then(|| "a byte order mark is left off".to_owned()));
        let mut left_out = |reason: &str, told: String, places: &Places| {
            facts.left_out.insert(reason.to_owned(), places.count);
            notes.push(format!("left out: {told}"));
        };
        if self.bad.count > 0 {
            let told = format!("{} can't be read; {}", self.bad, self.first_problem);
            if self.examples.is_empty() {
                return Err(told);
            }
            left_out("can't be read", told, &self.bad);
        }
        if self.empty.count > 0 {
            left_out("empty text", format!("{} with an empty text", self.empty), &self.empty);
        }
        if self.unlabelled.count > 0 {
            let told = format!("{} without a label", self.unlabelled);
            match self.columns.unlabelled {
                Unlabelled::Keep => facts.unlabelled = self.unlabelled.count,
                _ if self.examples.is_empty() => return Err(self.no_labels(rows)),
                Unlabelled::Refuse => return Err(format!("{told}; --skip-unlabelled leaves them out")),
                Unlabelled::LeaveOut => left_out("no label", told, &self.unlabelled),
            }
        }
        if self.examples.is_empty() {
            return Err("has no rows with a text".to_owned());
        }
        let (labels, settled) = self.values.settled()?;
        let soft = self
            .examples
            .iter()
            .filter(|example| matches!(example.target, Target::Soft(_)));
        may_hold(soft.count() * labels.len())?;
        facts.classes = vec![0; labels.len()];
        for example in &mut self.examples {
            self.cells
                .complete(&mut example.target, example.line, &labels, &settled)?;
            match &example.target {
                Target::Many(several) => several.iter().for_each(|&label| facts.classes[label as usize] += 1),
                target => target.top().into_iter().for_each(|label| facts.classes[label] += 1),
            }
        }
        self.texts.finish()?;
        let duplicates = duplicates::find(&self.examples);
        (facts.duplicates, facts.conflicts) = (duplicates.further.count, duplicates.conflicts);
        facts.used = self.examples.len() as u64;
        (facts.lengths, facts.scripts) = self.tally.finish();
        Ok(Dataset {
            labels,
            problem_type: if self.columns.multi_label {
                ProblemType::MultiLabel
            } else {
                ProblemType::SingleLabel
            },
            label_separator: self.columns.label_separator.clone(),
            examples: self.examples,
            notes,
            facts,
            duplicates,
            long: self.long,
            texts: self.texts,
        })
    }

    /// No row has a label: most likely the column has another name.
    fn no_labels(&self, rows: &Rows) -> String {
        let columns = [&self.columns.label, &self.columns.probabilities].into_iter().flatten();
        let soft = self.columns.soft.iter().map(|(_, column)| column);
        let named: Vec<String> = columns.chain(soft).map(|name| format!("`{name}`")).collect();
        if named.is_empty() {
            return "no column of labels is named; --label-column names one".to_owned();
        }
        format!(
            "no row has a value in {}; there are: {}; --label-column names the column of the label",
            named.join(", "),
            rows.names()
        )
    }
}

fn may_hold(probabilities: usize) -> Result<(), String> {
    if probabilities <= MOST_PROBABILITIES {
        return Ok(());
    }
    Err(format!(
        "has more than {MOST_PROBABILITIES} probabilities (rows × labels), the limit; take a part of it: head -n 100000 FILE > PART"
    ))
}

#[cfg(test)]
mod tests;
