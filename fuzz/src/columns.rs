//! What `readers.rs` is, for Parquet and Arrow, which only builds with the feature `parquet` read: so
//! `tests/process/predict_parquet.rs` includes it.

use std::fs::File;

use tandem::offline::reader::batches::Batches;
use tandem::offline::reader::{Columns, Format, Options, Rows};

use super::inputs::{Reader, in_file, one_line};

/// Each reader by the name of its fuzzer and of the folder with its inputs.
pub const ALL: &[(&str, Reader)] = &[("arrow", arrow), ("parquet", parquet)];

/// A Parquet file, as rows with texts and as batches with all columns.
pub fn parquet(bytes: &[u8]) {
    in_file("texts.parquet", bytes, |file| {
        let options = Options {
            format: Some(Format::Parquet),
            ..Options::default()
        };
        match Rows::open(file, &options, Columns::default()) {
            Ok(rows) => {
                for row in rows.take(1000) {
                    match row {
                        Ok(row) => row.fields.err().into_iter().for_each(one_line),
                        Err(problem) => one_line(problem.to_string()),
                    }
                }
            }
            Err(problem) => one_line(problem),
        }
        batches(Batches::parquet(File::open(file).expect("opened"), &Columns::default()));
    });
}

/// An Arrow file, or a stream.
pub fn arrow(bytes: &[u8]) {
    in_file("texts.arrow", bytes, |file| {
        batches(Batches::arrow(file, &Columns::default()));
    });
    batches(Batches::stream(
        std::io::Cursor::new(bytes.to_vec()),
        &Columns::default(),
    ));
}

fn batches(opened: Result<Batches, String>) {
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(problem) => return one_line(problem),
    };
    for _ in 0..10 {
        let batch = match opened.next() {
            None => return,
            Some(Err(problem)) => return one_line(problem),
            Some(Ok(batch)) => batch,
        };
        match opened.texts(&batch) {
            Ok(texts) => {
                for row in 0..batch.num_rows().min(1000) {
                    texts.fields(row).err().into_iter().for_each(one_line);
                }
            }
            Err(problem) => one_line(problem),
        }
    }
}
