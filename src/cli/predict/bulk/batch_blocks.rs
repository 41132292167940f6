//! Blocks of Parquet and Arrow files: their rows in their own types, or as text where the output is text.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};

use super::block::{Block, Blocks, MOST_BYTES, MOST_ROWS, Original, Place};
use super::text_rows::Layout;
use crate::offline::reader::Kept;
use crate::offline::reader::batches::Batches;

/// Sends the rows of a file in blocks from `place` on; whether somebody takes them. `bytes` tells how much of all inputs was
/// read, by the share of this file.
pub fn send_batches(
    mut batches: Batches,
    mut place: Place,
    layout: Layout,
    bytes: impl Fn(Option<f64>) -> u64,
    send: &Blocks,
) -> Result<bool, String> {
    let header: Vec<String> = batches
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let (mut skip, mut line) = (place.rows, 0);
    while let Some(batch) = batches.next().transpose()? {
        let rows = batch.num_rows() as u64;
        line += rows;
        if skip >= rows {
            skip -= rows;
            continue;
        }
        let mut rest = from(&batch, skip as usize);
        skip = 0;
        while rest.num_rows() > 0 {
            let first = line - rest.num_rows() as u64 + 1;
            let mut rows = read(&batches, &rest, first)?;
            let taken = rest.slice(0, rows.len());
            rest = from(&rest, rows.len());
            if layout.is_text() {
                for (row, kept) in rows.iter_mut().zip(as_text(&taken, layout)?) {
                    row.kept = Some(kept);
                }
            }
            place.rows += rows.len() as u64;
            let block = Block {
                rows,
                header: Some(header.clone()),
                batch: (!layout.is_text()).then_some(taken),
                end: place,
                bytes: bytes(batches.share_read()),
            };
            if send.blocking_send(Ok(block)).is_err() {
                return Ok(false);
            }
        }
    }
    if skip > 0 {
        return Err("has fewer rows than were answered".to_owned());
    }
    Ok(true)
}

fn from(batch: &RecordBatch, row: usize) -> RecordBatch {
    batch.slice(row, batch.num_rows() - row)
}

/// The first rows of a batch that make a block.
fn read(batches: &Batches, batch: &RecordBatch, first: u64) -> Result<Vec<Original>, String> {
    let texts = batches.texts(batch)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while rows.len() < batch.num_rows().min(MOST_ROWS) && bytes < MOST_BYTES {
        let fields = texts.fields(rows.len());
        bytes += fields.as_ref().map_or(0, |fields| fields.size());
        rows.push(Original {
            line: first + rows.len() as u64,
            fields,
            kept: None,
        });
    }
    Ok(rows)
}

/// The same rows with times of named zones in UTC, since what zones mean is in a table that this program lacks.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let named = |(field, column): (&FieldRef, &ArrayRef)| match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            Ok((Field::new(field.name(), utc.clone(), true), cast(column, &utc)?))
        }
        _ => Ok((field.as_ref().clone(), Arc::clone(column))),
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(named);
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) =
        columns.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The rows of a batch as text.
fn as_text(batch: &RecordBatch, layout: Layout) -> Result<Vec<Kept>, String> {
    let told = |error: ArrowError| format!("a column has no form in text: {error}");
    let batch = &in_utc(batch).map_err(told)?;
    if layout != Layout::Jsonl {
        let options = FormatOptions::default().with_null("");
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(told)?;
        let cells = |row| Kept::Cells(columns.iter().map(|column| column.value(row).to_string()).collect());
        return Ok((0..batch.num_rows()).map(cells).collect());
    }
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(told)?;
    let lines = String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())?;
    let object = |line: &str| {
        let object = serde_json::from_str(line).map_err(|error| error.to_string())?;
        Ok(Kept::Object(line.to_owned(), object))
    };
    lines.lines().map(object).collect()
}
