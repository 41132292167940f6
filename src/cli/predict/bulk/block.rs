//! A block of rows: what is read, sorted, asked about and written together.

#[cfg(feature = "parquet")]
use arrow_array::RecordBatch;
use tokio::sync::mpsc;

use crate::offline::reader::{Fields, Kept};

/// The most rows of a block.
pub const MOST_ROWS: usize = 2048;
/// The most bytes of a block, but for its last row, which the reader bounds.
pub const MOST_BYTES: usize = 4 << 20;
/// Where reading goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The place of the file among the inputs.
    pub file: usize,
    /// How many of its rows were taken.
    pub rows: u64,
}

/// A row as it was read.
pub struct Original {
    /// The line on which it began.
    pub line: u64,
    /// Its texts, or why they can't be read.
    pub fields: Result<Fields, String>,
    /// All that the file has for it, if that can be read.
    pub kept: Option<Kept>,
}

/// Rows that are sorted, asked about and written together. All are of one file.
pub struct Block {
    pub rows: Vec<Original>,
    /// The columns of its file, if that has a header.
    pub header: Option<Vec<String>>,
    /// The rows in their own types, where both files have such.
    #[cfg(feature = "parquet")]
    pub batch: Option<RecordBatch>,
    /// Where reading goes on after it.
    pub end: Place,
    /// How many bytes of all inputs were read when it was whole.
    pub bytes: u64,
}

/// Where the blocks go.
pub type Blocks = mpsc::Sender<Result<Block, String>>;
