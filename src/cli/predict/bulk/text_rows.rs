//! Rows of a bulk job as TSV, CSV and JSON Lines: what the file had, and the answer.

use serde::Serialize;
use serde_json::{Map, Value};

use super::columns::{Cell, check_apart};
use crate::offline::reader::Kept;

/// The layout of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Tsv,
    Csv,
    Jsonl,
    Parquet,
    Arrow,
}

impl Layout {
    /// Whether rows are written as text.
    pub fn is_text(self) -> bool {
        !matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// Writes rows of the same columns.
pub struct TextRows<'a> {
    pub layout: Layout,
    /// The columns of the input, in order. JSON Lines have those that each row has.
    pub kept: &'a [String],
    /// The columns that are added, and whether they hold numbers.
    pub added: &'a [(String, bool)],
}

impl TextRows<'_> {
    /// The first line; nothing for JSON Lines.
    pub fn header(&self) -> Vec<u8> {
        let Some(delimiter) = self.delimiter() else {
            return Vec::new();
        };
        let added = self.added.iter().map(|(name, _)| name);
        record(delimiter, self.kept.iter().chain(added).map(String::as_str))
    }

    /// A row. An inner error says why it has no place in these columns; an outer one ends the job.
    pub fn row(
        &self,
        header: &[String],
        kept: Option<&Kept>,
        cells: &[Cell],
    ) -> Result<Result<Vec<u8>, String>, String> {
        if let Some(Kept::Object(_, object)) = kept {
            check_apart(object.keys().map(String::as_str), self.added)?;
        }
        let Some(delimiter) = self.delimiter() else {
            return Ok(Ok(self.object(header, kept, cells).into_bytes()));
        };
        let before: Vec<String> = match kept {
            None => vec![String::new(); self.kept.len()],
            Some(Kept::Cells(cells)) => cells.clone(),
            Some(Kept::Object(_, object)) => match self.cells_of(object) {
                Ok(cells) => cells,
                Err(problem) => return Ok(Err(problem)),
            },
        };
        let added: Vec<String> = cells.iter().map(written).collect();
        let all = before.iter().chain(&added).map(String::as_str);
        Ok(Ok(record(delimiter, all)))
    }

    fn delimiter(&self) -> Option<u8> {
        match self.layout {
            Layout::Tsv => Some(b'\t'),
            Layout::Csv => Some(b','),
            Layout::Jsonl | Layout::Parquet | Layout::Arrow => None,
        }
    }

    /// The cells of an object; an error if it has a key that is no column.
    pub fn cells_of(&self, object: &Map<String, Value>) -> Result<Vec<String>, String> {
        if let Some(key) = object.keys().find(|key| !self.kept.contains(key)) {
            let key: String = key.chars().take(40).collect();
            return Err(format!(
                "there is no column for the key `{key}`, which the first rows lack; --format jsonl keeps every key"
            ));
        }
        let cell = |name: &String| match object.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        Ok(self.kept.iter().map(cell).collect())
    }

    fn object(&self, header: &[String], kept: Option<&Kept>, cells: &[Cell]) -> String {
        let mut line = match kept {
            // As it stands there: no number loses a digit, no key its place.
            Some(Kept::Object(text, _)) => {
                let text = text.trim_end();
                text.strip_suffix('}').unwrap_or(text).trim_end().to_owned()
            }
            Some(Kept::Cells(cells)) => {
                let mut line = "{".to_owned();
                for (name, cell) in header.iter().zip(cells) {
                    member(&mut line, name, cell);
                }
                line
            }
            None => "{".to_owned(),
        };
        for ((name, _), cell) in self.added.iter().zip(cells) {
            match cell {
                Cell::Empty => member(&mut line, name, &()),
                Cell::Text(text) => member(&mut line, name, text),
                Cell::Number(number) => member(&mut line, name, number),
            }
        }
        line.push_str("}\n");
        line
    }
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
    }
}

fn member(line: &mut String, name: &str, value: &(impl Serialize + ?Sized)) {
    if !line.ends_with('{') {
        line.push(',');
    }
    let name = serde_json::to_string(name).expect("a string");
    let value = serde_json::to_string(value).expect("a string, a number or null");
    line.push_str(&format!("{name}:{value}"));
}

fn record<'a>(delimiter: u8, cells: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(cells).expect("memory takes a record");
    writer.into_inner().expect("memory takes it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(layout: Layout, kept: &[String], kept_row: Option<&Kept>) -> Result<Result<String, String>, String> {
        let added = [
            ("label".to_owned(), false),
            ("confidence".to_owned(), true),
            ("error".to_owned(), false),
        ];
        let writer = TextRows {
            layout,
            kept,
            added: &added,
        };
        let cells = [Cell::Text("good".into()), Cell::Number(0.5), Cell::Empty];
        let row = writer.row(kept, kept_row, &cells)?;
        Ok(row.map(|row| String::from_utf8([writer.header(), row].concat()).expect("UTF-8")))
    }

    fn object(text: &str) -> Kept {
        Kept::Object(text.to_owned(), serde_json::from_str(text).expect("an object"))
    }

    #[test]
    fn an_object_stays_as_it_was_and_gets_the_answer() {
        let row = |text: &str| rows(Layout::Jsonl, &[], Some(&object(text)));
        let answer = "\"label\":\"good\",\"confidence\":0.5,\"error\":null}\n";
        let said = row("{\"z\": 1.10, \"text\": \"}\" } ")
            .expect("no clash")
            .expect("a row");
        assert_eq!(said, format!("{{\"z\": 1.10, \"text\": \"}}\",{answer}"));
        assert_eq!(row("{}").expect("no clash").expect("a row"), format!("{{{answer}"));
        assert_eq!(row("{ } ").expect("no clash").expect("a row"), format!("{{{answer}"));
        let clash = row("{\"label\": 1}").expect_err("a clash");
        assert!(clash.contains("`label`") && clash.contains("--prefix"), "{clash}");
    }

    #[test]
    fn columns_become_objects_and_objects_become_columns() {
        let names = ["id", "text"].map(str::to_owned);
        let cells = Kept::Cells(["7", "a\t\"b\""].map(str::to_owned).to_vec());
        let said = |layout, kept: Option<&Kept>| rows(layout, &names, kept).expect("no clash");
        assert_eq!(
            said(Layout::Jsonl, Some(&cells)).expect("a row"),
            "{\"id\":\"7\",\"text\":\"a\\t\\\"b\\\"\",\"label\":\"good\",\"confidence\":0.5,\"error\":null}\n"
        );
        assert_eq!(
            said(Layout::Tsv, Some(&cells)).expect("a row"),
            "id\ttext\tlabel\tconfidence\terror\n7\t\"a\t\"\"b\"\"\"\tgood\t0.5\t\n"
        );
        assert_eq!(
            said(Layout::Csv, Some(&object("{\"text\": \"a\", \"id\": 7}"))).expect("a row"),
            "id,text,label,confidence,error\n7,a,good,0.5,\n"
        );
        assert_eq!(
            said(Layout::Csv, None).expect("a row"),
            "id,text,label,confidence,error\n,,good,0.5,\n"
        );
        let problem = said(Layout::Csv, Some(&object("{\"new\": 1}"))).expect_err("no column");
        assert!(problem.contains("`new`"), "{problem}");
    }
}
