//! The output of a bulk job as Parquet or Arrow: a folder of files of so many rows, since neither can be cut and added to.
//!
//! A file counts once it is whole and on the disk. A run that goes on makes the one anew that was being written.

use std::fs::{File, TryLockError, create_dir_all, read_dir, remove_file};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::text_rows::Layout;

/// A row group is closed once it has gathered so many bytes.
const GROUP_BYTES: usize = 32 << 20;
/// The file that a run locks.
const LOCK: &str = ".lock";

/// A folder of files.
pub struct Parts {
    folder: PathBuf,
    layout: Layout,
    /// The rows after which a file ends.
    rows_a_part: u64,
    schema: Option<SchemaRef>,
    part: Option<Part>,
    /// How many files are whole.
    pub whole: u64,
    _lock: File,
}

struct Part {
    writer: Writer,
    rows: u64,
}

enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Arrow(Box<FileWriter<File>>),
}

impl Parts {
    /// Opens a folder of which `whole` files are whole, and removes others. The error is one line.
    pub fn open(folder: &Path, layout: Layout, rows_a_part: u64, whole: u64) -> Result<Self, String> {
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        create_dir_all(folder).map_err(told)?;
        let lock = File::create(folder.join(LOCK)).map_err(told)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(format!("{}: another run writes it", folder.display())),
            Err(TryLockError::Error(error)) => return Err(told(error)),
        }
        let known: Vec<String> = (0..whole).map(|part| name(layout, part)).collect();
        let mut found = 0;
        for entry in read_dir(folder).map_err(told)? {
            let entry = entry.map_err(told)?;
            let file = entry.file_name().to_string_lossy().into_owned();
            if known.contains(&file) {
                found += 1;
            } else if file.starts_with("part-") {
                remove_file(entry.path()).map_err(told)?;
            }
        }
        if found < whole {
            let folder = folder.display();
            return Err(format!(
                "{folder}: has {found} of the {whole} files that were written; remove it to begin anew"
            ));
        }
        Ok(Self {
            folder: folder.to_owned(),
            layout,
            rows_a_part,
            schema: None,
            part: None,
            whole,
            _lock: lock,
        })
    }

    /// Adds rows; ends the file if it has enough of them. The error is one line.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let schema = self.schema.get_or_insert_with(|| batch.schema());
        if *schema != batch.schema() {
            return Err("an input file has other columns, or columns of other types, than those before it".to_owned());
        }
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.begin(&batch.schema())?,
        };
        let written = match &mut part.writer {
            Writer::Parquet(writer) => writer
                .write(batch)
                .and_then(|()| {
                    if writer.in_progress_size() > GROUP_BYTES {
                        writer.flush()
                    } else {
                        Ok(())
                    }
                })
                .map_err(|error| error.to_string()),
            Writer::Arrow(writer) => writer.write(batch).map_err(|error| error.to_string()),
        };
        written.map_err(|problem| self.told(problem))?;
        part.rows += batch.num_rows() as u64;
        let is_full = part.rows >= self.rows_a_part;
        self.part = Some(part);
        if is_full { self.end() } else { Ok(()) }
    }

    /// Whether every row that was added is in a file that is whole.
    pub fn is_whole(&self) -> bool {
        self.part.is_none()
    }

    fn begin(&self, schema: &SchemaRef) -> Result<Part, String> {
        let path = self.folder.join(name(self.layout, self.whole));
        let file = File::create(&path).map_err(|error| self.told(error))?;
        let writer = if self.layout == Layout::Parquet {
            let level = ZstdLevel::default();
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(level))
                .build();
            let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
            Writer::Parquet(Box::new(writer.map_err(|error| self.told(error))?))
        } else {
            Writer::Arrow(Box::new(
                FileWriter::try_new(file, schema).map_err(|error| self.told(error))?,
            ))
        };
        Ok(Part { writer, rows: 0 })
    }

    /// Ends the file that is being written, if there is one, and brings it to the disk. The error is one line.
    pub fn end(&mut self) -> Result<(), String> {
        let Some(part) = self.part.take() else {
            return Ok(());
        };
        let file = match part.writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(|error| self.told(error))?,
            Writer::Arrow(writer) => writer.into_inner().map_err(|error| self.told(error))?,
        };
        let synced = (&file).flush().and_then(|()| file.sync_all());
        let synced = synced.and_then(|()| File::open(&self.folder)?.sync_all());
        synced.map_err(|error| self.told(error))?;
        self.whole += 1;
        Ok(())
    }

    /// Leaves nothing in the folder but the files.
    pub fn tidy(&self) -> io::Result<()> {
        remove_file(self.folder.join(LOCK))
    }

    fn told(&self, problem: impl std::fmt::Display) -> String {
        format!("{}: {problem}", self.folder.display())
    }
}

fn name(layout: Layout, part: u64) -> String {
    let ending = if layout == Layout::Parquet { "parquet" } else { "arrow" };
    format!("part-{part:05}.{ending}")
}
