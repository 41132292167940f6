//! Source of the texts of `tandem predict`: the command line, a file, or standard input.

use std::io::{self, BufReader, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::PredictArgs;
use crate::cli::exit::Exit;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output::complain;
use crate::offline::reader::{Columns, Fields, Row, Rows};

/// The most bytes of texts in one request. A single text may have more.
const MOST_BYTES: usize = 1 << 20;

/// A text with the line on which it began, or what is wrong with it.
pub type Numbered = (Option<u64>, Result<Fields, String>);

/// Where the texts come from.
pub enum Source {
    /// The command line.
    Given(std::vec::IntoIter<Fields>),
    /// A file or standard input.
    Read(Box<Rows>),
}

impl Source {
    /// Opens the source that the arguments name.
    pub fn open(args: &PredictArgs) -> Outcome<Self> {
        let columns = Columns {
            text: args.reading.text_column.clone(),
            pair: args.pair_column.clone(),
            ..Columns::default()
        };
        let options = args.reading.options();
        let (rows, name) = match args.file.first() {
            Some(path) => (Rows::open(path, &options, columns), path.display().to_string()),
            None if args.texts == ["-"] => {
                let input = BufReader::new(io::stdin());
                (Rows::stream(input, &options, columns), "standard input".to_owned())
            }
            None => return Self::given(args),
        };
        let rows = rows.map_err(|problem| failure(format!("{name}: {problem}")))?;
        rows.notes()
            .iter()
            .for_each(|note| complain(&format!("{name}: {note}")));
        Ok(Self::Read(Box::new(rows)))
    }

    fn given(args: &PredictArgs) -> Outcome<Self> {
        if !args.pair.is_empty() && args.pair.len() != args.texts.len() {
            let problem = format!(
                "--pair: {} for {} texts; it must be given once for each",
                args.pair.len(),
                args.texts.len()
            );
            return Err((problem, Exit::Usage));
        }
        let given = args.texts.iter().enumerate().map(|(at, text)| Fields {
            text: text.clone(),
            pair: args.pair.get(at).cloned(),
            others: Vec::new(),
        });
        Ok(Self::Given(given.collect::<Vec<_>>().into_iter()))
    }

    /// The next rows, as many as fit one request; empty at the end.
    pub fn batch(&mut self, most: usize) -> Outcome<Vec<Numbered>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < most && bytes < MOST_BYTES {
            let next = match self {
                Self::Given(texts) => texts.next().map(|fields| (None, Ok(fields))),
                Self::Read(rows) => match rows.next().transpose() {
                    Ok(row) => row.map(|Row { line, fields, .. }| (Some(line), fields)),
                    Err(error) => return Err(failure(format!("the texts can't be read: {error}"))),
                },
            };
            let Some((line, fields)) = next else { break };
            bytes += fields.as_ref().map_or(0, |fields| {
                fields.text.len() + fields.pair.as_ref().map_or(0, String::len)
            });
            batch.push((line, fields));
        }
        Ok(batch)
    }

    /// The number of bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        match self {
            Self::Given(_) => 0,
            Self::Read(rows) => rows.bytes_read(),
        }
    }

    /// A progress bar, visible only on a terminal.
    pub fn progress(&self) -> ProgressBar {
        match self {
            // Answers on the same terminal show progress enough.
            Self::Read(rows) if io::stderr().is_terminal() && !io::stdout().is_terminal() => {
                let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                rows.size()
                    .map_or_else(ProgressBar::hidden, |size| ProgressBar::new(size).with_style(style))
            }
            _ => ProgressBar::hidden(),
        }
    }
}
