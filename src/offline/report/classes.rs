//! The section that shows how each class fares.

use super::page::{BesideFile, Block, Section, Table};
use super::words::{count, csv, label, number};
use crate::offline::evaluation::classes::{Class, RELIABLE};
use crate::offline::evaluation::interval::Interval;

/// How many classes the page shows; the file beside it has all.
const MOST_CLASSES: usize = 100;

/// The section: a table, the lowest F1 first. `labels` are the names of the classes, in their order.
pub fn section(labels: &[String], classes: &[Class]) -> Section {
    let mut order: Vec<(&String, &Class)> = labels.iter().zip(classes).collect();
    // Classes without a figure come last.
    order.sort_by(|a, b| a.1.f1.unwrap_or(2.0).total_cmp(&b.1.f1.unwrap_or(2.0)));
    let columns = ["class", "texts", "precision", "recall", "95%", "F1"];
    let mut table = Table::new("Classes, the lowest F1 first", columns);
    for (name, class) in order.iter().take(MOST_CLASSES) {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 3));
        let value = |interval: Option<Interval>| figure(interval.map(|interval| interval.value));
        let range = |interval: Interval| format!("{} to {}", number(interval.low, 2), number(interval.high, 2));
        table.row([
            label(name),
            count(class.texts as u64),
            value(class.precision),
            value(class.recall),
            class.recall.map_or(String::new(), range),
            figure(class.f1),
        ]);
    }
    let mut section = Section::new("Class by class").text("The interval is that of the recall.");
    let few = classes.iter().filter(|class| class.is_unreliable()).count() as u64;
    if few > 0 {
        let noun = if few == 1 { "class has" } else { "classes have" };
        section = section.note(format!(
            "{} {noun} fewer than {RELIABLE} texts here: figures of so few are mostly chance.",
            count(few)
        ));
    }
    section = section.with(Block::Table(table));
    if order.len() > MOST_CLASSES {
        section = section.with(Block::File(BesideFile {
            name: "classes.csv",
            about: format!("all {} classes", count(order.len() as u64)),
            content: all(&order),
        }));
    }
    section
}

fn all(classes: &[(&String, &Class)]) -> String {
    let figure = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
    let rows = classes.iter().map(|(name, class)| {
        let [precision, recall] = [class.precision, class.recall].map(|interval| figure(interval.map(|one| one.value)));
        vec![
            (*name).clone(),
            class.texts.to_string(),
            precision,
            recall,
            figure(class.f1),
        ]
    });
    csv(&["class", "texts", "precision", "recall", "f1"], rows)
}
