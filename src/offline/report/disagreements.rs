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

/// A text whose answer is not its label.
#[derive(Clone, Debug, Default)]
pub struct Disagreement {
    /// Its line in the file.
    pub line: u64,
    pub text: String,
    /// The label that it has.
    pub labelled: String,
    /// The label that the model gave it.
    pub said: String,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
}

/// The section. Puts them into order; the surest come first.
pub fn section(mut all: Vec<Disagreement>) -> Section {
    let section = Section::new("Probably wrong labels");
    all.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.line.cmp(&b.line)));
    all.truncate(MOST);
    if all.is_empty() {
        return section.text("The model agrees with every label.");
    }
    let columns = ["line", "text", "labelled", "the model says", "sure"];
    let mut table = Table::new("Where the model is surest that the label is wrong", columns).words([1, 2, 3]);
    for one in all.iter().take(MOST_SHOWN) {
        table.row([
            count(one.line),
            cut(&one.text, TEXT_COLUMNS),
            label(&one.labelled),
            label(&one.said),
            percent(one.confidence, 1),
        ]);
    }
    let rows = all.iter().map(|one| {
        let sure = format!("{:.4}", one.confidence);
        vec![
            one.line.to_string(),
            one.text.clone(),
            one.labelled.clone(),
            one.said.clone(),
            sure,
        ]
    });
    let content = csv(&["line", "text", "labelled", "said", "confidence"], rows);
    section
        .text("Read them: among the surest are labels that people got wrong, and what the model has not understood.")
        .with(Block::Table(table))
        .with(Block::File(BesideFile {
            name: "disagreements.csv",
            about: format!("the {} surest, with their whole texts", count(all.len() as u64)),
            content,
        }))
}
