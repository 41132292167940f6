//! The section that shows what a linear model looks at: the n-grams that speak most for each class.

use super::page::{BesideFile, Block, Section, Table};
use super::words::{count, csv, cut, label};

/// How many classes, and n-grams of each, the page shows; the file beside it has all.
const MOST_CLASSES: usize = 50;
const MOST_NGRAMS: usize = 12;
/// How many columns an n-gram may take.
const NGRAM_COLUMNS: usize = 24;

/// A class with the n-grams that speak for it, the strongest first, each with its weight.
#[derive(Clone, Debug, Default)]
pub struct ClassNgrams {
    pub label: String,
    pub ngrams: Vec<(String, f64)>,
}

/// The section.
pub fn section(classes: &[ClassNgrams]) -> Section {
    let mut table = Table::new("The n-grams that speak most for each class", ["class", "n-grams"]).words([1]);
    for class in classes.iter().take(MOST_CLASSES) {
        let shown: Vec<String> = class
            .ngrams
            .iter()
            .take(MOST_NGRAMS)
            .map(|(ngram, _)| shown(ngram))
            .collect();
        table.row([label(&class.label), shown.join("  ")]);
    }
    let all = classes.len();
    let section = Section::new("What it looks at")
        .text("The strongest first; a space within one is written ␣. A name or a date among them is something that the texts have in common by chance.")
        .with(Block::Table(table));
    let rows = classes.iter().flat_map(|class| {
        let row = |(ngram, weight): &(String, f64)| vec![class.label.clone(), ngram.clone(), format!("{weight:.6}")];
        class.ngrams.iter().map(row).collect::<Vec<_>>()
    });
    section.with(Block::File(BesideFile {
        name: "ngrams.csv",
        about: format!("the n-grams of all {} classes with their weights", count(all as u64)),
        content: csv(&["class", "ngram", "weight"], rows),
    }))
}

fn shown(ngram: &str) -> String {
    cut(&ngram.replace(' ', "␣"), NGRAM_COLUMNS)
}
