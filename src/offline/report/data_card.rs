//! The section that shows what was learned from or measured on: rows, what was left out, scripts, lengths, classes.

use super::page::{Block, Section, Table};
use super::words::{count, counted, label, percent, rough};
use crate::offline::dataset::facts::{Facts, Lengths};

/// How many classes the page lists: the most and the fewest texts, half of them each.
const MOST_CLASSES: usize = 20;
/// How many reasons for leaving rows out, and how many scripts, it lists.
const MOST_REASONS: usize = 20;
const MOST_SCRIPTS: usize = 8;
/// A script that fewer than one letter in so many has is not listed.
const RARE: u64 = 1000;
/// If the largest class has this many times the texts of the smallest, that is told.
const IMBALANCED: f64 = 10.0;

/// The data of a report.
#[derive(Clone, Copy)]
pub struct DataCard<'a> {
    pub facts: &'a Facts,
    /// The labels, in the order of the facts' classes.
    pub labels: &'a [String],
    /// The parts that the rows were split into, and how many rows each has.
    pub parts: &'a [(&'a str, u64)],
    /// What else was found, in a sentence each.
    pub notes: &'a [String],
}

/// The section.
pub fn section(data: DataCard<'_>) -> Section {
    let facts = data.facts;
    let mut told = vec![
        ("file".to_owned(), facts.file.clone()),
        ("rows".to_owned(), count(facts.rows)),
        ("used".to_owned(), with_share(facts.used, facts.rows)),
    ];
    let left_out = facts.left_out.iter().take(MOST_REASONS);
    told.extend(left_out.map(|(why, rows)| (format!("left out: {why}"), with_share(*rows, facts.rows))));
    if facts.unlabelled > 0 {
        told.push(("without a label".to_owned(), with_share(facts.unlabelled, facts.rows)));
    }
    told.extend(data.parts.iter().map(|(part, rows)| ((*part).to_owned(), count(*rows))));
    told.push((
        "further rows of a text".to_owned(),
        with_share(facts.duplicates, facts.rows),
    ));
    told.push(("texts with several labels".to_owned(), some(facts.conflicts)));
    if !facts.scripts.is_empty() {
        let all: u64 = facts.scripts.iter().map(|(_, letters)| letters).sum();
        let script = |(name, letters): &(String, u64)| format!("{name} {}", share(*letters, all));
        let usual = facts.scripts.iter().filter(|(_, letters)| letters * RARE >= all);
        let scripts: Vec<String> = usual.take(MOST_SCRIPTS).map(script).collect();
        told.push(("letters by script".to_owned(), scripts.join(", ")));
    }
    let Lengths {
        least,
        median,
        p90,
        p99,
        most,
    } = facts.lengths;
    let [least, median, p90, p99, most] = [least, median, p90, p99, most].map(|length| count(u64::from(length)));
    told.push((
        "lengths".to_owned(),
        format!("{least} to {most} characters; half have at most {median}, 90% at most {p90}, 99% at most {p99}"),
    ));
    if let Some(hash) = &facts.sha256 {
        told.push(("SHA-256".to_owned(), hash.clone()));
    }
    let mut section = Section::new("The data").with(Block::Facts(told));
    let classes = sizes(data);
    for note in data.notes {
        section = section.text(note.clone());
    }
    if let Some(note) = imbalance(&classes).filter(|_| facts.unlabelled < facts.used) {
        section = section.note(note);
    }
    // Of texts that nobody labelled there is nothing to count.
    if classes.iter().all(|(_, texts)| *texts == 0) {
        return section;
    }
    section.with(Block::Table(table(&classes, facts.used)))
}

/// The classes with the number of their texts, the largest first.
fn sizes(data: DataCard<'_>) -> Vec<(&str, u64)> {
    let pairs = data.labels.iter().zip(&data.facts.classes);
    let mut classes: Vec<(&str, u64)> = pairs.map(|(name, texts)| (name.as_str(), *texts)).collect();
    classes.sort_by_key(|(_, texts)| std::cmp::Reverse(*texts));
    classes
}

fn share(part: u64, whole: u64) -> String {
    percent(part as f64 / whole.max(1) as f64, 1)
}

fn with_share(part: u64, whole: u64) -> String {
    if part == 0 {
        return "none".to_owned();
    }
    format!("{} ({})", count(part), share(part, whole))
}

fn some(number: u64) -> String {
    if number == 0 {
        return "none".to_owned();
    }
    count(number)
}

/// A sentence about classes of very different size; `None` if they are alike.
fn imbalance(classes: &[(&str, u64)]) -> Option<String> {
    let (most, fewest) = (classes.first()?, classes.last()?);
    let times = most.1 as f64 / fewest.1.max(1) as f64;
    (times >= IMBALANCED).then(|| {
        format!(
            "The classes differ much in size: {} has {}, {} has {} ({} times as many). Accuracy says little of the small \
             ones; look at macro-F1.",
            label(most.0),
            counted(most.1, "text"),
            label(fewest.0),
            count(fewest.1),
            rough(times)
        )
    })
}

fn table(classes: &[(&str, u64)], used: u64) -> Table {
    let all = classes.len();
    let half = MOST_CLASSES / 2;
    let caption = if all > MOST_CLASSES {
        format!("Texts of each class: the {half} largest and the {half} smallest of {all}")
    } else {
        "Texts of each class".to_owned()
    };
    let mut table = Table::new(caption, ["class", "texts", "of all"]);
    for (at, (name, texts)) in classes.iter().enumerate() {
        if all <= MOST_CLASSES || at < half || at >= all - half {
            table.row([label(name), count(*texts), share(*texts, used)]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_very_different_size_are_told_and_long_lists_cut() {
        assert_eq!(imbalance(&[("a", 50), ("b", 50)]), None);
        let told = imbalance(&[("a", 94), ("b", 6)]).expect("told");
        assert!(told.contains("a has 94 texts, b has 6 (15.7 times as many)"), "{told}");
        assert!(imbalance(&[("a", 94), ("b", 0)]).expect("told").contains("b has 0"));
        assert_eq!(imbalance(&[]), None);
        let labels: Vec<String> = (1..=77).map(|at| format!("c{at}")).collect();
        let facts = Facts {
            classes: (1..=77).collect(),
            ..Facts::default()
        };
        let data = DataCard {
            facts: &facts,
            labels: &labels,
            parts: &[],
            notes: &[],
        };
        let table = table(&sizes(data), 100);
        assert_eq!(table.rows.len(), MOST_CLASSES);
        assert_eq!(table.rows[0].cells, ["c77", "77", "77.0%"]);
        assert_eq!(table.rows[MOST_CLASSES - 1].cells, ["c1", "1", "1.0%"]);
    }
}
