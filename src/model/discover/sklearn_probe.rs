//! What only a run of a scikit-learn graph can tell: whether its numbers are probabilities, and whether the class with
//! the highest number is the one that the graph itself names.
//!
//! Runs about 170 texts at most in a session of its own, which is closed afterwards. The texts are made of the graph's
//! own words.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::graph::Graph;
use super::notes::Notes;
use super::sklearn_facts::Facts;
use super::sklearn_traps::Shown;
use super::sklearn_tries::{ENOUGH, OpenProbe, Tries};
use super::{sklearn_traps, sklearn_words};
use crate::model::device_memory::DeviceMemory;
use crate::model::input::ModelInput;
use crate::model::limited::CallOff;
use crate::model::manifest::{Manifest, ProblemType};
use crate::model::onnx::{OnnxBytes, OnnxRunner, Probe, Providers, RunLimit, Runtime, Seen, SessionSettings, Source};
use crate::model::runner::{RunError, Runner};

/// The longest that a run of one short text may take.
const LONGEST_RUN: Duration = Duration::from_secs(10);
/// The most words of each vectorizer that the texts are made of.
const MAX_WORDS: usize = 64;
/// What the numbers of a graph are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numbers {
    /// Probabilities: they sum to one, or each label has its own.
    Probabilities,
    /// Numbers from 0 to 1 that need not sum to one.
    Shares,
    /// Scores; the answer is softmax of the scores divided by the temperature.
    Scores {
        /// 2 where the two columns are opposites: softmax is then the logistic function of the second one.
        temperature: f32,
    },
}

impl Numbers {
    /// The numbers as they are.
    pub const RAW: Self = Self::Scores { temperature: 1.0 };
}

/// What runs showed about a graph's answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub numbers: Numbers,
    /// Whether the two numbers are swapped: the first one belongs to the second class.
    pub turned: bool,
}

/// Runs the graph and judges its numbers; known faults of such exports go into the notes. `raw` is the manifest that
/// takes the numbers as they are.
pub(super) fn examine(folder: &Path, graph: &Graph, facts: &Facts, raw: Manifest, notes: &mut Notes) -> Option<Judged> {
    let limit = RunLimit::new(LONGEST_RUN, CallOff::default());
    let opened = OnnxBytes::read(folder, &raw)
        .map_err(|error| error.problem)
        .and_then(|bytes| {
            let source = Source {
                bytes: &bytes,
                manifest: &raw,
                pad_id: 0,
                weights: None,
                providers: &Providers::default(),
                memory: &DeviceMemory::default(),
                limit: &limit,
            };
            let runner = OnnxRunner::load(Runtime::get()?, source, SessionSettings::beside_others(1))?;
            Ok((bytes, runner))
        });
    let (bytes, mut runner) = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            notes.wrong(problem, "docs/models-sklearn.md shows an export that loads everywhere");
            return None;
        }
    };
    let texts = texts(graph);
    let rows = match rows(&mut runner, facts, &texts) {
        Ok(rows) => rows,
        Err(error) => {
            notes.wrong(format!("it does not run: {error}"), "export it again");
            return None;
        }
    };
    drop(runner);
    let numbers = numbers(facts, &rows);
    let turned = note_labels(graph, facts, numbers, &rows, notes);
    let shown = Shown {
        scores: matches!(numbers, Numbers::Scores { .. }),
        mirrored_shares: rows
            .iter()
            .all(|row| mirrored(&row.numbers) && (0.0..=1.0).contains(&row.numbers[1])),
        tied: rows.iter().filter(|row| tied(&row.numbers)).count(),
        classes: facts.classes.len(),
        each: facts.problem_type == ProblemType::MultiLabel,
        like_labels: like_labels(facts, &rows),
        by_machine: by_machine(graph, facts),
        texts: &texts[..rows.len()],
    };
    let open = |values: &[&str]| Probe::open(Runtime::get()?, &bytes, values, &limit);
    let tried = || texts.iter().zip(&rows);
    let each = shown.each && numbers == Numbers::Probabilities;
    let looked = if each {
        note_each(&open, graph, tried(), notes)
    } else {
        Ok(())
    };
    let looked = looked
        .and_then(|()| sklearn_traps::note(&open, graph, &shown, notes))
        .and_then(|()| sklearn_words::note(&open, graph, notes));
    if let Err(error) = looked {
        notes.wrong(format!("it does not run: {error}"), "export it again");
    }
    Some(Judged { numbers, turned })
}

/// The graph's answer to one text.
struct Row {
    numbers: Vec<f32>,
    /// The index of the class that the graph names.
    named: Option<usize>,
}

fn rows(runner: &mut dyn Runner, facts: &Facts, texts: &[String]) -> Result<Vec<Row>, RunError> {
    let mut rows = Vec::with_capacity(texts.len());
    let mut tries = Tries::new(ENOUGH);
    for text in texts {
        let input = ModelInput::Text(Arc::from(text.as_str()));
        let mut numbers = runner.run(&[&input])?.into_raw_vec_and_offset().0;
        // The reader puts the index of the named class after the numbers.
        let named = facts.label.is_some().then(|| numbers.pop()).flatten();
        rows.push(Row {
            numbers,
            named: named.map(|named| named as usize),
        });
        if tries.are_enough() {
            break;
        }
    }
    Ok(rows)
}

fn numbers(facts: &Facts, rows: &[Row]) -> Numbers {
    let all = |test: fn(&[f32]) -> bool| rows.iter().all(|row| test(&row.numbers));
    let within = all(|row| row.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)));
    if facts.problem_type == ProblemType::Regression || !within {
        // When it is read, a single column becomes two labels, and needs no temperature.
        let temperature = if all(mirrored) && !facts.single_column {
            2.0
        } else {
            1.0
        };
        return Numbers::Scores { temperature };
    }
    let whole = all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    let each = facts.problem_type == ProblemType::MultiLabel;
    if whole || each {
        Numbers::Probabilities
    } else {
        Numbers::Shares
    }
}

/// Whether there are two numbers of which one is the negative of the other.
fn mirrored(row: &[f32]) -> bool {
    row.len() == 2 && (row[0] + row[1]).abs() <= 1e-4 * (1.0 + row[0].abs())
}

/// For how many texts several scores, or none, are above 0, where classes are numbered like labels. Zero if the scores
/// of a text have a fixed sum, as those of a regression on one label among several have.
fn like_labels(facts: &Facts, rows: &[Row]) -> usize {
    let numbered = facts
        .classes
        .iter()
        .enumerate()
        .all(|(at, class)| *class == at.to_string());
    let sums = || rows.iter().map(|row| row.numbers.iter().sum::<f32>());
    let spread = sums().fold(f32::MIN, f32::max) - sums().fold(f32::MAX, f32::min);
    if !numbered || spread < 0.02 {
        return 0;
    }
    let above = |row: &&Row| row.numbers.iter().filter(|&&score| score > 0.0).count() != 1;
    rows.iter().filter(above).count()
}

/// Compares the class that the graph names with the class that has the highest number, and notes where they differ.
/// Gives whether two scores are swapped.
fn note_labels(graph: &Graph, facts: &Facts, numbers: Numbers, rows: &[Row], notes: &mut Notes) -> bool {
    let Some(label) = &facts.label else {
        return false;
    };
    let differing = |turned: bool| rows.iter().filter(|row| !agrees(row, turned)).count();
    let straight = differing(false);
    // Probabilities are taken as they are; of two opposite scores the runs show which belongs to which class.
    let two = facts.classes.len() == 2 && matches!(numbers, Numbers::Scores { .. });
    let turned = two && differing(true) < straight;
    let differ = differing(turned);
    if turned {
        notes.found(format!(
            "the first number of a row is the score of `{}`, as `{label}` shows: the labels are turned round",
            facts.classes[1]
        ));
    }
    if differ == 0 {
        if facts.classes.len() > 2 && by_machine(graph, facts) {
            notes.assumed(
                "the label is the class with the most votes, as scikit-learn's SVC gives it without break_ties=True",
                "fit SVC without break_ties",
            );
        }
        return turned;
    }
    let told = format!(
        "the label that it names itself (`{label}`) is not the class with the highest number for {differ} of {} texts made of its \
         words",
        rows.len()
    );
    if by_machine(graph, facts) {
        notes.doubtful(
            format!(
                "{told}, as with scikit-learn's SVC: answers give that label (with break_ties=True scikit-learn would give the other), \
                 and its confidence may be below another's"
            ),
            "put CalibratedClassifierCV around an SVC without probability=True",
        );
    } else {
        notes.wrong(
            format!("{told}: one of the two is wrong, and the file does not tell which"),
            "export a classifier whose label is its likeliest class, for instance by CalibratedClassifierCV around this one",
        );
    }
    turned
}

/// Compares the graph's decision about each label with the probabilities above one half, and notes where they differ.
/// (Where the graph gives scores, skl2onnx decides by another threshold than scikit-learn; the scores themselves are
/// right.)
fn note_each<'a>(
    open: OpenProbe<'_>,
    graph: &Graph,
    tried: impl Iterator<Item = (&'a String, &'a Row)>,
    notes: &mut Notes,
) -> Result<(), String> {
    let made = graph
        .label()
        .and_then(|label| graph.maker_of(&label.name)?.output.first());
    let Some(made) = made.filter(|made| graph.output(made).is_none()) else {
        return Ok(());
    };
    let mut probe = open(&[made])?;
    let (mut differ, mut count, mut tries) = (0, 0, Tries::new(ENOUGH));
    for (text, row) in tried {
        let seen = probe.see(text).map_err(|error| error.to_string())?;
        let above = |seen: &Seen| match seen {
            Seen::Numbers(decided) => decided
                .iter()
                .map(|&one| one > 0.5)
                .eq(row.numbers.iter().map(|&one| one > 0.5)),
            Seen::Texts(_) | Seen::Other => false,
        };
        differ += usize::from(!seen.iter().all(above));
        count += 1;
        if tries.are_enough() {
            break;
        }
    }
    if differ > 0 {
        notes.wrong(
            format!(
                "the labels that it names itself are not those with a probability above one half for {differ} of {count} texts made of \
                 its words: one of the two is wrong, and the file does not tell which"
            ),
            "export OneVsRestClassifier on the labels, around a classifier with probabilities",
        );
    }
    Ok(())
}

/// Whether the label comes straight from a support vector machine.
fn by_machine(graph: &Graph, facts: &Facts) -> bool {
    let maker = facts.label.as_deref().and_then(|label| graph.maker_of(label));
    maker.is_some_and(|node| node.op_type == "SVMClassifier")
}

/// Whether the named class has the highest number, or shares it.
fn agrees(row: &Row, turned: bool) -> bool {
    let Some(named) = row.named else { return true };
    let at = if turned { row.numbers.len() - 1 - named } else { named };
    let top = row.numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.numbers
        .get(at)
        .is_some_and(|&value| value >= top - 1e-6 * (1.0 + top.abs()))
}

/// Whether several of the numbers are the highest.
fn tied(numbers: &[f32]) -> bool {
    let top = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    numbers.iter().filter(|&&value| value >= top - 1e-6).count() > 1
}

/// Texts of the graph's own words, the same every time: single words, pairs, mixtures, long texts; and texts without
/// any of them.
fn texts(graph: &Graph) -> Vec<String> {
    let others = [
        "",
        " ",
        "0",
        "!!! ???",
        "a b c d e f g",
        "가 나 다",
        "zzzyx 뷁뷁",
        "The Film 정말 ΑΒΓ",
    ];
    let mut words: Vec<String> = Vec::new();
    for branch in graph.branches() {
        let all = branch.shortest();
        let step = all.len().div_ceil(MAX_WORDS).max(1);
        words.extend(all.into_iter().step_by(step).map(|word| word.text));
    }
    let mut texts: Vec<String> = others.map(str::to_owned).to_vec();
    let count = words.len();
    if count == 0 {
        return texts;
    }
    // These strides have no divisor in common with most counts, so that every word meets others.
    let mixed = |at: usize, length: usize| -> String {
        let picked = (0..length).map(|place| words[(at * 31 + place * (at + 7)) % count].as_str());
        picked.collect::<Vec<&str>>().join(" ")
    };
    texts.extend((0..48).map(|at| mixed(at, 2)));
    texts.extend((0..40).map(|at| mixed(at + 3, 3 + at % 6)));
    texts.extend((0..4).map(|at| mixed(at + 5, 60)));
    texts.extend((0..4).map(|at| words[at * 17 % count].to_uppercase()));
    let singles = words.len().div_ceil(MAX_WORDS).max(1);
    texts.extend(words.iter().step_by(singles).cloned());
    texts
}
