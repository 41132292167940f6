//! The section that shows the texts whose label the model is surest to be wrong: those labels are worth a second look.
//!
//! The idea is that of confident learning (Northcutt, Jiang, Chuang, 2021), in its simplest form: answers for texts that
//! took no part in the training, ordered by their confidence.

use super::page::{BesideFile, Block, Section, Table};
use super::words::{TEXT_COLUMNS, count, csv, cut, label, percent};

/// How many texts the page shows, and the file beside it has.
const MOST_SHOWN: usize = 10;
/// How many the file beside it has at most.
pub const MOST: usize = 50;
/// The column of the text.
const TEXT: usize = 1;

/// A text whose answer is not its label.
#[derive(Clone, Debug, Default)]
pub struct Disagreement {
    /// Its line in the file.
    pub line: u64,
    /// `None` if no text may be shown.
    pub text: Option<String>,
    /// The label that it has.
    pub labelled: String,
    /// The label that the model gave it.
    pub said: String,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
}

/// Whose the labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelledBy {
    People,
    /// A deep model, whose answers stand for labels.
    DeepModel,
}

/// The section. Puts them into order; the surest come first.
pub fn section(mut all: Vec<Disagreement>, by: LabelledBy) -> Section {
    let [title, caption, read] = match by {
        LabelledBy::People => [
            "Probably wrong labels",
            "Where the model is surest that the label is wrong",
            "Read them: among the surest are labels that people got wrong, and what the model has not understood.",
        ],
        LabelledBy::DeepModel => [
            "Where both models differ",
            "Where the fast model is surest of another label than the deep one",
            "Read them: among the surest are texts that the deep model got wrong, and what the fast one has not learnt.",
        ],
    };
    let section = Section::new(title);
    all.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.line.cmp(&b.line)));
    all.truncate(MOST);
    if all.is_empty() {
        return section.text("The model agrees with every label.");
    }
    let has_texts = all.iter().any(|one| one.text.is_some());
    let whole = if has_texts { ", with their whole texts" } else { "" };
    let kept = |at: usize| has_texts || at != TEXT;
    let columns = ["line", "text", "labelled", "the model says", "sure"];
    let columns = (0..).zip(columns).filter(|(at, _)| kept(*at)).map(|(_, name)| name);
    let mut table = Table::new(caption, columns);
    table = if has_texts {
        table.words([1, 2, 3])
    } else {
        table.words([1, 2])
    };
    for one in all.iter().take(MOST_SHOWN) {
        let text = one.text.as_deref().unwrap_or_default();
        let cells = [
            count(one.line),
            cut(text, TEXT_COLUMNS),
            label(&one.labelled),
            label(&one.said),
            percent(one.confidence, 1),
        ];
        table.row((0..).zip(cells).filter(|(at, _)| kept(*at)).map(|(_, cell)| cell));
    }
    let rows = all.iter().map(|one| {
        let cells = [
            one.line.to_string(),
            one.text.clone().unwrap_or_default(),
            one.labelled.clone(),
            one.said.clone(),
            format!("{:.4}", one.confidence),
        ];
        (0..)
            .zip(cells)
            .filter(|(at, _)| kept(*at))
            .map(|(_, cell)| cell)
            .collect()
    });
    let columns = ["line", "text", "labelled", "said", "confidence"];
    let columns: Vec<&str> = (0..)
        .zip(columns)
        .filter(|(at, _)| kept(*at))
        .map(|(_, name)| name)
        .collect();
    let content = csv(&columns, rows);
    section
        .text(read)
        .with(Block::Table(table))
        .with(Block::File(BesideFile {
            name: "disagreements.csv",
            about: format!("the {} surest{whole}", count(all.len() as u64)),
            content,
        }))
}
