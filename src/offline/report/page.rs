//! What a report holds: sections of paragraphs, tables, charts. Says nothing of looks; [`super::html`] and
//! [`super::markdown`] do.

use super::chart::Chart;

/// A report.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What was done with what: "calibrate: the cascade of sentiment".
    pub title: String,
    /// What was found, the most important first, a sentence or two each.
    pub summary: Vec<String>,
    /// The parts, in the order in which they are read.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

impl Section {
    /// A part with nothing in it yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// The section with one more block.
    pub fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// The section with one more paragraph.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Block::Text(text.into()))
    }

    /// The section with one more warning.
    pub fn note(self, text: impl Into<String>) -> Self {
        self.with(Block::Note(text.into()))
    }
}

/// A piece of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A paragraph that should not be missed: a warning.
    Note(String),
    /// Names with their values.
    Facts(Vec<(String, String)>),
    Table(Table),
    Matrix(Matrix),
    Chart(Chart),
    /// Commands or configuration, as they stand.
    Code(String),
    /// A file that is written beside the report.
    File(BesideFile),
}

/// A file that is written beside the report, as `<report>-<name>`.
#[derive(Clone, Debug)]
pub struct BesideFile {
    /// The end of its name, such as `disagreements.csv`.
    pub name: &'static str,
    /// What it holds.
    pub about: String,
    pub content: String,
}

impl BesideFile {
    /// Its name beside a report whose name without the ending is `stem`.
    pub fn file_name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.name)
    }
}

/// A table. Its first column names the rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What the table shows, for those who only hear it; also its heading.
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// Whether it holds figures, which stand to the right.
    pub figures: bool,
}

/// A row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    pub cells: Vec<String>,
    /// Whether it is the one to look at.
    pub strong: bool,
}

impl Table {
    /// A table of these columns: the first holds names, the others figures.
    pub fn new<'a>(caption: impl Into<String>, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let column = |(at, name): (usize, &str)| Column {
            name: name.to_owned(),
            figures: at > 0,
        };
        Self {
            caption: caption.into(),
            columns: columns.into_iter().enumerate().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// The table with these columns, by their place, holding words.
    pub fn words(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        for at in columns {
            self.columns[at].figures = false;
        }
        self
    }

    /// Adds a row, of a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.add(cells, false);
    }

    /// Adds a row to look at.
    pub fn strong_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.add(cells, true);
    }

    fn add(&mut self, cells: impl IntoIterator<Item = String>, strong: bool) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(Row { cells, strong });
    }
}

/// Counts by two names, drawn as a heat map: rows are the truth, columns what was said.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    pub caption: String,
    /// The names of both rows and columns.
    pub names: Vec<String>,
    /// The counts, row by row.
    pub counts: Vec<Vec<u64>>,
}
