//! The section that shows which classes are taken for which: a heat map, or, if the classes are many, the pairs that are
//! confused most.

use super::page::{Block, Matrix, Section, Table};
use super::words::{count, cut, label, percent};

/// With more classes than this, pairs are listed.
const MOST_IN_A_MAP: usize = 12;
/// How many pairs are listed.
const MOST_PAIRS: usize = 25;
/// How many columns a label may take at the edge of a map.
const EDGE_COLUMNS: usize = 24;

/// The section. `counts` gives, for the index of the right label and that of the one that was said, the number of texts.
pub fn section(labels: &[String], counts: impl Fn(usize, usize) -> u64) -> Section {
    let section = Section::new("What is taken for what");
    if labels.len() <= MOST_IN_A_MAP {
        let row = |truth: usize| (0..labels.len()).map(|said| counts(truth, said)).collect();
        let matrix = Matrix {
            caption: "Texts by what is right (rows) and what was said (columns)".to_owned(),
            names: labels.iter().map(|name| cut(name, EDGE_COLUMNS)).collect(),
            counts: (0..labels.len()).map(row).collect(),
        };
        return section.with(Block::Matrix(matrix));
    }
    let mut pairs = Vec::new();
    let mut confused = 0_u64;
    for truth in 0..labels.len() {
        let row: Vec<u64> = (0..labels.len()).map(|said| counts(truth, said)).collect();
        let whole: u64 = row.iter().sum();
        let wrong = row
            .iter()
            .enumerate()
            .filter(|(said, texts)| *said != truth && **texts > 0);
        for (said, texts) in wrong {
            confused += texts;
            pairs.push((*texts, whole, truth, said));
        }
    }
    if pairs.is_empty() {
        return section.text("No text was given a wrong label.");
    }
    // Ties keep the order of the labels.
    pairs.sort_by_key(|(texts, ..)| std::cmp::Reverse(*texts));
    let all = pairs.len();
    let columns = ["right", "said", "texts", "share"];
    let mut table = Table::new("The pairs that are confused most", columns).words([1]);
    for (texts, whole, truth, said) in pairs.into_iter().take(MOST_PAIRS) {
        table.row([
            label(&labels[truth]),
            label(&labels[said]),
            count(texts),
            percent(texts as f64 / whole as f64, 1),
        ]);
    }
    let shown = table.rows.len();
    section.with(Block::Table(table)).text(format!(
        "{} texts were given a wrong label, in {} pairs of labels; {} are shown. \
         The share is that of all texts with the right label.",
        count(confused),
        count(all as u64),
        shown
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(number: usize) -> Vec<String> {
        (0..number).map(|at| format!("class {at}")).collect()
    }

    #[test]
    fn few_classes_make_a_map_and_many_a_list() {
        let counts = |truth: usize, said: usize| (truth * 3 + said) as u64;
        let few = section(&labels(3), counts);
        let Block::Matrix(matrix) = &few.blocks[0] else {
            panic!("a map: {few:?}");
        };
        assert_eq!(matrix.counts, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]);
        let many = section(
            &labels(50),
            |truth, said| if truth + 1 == said { said as u64 } else { 1 },
        );
        let Block::Table(table) = &many.blocks[0] else {
            panic!("a list: {many:?}");
        };
        assert_eq!(table.rows.len(), MOST_PAIRS);
        assert_eq!(table.rows[0].cells, ["class 48", "class 49", "49", "50.0%"]);
        let right = section(&labels(50), |truth, said| u64::from(truth == said));
        assert!(matches!(&right.blocks[0], Block::Text(_)));
    }
}
