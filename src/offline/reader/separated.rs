//! Records of TSV and CSV, made of lines: a field in quotation marks may hold line breaks.
//!
//! A record that never ends, or that has other columns than the header, is one bad row. The reader goes on at the line
//! after the one on which the record began, so that one stray quotation mark loses no other row.

use std::io;

use super::lines::{Line, Lines};
use super::splitter::Splitter;

/// The most lines that one record may have.
const MOST_LINES: usize = 10_000;
/// The most bytes that one record of several lines may have.
const MOST_BYTES: usize = 1 << 20;

/// How fields are separated.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// The character between fields; if absent, the header decides.
    pub delimiter: Option<char>,
    /// Whether quotation marks enclose fields; otherwise they are characters like others.
    pub quoted: bool,
}

/// The names of the columns.
pub struct Header(csv::StringRecord);

impl Header {
    /// A header of these names.
    #[cfg(feature = "parquet")]
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.collect())
    }

    /// The index of a column, by its name or else by its name in other case.
    pub fn find(&self, name: &str) -> Option<usize> {
        let names = || self.0.iter().map(str::trim);
        let exact = names().position(|found| found == name);
        exact.or_else(|| names().position(|found| found.eq_ignore_ascii_case(name)))
    }

    /// The index of a column. The error lists the names that are there.
    pub fn place(&self, name: &str) -> Result<usize, String> {
        let missing = || format!("there is no column `{name}`; there are: {}", self.names());
        self.find(name).ok_or_else(missing)
    }

    /// All names as they are.
    pub fn all(&self) -> Vec<String> {
        self.0.iter().map(str::to_owned).collect()
    }

    /// All names, cut short where they are many: in a file without a header they are texts.
    pub fn names(&self) -> String {
        listed(self.0.iter())
    }
}

/// Names for a message, cut short where they are many.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let plain = |value: char| if value.is_control() { ' ' } else { value };
    let names: Vec<String> = names.map(|name| name.chars().map(plain).take(40).collect()).collect();
    let more = names.len().saturating_sub(20);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}

/// The number of its first line, and its fields or what is wrong.
pub type Record = (u64, Result<csv::StringRecord, String>);

pub struct Separated {
    lines: Lines,
    delimiter: char,
    quoted: bool,
    columns: usize,
    splitter: Splitter,
}

impl Separated {
    /// Reads the header. The error is one line.
    pub fn open(mut lines: Lines, dialect: Dialect) -> Result<(Self, Header), String> {
        let first = lines.next().transpose().map_err(|error| error.to_string())?;
        let mut first = first.ok_or("is empty; its first line must be a header")?;
        let told = |line: &Line| {
            line.text
                .clone()
                .map_err(|problem| format!("line {}: {problem}", line.number))
        };
        let mut text = told(&first)?;
        let mut delimiter = dialect.delimiter;
        // Excel writes this line before the header, and reads it.
        if let Some(said) = text.strip_prefix("sep=").and_then(|rest| rest.chars().next())
            && text.len() == 5
            && delimiter.is_none()
        {
            delimiter = Some(said);
            let next = lines.next().transpose().map_err(|error| error.to_string())?;
            first = next.ok_or("is empty; its first line must be a header")?;
            text = told(&first)?;
        }
        let delimiter = delimiter.unwrap_or_else(|| commonest(&text));
        lines.put_back(vec![first]);
        let mut separated = Self {
            lines,
            delimiter,
            quoted: dialect.quoted,
            columns: 0,
            splitter: Splitter::new(delimiter, dialect.quoted),
        };
        let header = separated.next().transpose().map_err(|error| error.to_string())?;
        let (line, header) = header.ok_or("is empty; its first line must be a header")?;
        let header = header.map_err(|problem| format!("line {line}: {problem}"))?;
        separated.columns = header.len();
        Ok((separated, Header(header)))
    }

    /// The character between fields.
    pub fn delimiter(&self) -> char {
        self.delimiter
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// Reads the rest of a record whose first line is `first`.
    fn record(&mut self, first: Line) -> io::Result<Result<csv::StringRecord, String>> {
        let mut text = match first.text {
            Ok(text) => text,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut marks = Marks::new(self.delimiter, self.quoted);
        marks.read(&text);
        let mut end = first.end;
        let mut further: Vec<Line> = Vec::new();
        while marks.is_open() {
            let next = if further.len() < MOST_LINES && text.len() < MOST_BYTES {
                self.lines.next().transpose()?
            } else {
                None
            };
            let Some(next) = next else {
                self.lines.put_back(further);
                return Ok(Err("a quotation mark opens a field that never ends".to_owned()));
            };
            text.push_str(end);
            end = next.end;
            match &next.text {
                Ok(more) => {
                    marks.read(more);
                    text.push_str(more);
                }
                Err(problem) => {
                    let problem = format!("line {}: {problem}", next.number);
                    further.push(next);
                    self.lines.put_back(further);
                    return Ok(Err(problem));
                }
            }
            further.push(next);
        }
        let fields = self.splitter.split(&text);
        let right = self.columns == 0 || fields.len() == self.columns;
        if right && (further.is_empty() || !marks.is_strange()) {
            return Ok(Ok(fields));
        }
        if !further.is_empty() {
            self.lines.put_back(further);
            return Ok(Err(
                "a quotation mark opens a field that does not end where a field may".to_owned(),
            ));
        }
        Ok(Err(format!(
            "{} where the header has {}",
            columns(fields.len()),
            self.columns
        )))
    }
}

fn columns(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}

impl Iterator for Separated {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.next()? {
                Ok(line) if line.text.as_ref().is_ok_and(String::is_empty) => {}
                Ok(line) => {
                    let number = line.number;
                    return Some(self.record(line).map(|fields| (number, fields)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The delimiter that the header has most of.
fn commonest(header: &str) -> char {
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    let mut quoted = false;
    for value in header.chars() {
        quoted ^= value == '"';
        for (delimiter, count) in &mut counts {
            *count += u32::from(!quoted && value == *delimiter);
        }
    }
    // Of equals, the first one.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(',', |(delimiter, _)| *delimiter)
}

/// Follows quotation marks by the rules of RFC 4180.
struct Marks {
    delimiter: char,
    quoted: bool,
    place: Place,
    strange: bool,
    any: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Bare,
    Within,
    /// After a quotation mark that ends the field, or is the first of a pair that stands for one.
    Closing,
}

impl Marks {
    fn new(delimiter: char, quoted: bool) -> Self {
        Self {
            delimiter,
            quoted,
            place: Place::Start,
            strange: false,
            any: false,
        }
    }

    fn read(&mut self, text: &str) {
        // A text without a mark leaves it where it is: at the start of a field, or within one that a mark opened.
        if self.quoted && text.contains('"') {
            text.chars().for_each(|value| self.step(value));
        }
    }

    fn step(&mut self, value: char) {
        self.place = match (self.place, value) {
            (Place::Start, '"') => {
                self.any = true;
                Place::Within
            }
            (Place::Within, '"') => Place::Closing,
            (Place::Within, _) | (Place::Closing, '"') => Place::Within,
            (_, value) if value == self.delimiter || value == '\n' || value == '\r' => Place::Start,
            (Place::Closing, _) => {
                self.strange = true;
                Place::Bare
            }
            (Place::Start | Place::Bare, _) => Place::Bare,
        };
    }

    fn is_open(&self) -> bool {
        self.place == Place::Within
    }

    /// Whether anything but a delimiter came after the mark that ended a field.
    fn is_strange(&self) -> bool {
        self.strange
    }
}

/// Whether fields in the whole file are in quotation marks: every field that begins with one also ends with one. Not so
/// if fields would then hold line breaks although each line by itself has as many columns as the header. `whole` is
/// false if `lines` are only the beginning of the file.
pub fn looks_quoted(lines: Lines, delimiter: char, whole: bool) -> Result<bool, String> {
    let mut marks = Marks::new(delimiter, true);
    let (mut broken, mut even) = (false, true);
    let mut header = None;
    let mut open_for = (0, 0);
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        if !whole && line.end.is_empty() {
            return Ok(marks.any && !(broken && even));
        }
        // A bad line is an error of its own, later.
        let Ok(text) = line.text else { continue };
        if !text.is_empty() {
            let count = text.matches(delimiter).count();
            even &= *header.get_or_insert(count) == count;
        }
        marks.read(&text);
        if marks.is_open() {
            broken = true;
            open_for = (open_for.0 + 1, open_for.1 + text.len());
            if open_for.0 > MOST_LINES || open_for.1 > MOST_BYTES {
                return Ok(false);
            }
        } else {
            open_for = (0, 0);
        }
        marks.step('\n');
        if marks.is_strange() {
            return Ok(false);
        }
    }
    Ok(marks.any && !marks.is_open() && !(broken && even))
}
