//! The section that shows how each class fares.

use super::page::{BesideFile, Block, Section, Table};
use super::words::{count, label, number};

/// How many classes the page shows; the file beside it has all.
const MOST_CLASSES: usize = 100;
/// With fewer texts than this, a class's figures are mostly chance.
pub const LEAST_TEXTS: u64 = 20;

/// The figures of a class, each a share from 0 to 1. `None` for one that nothing can be said of.
#[derive(Clone, Debug, Default)]
pub struct Class {
    pub label: String,
    /// How many of the texts have it.
    pub texts: u64,
    /// Of the texts that were given it, the share that has it.
    pub precision: Option<f64>,
    /// Of the texts that have it, the share that was given it.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
}

/// The section: a table, the lowest F1 first.
pub fn section(classes: &[Class]) -> Section {
    let mut order: Vec<&Class> = classes.iter().collect();
    // Classes without a figure come last.
    order.sort_by(|a, b| a.f1.unwrap_or(2.0).total_cmp(&b.f1.unwrap_or(2.0)));
    let few = classes.iter().filter(|class| class.texts < LEAST_TEXTS).count() as u64;
    let mut columns = vec!["class", "texts", "precision", "recall", "F1"];
    if few > 0 {
        columns.push("note");
    }
    let mut table = Table::new("Classes, the lowest F1 first", columns).words((few > 0).then_some(5));
    for class in order.iter().take(MOST_CLASSES) {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 3));
        let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(figure);
        let mut cells = vec![label(&class.label), count(class.texts), precision, recall, f1];
        if few > 0 {
            let note = if class.texts < LEAST_TEXTS { "few texts" } else { "" };
            cells.push(note.to_owned());
        }
        table.row(cells);
    }
    let mut section = Section::new("Class by class");
    if few > 0 {
        let noun = if few == 1 { "class has" } else { "classes have" };
        section = section.note(format!(
            "{few} {noun} fewer than {LEAST_TEXTS} texts here: figures of so few are mostly chance."
        ));
    }
    section = section.with(Block::Table(table));
    if classes.len() > MOST_CLASSES {
        section = section.with(Block::File(BesideFile {
            name: "classes.csv",
            about: format!("all {} classes", count(classes.len() as u64)),
            content: csv(&order),
        }));
    }
    section
}

fn csv(classes: &[&Class]) -> String {
    let figure = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
    let rows = classes.iter().map(|class| {
        let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(figure);
        vec![class.label.clone(), class.texts.to_string(), precision, recall, f1]
    });
    super::words::csv(&["class", "texts", "precision", "recall", "f1"], rows)
}
