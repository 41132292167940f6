//! Walks through an ONNX file while it is read, with little of it in memory: finds the files with its weights, bounds
//! its size, computes its SHA-256, and, if asked, keeps the file without its weights.
//!
//! Walks every place where `onnx.proto` allows a tensor: graphs, branches and loops inside nodes, functions and the
//! defaults of their attributes, sparse tensors, what training left behind.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::files::{self, Hashing};

/// The deepest nesting of messages, as in ONNX Runtime's own parser.
const DEEPEST: usize = 100;
/// The most messages: nodes, attributes, tensors and so on.
const MOST_MESSAGES: usize = 500_000;
/// The most names and strings.
const MOST_STRINGS: usize = 2_000_000;
/// The most bytes that are kept of a file.
const MOST_KEPT: usize = 64 << 20;
/// Longer lists of a tensor, in bytes, are taken for weights and not kept. Ten thousand whole numbers fit, as a list of
/// labels may have.
const LONGEST_LIST: u64 = 128 << 10;
/// The most bytes of what the main graph says of its inputs and outputs: two bytes can become a size of forty.
const MOST_OF_PORTS: u64 = 4 << 20;
/// The longest name of a file, in bytes.
const LONGEST_NAME: u64 = 4096;

/// The result of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The files with weights of the graph, by the names that it uses, sorted, without repeats.
    pub external: Vec<String>,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The file without its weights; empty unless it was asked for.
    pub kept: Vec<u8>,
}

/// Walks through a file; `keep` asks for [`Scan::kept`]. The error is a part of a line.
pub fn file(path: &Path, keep: bool) -> Result<Scan, String> {
    let file = files::open(path, files::MOST_OF_ONNX).map_err(|error| error.to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    walk::<File>(file, size, keep)
}

/// Walks through bytes, like [`file()`], and keeps nothing.
pub fn bytes(bytes: &[u8]) -> Result<Scan, String> {
    walk(bytes, bytes.len() as u64, false)
}

fn walk<R: Read>(from: R, size: u64, keep: bool) -> Result<Scan, String> {
    let mut walk = Walk {
        from: BufReader::with_capacity(1 << 16, Hashing::new(from)),
        at: 0,
        keep,
        found: Vec::new(),
        messages: 0,
        strings: 0,
        kept: 0,
        ports: 0,
    };
    let mut kept = Vec::new();
    walk.message(Kind::Model, size, 0, &mut kept).map_err(Problem::told)?;
    // A later reader of the file gets its content of then, and no more than was walked.
    if !walk.from.fill_is_empty().map_err(Problem::told)? {
        return Err("it grew while it was read".to_owned());
    }
    walk.found.sort();
    walk.found.dedup();
    Ok(Scan {
        external: walk.found,
        sha256: walk.from.into_inner().sum(),
        kept,
    })
}

trait FillIsEmpty {
    fn fill_is_empty(&mut self) -> Result<bool, Problem>;
}

impl<R: Read> FillIsEmpty for BufReader<R> {
    fn fill_is_empty(&mut self) -> Result<bool, Problem> {
        use std::io::BufRead;
        self.fill_buf().map(<[u8]>::is_empty).map_err(Problem::Read)
    }
}

enum Problem {
    Read(std::io::Error),
    Malformed,
    Says(String),
}

impl Problem {
    fn told(self) -> String {
        match self {
            Self::Read(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::Malformed.told(),
            Self::Read(error) => error.to_string(),
            Self::Malformed => "is not an ONNX file, or a part of it is missing".to_owned(),
            Self::Says(problem) => problem,
        }
    }
}

/// The kinds of messages in an ONNX file that may contain tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    /// The main graph.
    Graph,
    /// A weight of the main graph.
    Weight,
    Training,
    Function,
    /// A graph inside a node.
    Inner,
    Node,
    Attribute,
    Sparse,
    /// A tensor that is not a weight of the main graph.
    Tensor,
    /// One fact, by name, about the place of a tensor's values.
    Place {
        of_weight: bool,
    },
}

impl Kind {
    /// The kind of the message in this field, if it is walked.
    fn child(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) => Kind::Graph,
            (Kind::Model, 20) => Kind::Training,
            (Kind::Model, 25) => Kind::Function,
            (Kind::Training, 1 | 2) => Kind::Inner,
            (Kind::Function, 7) | (Kind::Graph | Kind::Inner, 1) => Kind::Node,
            (Kind::Function, 11) | (Kind::Node, 5) => Kind::Attribute,
            (Kind::Graph, 5) => Kind::Weight,
            (Kind::Inner, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Kind::Tensor,
            (Kind::Attribute, 6 | 11) => Kind::Inner,
            (Kind::Attribute, 22 | 23) | (Kind::Graph | Kind::Inner, 15) => Kind::Sparse,
            (Kind::Weight, 13) => Kind::Place { of_weight: true },
            (Kind::Tensor, 13) => Kind::Place { of_weight: false },
            _ => return None,
        })
    }

    /// Whether it is kept: it is a part of what the main graph says about itself.
    fn is_kept(self) -> bool {
        matches!(self, Kind::Graph | Kind::Node | Kind::Attribute | Kind::Weight)
    }

    /// Whether a field is kept that is not walked.
    fn keeps(self, field: u64, length: u64) -> bool {
        match self {
            Kind::Graph => matches!(field, 11 | 12),
            Kind::Node => matches!(field, 1 | 2 | 4),
            Kind::Attribute => matches!(field, 1 | 3 | 4 | 8 | 9),
            Kind::Weight => match field {
                1 | 2 | 8 => true,
                5 | 6 | 7 | 9 => length <= LONGEST_LIST,
                _ => false,
            },
            _ => false,
        }
    }
}

struct Walk<R> {
    from: BufReader<Hashing<R>>,
    at: u64,
    keep: bool,
    found: Vec<String>,
    messages: usize,
    strings: usize,
    kept: usize,
    ports: u64,
}

impl<R: Read> Walk<R> {
    /// Walks to the end of a message; the kept part goes into `into`.
    fn message(&mut self, kind: Kind, end: u64, depth: usize, into: &mut Vec<u8>) -> Result<(), Problem> {
        if depth > DEEPEST {
            let problem = format!("its parts lie in each other more than {DEEPEST} deep");
            return Err(Problem::Says(problem));
        }
        count(&mut self.messages, MOST_MESSAGES, "parts")?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while self.at < end {
            let tag = self.varint(end)?;
            let (field, wire) = (tag >> 3, tag & 7);
            match wire {
                0 => {
                    let number = self.varint(end)?;
                    if kind.keeps(field, 0) {
                        self.keep(into, &[tag, number], &[])?;
                    }
                }
                1 => self.pass(8, end)?,
                5 => self.pass(4, end)?,
                2 => {
                    let length = self.varint(end)?;
                    let until = self.at.checked_add(length).filter(|&until| until <= end);
                    let until = until.ok_or(Problem::Malformed)?;
                    if let Some(child) = kind.child(field) {
                        let (keep, mut inner) = (self.keep, Vec::new());
                        self.keep &= child.is_kept() && kind != Kind::Function;
                        self.message(child, until, depth + 1, &mut inner)?;
                        self.keep(into, &[tag, inner.len() as u64], &inner)?;
                        self.keep = keep;
                        continue;
                    }
                    count(&mut self.strings, MOST_STRINGS, "names and texts")?;
                    let place = matches!(kind, Kind::Place { .. });
                    if place && length > LONGEST_NAME {
                        return Err(Problem::Malformed);
                    }
                    let kept = place || self.wants(kind, field, length)?;
                    if !kept {
                        self.pass(length, end)?;
                        continue;
                    }
                    let bytes = self.take(length)?;
                    self.keep(into, &[tag, length], &bytes)?;
                    match field {
                        1 => key = bytes,
                        2 => value = bytes,
                        _ => {}
                    }
                }
                _ => return Err(Problem::Malformed),
            }
        }
        match kind {
            Kind::Place { of_weight } if key == b"location" => self.weights_in(&value, of_weight),
            _ => Ok(()),
        }
    }

    /// Notes a file that holds a tensor's values.
    fn weights_in(&mut self, location: &[u8], of_weight: bool) -> Result<(), Problem> {
        let location = str::from_utf8(location).map_err(|_| Problem::Malformed)?.to_owned();
        if !of_weight {
            let problem = format!(
                "has values in `{}` that are no weights of its graph: only those may lie in other files",
                location.escape_debug()
            );
            return Err(Problem::Says(problem));
        }
        if self.found.last() != Some(&location) {
            self.found.push(location);
        }
        Ok(())
    }

    /// Whether a field is kept that is not walked.
    fn wants(&mut self, kind: Kind, field: u64, length: u64) -> Result<bool, Problem> {
        if self.keep && kind == Kind::Graph && kind.keeps(field, length) {
            self.ports += length;
            if self.ports > MOST_OF_PORTS {
                let problem = format!("its inputs and outputs take more than {} MiB", MOST_OF_PORTS >> 20);
                return Err(Problem::Says(problem));
            }
        }
        Ok(self.keep && kind.keeps(field, length))
    }

    fn keep(&mut self, into: &mut Vec<u8>, numbers: &[u64], bytes: &[u8]) -> Result<(), Problem> {
        if !self.keep {
            return Ok(());
        }
        self.kept += bytes.len();
        if self.kept > MOST_KEPT * 4 || into.len() + bytes.len() > MOST_KEPT {
            let problem = format!("without its weights it is larger than {} MiB", MOST_KEPT >> 20);
            return Err(Problem::Says(problem));
        }
        for &number in numbers {
            let mut number = number;
            while number > 0x7f {
                into.push(number as u8 | 0x80);
                number >>= 7;
            }
            into.push(number as u8);
        }
        into.extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, length: u64) -> Result<Vec<u8>, Problem> {
        if length as usize > MOST_KEPT {
            return Err(Problem::Malformed);
        }
        let mut bytes = Vec::new();
        let count = (&mut self.from)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(Problem::Read)?;
        self.at += count as u64;
        if count as u64 == length {
            Ok(bytes)
        } else {
            Err(Problem::Malformed)
        }
    }

    fn pass(&mut self, length: u64, end: u64) -> Result<(), Problem> {
        if length > end - self.at {
            return Err(Problem::Malformed);
        }
        let mut part = (&mut self.from).take(length);
        let passed = std::io::copy(&mut part, &mut std::io::sink()).map_err(Problem::Read)?;
        self.at += passed;
        if passed == length {
            Ok(())
        } else {
            Err(Problem::Malformed)
        }
    }

    fn varint(&mut self, end: u64) -> Result<u64, Problem> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            if self.at >= end {
                return Err(Problem::Malformed);
            }
            let mut byte = [0];
            self.from.read_exact(&mut byte).map_err(Problem::Read)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Problem::Malformed)
    }
}

fn count(counter: &mut usize, most: usize, what: &str) -> Result<(), Problem> {
    *counter += 1;
    if *counter > most {
        Err(Problem::Says(format!("has more than {most} {what}")))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of less than 128 bytes in a field.
    fn field(number: u8, message: &[u8]) -> Vec<u8> {
        let length = u8::try_from(message.len()).expect("short");
        [&[number << 3 | 2, length], message].concat()
    }

    #[test]
    fn a_name_that_an_error_quotes_stays_in_its_line() {
        let place = [field(1, b"location"), field(2, b"a\nb")].concat();
        // A tensor within an attribute of a node.
        let within = [5, 5, 1, 7]
            .iter()
            .fold(field(13, &place), |inner, &number| field(number, &inner));
        let refused = bytes(&within).expect_err("no weight");
        assert!(
            refused.starts_with("has values in `a\\nb` that are no weights"),
            "{refused}"
        );
    }
}
