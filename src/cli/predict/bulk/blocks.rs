//! Reads the rows of a bulk job in blocks: so many that sorting them by length pays, so few that memory stays bounded.
//!
//! Where a block ends depends on the rows alone, so that a run that goes on from the end of one has the same blocks.

use std::io::{self, BufReader};
use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::cli::output::complain;
use crate::offline::reader::{Columns, Fields, Kept, Options, Row, Rows};

/// The most rows of a block.
pub const MOST_ROWS: usize = 2048;
/// The most bytes of a block, but for its last row, which the reader bounds.
const MOST_BYTES: usize = 4 << 20;
/// How many blocks wait to be asked about.
const WAITING: usize = 2;

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
    /// Where reading goes on after it.
    pub end: Place,
    /// How many bytes of all inputs were read when it was whole.
    pub bytes: u64,
}

/// What is read, and how.
pub struct Plan {
    /// The files; none for standard input.
    pub files: Vec<PathBuf>,
    pub options: Options,
    pub columns: Columns,
    /// Where to begin.
    pub from: Place,
}

/// Reads on a thread of its own, which ends after the last row, after an error, or once nobody takes its blocks. The error is one line.
pub fn read(plan: Plan) -> io::Result<mpsc::Receiver<Result<Block, String>>> {
    let (send, receive) = mpsc::channel(WAITING);
    std::thread::Builder::new()
        .name("bulk-read".to_owned())
        .spawn(move || {
            if let Err(problem) = read_all(&plan, &send) {
                let _ = send.blocking_send(Err(problem));
            }
        })?;
    Ok(receive)
}

fn read_all(plan: &Plan, send: &mpsc::Sender<Result<Block, String>>) -> Result<(), String> {
    if plan.files.is_empty() {
        let input = BufReader::new(io::stdin());
        let named = |problem| format!("standard input: {problem}");
        let rows = Rows::stream(input, &plan.options, plan.columns.clone()).map_err(named)?;
        return read_file(rows, Place::default(), 0, send).map(|_| ()).map_err(named);
    }
    let mut before = 0;
    for (file, path) in plan.files.iter().enumerate() {
        let named = |problem| format!("{}: {problem}", path.display());
        let size = path.metadata().map_or(0, |about| about.len());
        if file >= plan.from.file {
            let mut rows = Rows::open(path, &plan.options, plan.columns.clone()).map_err(named)?;
            for note in rows.notes() {
                complain(&named(note.clone()));
            }
            let taken = if file == plan.from.file { plan.from.rows } else { 0 };
            for _ in 0..taken {
                let row = rows.next().transpose();
                row.map_err(|error| named(error.to_string()))?
                    .ok_or_else(|| named("has fewer rows than were answered".to_owned()))?;
            }
            let place = Place { file, rows: taken };
            if !read_file(rows, place, before, send).map_err(named)? {
                return Ok(());
            }
        }
        before += size;
    }
    Ok(())
}

/// Sends the rows of a file in blocks; whether somebody takes them.
fn read_file(
    mut rows: Rows,
    mut place: Place,
    before: u64,
    send: &mpsc::Sender<Result<Block, String>>,
) -> Result<bool, String> {
    let header = rows.header().map(<[String]>::to_vec);
    loop {
        let (mut block, mut bytes) = (Vec::new(), 0);
        while block.len() < MOST_ROWS && bytes < MOST_BYTES {
            let Some(row) = rows.next().transpose().map_err(|error| error.to_string())? else {
                break;
            };
            let Row { line, fields, kept } = row;
            bytes += fields.as_ref().map_or(0, size) + kept.as_ref().map_or(0, Kept::size);
            block.push(Original { line, fields, kept });
        }
        if block.is_empty() {
            return Ok(true);
        }
        place.rows += block.len() as u64;
        let block = Block {
            rows: block,
            header: header.clone(),
            end: place,
            bytes: before + rows.bytes_read(),
        };
        if send.blocking_send(Ok(block)).is_err() {
            return Ok(false);
        }
    }
}

fn size(fields: &Fields) -> usize {
    fields.text.len() + fields.pair.as_ref().map_or(0, String::len)
}
