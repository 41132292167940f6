//! Terminal output for people: the width of lines, colours, texts cut to a line, tables.
//!
//! The colours are among the sixteen that each terminal defines, and readable on a light and on a dark background: red
//! and magenta as they are; green, which is faint on white, only as a background under black, and red as such a
//! background too, since terminals differ in what white is.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::ValueEnum;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::telemetry::visible::visible;

/// The width where nothing else says it.
const USUAL_WIDTH: usize = 80;

/// When colours are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

static CHOICE: OnceLock<ColorChoice> = OnceLock::new();

/// Sets the choice, once for the process.
pub fn choose(choice: ColorChoice) {
    let _ = CHOICE.set(choice);
}

/// Sets the choice by the raw arguments, since the help and errors about arguments may be coloured too.
pub fn choose_early(arguments: impl Iterator<Item = OsString>) {
    let words = arguments.map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.take_while(|word| word != "--").collect();
    let after = words
        .iter()
        .position(|word| word == "--color")
        .and_then(|at| words.get(at + 1));
    let said = words
        .iter()
        .find_map(|word| word.strip_prefix("--color="))
        .or(after.map(String::as_str));
    if let Some(choice) = said.and_then(|said| ColorChoice::from_str(said, false).ok()) {
        choose(choice);
    }
}

/// Whether standard output takes colours.
pub fn has_colours() -> bool {
    takes_colours(&io::stdout())
}

/// Whether a stream takes colours.
pub fn takes_colours(stream: &impl IsTerminal) -> bool {
    match CHOICE.get().copied().unwrap_or_default() {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
            stream.is_terminal() && !refused && !dumb
        }
    }
}

/// The columns of a line: by COLUMNS, or by the terminal; 80 elsewhere.
pub fn width() -> usize {
    told_width().unwrap_or(USUAL_WIDTH)
}

/// The column at which lines are broken between words: the width of a terminal. Elsewhere lines stay whole, for
/// programs that look for sentences.
pub fn breaking_width() -> usize {
    told_width().unwrap_or(usize::MAX)
}

fn told_width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    };
    let width: Option<usize> = said.or_else(asked);
    width.map(|width| width.clamp(40, 400))
}

/// The looks of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Like all other text.
    #[default]
    Plain,
    /// For headings.
    Bold,
    /// For less important text.
    Dim,
    /// For good news.
    Good,
    /// For doubtful news.
    Doubtful,
    /// For bad news.
    Bad,
    /// For a part of a text that speaks for a label.
    For,
    /// For a part of a text that speaks against it.
    Against,
}

impl Style {
    /// The text in this style, if standard output takes colours.
    pub fn paint(self, text: &str) -> Painted {
        let mut painted = Painted::default();
        painted.push(self, text);
        painted
    }

    /// The codes that begin and end the style.
    fn codes(self) -> Option<(String, &'static str)> {
        let code = match self {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Doubtful => "35",
            Style::Bad => "31",
            // A background shows spaces too. Both its colours are set, so that neither depends on the terminal.
            Style::Good | Style::For => "30;42",
            Style::Against => "30;41",
        };
        (!code.is_empty()).then(|| (format!("\u{1b}[{code}m"), "\u{1b}[0m"))
    }
}

/// A text for people. Only a [`Style`] can colour it and only [`Painted::end_line`] can end a line, whatever strings it
/// is made of.
#[derive(Clone, Debug, Default)]
pub struct Painted(String);

impl Painted {
    /// Adds a text in a style, if standard output takes colours.
    pub fn push(&mut self, style: Style, text: &str) {
        let text = visible(text);
        match style.codes().filter(|_| !text.is_empty() && has_colours()) {
            Some((begin, end)) => self.0.extend([&*begin, &*text, end]),
            None => self.0 += &text,
        }
    }

    /// Adds a text and ends the line.
    pub fn push_line(&mut self, text: &str) {
        self.push(Style::Plain, text);
        self.end_line();
    }

    /// Adds another painted text.
    pub fn append(&mut self, other: &Painted) {
        self.0 += &other.0;
    }

    /// Ends the line, and removes the spaces at its end.
    pub fn end_line(&mut self) {
        self.0.truncate(self.0.trim_end_matches(' ').len());
        self.0.push('\n');
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text on one line. Line ends and tabs become spaces; other characters that would move the cursor are made
/// visible.
pub fn on_one_line(text: &str) -> String {
    let plain = |value: char| if value.is_ascii_whitespace() { ' ' } else { value };
    visible(&text.chars().map(plain).collect::<String>()).into_owned()
}

/// The text on one line of at most `columns`; cut if it is longer.
pub fn fit(text: &str, columns: usize) -> String {
    let text = on_one_line(text);
    if text.width() <= columns {
        return text;
    }
    let mut shown = String::new();
    let mut left = columns.saturating_sub(1);
    for value in text.chars() {
        let wide = value.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        shown.push(value);
    }
    shown.push('…');
    shown
}

/// The lines of a text that is broken between words at `columns`.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(10);
    let mut lines = vec![String::new()];
    for word in on_one_line(text).split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The first names of a list on one line of at most `columns`, and how many more there are.
pub fn folded<'a>(names: impl IntoIterator<Item = &'a str>, columns: usize) -> String {
    let names: Vec<String> = names.into_iter().map(on_one_line).collect();
    let all = names.join(", ");
    if all.width() <= columns {
        return all;
    }
    let mut shown = String::new();
    for (at, name) in names.iter().enumerate() {
        let more = format!(" and {} more, {} in all", names.len() - at, names.len());
        let next = if at == 0 {
            name.clone()
        } else {
            format!("{shown}, {name}")
        };
        if next.width() + more.width() > columns && at > 0 {
            return shown + &more;
        }
        shown = next;
    }
    shown
}

/// A cell of a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: on_one_line(&text.into()),
            style,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text.as_ref(), Style::Plain)
    }
}

/// A table with a header and one line for each row; two spaces separate the columns. The last column takes the rest of
/// the line, and continues below itself where that is too little.
pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// Lines below a row, with the row's number.
    below: Vec<(usize, Painted)>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these columns.
    pub fn new<T: AsRef<str>>(header: impl IntoIterator<Item = T>) -> Self {
        let header = header.into_iter().map(|name| Cell::styled(name.as_ref(), Style::Bold));
        Self {
            rows: vec![header.collect()],
            below: Vec::new(),
            right: Vec::new(),
        }
    }

    /// Aligns columns of numbers to the right.
    pub fn right(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.right.extend(columns);
        self
    }

    pub fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Adds a line below the last row, outside the columns.
    pub fn below(&mut self, line: Painted) {
        self.below.push((self.rows.len() - 1, line));
    }
}

impl Table {
    /// Whether the table has rows but none of them has anything in this column.
    fn is_empty(&self, column: usize) -> bool {
        let mut rows = self.rows.iter().skip(1);
        rows.len() > 0 && rows.all(|row| row.get(column).is_none_or(|cell| cell.text.is_empty()))
    }

    /// The lines of the table. An empty last column has no heading.
    pub fn painted(&self) -> Painted {
        let columns = self.rows[0].len();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let last = columns.saturating_sub(1);
        let indent: usize = widths[..last].iter().map(|width| width + 2).sum();
        let space = |columns: usize| " ".repeat(columns);
        let mut out = Painted::default();
        for (at, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let gap = space(widths[column].saturating_sub(cell.text.width()));
                let to_right = self.right.contains(&column);
                if to_right {
                    out.push(Style::Plain, &gap);
                }
                if column < last {
                    out.push(cell.style, &cell.text);
                    out.push(Style::Plain, if to_right { "" } else { &gap });
                    out.push(Style::Plain, "  ");
                    continue;
                }
                if at == 0 && self.is_empty(column) {
                    continue;
                }
                let lines = wrap(&cell.text, breaking_width().saturating_sub(indent).max(20));
                for (at, part) in lines.iter().enumerate() {
                    if at > 0 {
                        out.end_line();
                        out.push(Style::Plain, &space(indent));
                    }
                    out.push(cell.style, part);
                }
            }
            out.end_line();
            for (_, line) in self.below.iter().filter(|(row, _)| *row == at) {
                out.push(Style::Plain, "  ");
                out.append(line);
                out.end_line();
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn korean_takes_two_columns() {
        choose(ColorChoice::Never);
        assert_eq!(fit("정말 재미있게", 8), "정말 재…");
        assert_eq!(fit("a\u{1b}[31m\nb", 80), "a\\u001b[31m b");
        let mut table = Table::new(["label", "n", "text"]).right([1]);
        table.row(["긍정", "1", "a"]);
        table.row(["no", "10", "b"]);
        assert_eq!(
            table.painted().as_str(),
            "label   n  text\n긍정    1  a\nno     10  b\n"
        );
        let mut table = Table::new(["label", "text"]);
        table.row(["no", ""]);
        assert_eq!(table.painted().as_str(), "label\nno\n");
    }

    #[test]
    fn long_lists_are_folded_with_a_count() {
        let names: Vec<String> = (0..157).map(|at| format!("label-{at}")).collect();
        let shown = folded(names.iter().map(String::as_str), 60);
        assert!(shown.width() <= 60 && shown.ends_with("more, 157 in all"), "{shown}");
        assert_eq!(folded(["a", "b"], 60), "a, b");
    }

    #[test]
    fn the_last_column_goes_on_below_itself() {
        assert_eq!(wrap("one two three four", 10), ["one two", "three four"]);
    }
}
