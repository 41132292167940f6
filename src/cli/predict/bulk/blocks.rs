//! Reads the rows of a bulk job in blocks: so many that sorting them by length pays, so few that memory stays bounded.
//!
//! Where a block ends depends on the rows alone, so that a run that goes on from the end of one has the same blocks.

#[cfg(feature = "parquet")]
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

#[cfg(feature = "parquet")]
use super::batch_blocks::send_batches;
use super::block::{Block, Blocks, MOST_BYTES, MOST_ROWS, Original, Place};
use super::text_rows::Layout;
use crate::cli::output::complain;
#[cfg(feature = "parquet")]
use crate::offline::reader::Format;
#[cfg(feature = "parquet")]
use crate::offline::reader::batches::Batches;
use crate::offline::reader::{Columns, Fields, Kept, Options, Row, Rows};

/// How many blocks wait to be asked about.
const WAITING: usize = 2;

/// What is read, and how.
pub struct Plan {
    /// The files; none for standard input.
    pub files: Vec<PathBuf>,
    pub options: Options,
    pub columns: Columns,
    /// How rows are written.
    pub layout: Layout,
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

fn read_all(plan: &Plan, send: &Blocks) -> Result<(), String> {
    if plan.files.is_empty() {
        return read_input(plan, send).map_err(|problem| format!("standard input: {problem}"));
    }
    let mut before = 0;
    for (file, path) in plan.files.iter().enumerate() {
        let size = path.metadata().map_or(0, |about| about.len());
        if file >= plan.from.file {
            let rows = if file == plan.from.file { plan.from.rows } else { 0 };
            let place = Place { file, rows };
            let goes_on = read_path(plan, path, place, (before, size), send);
            if !goes_on.map_err(|problem| format!("{}: {problem}", path.display()))? {
                return Ok(());
            }
        }
        before += size;
    }
    Ok(())
}

fn read_input(plan: &Plan, send: &Blocks) -> Result<(), String> {
    #[cfg(feature = "parquet")]
    if plan.options.format == Some(Format::Arrow) {
        let batches = Batches::stream(io::stdin(), &plan.columns)?;
        return send_batches(batches, Place::default(), plan.layout, |_| 0, send).map(|_| ());
    }
    let rows = Rows::stream(BufReader::new(io::stdin()), &plan.options, plan.columns.clone())?;
    read_rows(rows, Place::default(), 0, send).map(|_| ())
}

/// Sends the rows of a file from `place` on; whether somebody takes them. `before`: the size of the files before it; `size`: its
/// own.
fn read_path(
    plan: &Plan,
    path: &Path,
    place: Place,
    (before, size): (u64, u64),
    send: &Blocks,
) -> Result<bool, String> {
    #[cfg(feature = "parquet")]
    {
        let format = plan.options.format.unwrap_or_else(|| Format::of_name(path));
        let share = |share: Option<f64>| before + share.map_or(0, |share| (share * size as f64) as u64);
        let batches = match format {
            Format::Parquet => {
                let file = File::open(path).map_err(|error| error.to_string())?;
                Some(Batches::parquet(file, &plan.columns)?)
            }
            Format::Arrow => Some(Batches::arrow(path, &plan.columns)?),
            _ => None,
        };
        if let Some(batches) = batches {
            return send_batches(batches, place, plan.layout, share, send);
        }
    }
    // Files of text tell by themselves how much of them was read, and are kept as text.
    #[cfg(not(feature = "parquet"))]
    let _ = (size, plan.layout);
    let mut rows = Rows::open(path, &plan.options, plan.columns.clone())?;
    for note in rows.notes() {
        complain(&format!("{}: {note}", path.display()));
    }
    for _ in 0..place.rows {
        let row = rows.next().transpose().map_err(|error| error.to_string())?;
        row.ok_or_else(|| "has fewer rows than were answered".to_owned())?;
    }
    read_rows(rows, place, before, send)
}

/// Sends the rows of a file in blocks; whether somebody takes them.
fn read_rows(mut rows: Rows, mut place: Place, before: u64, send: &Blocks) -> Result<bool, String> {
    let header = rows.header().map(<[String]>::to_vec);
    loop {
        let (mut block, mut bytes) = (Vec::new(), 0);
        while block.len() < MOST_ROWS && bytes < MOST_BYTES {
            let Some(row) = rows.next().transpose().map_err(|error| error.to_string())? else {
                break;
            };
            let Row { line, fields, kept } = row;
            bytes += fields.as_ref().map_or(0, Fields::size) + kept.as_ref().map_or(0, Kept::size);
            block.push(Original { line, fields, kept });
        }
        if block.is_empty() {
            return Ok(true);
        }
        place.rows += block.len() as u64;
        let block = Block {
            rows: block,
            header: header.clone(),
            #[cfg(feature = "parquet")]
            batch: None,
            end: place,
            bytes: before + rows.bytes_read(),
        };
        if send.blocking_send(Ok(block)).is_err() {
            return Ok(false);
        }
    }
}
