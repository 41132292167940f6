//! Rows of a Parquet file, read page by page. Only a build with the cargo feature `parquet` has this.
//!
//! The file may be damaged or made to do harm: whatever the library makes of it, a panic too, is one error that ends the
//! reading.

use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Once};

use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::fields::{Columns, Fields, of_values, places};
use super::separated::Header;

/// The rows of a Parquet file.
pub struct RowGroups {
    rows: RowIter<'static>,
    columns: Columns,
    /// How many rows there are, and how many were read.
    total: u64,
    read: u64,
}

impl RowGroups {
    /// Opens a file, and gives the names of its columns for messages. The error is one line.
    pub fn open(file: File, columns: &Columns) -> Result<(Self, String), String> {
        guarded(|| {
            let reader = SerializedFileReader::new(file).map_err(|error| damaged(&error))?;
            let about = reader.metadata();
            let schema = about.file_metadata().schema();
            let header = Header::of(schema.get_fields().iter().map(|field| field.name()));
            let places = places(&header, columns)?;
            let mut wanted = places.others.clone();
            wanted.extend([places.text].into_iter().chain(places.pair));
            wanted.sort_unstable();
            wanted.dedup();
            let name = |at: usize| schema.get_fields()[at].name().to_owned();
            let columns = Columns {
                text: Some(name(places.text)),
                pair: places.pair.map(name),
                others: places.others.iter().map(|&at| name(at)).collect(),
                keep: false,
            };
            for chunk in about.row_groups().iter().flat_map(|group| group.columns()) {
                let is_wanted = |at: &usize| chunk.column_path().parts().first() == Some(&name(*at));
                check_compression(chunk.compression(), wanted.iter().any(is_wanted))?;
            }
            let fields = wanted.iter().map(|&at| Arc::clone(&schema.get_fields()[at])).collect();
            let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
            let projection = projection.map_err(|error| damaged(&error))?;
            let total = u64::try_from(about.file_metadata().num_rows()).unwrap_or_default();
            let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection));
            let opened = Self {
                rows: rows.map_err(|error| damaged(&error))?,
                columns,
                total,
                read: 0,
            };
            Ok((opened, header.names()))
        })
    }

    /// Which share of the rows was read so far.
    pub fn share_read(&self) -> f64 {
        self.read as f64 / self.total.max(1) as f64
    }
}

/// The number of a row, from 1, and its fields, or what is wrong with it.
pub type Numbered = (u64, Result<Fields, String>);

/// An error ends the reading.
impl Iterator for RowGroups {
    type Item = Result<Numbered, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = &mut self.rows;
        let row = guarded(|| rows.next().transpose().map_err(|error| damaged(&error)));
        let number = self.read + 1;
        let row = match row.transpose()? {
            Ok(row) => row,
            Err(problem) => return Some(Err(format!("row {number}: {problem}"))),
        };
        self.read = number;
        Some(Ok((number, of_values(&object(row), &self.columns, "column"))))
    }
}

thread_local! {
    /// Whether a panic of this thread is told as an error, and not where panics are told.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs some work of the library; a panic is an error, and nothing else is told of it.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                others(panic);
            }
        }));
    });
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    let damaged = |_| Err("the Parquet file is damaged: its parts do not fit each other".to_owned());
    outcome.unwrap_or_else(damaged)
}

fn damaged(error: &parquet::errors::ParquetError) -> String {
    // It may quote a whole value.
    let told: String = error.to_string().chars().take(200).collect();
    format!("the Parquet file can't be read: {}", told.replace('\n', " "))
}

fn check_compression(compression: Compression, is_wanted: bool) -> Result<(), String> {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_) => Ok(()),
        _ if !is_wanted => Ok(()),
        other => Err(format!(
            "is compressed by {other}; what is read is snappy, gzip and zstd: write it again, in pandas by \
             df.to_parquet(FILE, compression=\"zstd\")"
        )),
    }
}

fn object(row: Row) -> Map<String, Value> {
    row.into_columns()
        .into_iter()
        .map(|(name, field)| (name, value(&field)))
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float16(value) => Value::from(value.to_f32()),
        Field::Float(value) => Value::from(*value),
        Field::Double(value) => Value::from(*value),
        Field::Str(text) => Value::from(text.as_str()),
        // Some programs write texts without saying that they are.
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::Group(row) => row
            .get_column_iter()
            .map(|(name, field)| (name.clone(), value(field)))
            .collect(),
        Field::MapInternal(map) => {
            let entry = |(key, field): &(Field, Field)| match value(key) {
                Value::String(key) => (key, value(field)),
                key => (key.to_string(), value(field)),
            };
            map.entries().iter().map(entry).collect()
        }
        // Times and decimals are no labels and no weights.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests;
