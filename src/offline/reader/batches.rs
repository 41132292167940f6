//! Whole rows of Parquet and Arrow files, some at a time, every column in its own type: for those who write them again.
//! Only a build with the cargo feature `parquet` has this.
//!
//! Batches end where the file alone says, so that reading it again gives the same ones. The file may be damaged: whatever
//! the libraries make of it, a panic too, is one error that ends the reading.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow_cast::cast;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::fields::{Columns, Fields, Places, bounded, places};
use super::row_groups::guarded;
use super::separated::Header;
use super::unpacked::{Checked, check_file};

/// The most rows of a batch of Parquet.
const MOST_ROWS: u64 = 2048;
/// What a batch of Parquet should have at most, in bytes, by the sizes that the file tells.
const BATCH_BYTES: u64 = 32 << 20;
/// What an Arrow file begins with; a stream does not.
const FILE_MARK: &[u8] = b"ARROW1";

/// The rows of a file, in batches.
pub struct Batches {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
    /// The columns.
    pub schema: SchemaRef,
    places: Places,
    /// How many rows there are, if the file says so.
    total: Option<u64>,
    read: u64,
}

impl Batches {
    /// Opens a Parquet file. The error is one line.
    pub fn parquet(file: File, columns: &Columns) -> Result<Self, String> {
        guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
            let rows = usize::try_from(rows_a_batch(builder.metadata())).unwrap_or(1);
            let total = u64::try_from(builder.metadata().file_metadata().num_rows()).ok();
            let schema = builder.schema().clone();
            let reader = builder.with_batch_size(rows).build().map_err(|error| damaged(&error))?;
            Self::new(Box::new(reader), schema, columns, total)
        })
    }

    /// Opens an Arrow file or a file that holds an Arrow stream. The error is one line.
    pub fn arrow(path: &Path, columns: &Columns) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut file = BufReader::new(File::open(path).map_err(told)?);
        if !file.fill_buf().map_err(told)?.starts_with(FILE_MARK) {
            return Self::stream(file, columns);
        }
        check_file(&mut file).map_err(|error| damaged(&error))?;
        guarded(|| {
            let reader = FileReader::try_new(file, None).map_err(|error| damaged(&error))?;
            let schema = reader.schema();
            Self::new(Box::new(reader), schema, columns, None)
        })
    }

    /// Reads an Arrow stream. The error is one line.
    pub fn stream(input: impl Read + Send + 'static, columns: &Columns) -> Result<Self, String> {
        guarded(|| {
            let reader = StreamReader::try_new(Checked::new(input), None).map_err(|error| damaged(&error))?;
            let schema = reader.schema();
            Self::new(Box::new(reader), schema, columns, None)
        })
    }

    fn new(
        batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
        schema: SchemaRef,
        columns: &Columns,
        total: Option<u64>,
    ) -> Result<Self, String> {
        let header = Header::of(schema.fields().iter().map(|field| field.name().as_str()));
        Ok(Self {
            places: places(&header, columns)?,
            batches,
            schema,
            total,
            read: 0,
        })
    }

    /// Which share of the rows was read so far, if the file says how many there are.
    pub fn share_read(&self) -> Option<f64> {
        self.total.map(|total| self.read as f64 / total.max(1) as f64)
    }

    /// The texts of a batch, by row.
    pub fn texts(&self, batch: &RecordBatch) -> Result<Texts, String> {
        let column = |at: usize| {
            let field = self.schema.field(at);
            column(batch.column(at)).map_err(|problem| format!("the column `{}` {problem}", field.name()))
        };
        Ok(Texts {
            text: column(self.places.text)?,
            pair: self.places.pair.map(column).transpose()?,
            name: self.schema.field(self.places.text).name().clone(),
        })
    }
}

/// An error ends the reading.
impl Iterator for Batches {
    type Item = Result<RecordBatch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = &mut self.batches;
        let batch = guarded(|| batches.next().transpose().map_err(|error| damaged(&error))).transpose()?;
        if let Ok(batch) = &batch {
            self.read += batch.num_rows() as u64;
        }
        Some(batch)
    }
}

/// The texts of a batch.
pub struct Texts {
    text: Column,
    pair: Option<Column>,
    name: String,
}

impl Texts {
    /// The fields of a row, or what is wrong with it.
    pub fn fields(&self, row: usize) -> Result<Fields, String> {
        let of = |column: &Column| {
            let text = column.text(row).ok_or_else(|| format!("`{}` is null", self.name))?;
            Ok::<_, String>(text.to_owned())
        };
        bounded(Fields {
            text: of(&self.text)?,
            pair: self.pair.as_ref().map(of).transpose()?,
            others: Vec::new(),
        })
    }
}

/// A column of texts, in whatever form.
enum Column {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
    /// The place of each row's text among the texts.
    Places(Vec<Option<usize>>, Box<Column>),
}

impl Column {
    fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Small(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Places(places, texts) => texts.text((*places.get(row)?)?),
        }
    }
}

fn column(array: &ArrayRef) -> Result<Column, String> {
    let texts = |to: DataType| cast(array, &to).map_err(|error| damaged(&error));
    match array.data_type() {
        DataType::Utf8 => Ok(Column::Small(array.as_string().clone())),
        DataType::LargeUtf8 => Ok(Column::Large(array.as_string().clone())),
        DataType::Utf8View => Ok(Column::View(array.as_string_view().clone())),
        // Some programs write texts without saying that they are.
        DataType::Binary => Ok(Column::Small(texts(DataType::Utf8)?.as_string().clone())),
        DataType::LargeBinary => Ok(Column::Large(texts(DataType::LargeUtf8)?.as_string().clone())),
        DataType::BinaryView => Ok(Column::View(texts(DataType::Utf8View)?.as_string_view().clone())),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let place = |row: usize| {
                dictionary
                    .keys()
                    .is_valid(row)
                    .then(|| keys.get(row).copied())
                    .flatten()
            };
            let places = (0..array.len()).map(place).collect();
            Ok(Column::Places(places, Box::new(column(dictionary.values())?)))
        }
        other => Err(format!("is of the type {other}, and texts are needed")),
    }
}

/// How many rows a batch has: fewer where rows are long.
fn rows_a_batch(about: &ParquetMetaData) -> u64 {
    let longest = about.row_groups().iter().map(|group| {
        let bytes = u64::try_from(group.total_byte_size()).unwrap_or(u64::MAX);
        bytes / u64::try_from(group.num_rows()).unwrap_or(1).max(1)
    });
    (BATCH_BYTES / longest.max().unwrap_or(0).max(1)).clamp(1, MOST_ROWS)
}

fn damaged(error: &impl std::fmt::Display) -> String {
    // It may quote a whole value.
    let told: String = error.to_string().chars().take(200).collect();
    format!("the file can't be read: {}", told.replace('\n', " "))
}
