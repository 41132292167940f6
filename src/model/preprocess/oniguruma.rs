//! Translates an expression of Oniguruma (in its Ruby syntax) to our engine's syntax, piece by piece.
//!
//! The differences in Oniguruma: `^` and `$` match at lines; `m` lets the dot match the end of a line; `{2}+` repeats
//! `{2}`, and `{2}?` makes it optional; `(?i)` holds to the end of its group, across `|`; POSIX brackets know all of
//! Unicode; `\w` has no joiners, and is not limited to ASCII; an unknown escape is the letter itself; and without case
//! one letter may match two (`ß`, `ss`). A piece is copied only if it is known to mean the same; the error names any
//! other piece.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::oniguruma_classes::{Escape, bracketed, content, escape, has, interval, push_letter, set, unknown};

/// The longest expression that is translated, in bytes.
const MAX_BYTES: usize = 16 << 10;
/// The last character that may fold to several letters.
const LAST_FOLDED: char = '\u{1FFFF}';

/// Strings of letters that are the same as one letter if case does not matter: `ss`, and the letters that fold to it.
static FOLDED: LazyLock<BTreeMap<Vec<char>, Vec<char>>> = LazyLock::new(|| {
    let mut of: BTreeMap<Vec<char>, Vec<char>> = BTreeMap::new();
    for letter in '\0'..=LAST_FOLDED {
        let letters: Vec<char> = folded(letter).collect();
        if letters.len() > 1 {
            of.entry(letters).or_default().push(letter);
        }
    }
    of
});

/// The letters that a letter folds to if case does not matter; there may be several. The dotless `ı` is not a case of
/// `i`.
fn folded(letter: char) -> impl Iterator<Item = char> {
    let upper = letter.to_lowercase().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase);
    lower.map(move |folded| if letter == 'ı' { letter } else { folded })
}

/// An expression in our engine's syntax. The error names the piece that can't be translated.
pub(super) fn translated(expression: &str) -> Result<String, String> {
    if expression.len() > MAX_BYTES {
        return Err(format!("has {} bytes, the most is {MAX_BYTES}", expression.len()));
    }
    let mut writer = Writer {
        rest: expression,
        written: String::with_capacity(expression.len()),
        run: String::new(),
        last: None,
        repeated: false,
        several_behind: false,
        groups: Vec::new(),
        flags: Flags::default(),
    };
    while let Some(first) = writer.rest.chars().next() {
        writer.piece(first)?;
    }
    writer.end_run();
    if writer.several_behind {
        return Err("has letters in a look-behind under `(?i)` that are two in another case (ß, ss)".to_owned());
    }
    let open: usize = writer.groups.iter().map(|group| group.closings).sum();
    writer.written.push_str(&")".repeat(open));
    Ok(writer.written)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    /// Whether case does not matter.
    caseless: bool,
    /// Whether white space is ignored, and `#` begins a comment.
    spaced: bool,
}

/// A group that is open.
struct Group {
    /// Its beginning in the output.
    start: usize,
    /// The number of brackets that close it: flags inside it open more.
    closings: usize,
    /// Whether it is a look-behind.
    behind: bool,
    /// The flags outside it.
    flags: Flags,
}

struct Writer<'a> {
    rest: &'a str,
    written: String,
    /// Letters that are not written yet: if case does not matter, several may be the same as one.
    run: String,
    /// The beginning, in the output, of the last piece that can be repeated.
    last: Option<usize>,
    /// Whether that piece is repeated already.
    repeated: bool,
    /// Whether a look-behind contains letters that are one letter in another case.
    several_behind: bool,
    groups: Vec<Group>,
    flags: Flags,
}

impl Writer<'_> {
    fn piece(&mut self, first: char) -> Result<(), String> {
        match first {
            '\\' => {
                let (read, escape) = escape(self.rest)?;
                match escape {
                    Escape::Letter(letter) => self.run.push(letter),
                    Escape::Class(class) => self.atom(&self.flags.with_case(&bracketed(&class))),
                    Escape::Other(text) => self.atom(&text),
                }
                self.read(read);
            }
            '[' => {
                let mut class = String::new();
                let turned = self.rest.starts_with("[^");
                let read = set(self.rest, &mut class, 0)?;
                self.class(&class, turned)?;
                self.read(read);
            }
            '.' => self.plain(".", 1),
            '^' => self.plain(r"(?:\A|(?<=\n)(?!\z))", 1),
            '$' => self.plain("(?m:$)", 1),
            '|' => {
                self.end_run();
                self.written.push('|');
                self.last = None;
                self.read(1);
            }
            '(' => self.open()?,
            ')' => self.close(),
            '?' | '*' | '+' => self.repeat(1, &self.rest[..1])?,
            '{' => match interval(self.rest)? {
                Some((read, text)) => self.repeat(read, &text)?,
                None => self.letter('{'),
            },
            '#' if self.flags.spaced => self.read(self.rest.find('\n').unwrap_or(self.rest.len())),
            space if self.flags.spaced && space.is_ascii_whitespace() => self.read(1),
            letter => self.letter(letter),
        }
        Ok(())
    }

    fn read(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn letter(&mut self, letter: char) {
        self.run.push(letter);
        self.read(letter.len_utf8());
    }

    /// Begins a piece that can be repeated.
    fn begin(&mut self, start: usize) {
        self.last = Some(start);
        self.repeated = false;
    }

    /// Writes a piece that is no letter.
    fn atom(&mut self, text: &str) {
        self.end_run();
        self.begin(self.written.len());
        self.written.push_str(text);
    }

    fn plain(&mut self, text: &str, read: usize) {
        self.atom(text);
        self.read(read);
    }

    /// Writes the letters that were read and not written yet.
    fn end_run(&mut self) {
        let run: Vec<char> = std::mem::take(&mut self.run).chars().collect();
        if !self.flags.caseless {
            for letter in run {
                self.write_letter(letter);
            }
            return;
        }
        let mut rest = run.as_slice();
        while let Some(&letter) = rest.first() {
            // One letter that is the same as several, or several that are the same as one.
            let several = [1, 3, 2].into_iter().find_map(|count| {
                let letters: Vec<char> = rest.get(..count)?.iter().copied().flat_map(folded).collect();
                let single = FOLDED.get(&letters)?;
                Some((count, letters, single))
            });
            let Some((count, letters, single)) = several else {
                self.write_letter(letter);
                rest = &rest[1..];
                continue;
            };
            self.several();
            self.begin(self.written.len());
            self.written.push_str("(?:");
            for letter in letters {
                push_letter(letter, &mut self.written);
            }
            self.written.push_str("|[");
            self.written.extend(single);
            self.written.push_str("])");
            rest = &rest[count..];
        }
    }

    /// Notes that strings of different lengths are the same. Oniguruma allows only some of these in a look-behind.
    fn several(&mut self) {
        self.several_behind |= self.groups.iter().any(|group| group.behind);
    }

    fn write_letter(&mut self, letter: char) {
        self.begin(self.written.len());
        push_letter(letter, &mut self.written);
    }

    /// Writes a class. If case does not matter, its content is folded first and negated afterwards.
    fn class(&mut self, class: &str, turned: bool) -> Result<(), String> {
        if !self.flags.caseless {
            self.atom(class);
            return Ok(());
        }
        let mut holds = content(&class.replacen(if turned { "[^" } else { "[" }, "[", 1))?;
        let several: Vec<String> = FOLDED
            .iter()
            .filter(|(_, single)| !turned && single.iter().any(|&letter| has(&holds, letter)))
            .map(|(letters, _)| letters.iter().collect())
            .collect();
        holds.case_fold_simple();
        if turned {
            holds.negate();
        }
        let mut written = "(?-i:[".to_owned();
        if holds.ranges().is_empty() {
            written.push_str(r"^\x{0}-\x{10FFFF}");
        }
        for range in holds.ranges() {
            let (low, high) = (u32::from(range.start()), u32::from(range.end()));
            written.push_str(&format!("\\x{{{low:X}}}-\\x{{{high:X}}}"));
        }
        written.push_str("])");
        if !several.is_empty() {
            self.several();
            written = format!("(?:{written}|{})", several.join("|"));
        }
        self.atom(&written);
        Ok(())
    }

    /// Reads a piece that begins with a round bracket.
    fn open(&mut self) -> Result<(), String> {
        if self.rest.starts_with("(?#") {
            let end = self.rest.find(')').ok_or("has a remark without an end")?;
            self.read(end + 1);
            return Ok(());
        }
        self.end_run();
        let start = self.written.len();
        let behind = ["(?<=", "(?<!"].iter().any(|known| self.rest.starts_with(known));
        let group = |flags| Group {
            behind,
            start,
            closings: 1,
            flags,
        };
        let named = |text: &str| text.starts_with("(?<") && !text.starts_with("(?<=") && !text.starts_with("(?<!");
        for known in ["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"] {
            if self.rest.starts_with(known) {
                self.written.push_str(known);
                self.groups.push(group(self.flags));
                self.read(known.len());
                self.last = None;
                return Ok(());
            }
        }
        if named(self.rest) {
            let end = self.rest.find('>').ok_or("has a name without an end")?;
            self.written.push_str(&self.rest[..=end]);
            self.groups.push(group(self.flags));
            self.read(end + 1);
        } else if let Some(flags) = self.rest.strip_prefix("(?") {
            let end = flags.find(|letter| !"imx-".contains(letter));
            let Some((letters, closing)) =
                end.map(|end| (&flags[..end], &flags[end..]))
                    .filter(|(letters, closing)| {
                        !letters.is_empty() && letters.matches('-').count() < 2 && closing.starts_with([':', ')'])
                    })
            else {
                return Err(unknown(&self.rest[..self.rest.len().min(2)], flags));
            };
            let (on, off) = letters.split_once('-').unwrap_or((letters, ""));
            let before = self.flags;
            for (letter, flag) in [('i', &mut self.flags.caseless), ('x', &mut self.flags.spaced)] {
                *flag = (*flag || on.contains(letter)) && !off.contains(letter);
            }
            let ours = |letters: &str| letters.replace('x', "").replace('m', "s");
            let (on, off) = (ours(on), ours(off));
            self.written.push_str("(?");
            self.written.push_str(&on);
            if !off.is_empty() {
                self.written.push('-');
                self.written.push_str(&off);
            }
            self.written.push(':');
            let read = 2 + letters.len() + 1;
            // Flags without a group of their own hold to the end of the group around them, across its `|`.
            match (closing.starts_with(':'), self.groups.last_mut()) {
                (false, Some(around)) => around.closings += 1,
                (false, None) => self.groups.push(group(before)),
                (true, _) => self.groups.push(group(before)),
            }
            self.read(read);
        } else {
            self.written.push('(');
            self.groups.push(group(self.flags));
            self.read(1);
        }
        self.last = None;
        Ok(())
    }

    fn close(&mut self) {
        self.end_run();
        self.read(1);
        let Some(group) = self.groups.pop() else {
            self.written.push(')');
            return;
        };
        self.written.push_str(&")".repeat(group.closings));
        self.begin(group.start);
        self.flags = group.flags;
    }

    /// Repeats the last piece; of a run of letters, only the last letter.
    fn repeat(&mut self, read: usize, times: &str) -> Result<(), String> {
        let alone = self.run.pop();
        self.end_run();
        if let Some(letter) = alone {
            self.run.push(letter);
            let start = self.written.len();
            self.end_run();
            self.begin(start);
        }
        self.read(read);
        let Some(start) = self.last else {
            return Err(format!("repeats nothing with `{times}`"));
        };
        let braces = times.starts_with('{');
        let exact = braces && !times.contains(',');
        if std::mem::replace(&mut self.repeated, true) {
            self.written.insert_str(start, "(?:");
            self.written.push(')');
        }
        self.written.push_str(times);
        match self.rest.chars().next() {
            Some('?') if !exact => {
                self.written.push('?');
                self.read(1);
            }
            Some('+') if !braces => {
                self.written.push('+');
                self.read(1);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Flags {
    /// A class as it is written if case matters.
    fn with_case(self, class: &str) -> String {
        if self.caseless {
            format!("(?-i:{class})")
        } else {
            class.to_owned()
        }
    }
}
