//! Marks: where the units are that a model reads of a text (tokens, code points, bytes), and how many of them it takes at
//! once. By these a long text is cut into windows.

use std::ops::Range;

/// The units of a text, and how many of them a model takes at once.
pub struct Marks {
    /// The bytes of each. Neither starts nor ends go back.
    pub units: Vec<Range<usize>>,
    /// Whether they are those of the whole text.
    whole: bool,
    capacity: usize,
    max_bytes: usize,
}

impl Marks {
    /// The marks of a text. Places within a character become those of the character.
    pub fn new(text: &str, mut units: Vec<Range<usize>>, whole: bool, capacity: usize, max_bytes: usize) -> Self {
        let (mut start, mut end) = (0, 0);
        for unit in &mut units {
            start = text.floor_char_boundary(unit.start).max(start);
            end = text.ceil_char_boundary(unit.end).max(end).max(start);
            *unit = start..end;
        }
        Self {
            units,
            whole,
            capacity,
            max_bytes,
        }
    }

    /// The first unit that begins at a byte or behind it.
    pub fn from(&self, byte: usize) -> usize {
        self.units.partition_point(|unit| unit.start < byte)
    }

    /// The unit behind the last one that ends at a byte or before it.
    pub fn until(&self, byte: usize) -> usize {
        self.units.partition_point(|unit| unit.end <= byte)
    }

    /// The last byte to which a window that begins at `start` may go.
    pub fn furthest(&self, text: &str, start: usize) -> usize {
        let behind = self.from(start).saturating_add(self.capacity);
        let by_units = match self.units.get(..behind) {
            Some(units) if behind < self.units.len() => units.last().map_or(start, |unit| unit.end),
            _ if self.whole => text.len(),
            _ => self.units.last().map_or(start, |unit| unit.end),
        };
        by_units.min(text.floor_char_boundary(start.saturating_add(self.max_bytes)))
    }
}
