//! Rows of a bulk job as a batch of Arrow: what the file had, in its own types, and the answers.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;

use super::block::Block;
use super::columns::Cell;
use crate::offline::reader::Kept;

/// The batch of a block: its columns, which of text files are strings, and those that are added. The error is one line.
pub fn of(
    block: &Block,
    kept: &[String],
    added: &[(String, bool)],
    cells: &[Vec<Cell>],
) -> Result<RecordBatch, String> {
    let (mut fields, mut columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = match &block.batch {
        Some(batch) => (
            batch.schema().fields().iter().cloned().collect(),
            batch.columns().to_vec(),
        ),
        None => strings(block, kept),
    };
    for (at, (name, number)) in added.iter().enumerate() {
        let of_rows = || cells.iter().map(|row| row.get(at).unwrap_or(&Cell::Empty));
        let column: ArrayRef = if *number {
            Arc::new(of_rows().map(number_of).collect::<Float32Array>())
        } else {
            Arc::new(of_rows().map(text_of).collect::<StringArray>())
        };
        fields.push(Arc::new(Field::new(name, column_type(*number), true)));
        columns.push(column);
    }
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(|error| error.to_string())
}

fn column_type(number: bool) -> DataType {
    if number { DataType::Float32 } else { DataType::Utf8 }
}

fn strings(block: &Block, kept: &[String]) -> (Vec<Arc<Field>>, Vec<ArrayRef>) {
    let column = |(at, name): (usize, &String)| {
        let cells = block.rows.iter().map(|row| match &row.kept {
            Some(Kept::Cells(cells)) => cells.get(at).cloned(),
            Some(Kept::Object(_, object)) => match object.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(value) => Some(value.to_string()),
            },
            None => None,
        });
        let field = Arc::new(Field::new(name, DataType::Utf8, true));
        (field, Arc::new(cells.collect::<StringArray>()) as ArrayRef)
    };
    kept.iter().enumerate().map(column).unzip()
}

fn number_of(cell: &Cell) -> Option<f32> {
    match cell {
        Cell::Number(number) => Some(*number),
        _ => None,
    }
}

fn text_of(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}
