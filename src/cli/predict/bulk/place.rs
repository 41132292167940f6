//! Where the output of a bulk job is: under another name while it grows, with its journal beside it, and under its own
//! once it is whole.

use std::fs::{File, OpenOptions, TryLockError, remove_file, rename};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::journal::{Job, Journal};
use crate::cli::output;
use crate::model::paths::folder_of;

/// How many bytes are gathered before they are written.
const GATHERED: usize = 1 << 18;

/// The output as it grows.
pub struct Place {
    out: PathBuf,
    partial: PathBuf,
    journal: PathBuf,
    file: BufWriter<File>,
    /// Whether a run could go on from here: what is read can be read again.
    lasting: bool,
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
    pub fn open(out: &Path, job: Job, resume: bool, lasting: bool) -> Result<Found, String> {
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
        let file = Self::locked(&partial)?;
        let told = |error: io::Error| format!("{}: {error}", partial.display());
        let length = file.metadata().map_err(told)?.len();
        if length < known.bytes {
            let at = journal.display();
            return Err(format!(
                "{}: has {length} bytes, less than the {} that were written; remove {at} to begin anew",
                partial.display(),
                known.bytes
            ));
        }
        file.set_len(known.bytes).map_err(told)?;
        let mut file = BufWriter::with_capacity(GATHERED, file);
        file.seek(SeekFrom::Start(known.bytes)).map_err(told)?;
        let place = Self {
            out: out.to_owned(),
            partial,
            journal,
            file,
            lasting,
        };
        Ok(Found::Open(Box::new(place), Box::new(known)))
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

    /// Adds bytes to the output. The error is one line.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|error| self.told(error))
    }

    /// Brings the output to the disk, and then the journal that tells of it.
    pub fn commit(&mut self, journal: &Journal) -> Result<(), String> {
        if !self.lasting {
            return Ok(());
        }
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|error| self.told(error))?;
        journal.write(&self.journal)
    }

    /// Gives the output its name. Keeps the journal if the same command may come again.
    pub fn finish(mut self, journal: &Journal, keep: bool) -> Result<(), String> {
        self.commit(journal)?;
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
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
        let _ = remove_file(&self.partial);
        let _ = remove_file(&self.journal);
        None
    }

    fn told(&self, error: io::Error) -> String {
        format!("{}: {error}", self.partial.display())
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

    /// Brings what was added to the disk, and the journal that tells of it.
    pub fn commit(&mut self, journal: &Journal) -> Result<(), String> {
        match self {
            Self::Standard => Ok(()),
            Self::File(place) => place.commit(journal),
        }
    }
}
