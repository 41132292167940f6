//! What is told of a dataset before the work on it begins: what it holds, and what is doubtful about it, each with its
//! lines and with what is done. Decides nothing but whether the work can begin at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::columns::DatasetColumns;
use super::example::Target;
use super::labels::fold;
use super::places::{Places, folded, short};
use super::reading::{Dataset, LONG};
use crate::model::manifest::ProblemType;
use crate::model::paths::quoted;

/// With fewer rows of a label its figures are unreliable.
pub const FEW_ROWS: u64 = 6;
/// How many labels or pairs of labels one message names.
const NAMED: usize = 10;
/// The share of rows with one label from which on accuracy says little.
const ONE_SIDED: f64 = 0.95;

/// What is told before the work begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// What the dataset holds, in one line each.
    pub lines: Vec<String>,
    /// What is doubtful, in one line each.
    pub warnings: Vec<String>,
}

/// What the caller knows of the work and the machine; what is absent is not told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work<'a> {
    /// Where the results will be written.
    pub out: Option<&'a Path>,
    /// The bytes that are free there.
    pub free: Option<u64>,
    /// The bytes that the results will take, about.
    pub needs: Option<u64>,
    /// How long the work will take, about.
    pub estimate: Option<Duration>,
}

/// Looks at a dataset. The error is one whole line that says why the work can't begin.
pub fn look(dataset: &Dataset, columns: &DatasetColumns, work: &Work<'_>) -> Result<Preflight, String> {
    if columns.has_targets() {
        check_labels(dataset)?;
    }
    let mut told = Preflight::default();
    told.rows(dataset, columns);
    if columns.has_targets() {
        told.labels(dataset);
    }
    told.texts(dataset);
    told.work(work)?;
    Ok(told)
}

/// How long all of some work takes, from a part of it that was measured.
pub fn estimate(measured: Duration, units: u64, all: u64) -> Duration {
    Duration::try_from_secs_f64(measured.as_secs_f64() * all as f64 / units.max(1) as f64).unwrap_or(Duration::MAX)
}

fn check_labels(dataset: &Dataset) -> Result<(), String> {
    let single = dataset.problem_type == ProblemType::SingleLabel;
    let (file, rows) = (&dataset.facts.file, dataset.examples.len());
    match &dataset.labels[..] {
        [] => Err(format!("{file}: no row has a label")),
        [one] if single => {
            let line = dataset.examples.first().map_or(0, |example| example.line);
            Err(format!(
                "{file} has one label only: all {rows} rows from line {line} on are `{}`; there must be at least two labels to tell apart",
                short(one)
            ))
        }
        _ => Ok(()),
    }
}

impl Preflight {
    fn rows(&mut self, dataset: &Dataset, columns: &DatasetColumns) {
        let facts = &dataset.facts;
        let named = [
            ("labels", &columns.label),
            ("weights", &columns.weight),
            ("probabilities", &columns.probabilities),
        ];
        let named = named
            .into_iter()
            .filter_map(|(what, name)| Some(format!("{what} in `{}`", name.as_ref()?)));
        let soft = columns
            .soft
            .iter()
            .map(|(label, column)| format!("probabilities of {label} in `{column}`"));
        let text = columns.text.iter().map(|name| format!("texts in `{name}`"));
        let columns: Vec<String> = text.chain(named).chain(soft).collect();
        let more = if columns.is_empty() {
            String::new()
        } else {
            format!(", {}", columns.join(", "))
        };
        self.lines.push(format!(
            "{}: {} rows, {} of them used{more}",
            facts.file, facts.rows, facts.used
        ));
    }

    fn labels(&mut self, dataset: &Dataset) {
        let labels = || {
            dataset
                .labels
                .iter()
                .map(|label| short(label))
                .zip(&dataset.facts.classes)
        };
        let told = |(label, rows): (String, &u64)| format!("{label} {rows}");
        self.lines.push(if dataset.labels.len() <= NAMED {
            format!("labels: {}", labels().map(told).collect::<Vec<_>>().join(", "))
        } else {
            let by_rows = |(_, rows): &(String, &u64)| **rows;
            let (least, most) = (labels().min_by_key(by_rows), labels().max_by_key(by_rows));
            let ends: Vec<String> = least.into_iter().chain(most).map(told).collect();
            format!(
                "labels: {}; rows of a label: from {}",
                dataset.labels.len(),
                ends.join(" to ")
            )
        });
        self.warnings
            .extend(near_labels(&dataset.labels, &dataset.facts.classes));
        self.warnings.extend(few(dataset));
        if let Some((label, &rows)) = labels().max_by_key(|(_, rows)| **rows)
            && dataset.problem_type == ProblemType::SingleLabel
            && rows as f64 >= ONE_SIDED * dataset.facts.used as f64
        {
            let share = rows as f64 / dataset.facts.used as f64 * 100.0;
            self.warnings.push(format!(
                "{share:.1}% of the rows are `{label}`: accuracy says little here, look at macro-F1 and the recall of each label"
            ));
        }
    }

    fn texts(&mut self, dataset: &Dataset) {
        let (lengths, duplicates) = (dataset.facts.lengths, &dataset.duplicates);
        let letters: u64 = dataset.facts.scripts.iter().map(|(_, letters)| letters).sum();
        let share = |(script, count): &(String, u64)| {
            let share = *count as f64 / letters as f64 * 100.0;
            (share >= 1.0).then(|| format!("{script} {share:.0}%"))
        };
        let scripts: Vec<String> = dataset.facts.scripts.iter().filter_map(share).collect();
        self.lines.push(format!(
            "texts: half of them up to {} characters, 99% up to {}, the longest {}; letters: {}",
            lengths.median,
            lengths.p99,
            lengths.most,
            if scripts.is_empty() {
                "none".to_owned()
            } else {
                scripts.join(", ")
            }
        ));
        if duplicates.further.count > 0 {
            self.lines.push(format!(
                "repeated texts: {}; they are kept, and equal texts (case and spaces aside) are on one side of every split",
                duplicates.further
            ));
        }
        if duplicates.conflicts > 0 {
            self.warnings.push(conflicts(dataset));
        }
        if dataset.long.count > 0 {
            self.warnings.push(format!(
                "{} with a text of more than {LONG} bytes: they are kept; a model may answer none so long, and a server takes \
                 them only with a larger max_text_bytes",
                dataset.long
            ));
        }
        if dataset.facts.unlabelled > 0 && dataset.facts.unlabelled < dataset.facts.used {
            self.lines.push(format!(
                "rows without a label: {}; they are kept",
                dataset.facts.unlabelled
            ));
        }
    }

    /// The error is one line: the disk is too small.
    fn work(&mut self, work: &Work<'_>) -> Result<(), String> {
        if let (Some(out), Some(free)) = (work.out, work.free) {
            let needs = work.needs.unwrap_or_default();
            if needs > free {
                return Err(format!(
                    "the results take about {}, and {} are free in {}: make room, or name another place with --out",
                    mebibytes(needs),
                    mebibytes(free),
                    out.display()
                ));
            }
            let takes = work.needs.map(|needs| format!(", about {}", mebibytes(needs)));
            let takes = takes.unwrap_or_default();
            self.lines
                .push(format!("results: {}{takes} ({} free)", out.display(), mebibytes(free)));
        }
        if let Some(estimate) = work.estimate {
            self.lines.push(format!("time: about {}", about(estimate)));
        }
        Ok(())
    }
}

/// Labels that differ only by case, spaces or what is not seen from one that has more rows, with the remedy.
fn near_labels(labels: &[String], rows: &[u64]) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, label) in labels.iter().enumerate() {
        alike.entry(fold(&as_seen(label))).or_default().push(at);
    }
    let mut told = Vec::new();
    for mut places in alike.into_values().filter(|places| places.len() > 1) {
        // Of equals the one without spaces around it.
        places.sort_by_key(|&at| (std::cmp::Reverse(rows[at]), labels[at].len()));
        let (main, others) = places.split_first().expect("there are two");
        for &other in others {
            let (one, main) = (&labels[other], &labels[*main]);
            let by_spaces = one.trim() == main.trim();
            let remedy = if by_spaces {
                "--trim".to_owned()
            } else {
                format!("--map {}", quoted(&format!("{one}={main}")))
            };
            let what = match one.len().abs_diff(main.len()) {
                _ if fold(one) != fold(main) => "its Unicode form or a sign that is not seen",
                1 if by_spaces => "a space",
                _ if without_spaces(one) == without_spaces(main) => "spaces",
                _ => "case or spaces",
            };
            let noun = if rows[other] == 1 { "row" } else { "rows" };
            told.push(format!(
                "'{}' ({} {noun}) differs only by {what} from '{}' → {remedy}",
                short(one),
                rows[other],
                short(main)
            ));
        }
    }
    let more = told.len().saturating_sub(NAMED);
    if more > 0 {
        told.truncate(NAMED);
        told.push(format!("{more} more labels differ hardly from others"));
    }
    told
}

/// A label as people see it: in one Unicode form, without signs that have no width.
fn as_seen(label: &str) -> String {
    let is_seen = |value: &char| !matches!(value, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}');
    label.nfkc().filter(is_seen).collect()
}

fn without_spaces(label: &str) -> String {
    label.split_whitespace().collect()
}

/// Labels with few rows, or none.
fn few(dataset: &Dataset) -> Vec<String> {
    let classes = &dataset.facts.classes;
    let mut lines = vec![Places::default(); classes.len()];
    let is_few = |label: usize| classes[label] < FEW_ROWS;
    for example in &dataset.examples {
        match &example.target {
            Target::Many(several) => {
                let few = several
                    .iter()
                    .map(|&label| label as usize)
                    .filter(|&label| is_few(label));
                few.for_each(|label| lines[label].add(example.line));
            }
            target => target
                .top()
                .into_iter()
                .filter(|&label| is_few(label))
                .for_each(|label| lines[label].add(example.line)),
        }
    }
    let named = |from: u64, to: u64, with_lines: bool| {
        let found = (0..classes.len()).filter(|&label| (from..to).contains(&classes[label]));
        let found: Vec<String> = found
            .map(|label| {
                let name = short(&dataset.labels[label]);
                if with_lines {
                    format!("{name}: {}", lines[label])
                } else {
                    name
                }
            })
            .collect();
        let more = folded(found.len(), NAMED);
        (!found.is_empty()).then(|| found[..found.len().min(NAMED)].join(", ") + &more)
    };
    [
        named(0, 1, false).map(|labels| format!("no row has the label {labels}: nothing can be said of it")),
        named(1, 2, true).map(|labels| {
            format!("labels with one row: {labels}; it is kept, but it is on one side of a split only, so there are no figures of it")
        }),
        named(2, FEW_ROWS, true)
            .map(|labels| format!("labels with fewer than {FEW_ROWS} rows: {labels}; they are kept, and their figures are unreliable")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The texts whose rows have different labels.
fn conflicts(dataset: &Dataset) -> String {
    let label = |at: usize| match &dataset.examples[at].target {
        Target::Many(several) => {
            let names = several.iter().map(|&label| short(&dataset.labels[label as usize]));
            names.collect::<Vec<_>>().join(&dataset.label_separator)
        }
        target => target
            .top()
            .map(|label| short(&dataset.labels[label]))
            .unwrap_or_default(),
    };
    let row = |&at: &usize| format!("{} ({})", dataset.examples[at].line, label(at));
    let found = &dataset.duplicates;
    let named = found.first_conflicts.iter().map(|rows| {
        let rows: Vec<String> = rows.iter().map(row).collect();
        format!("lines {}", rows.join(", "))
    });
    format!(
        "equal texts with different labels: {}{}; each row is kept and counts as it is labelled",
        named.collect::<Vec<_>>().join("; "),
        folded(found.conflicts as usize, found.first_conflicts.len())
    )
}

/// A number of bytes for people.
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A time for people, to two places at most.
pub fn about(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => "1 s".to_owned(),
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds if seconds < 90.0 * 60.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests;
