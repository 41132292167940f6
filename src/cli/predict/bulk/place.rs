//! Where the output of a bulk job is: under another name while it grows, with its journal beside it, and under its own
//! once it is whole.

#[cfg(feature = "parquet")]
use std::fs::remove_dir_all;
use std::fs::{File, OpenOptions, TryLockError, remove_file, rename};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use arrow_array::RecordBatch;

use super::journal::{Job, Journal};
#[cfg(feature = "parquet")]
use super::parts::Parts;
use super::text_rows::Layout;
use crate::cli::output;
use crate::model::paths::folder_of;

/// How many bytes are gathered before they are written.
const GATHERED: usize = 1 << 18;

/// The output as it grows.
pub struct Place {
    out: PathBuf,
    partial: PathBuf,
    journal: PathBuf,
    growing: Growing,
    /// Whether a run could go on from here: what is read can be read again.
    lasting: bool,
}

/// What grows.
enum Growing {
    /// A file of text, which can be cut and added to.
    File(BufWriter<File>),
    /// A folder of files, each of which is whole or counts for nothing.
    #[cfg(feature = "parquet")]
    Parts(Box<Parts>),
}

/// In what form rows are written.
#[derive(Clone, Copy)]
pub struct Form {
    pub layout: Layout,
    /// The rows of a file of Parquet or Arrow.
    pub rows_a_part: u64,
}

/// What was found where the output goes.
pub enum Found {
    /// All was done before.
    Done(Box<Journal>),
    /// There is something to do, from where the journal says.
    Open(Box<Place>, Box<Journal>),
}

fn beside(out: &Path, ending: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    folder_of(out).join(format!(".{name}.{ending}"))
}

impl Place {
    /// Opens the output of a job. The error is one line.
    pub fn open(out: &Path, job: Job, form: Form, resume: bool, lasting: bool) -> Result<Found, String> {
        let (partial, journal) = (beside(out, "partial"), beside(out, "journal"));
        let known = if resume { Journal::read(&journal)? } else { None };
        if let Some(problem) = known.as_ref().and_then(|known| known.job.differs(&job))
            && (out.exists() || partial.exists())
        {
            let at = journal.display();
            return Err(format!("--resume: {problem}; remove {at} to begin anew"));
        }
        if out.exists() {
            return match known {
                Some(known) if known.done && !partial.exists() => Ok(Found::Done(Box::new(known))),
                _ => Err(format!(
                    "--out: {} is there already; remove it, or name another",
                    out.display()
                )),
            };
        }
        if partial.exists() && !resume && lasting {
            let at = partial.display();
            return Err(format!(
                "--out: a run that ended early left {at}; --resume goes on from there, or remove it"
            ));
        }
        let known = known.filter(|_| partial.exists()).unwrap_or_else(|| Journal::new(job));
        let growing = Growing::open(&partial, form, &known)?;
        let place = Self {
            out: out.to_owned(),
            partial,
            journal,
            growing,
            lasting,
        };
        Ok(Found::Open(Box::new(place), Box::new(known)))
    }

    /// Adds bytes to a file of text. The error is one line.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = match &mut self.growing {
            Growing::File(file) => file.write_all(bytes),
            #[cfg(feature = "parquet")]
            Growing::Parts(_) => Err(io::Error::other("text has no place among parts")),
        };
        written.map_err(|error| self.told(error))
    }

    /// Adds rows to a folder of files. The error is one line.
    #[cfg(feature = "parquet")]
    pub fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), String> {
        match &mut self.growing {
            Growing::Parts(parts) => parts.add(batch),
            Growing::File(_) => Err("a batch has no place in a file of text".to_owned()),
        }
    }

    /// Brings the output to the disk, and then the journal that tells of it. Between the files of a folder alone is there
    /// something to tell.
    pub fn commit(&mut self, journal: &mut Journal) -> Result<(), String> {
        if !self.lasting {
            return Ok(());
        }
        let synced = match &mut self.growing {
            Growing::File(file) => file.flush().and_then(|()| file.get_ref().sync_data()),
            #[cfg(feature = "parquet")]
            Growing::Parts(parts) if !parts.is_whole() => return Ok(()),
            #[cfg(feature = "parquet")]
            Growing::Parts(parts) => {
                journal.parts = parts.whole;
                Ok(())
            }
        };
        synced.map_err(|error| self.told(error))?;
        journal.write(&self.journal)
    }

    /// Gives the output its name. Keeps the journal if the same command may come again.
    pub fn finish(mut self, journal: &mut Journal, keep: bool) -> Result<(), String> {
        journal.done = true;
        #[cfg(feature = "parquet")]
        if let Growing::Parts(parts) = &mut self.growing {
            parts.end()?;
        }
        self.commit(journal)?;
        let synced = match &mut self.growing {
            Growing::File(file) => file.flush().and_then(|()| file.get_ref().sync_all()),
            #[cfg(feature = "parquet")]
            Growing::Parts(parts) => parts.tidy(),
        };
        synced.map_err(|error| self.told(error))?;
        rename(&self.partial, &self.out).map_err(|error| self.told(error))?;
        let folder = File::open(folder_of(&self.out)).and_then(|folder| folder.sync_all());
        folder.map_err(|error| self.told(error))?;
        if !keep && self.lasting {
            remove_file(&self.journal).map_err(|error| format!("{}: {error}", self.journal.display()))?;
        }
        Ok(())
    }

    /// Ends after a failure. What a later run can go on from stays, and is told.
    pub fn give_up(self, journal: &Journal) -> Option<&'static str> {
        if self.lasting && journal.rows > 0 {
            return Some("what is done is kept; the same command with --resume goes on");
        }
        let _ = match &self.growing {
            Growing::File(_) => remove_file(&self.partial),
            #[cfg(feature = "parquet")]
            Growing::Parts(_) => remove_dir_all(&self.partial),
        };
        let _ = remove_file(&self.journal);
        None
    }

    fn told(&self, error: io::Error) -> String {
        format!("{}: {error}", self.partial.display())
    }
}

impl Growing {
    /// Opens the output and cuts off what it has beyond the journal. The error is one line.
    fn open(partial: &Path, form: Form, known: &Journal) -> Result<Self, String> {
        let Form { layout, rows_a_part } = form;
        #[cfg(feature = "parquet")]
        if !layout.is_text() {
            let parts = Parts::open(partial, layout, rows_a_part, known.parts)?;
            return Ok(Self::Parts(Box::new(parts)));
        }
        #[cfg(not(feature = "parquet"))]
        let _ = (layout, rows_a_part);
        let file = locked(partial)?;
        let told = |error: io::Error| format!("{}: {error}", partial.display());
        let length = file.metadata().map_err(told)?.len();
        if length < known.bytes {
            let (at, bytes) = (partial.display(), known.bytes);
            return Err(format!(
                "{at}: has {length} bytes, less than the {bytes} that were written; remove it to begin anew"
            ));
        }
        file.set_len(known.bytes).map_err(told)?;
        let mut file = BufWriter::with_capacity(GATHERED, file);
        file.seek(SeekFrom::Start(known.bytes)).map_err(told)?;
        Ok(Self::File(file))
    }
}

fn locked(partial: &Path) -> Result<File, String> {
    let told = |error: io::Error| format!("{}: {error}", partial.display());
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(partial);
    let file = options.map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!("{}: another run writes it", partial.display())),
        Err(TryLockError::Error(error)) => Err(told(error)),
    }
}

/// Where rows are written.
pub enum Sink {
    /// Standard output.
    Standard,
    /// A file.
    File(Box<Place>),
}

impl Sink {
    /// Adds bytes. The error is one line.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Standard => output::raw(bytes),
            Self::File(place) => place.add(bytes)?,
        }
        Ok(())
    }

    /// Adds rows to a folder of files. The error is one line.
    #[cfg(feature = "parquet")]
    pub fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), String> {
        match self {
            Self::Standard => Err("standard output takes text".to_owned()),
            Self::File(place) => place.add_batch(batch),
        }
    }

    /// Brings what was added to the disk, and the journal that tells of it.
    pub fn commit(&mut self, journal: &mut Journal) -> Result<(), String> {
        match self {
            Self::Standard => Ok(()),
            Self::File(place) => place.commit(journal),
        }
    }
}
