//! The one reader of files of texts: plain lines, TSV, CSV, JSON Lines and Parquet.
//!
//! In reading order: [`encoding`] (which one a file has) → [`lines`] (its lines, with their numbers) → [`separated`]
//! (records of TSV and CSV, by a `splitter`) → [`fields`] (of a row); `row_groups` (rows of Parquet), `batches` (whole rows
//! of Parquet and Arrow). Reads as it goes, so what it holds at a time is bounded. A row that can't be read is an error with
//! the number of its line, and the reader goes on after it.

#[cfg(feature = "parquet")]
pub mod batches;
pub mod encoding;
pub mod fields;
pub mod lines;
#[cfg(feature = "parquet")]
pub mod row_groups;
pub mod separated;
mod splitter;
#[cfg(feature = "parquet")]
mod unpacked;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use encoding_rs::Encoding;

use encoding::Detector;
pub use fields::{Columns, Fields, Kept};
use fields::{Places, bounded, of_object, of_record, places};
use lines::{Line, Lines};
use separated::{Dialect, Separated};

/// How many bytes of a stream are looked at before it is read. A file is looked at as a whole.
const SAMPLE: u64 = 1 << 20;
/// The most texts of a file that are held at a time.
const MOST_HELD: usize = 2_000_000;
/// The most bytes of a file whose texts are held.
const MOST_BYTES_HELD: u64 = 1 << 30;

const NO_COLUMNS: &str = "is read as one text a line, without columns; --input-format tsv, csv or jsonl reads them";
const NO_ARROW: &str =
    "is Arrow, which `predict --out` reads, in builds with --features parquet; for others write it as Parquet";

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One text a line.
    Lines,
    /// Columns between tabs, with a header.
    Tsv,
    /// Columns between commas or semicolons, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Columns of a Parquet file.
    Parquet,
    /// Columns of an Arrow file or stream; for `tandem predict --out`.
    Arrow,
}

impl Format {
    /// What the ending of a name says.
    pub fn of_name(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("tsv" | "tab") => Self::Tsv,
            Some("csv") => Self::Csv,
            Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
            Some("parquet" | "pq") => Self::Parquet,
            Some("arrow" | "arrows" | "feather" | "ipc") => Self::Arrow,
            _ => Self::Lines,
        }
    }

    fn check_stream(self) -> Result<(), String> {
        match self {
            Self::Parquet => Err("Parquet can't be read from a stream: name a file".to_owned()),
            Self::Arrow => Err(NO_ARROW.to_owned()),
            _ => Ok(()),
        }
    }
}

/// What the user says about a file; the reader finds out the rest.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The layout; if absent, the one that the file's name ends in, or lines if it ends in none.
    pub format: Option<Format>,
    /// Whether fields may be in quotation marks; if absent, they may in CSV, and in TSV if the whole file fits that.
    pub quoted: Option<bool>,
    /// The encoding; if absent, the one that is certain for the file, else UTF-8.
    pub encoding: Option<&'static Encoding>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The number of the line on which it begins, from 1.
    pub line: u64,
    /// The fields, or why the row can't be read.
    pub fields: Result<Fields, String>,
    /// All that the file has for it, if that was asked for and can be read.
    pub kept: Option<Kept>,
}

/// The rows of a file, read one by one. An error ends them, since the file can't be read any further.
pub struct Rows {
    kind: Kind,
    columns: Columns,
    notes: Vec<String>,
    /// The names of the columns, or the keys of the first JSON object.
    names: String,
    /// All columns of TSV and CSV.
    header: Option<Vec<String>>,
    /// Whether it is UTF-8 with a byte order mark, which is left off.
    has_mark: bool,
    size: Option<u64>,
}

enum Kind {
    Lines(Lines),
    Objects(Lines),
    Separated(Box<Separated>, Places),
    #[cfg(feature = "parquet")]
    Parquet(Box<row_groups::RowGroups>, u64),
}

impl Rows {
    /// Opens a file. The error is one line that does not name it.
    pub fn open(path: &Path, options: &Options, columns: Columns) -> Result<Self, String> {
        let options = Options {
            format: options.format.or(Some(Format::of_name(path))),
            ..options.clone()
        };
        if options.format == Some(Format::Arrow) {
            return Err(NO_ARROW.to_owned());
        }
        let told = |error: io::Error| error.to_string();
        let mut file = File::open(path).map_err(told)?;
        let about = file.metadata().map_err(told)?;
        if about.is_dir() {
            return Err("is a folder".to_owned());
        }
        if !about.is_file() {
            return Self::stream(BufReader::new(file), &options, columns);
        }
        if options.format == Some(Format::Parquet) {
            return Self::parquet(file, about.len(), columns);
        }
        let mut detector = Detector::default();
        detector.read(BufReader::new(&file)).map_err(told)?;
        file.rewind().map_err(told)?;
        let looked = || {
            let file = File::open(path)?;
            Ok((Box::new(BufReader::new(file)) as Box<dyn BufRead + Send>, true))
        };
        let mut rows = Self::start(Box::new(BufReader::new(file)), &detector, &options, columns, looked)?;
        rows.size = Some(about.len());
        Ok(rows)
    }

    /// Reads a stream, of lines unless the options say otherwise. The error is one line.
    pub fn stream(
        mut input: impl BufRead + Send + 'static,
        options: &Options,
        columns: Columns,
    ) -> Result<Self, String> {
        let told = |error: io::Error| error.to_string();
        let sample = match options.format.unwrap_or(Format::Lines) {
            // A person who types lines waits for an answer to each.
            Format::Lines => {
                let sample = input.fill_buf().map_err(told)?.to_vec();
                input.consume(sample.len());
                sample
            }
            _ => {
                let mut sample = Vec::new();
                input.by_ref().take(SAMPLE).read_to_end(&mut sample).map_err(told)?;
                sample
            }
        };
        let mut detector = Detector::default();
        detector.read(&*sample).map_err(told)?;
        let is_whole = (sample.len() as u64) < SAMPLE;
        let looked = || {
            Ok((
                Box::new(Cursor::new(sample.clone())) as Box<dyn BufRead + Send>,
                is_whole,
            ))
        };
        let whole = Cursor::new(sample.clone()).chain(input);
        Self::start(Box::new(whole), &detector, options, columns, looked)
    }

    #[cfg(feature = "parquet")]
    fn parquet(file: File, size: u64, columns: Columns) -> Result<Self, String> {
        let (rows, names) = row_groups::RowGroups::open(file, &columns)?;
        Ok(Self {
            kind: Kind::Parquet(Box::new(rows), size),
            columns,
            notes: Vec::new(),
            names,
            header: None,
            has_mark: false,
            size: Some(size),
        })
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(_: File, _: u64, _: Columns) -> Result<Self, String> {
        Err(
            "is Parquet, which this build can't read: build with --features parquet, or write it as JSON Lines, in pandas by \
             df.to_json(FILE, orient=\"records\", lines=True, force_ascii=False)"
                .to_owned(),
        )
    }

    /// `again` opens once more what was looked at, and says whether that is the whole file.
    fn start(
        input: Box<dyn BufRead + Send>,
        detector: &Detector,
        options: &Options,
        columns: Columns,
        again: impl Fn() -> io::Result<(Box<dyn BufRead + Send>, bool)>,
    ) -> Result<Self, String> {
        options.format.map_or(Ok(()), Format::check_stream)?;
        let mut notes = Vec::new();
        // A byte order mark is more certain than what anybody says.
        let encoding = match options.encoding.filter(|_| !detector.has_mark()) {
            Some(named) => named,
            None => {
                let found = detector.encoding()?;
                if found != encoding_rs::UTF_8 {
                    notes.push(format!("converted from {}", encoding::name(found)));
                }
                found
            }
        };
        let terminator = detector.terminator();
        let lines = Lines::new(input, encoding, terminator);
        let format = options.format.unwrap_or(Format::Lines);
        if format == Format::Jsonl && detector.first_byte() == Some(b'[') {
            return Err("is one JSON array; make it one object a line: jq -c '.[]' FILE > FILE.jsonl".to_owned());
        }
        let named = columns.text.is_some() || columns.pair.is_some() || !columns.others.is_empty();
        let (mut names, mut all) = (String::new(), None);
        let kind = match format {
            Format::Lines if named => return Err(NO_COLUMNS.to_owned()),
            Format::Lines | Format::Parquet | Format::Arrow => Kind::Lines(lines),
            Format::Jsonl => Kind::Objects(lines),
            Format::Csv | Format::Tsv => {
                let quoted = match options.quoted {
                    Some(quoted) => quoted,
                    None if format == Format::Csv => true,
                    None => {
                        let (input, whole) = again().map_err(|error| error.to_string())?;
                        let quoted = separated::looks_quoted(Lines::new(input, encoding, terminator), '\t', whole)?;
                        if quoted {
                            notes.push(
                                "fields in quotation marks are read without them (--quoted no keeps them)".to_owned(),
                            );
                        }
                        quoted
                    }
                };
                let dialect = Dialect {
                    delimiter: (format == Format::Tsv).then_some('\t'),
                    quoted,
                };
                let (separated, header) = Separated::open(lines, dialect)?;
                if format == Format::Csv && separated.delimiter() != ',' {
                    notes.push(format!("columns are separated by {:?}", separated.delimiter()));
                }
                names = header.names();
                all = Some(header.all());
                let places = places(&header, &columns)?;
                Kind::Separated(Box::new(separated), places)
            }
        };
        Ok(Self {
            kind,
            columns,
            notes,
            names,
            header: all,
            has_mark: detector.has_mark() && encoding == encoding_rs::UTF_8,
            size: None,
        })
    }

    /// What the reader found out about the file and people should know, in one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether it is UTF-8 with a byte order mark. It is left off, which harms nobody.
    pub fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// The size of the file in bytes; `None` for a stream.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The names of the columns for a message, cut short where they are many; of JSON Lines the keys of the first object
    /// that was read.
    pub fn names(&self) -> &str {
        &self.names
    }

    /// The names of all columns of a file that has a header.
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// Checks that `count` texts, all that were read so far, may be held at a time. The error is a part of a line.
    pub fn may_hold(&self, count: usize) -> Result<(), String> {
        if count <= MOST_HELD && self.bytes_read() <= MOST_BYTES_HELD {
            return Ok(());
        }
        Err(format!(
            "has more than {MOST_HELD} texts or {} MiB, and all of them would be held at a time; take a part of it: \
             head -n 100000 FILE > PART",
            MOST_BYTES_HELD >> 20
        ))
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        match &self.kind {
            Kind::Lines(lines) | Kind::Objects(lines) => lines.bytes_read(),
            Kind::Separated(separated, _) => separated.bytes_read(),
            #[cfg(feature = "parquet")]
            Kind::Parquet(rows, size) => (rows.share_read() * *size as f64) as u64,
        }
    }
}

impl Iterator for Rows {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let columns = &self.columns;
        let row = match &mut self.kind {
            Kind::Lines(lines) => lines.next()?.map(|line| of_line(line, columns.keep)),
            Kind::Objects(lines) => loop {
                match lines.next()? {
                    Ok(line) if line.text.as_ref().is_ok_and(|text| text.trim().is_empty()) => {}
                    line => break line.map(|line| object_row(line, columns, &mut self.names)),
                }
            },
            Kind::Separated(separated, places) => separated.next()?.map(|(line, record)| {
                let kept = record.as_ref().ok().filter(|_| columns.keep);
                let kept = kept.map(|record| Kept::Cells(record.iter().map(str::to_owned).collect()));
                let fields = record.map(|record| of_record(&record, places));
                Row { line, fields, kept }
            }),
            #[cfg(feature = "parquet")]
            Kind::Parquet(rows, _) => {
                let row = rows.next()?.map(|(line, fields)| Row {
                    line,
                    fields,
                    kept: None,
                });
                row.map_err(io::Error::other)
            }
        };
        Some(row.map(|row| Row {
            fields: row.fields.and_then(bounded),
            ..row
        }))
    }
}

fn of_line(line: Line, keep: bool) -> Row {
    let kept = line.text.as_ref().ok().filter(|_| keep);
    Row {
        line: line.number,
        kept: kept.map(|text| Kept::Cells(vec![text.clone()])),
        fields: line.text.map(|text| Fields {
            text,
            ..Fields::default()
        }),
    }
}

fn object_row(line: Line, columns: &Columns, names: &mut String) -> Row {
    let (fields, kept) = match line.text {
        Ok(text) => of_object(text, columns, names),
        Err(problem) => (Err(problem), None),
    };
    let line = line.number;
    Row { line, fields, kept }
}

#[cfg(test)]
mod tests;
