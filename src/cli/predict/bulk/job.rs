//! The loop of a bulk job: reads ahead, asks about some blocks at a time, writes them in order.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::asking::{Answer, Asker};
#[cfg(feature = "parquet")]
use super::batch_rows;
use super::block::{Block, Original};
use super::columns::{Added, check_apart};
use super::journal::{Journal, Shape};
use super::place::Sink;
use super::progress::{Done, Progress};
use super::text_rows::{Layout, TextRows};
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output;
use crate::offline::reader::Kept;

/// How often what was written is brought to the disk.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(500);

/// A job that runs.
pub struct Running<'a> {
    pub layout: Layout,
    pub prefix: &'a str,
    pub scores: bool,
    /// How many blocks are answered at a time.
    pub ahead: usize,
    /// How many rows may fail.
    pub max_errors: u64,
    pub sink: Sink,
    pub journal: Journal,
    pub progress: Progress,
    committed: Option<Instant>,
    bytes_read: u64,
}

/// A block that is being answered.
struct Asked {
    block: Block,
    answers: JoinHandle<Outcome<Vec<Answer>>>,
}

impl<'a> Running<'a> {
    /// A job that begins, or goes on, where its journal says.
    pub fn new(layout: Layout, prefix: &'a str, sink: Sink, journal: Journal, progress: Progress) -> Self {
        Self {
            layout,
            prefix,
            scores: false,
            ahead: 1,
            max_errors: u64::MAX,
            sink,
            journal,
            progress,
            committed: None,
            bytes_read: 0,
        }
    }

    /// Writes every row with its answer. After a failure, what was written before it is on the disk.
    pub async fn run(&mut self, asker: &Asker, mut blocks: mpsc::Receiver<Result<Block, String>>) -> Outcome<()> {
        let outcome = self.answer_all(asker, &mut blocks).await;
        self.progress.end();
        if outcome.is_err() {
            self.sink.commit(&mut self.journal).map_err(failure)?;
        }
        outcome
    }

    async fn answer_all(&mut self, asker: &Asker, blocks: &mut mpsc::Receiver<Result<Block, String>>) -> Outcome<()> {
        let mut asked: VecDeque<Asked> = VecDeque::new();
        let mut ticks = tokio::time::interval(TICK);
        let (mut ended, mut unreadable) = (false, None);
        loop {
            tokio::select! {
                block = blocks.recv(), if !ended && asked.len() < self.ahead => match block {
                    Some(Ok(mut block)) => {
                        let answers = asker.begin(&mut block.rows);
                        asked.push_back(Asked { block, answers });
                    }
                    // What was read before is written first.
                    Some(Err(problem)) => (ended, unreadable) = (true, Some(problem)),
                    None => ended = true,
                },
                answers = first(&mut asked), if !asked.is_empty() => {
                    let Some(Asked { block, .. }) = asked.pop_front() else { continue };
                    self.write(&block, answers.map_err(failure)??)?;
                }
                _ = ticks.tick() => self.tell(),
                else => break,
            }
            // Once nobody reads the output, nothing more is computed.
            if output::failed() {
                return Ok(());
            }
            if ended && asked.is_empty() {
                break;
            }
        }
        unreadable.map_or(Ok(()), |problem| Err(failure(problem)))
    }

    /// Writes what is left once all rows were written: of no rows, the columns alone. The error is one line.
    pub fn end(&mut self) -> Result<(), String> {
        if self.journal.shape.is_some() || !self.layout.is_text() {
            return Ok(());
        }
        let shape = Shape {
            kept: Vec::new(),
            added: Added::of(&[], self.prefix, self.scores),
        };
        let header = self.rows(&shape, &shape.added.names()).header();
        self.sink.add(&header)?;
        self.journal.bytes += header.len() as u64;
        self.journal.shape = Some(shape);
        Ok(())
    }

    fn tell(&mut self) {
        let done = Done {
            rows: self.journal.rows,
            errors: self.journal.errors,
            bytes: self.bytes_read,
        };
        self.progress.tell(Instant::now(), done);
    }

    /// Writes the rows of a block, and brings them to the disk now and then.
    fn write(&mut self, block: &Block, answers: Vec<Answer>) -> Outcome<()> {
        let answers: Vec<Answer> = block.rows.iter().zip(answers).map(with_line).collect();
        if self.journal.shape.is_none() {
            let shape = self.shape(block, &answers).map_err(failure)?;
            if self.layout.is_text() {
                let header = self.rows(&shape, &shape.added.names()).header();
                self.add(&header)?;
            }
            self.journal.shape = Some(shape);
        }
        let shape = self.journal.shape.clone().unwrap_or_default();
        let added = shape.added.names();
        let header = self.header(block, &shape, &added).map_err(failure)?;
        let failed = if self.layout.is_text() {
            self.write_text(block, answers, &shape, &header)?
        } else {
            self.write_batch(block, answers, &shape)?
        };
        self.count(block, failed);
        // What the first rows say of the columns is kept at once.
        if self.committed.is_none_or(|last| last.elapsed() >= COMMIT_EVERY) {
            self.sink.commit(&mut self.journal).map_err(failure)?;
            self.committed = Some(Instant::now());
        }
        self.check_errors()
    }

    /// Writes rows as text; why rows failed.
    fn write_text(
        &mut self,
        block: &Block,
        answers: Vec<Answer>,
        shape: &Shape,
        header: &[String],
    ) -> Outcome<Vec<String>> {
        let added = shape.added.names();
        let rows = self.rows(shape, &added);
        let (mut bytes, mut failed) = (Vec::new(), Vec::new());
        for (row, mut answer) in block.rows.iter().zip(answers) {
            let mut written = rows.row(header, row.kept.as_ref(), &shape.added.cells(&answer));
            if let Ok(Err(problem)) = written {
                answer = Err(format!("line {}: {problem}", row.line));
                written = rows.row(header, None, &shape.added.cells(&answer));
            }
            bytes.extend(written.map_err(failure)?.unwrap_or_default());
            failed.extend(answer.err());
        }
        self.add(&bytes)?;
        Ok(failed)
    }

    /// Writes rows as a batch of Arrow; why rows failed.
    #[cfg(feature = "parquet")]
    fn write_batch(&mut self, block: &Block, mut answers: Vec<Answer>, shape: &Shape) -> Outcome<Vec<String>> {
        let added = shape.added.names();
        let rows = self.rows(shape, &added);
        for (row, answer) in block.rows.iter().zip(&mut answers) {
            if let Some(Kept::Object(_, object)) = &row.kept {
                check_apart(object.keys().map(String::as_str), &added).map_err(failure)?;
                if let Err(problem) = rows.cells_of(object) {
                    *answer = Err(format!("line {}: {problem}", row.line));
                }
            }
        }
        let cells: Vec<_> = answers.iter().map(|answer| shape.added.cells(answer)).collect();
        let batch = batch_rows::of(block, &shape.kept, &added, &cells).map_err(failure)?;
        self.sink.add_batch(&batch).map_err(failure)?;
        Ok(answers.into_iter().filter_map(Result::err).collect())
    }

    #[cfg(not(feature = "parquet"))]
    fn write_batch(&mut self, _: &Block, _: Vec<Answer>, _: &Shape) -> Outcome<Vec<String>> {
        Err(failure("this build writes text alone"))
    }

    fn count(&mut self, block: &Block, failed: Vec<String>) {
        self.journal.rows += block.rows.len() as u64;
        self.journal.errors += failed.len() as u64;
        self.journal.end = block.end;
        self.bytes_read = block.bytes;
        if let (None, Some(first)) = (&self.journal.first, failed.into_iter().next()) {
            self.journal.first = Some(first);
        }
    }

    fn check_errors(&self) -> Outcome<()> {
        let Journal {
            errors, rows, first, ..
        } = &self.journal;
        if *errors <= self.max_errors {
            return Ok(());
        }
        let first = first.as_deref().unwrap_or_default();
        let most = self.max_errors;
        Err(failure(format!(
            "{errors} of {rows} rows have no answer, more than --max-errors {most}; the first: {first}"
        )))
    }

    fn add(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.sink.add(bytes).map_err(failure)?;
        self.journal.bytes += bytes.len() as u64;
        Ok(())
    }

    fn rows<'b>(&self, shape: &'b Shape, added: &'b [(String, bool)]) -> TextRows<'b> {
        TextRows {
            layout: self.layout,
            kept: &shape.kept,
            added,
        }
    }

    /// The columns, by the first rows and their answers.
    fn shape(&self, block: &Block, answers: &[Answer]) -> Result<Shape, String> {
        let shape = Shape {
            kept: columns_of(block),
            added: Added::of(answers, self.prefix, self.scores),
        };
        check_apart(shape.kept.iter().map(String::as_str), &shape.added.names())?;
        Ok(shape)
    }

    /// The names of the cells of a block's rows.
    fn header(&self, block: &Block, shape: &Shape, added: &[(String, bool)]) -> Result<Vec<String>, String> {
        let named = block.header.clone();
        let header = named.unwrap_or_else(|| vec![LINE.to_owned()]);
        let of_cells = |row: &Original| matches!(row.kept, Some(Kept::Cells(_)));
        if block.rows.iter().any(of_cells) {
            check_apart(header.iter().map(String::as_str), added)?;
            if self.layout != Layout::Jsonl && header != shape.kept {
                let (is, was) = (header.join(", "), shape.kept.join(", "));
                return Err(format!(
                    "the input file {} has other columns than those before it: {is}, not {was}; --format jsonl takes both",
                    block.end.file + 1
                ));
            }
        }
        Ok(header)
    }
}

/// What the column of a file of lines is called.
const LINE: &str = "text";

/// The columns of a block's rows: those of the file's header, or else all keys.
fn columns_of(block: &Block) -> Vec<String> {
    if let Some(header) = &block.header {
        return header.clone();
    }
    let mut keys = BTreeSet::new();
    for row in &block.rows {
        match &row.kept {
            Some(Kept::Object(_, object)) => keys.extend(object.keys().cloned()),
            Some(Kept::Cells(_)) => return vec![LINE.to_owned()],
            None => {}
        }
    }
    keys.into_iter().collect()
}

/// The answer of the block whose turn it is.
async fn first(asked: &mut VecDeque<Asked>) -> Result<Outcome<Vec<Answer>>, tokio::task::JoinError> {
    match asked.front_mut() {
        Some(asked) => (&mut asked.answers).await,
        None => std::future::pending().await,
    }
}

/// The answer of a row; if there is none, with the line on which it begins.
fn with_line((row, answer): (&Original, Answer)) -> Answer {
    answer.map_err(|problem| format!("line {}: {problem}", row.line))
}
