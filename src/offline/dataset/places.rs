//! Rows of a kind: how many there are, and on which lines the first of them begin.

use std::fmt;

/// How many lines one message names.
const NAMED: usize = 16;

/// How many rows there are of a kind, and on which lines the first of them begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub count: u64,
    first: Vec<u64>,
}

impl Places {
    /// Counts one more row.
    pub fn add(&mut self, line: u64) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(line);
        }
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, line) = if self.count == 1 {
            ("row", "line")
        } else {
            ("rows", "lines")
        };
        let first: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let more = if self.count > NAMED as u64 { ", …" } else { "" };
        write!(f, "{} {noun} ({line} {}{more})", self.count, first.join(", "))
    }
}

/// How many items of a list a message does not show; empty if it shows all.
pub fn folded(count: usize, shown: usize) -> String {
    if count > shown {
        format!(" and {} more", count - shown)
    } else {
        String::new()
    }
}

/// The beginning of a value, on one line: a value may be a whole text.
pub fn short(value: &str) -> String {
    let plain = value.chars().map(|value| if value.is_control() { ' ' } else { value });
    let mut shown: String = plain.take(40).collect();
    if value.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
