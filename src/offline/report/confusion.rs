//! The section that shows which classes are taken for which: a heat map, or, if the classes are many, the pairs that are
//! confused most.

use super::page::{Block, Matrix, Section, Table};
use super::words::{count, cut, label, percent};
use crate::offline::evaluation::classes::{Class, Confused};

/// With more classes than this, pairs are listed.
const MOST_IN_A_MAP: usize = 12;
/// How many pairs are listed.
const MOST_PAIRS: usize = 25;
/// How many columns a label may take at the edge of a map.
const EDGE_COLUMNS: usize = 24;

/// The section, for single-label texts. `labels` are the names of the classes, in their order; `confused` are the pairs,
/// the most frequent first.
pub fn section(labels: &[String], classes: &[Class], confused: &[Confused]) -> Section {
    let section = Section::new("What is taken for what");
    if confused.is_empty() {
        return section.text("No text was given a wrong label.");
    }
    if labels.len() <= MOST_IN_A_MAP {
        return section.with(Block::Matrix(map(labels, classes, confused)));
    }
    let columns = ["right", "given", "texts", "share"];
    let mut table = Table::new("The pairs that are confused most", columns).words([1]);
    for pair in confused.iter().take(MOST_PAIRS) {
        let [truth, given] = [pair.truth, pair.given].map(|place| place as usize);
        let whole = classes.get(truth).map_or(0, |class| class.texts);
        let name = |place: usize| labels.get(place).map_or(String::new(), |name| label(name));
        table.row([
            name(truth),
            name(given),
            count(pair.texts as u64),
            percent(pair.texts as f64 / whole.max(1) as f64, 1),
        ]);
    }
    let texts: usize = confused.iter().map(|pair| pair.texts).sum();
    let told = format!(
        "{} texts were given a wrong label, in {} pairs of labels; {} are shown. The share is that of all texts with the right \
         label.",
        count(texts as u64),
        count(confused.len() as u64),
        table.rows.len()
    );
    section.with(Block::Table(table)).text(told)
}

/// All counts. What was not taken for another is right.
fn map(labels: &[String], classes: &[Class], confused: &[Confused]) -> Matrix {
    let mut counts = vec![vec![0; labels.len()]; labels.len()];
    for pair in confused {
        counts[pair.truth as usize][pair.given as usize] = pair.texts as u64;
    }
    for (at, class) in classes.iter().enumerate().take(labels.len()) {
        let wrong: u64 = counts[at].iter().sum();
        counts[at][at] = (class.texts as u64).saturating_sub(wrong);
    }
    Matrix {
        caption: "Texts by the right label (rows) and the one that was given (columns)".to_owned(),
        names: labels.iter().map(|name| cut(name, EDGE_COLUMNS)).collect(),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(number: usize) -> (Vec<String>, Vec<Class>) {
        let class = |texts| Class {
            texts,
            given: texts,
            precision: None,
            recall: None,
            f1: None,
        };
        let names = (0..number).map(|at| format!("class {at}")).collect();
        (names, (0..number).map(|_| class(10)).collect())
    }

    fn pair(truth: u32, given: u32, texts: usize) -> Confused {
        Confused { truth, given, texts }
    }

    #[test]
    fn few_classes_make_a_map_and_many_a_list() {
        let (names, classes) = labels(3);
        let few = section(&names, &classes, &[pair(0, 2, 4), pair(2, 0, 3), pair(2, 1, 2)]);
        let Block::Matrix(matrix) = &few.blocks[0] else {
            panic!("a map: {few:?}");
        };
        assert_eq!(matrix.counts, [[6, 0, 4], [0, 10, 0], [3, 2, 5]]);
        let (names, classes) = labels(50);
        let pairs: Vec<Confused> = (0..49).map(|at| pair(at, at + 1, 5)).collect();
        let many = section(&names, &classes, &pairs);
        let Block::Table(table) = &many.blocks[0] else {
            panic!("a list: {many:?}");
        };
        assert_eq!(table.rows.len(), MOST_PAIRS);
        assert_eq!(table.rows[0].cells, ["class 0", "class 1", "5", "50.0%"]);
        let right = section(&names, &classes, &[]);
        assert!(matches!(&right.blocks[0], Block::Text(_)));
    }
}
