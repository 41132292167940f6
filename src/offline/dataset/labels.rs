//! How values of the label column become labels: those of models that are there, or those that the file has.

use std::collections::{BTreeMap, HashMap};

use super::places::{folded, short};
use crate::model::paths::quoted;

/// The most labels that a file may have.
pub const MOST_LABELS: usize = 1000;
/// The most values that are no label of the models before the reading ends.
const MOST_UNKNOWN: usize = 10_000;
/// How many values one message names.
const NAMED: usize = 16;

/// Which labels there are.
#[derive(Clone, Copy, Debug)]
pub enum Labels<'a> {
    /// Those of models, in their order. If all values are whole numbers below their count and nothing is mapped, they are
    /// places among these labels, from 0.
    Known {
        labels: &'a [String],
        /// The labels that values stand for, where a value is not a label itself.
        map: &'a BTreeMap<String, String>,
    },
    /// Those that the file has, sorted: by value if all are numbers, else by name.
    Found {
        /// Other names for values.
        map: &'a BTreeMap<String, String>,
    },
}

impl<'a> Labels<'a> {
    fn map(&self) -> &'a BTreeMap<String, String> {
        match self {
            Self::Known { map, .. } | Self::Found { map } => map,
        }
    }
}

/// The values of a file, each with a number in the order in which they come.
pub struct Values<'a> {
    labels: Labels<'a>,
    trim: bool,
    /// Whether a row may have several labels, or none.
    multi_label: bool,
    numbers: HashMap<String, u32>,
    found: Vec<Value>,
}

struct Value {
    name: String,
    /// The line on which it was first, and in how many rows it was.
    line: u64,
    rows: u64,
}

impl<'a> Values<'a> {
    /// The error is one line: a value is mapped to what is no label, or to nothing where a row has a label.
    pub fn new(labels: Labels<'a>, trim: bool, multi_label: bool) -> Result<Self, String> {
        if let Some((value, _)) = labels.map().iter().find(|(_, label)| label.is_empty() && !multi_label) {
            return Err(format!(
                "--map {}: there is no label behind the =; that a value means no label can be said with --multi-label",
                quoted(&format!("{value}="))
            ));
        }
        if let Labels::Known { labels, map } = labels
            && let Some((value, label)) = (map.iter()).find(|(_, label)| !label.is_empty() && !labels.contains(label))
        {
            return Err(format!(
                "--map {}: {} is none of the labels {}",
                quoted(&format!("{value}={label}")),
                quoted(label),
                listed(labels.iter().map(String::as_str))
            ));
        }
        Ok(Self {
            labels,
            trim,
            multi_label,
            numbers: HashMap::new(),
            found: Vec::new(),
        })
    }

    /// Whether a value means that a row has no label.
    pub fn is_none(&self, value: &str) -> bool {
        let value = if self.trim { value.trim() } else { value };
        self.labels.map().get(value).is_some_and(String::is_empty)
    }

    /// The number of a value that a row has on this line. The error is one line: there are too many different values.
    pub fn number(&mut self, value: &str, line: u64) -> Result<u32, String> {
        let value = if self.trim { value.trim() } else { value };
        let name = self.labels.map().get(value).map_or(value, String::as_str);
        if let Some(&number) = self.numbers.get(name) {
            self.found[number as usize].rows += 1;
            return Ok(number);
        }
        let number = self.found.len();
        self.found.push(Value {
            name: name.to_owned(),
            line,
            rows: 1,
        });
        match self.labels {
            Labels::Found { .. } if number >= MOST_LABELS => {
                return Err(format!(
                    "has more than {MOST_LABELS} different labels, the limit; the last one is `{}` (line {line}): is the label \
                     in another column? --label-column names it",
                    short(name)
                ));
            }
            Labels::Known { labels, .. } if number >= labels.len() + MOST_UNKNOWN => {
                return Err(self.refusal(labels, |value| labels.contains(&value.name)));
            }
            _ => {}
        }
        self.numbers.insert(name.to_owned(), number as u32);
        Ok(number as u32)
    }

    /// The labels, and the label of each value. The error names every value that is no label of the models.
    pub fn settled(&self) -> Result<(Vec<String>, Vec<u32>), String> {
        match self.labels {
            Labels::Found { .. } => Ok(self.sorted()),
            Labels::Known { labels, map } => {
                let place = |value: &Value| value.name.parse::<usize>().ok().filter(|&place| place < labels.len());
                let places = map.is_empty() && self.found.iter().all(|value| place(value).is_some());
                let by_name: HashMap<&str, usize> = labels.iter().map(String::as_str).zip(0..).collect();
                let label = |value: &Value| {
                    let named = || by_name.get(value.name.as_str()).copied();
                    if places { place(value) } else { named() }
                };
                let settled: Option<Vec<u32>> = self.found.iter().map(|value| Some(label(value)? as u32)).collect();
                let settled = settled.ok_or_else(|| self.refusal(labels, |value| label(value).is_some()))?;
                Ok((labels.to_vec(), settled))
            }
        }
    }

    fn sorted(&self) -> (Vec<String>, Vec<u32>) {
        let numbers: Option<Vec<f64>> = self.found.iter().map(|value| value.name.trim().parse().ok()).collect();
        let mut order: Vec<usize> = (0..self.found.len()).collect();
        order.sort_by(|&one, &other| {
            let by_value = numbers.as_ref().map(|numbers| numbers[one].total_cmp(&numbers[other]));
            let by_name = || self.found[one].name.cmp(&self.found[other].name);
            by_value.map_or_else(by_name, |by_value| by_value.then_with(by_name))
        });
        let mut settled = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(&at, label)| settled[at] = label);
        (
            order.into_iter().map(|at| self.found[at].name.clone()).collect(),
            settled,
        )
    }

    fn refusal(&self, labels: &[String], is_label: impl Fn(&Value) -> bool) -> String {
        let unknown: Vec<&Value> = self.found.iter().filter(|value| !is_label(value)).collect();
        let named = unknown.iter().take(NAMED).map(|Value { name, line, rows }| {
            let rows = if *rows > 1 {
                format!(", {rows} rows")
            } else {
                String::new()
            };
            let place = match line {
                // Named on the command line.
                0 => "--soft-column".to_owned(),
                line => format!("line {line}{rows}"),
            };
            format!("`{}` ({place})", short(name))
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let mut hints: Vec<String> = unknown
            .iter()
            .take(NAMED)
            .map(|value| hint(&value.name, labels))
            .collect();
        hints.dedup();
        let mut hints = hints.join(" ");
        if self.multi_label {
            hints.push_str("; nothing after the = means no label");
        }
        let one = unknown.len() == 1;
        format!(
            "{named}{} {} none of the labels {}; say what {}: {hints}",
            folded(unknown.len(), NAMED),
            if one { "is" } else { "are" },
            listed(labels.iter().map(String::as_str)),
            if one { "it means" } else { "each means" },
        )
    }
}

/// The argument that makes a value a label: the one that it is but for spaces and case, else one to be filled in.
fn hint(value: &str, labels: &[String]) -> String {
    if labels.iter().any(|label| label == value.trim()) {
        return "--trim".to_owned();
    }
    let like = labels.iter().find(|label| fold(label) == fold(value));
    let label = like.map_or("LABEL", String::as_str);
    format!("--map {}", quoted(&format!("{value}={label}")))
}

/// A label without its spaces and case.
pub fn fold(label: &str) -> String {
    label.split_whitespace().collect::<String>().to_lowercase()
}

/// Labels for a message, cut short where they are many.
pub fn listed<'a>(labels: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = folded(labels.len(), NAMED);
    labels.take(NAMED).collect::<Vec<_>>().join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str]) -> Vec<String> {
        let map = BTreeMap::from([("pos".to_owned(), "positive".to_owned())]);
        let mut all = Values::new(Labels::Found { map: &map }, true, false).expect("made");
        for value in values {
            assert!(all.number(value, 1).is_ok(), "{value}");
        }
        all.settled().expect("all are labels").0
    }

    #[test]
    fn labels_of_a_file_are_sorted_numbers_by_value() {
        assert_eq!(found(&["b", "a ", "pos", "b"]), ["a", "b", "positive"]);
        assert_eq!(found(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(found(&["10", "9", "x"]), ["10", "9", "x"]);
        assert_eq!(found(&[]), [""; 0]);
    }

    #[test]
    fn a_value_is_mapped_to_a_label_that_there_is() {
        let map = BTreeMap::from([("x".to_owned(), "what?".to_owned())]);
        let labels = ["no".to_owned(), "yes".to_owned()];
        let problem = Values::new(
            Labels::Known {
                labels: &labels,
                map: &map,
            },
            false,
            false,
        )
        .err();
        assert_eq!(
            problem.expect("refused"),
            "--map 'x=what?': 'what?' is none of the labels no, yes"
        );
    }

    #[test]
    fn a_value_may_mean_no_label_where_a_row_may_have_none() {
        let map = BTreeMap::from([("no".to_owned(), String::new())]);
        let labels = ["yes".to_owned()];
        for known in [false, true] {
            let labels = || {
                if known {
                    Labels::Known {
                        labels: &labels,
                        map: &map,
                    }
                } else {
                    Labels::Found { map: &map }
                }
            };
            let values = Values::new(labels(), true, true).expect("made");
            assert!(values.is_none("no") && values.is_none(" no ") && !values.is_none("yes") && !values.is_none(""));
            let problem = Values::new(labels(), true, false).err().expect("refused");
            assert!(
                problem.starts_with("--map no=: there is no label behind the ="),
                "{problem}"
            );
        }
    }

    #[test]
    fn more_labels_than_the_limit_end_the_reading() {
        let map = BTreeMap::new();
        let mut all = Values::new(Labels::Found { map: &map }, false, false).expect("made");
        assert!((0..MOST_LABELS).all(|at| all.number(&at.to_string(), 2).is_ok()));
        all.number("5", 3).expect("known");
        let problem = all.number("one more", 1002).expect_err("over it");
        assert!(
            problem.contains("more than 1000 different labels") && problem.contains("line 1002"),
            "{problem}"
        );
        let labels = ["a".to_owned(), "b".to_owned()];
        let mut all = Values::new(
            Labels::Known {
                labels: &labels,
                map: &map,
            },
            false,
            false,
        )
        .expect("made");
        let mut numbers = (0..).map(|at: u64| all.number(&format!("v{at}"), at));
        let problem = numbers.find_map(Result::err).expect("an end");
        assert!(
            problem.contains("and 9987 more are none of the labels a, b"),
            "{problem}"
        );
    }
}
