//! scikit-learn exports (skl2onnx): one string input, and for each class a probability, a score or a decision.
//!
//! The graph says what it reads, what it gives and which classes it knows. Whether its numbers are probabilities, and
//! whether it still finds the words that it was trained on, only a run can tell (`sklearn_probe.rs`).

use super::config_file::listed;
use super::graph::{Element, Graph, Port, PortKind};
use super::notes::Notes;
use super::onnx_file::ChosenOnnx;
use super::place::Place;
use super::sklearn_facts::Facts;
use super::sklearn_probe::{self, Judged, Numbers};
use crate::model::manifest::{
    Calibration, LabelOutput, Limits, MOST_LABELS, Manifest, Onnx, OutputKind, Preprocess, ProblemType, SCHEMA_VERSION,
    Tier,
};

/// How to export a pipeline so that it takes any number of texts at once.
const OPEN_BATCH: &str = "export it with initial_types=[(\"text\", StringTensorType([None, 1]))]";
/// The probability from which on scikit-learn selects a label: its rules ask for more than one half, so this is the
/// next number above it.
const ABOVE_HALF: f32 = 0.5_f32.next_up();
const BY_HAND: &str = "write a manifest.toml (docs/models-sklearn.md)";

/// The manifest of such a folder; what is wrong goes into the notes.
pub(super) fn examine(place: &Place<'_>, onnx: &ChosenOnnx, notes: &mut Notes) -> Option<Manifest> {
    let file = &onnx.file;
    notes.found(format!("{file}: a scikit-learn pipeline that reads the text itself"));
    let facts = facts(&onnx.graph, notes)?;
    let checksums = place
        .checksums(&onnx.files)
        .map_err(|problem| notes.problem(problem))
        .ok()?;
    let describe = |judged| Manifest {
        files: checksums.clone(),
        ..manifest(place, onnx, &facts, judged)
    };
    let raw = Judged {
        numbers: Numbers::RAW,
        turned: false,
    };
    let judged = sklearn_probe::examine(place.folder, &onnx.graph, &facts, describe(raw), notes)?;
    note_numbers(&facts, judged.numbers, notes);
    Some(describe(judged))
}

fn note_numbers(facts: &Facts, numbers: Numbers, notes: &mut Notes) {
    let from = if facts.columns.is_empty() {
        format!("the output `{}`", facts.output)
    } else {
        format!("the outputs {}", facts.columns.join(", "))
    };
    match (facts.problem_type, numbers) {
        (ProblemType::Regression, _) => notes.found(format!("a regression: {from}")),
        (ProblemType::MultiLabel, Numbers::Probabilities) => notes.found(format!("each label by itself: probabilities from {from}")),
        (_, Numbers::Probabilities) => notes.found(format!("probabilities from {from}")),
        (_, Numbers::Shares) => notes.assumed(
            format!("{from} gives numbers from 0 to 1 that do not sum to one: each is divided by their sum"),
            BY_HAND,
        ),
        (_, Numbers::Scores { .. }) => notes.doubtful(
            format!("{from} gives scores and no probabilities: the label is scikit-learn's, its confidence is not calibrated"),
            "train with CalibratedClassifierCV around the classifier",
        ),
    }
}

fn manifest(place: &Place<'_>, onnx: &ChosenOnnx, facts: &Facts, judged: Judged) -> Manifest {
    let hints = place.hints;
    let (output_kind, temperature) = match judged.numbers {
        Numbers::Probabilities | Numbers::Shares => (OutputKind::Probabilities, 1.0),
        Numbers::Scores { temperature } => (OutputKind::Logits, temperature),
    };
    // Labels are in the order of the columns; maps and columns keep the names that the graph uses.
    let mut labels = facts.classes.clone();
    if judged.turned {
        labels.reverse();
    }
    let label = facts.label.clone().map(|output| LabelOutput {
        output,
        classes: labels.clone(),
    });
    Manifest {
        schema_version: SCHEMA_VERSION,
        name: hints.name.clone(),
        version: hints.version.clone(),
        task: hints.task.clone().unwrap_or_else(|| hints.name.clone()),
        tier: hints.tier.unwrap_or(Tier::Fast),
        labels,
        problem_type: facts.problem_type,
        description: "a scikit-learn pipeline, served from an export without a manifest".to_owned(),
        license: String::new(),
        stand_in: false,
        onnx: Onnx {
            file: onnx.file.clone(),
            output: facts.output.clone(),
            columns: facts.columns.clone(),
            keys: if facts.maps { facts.classes.clone() } else { Vec::new() },
            output_kind,
            input: Some(facts.input.clone()),
            inputs: std::collections::BTreeMap::new(),
            first_position: 0,
            batch_invariant: true,
            label,
        },
        execution_providers: None,
        preprocess: Preprocess::String { max_bytes: 8192 },
        calibration: Calibration {
            temperature,
            thresholds: match facts.problem_type {
                ProblemType::MultiLabel => vec![ABOVE_HALF; facts.classes.len()],
                ProblemType::SingleLabel | ProblemType::Regression => Vec::new(),
            },
        },
        golden: None,
        limits: Limits {
            max_batch_size: facts.fixed_batch,
            batch: None,
        },
        heads: Vec::new(),
        training: toml::Table::new(),
        metrics: toml::Table::new(),
        files: std::collections::BTreeMap::new(),
    }
}

/// Reads the graph; what is wrong with it goes into the notes.
fn facts(graph: &Graph, notes: &mut Notes) -> Option<Facts> {
    let [input] = &graph.inputs[..] else {
        let names: Vec<&str> = graph.inputs.iter().map(|input| input.name.as_str()).collect();
        notes.wrong(
            format!(
                "it has {} inputs ({}), and a request has one text",
                names.len(),
                names.join(", ")
            ),
            "export a pipeline that reads one text",
        );
        return None;
    };
    let fixed_batch = batch_of(input, notes)?;
    let label = graph.label();
    let found = numbers_of(graph, label, notes)?;
    let count = found.classes.len();
    if count > MOST_LABELS {
        wrong_count(count, notes);
        return None;
    }
    if label.is_some_and(|label| binarized(graph, label)) && count < 3 {
        notes.wrong(
            "it is a MLPClassifier or a RidgeClassifier on two labels a text, which skl2onnx exports as if they were two classes",
            "train OneVsRestClassifier around it on the labels (around RidgeClassifier, export that with raw_scores)",
        );
        return None;
    }
    notes.found(format!("labels: {}", listed(&found.classes)));
    let single = found.problem_type == ProblemType::SingleLabel;
    Some(Facts {
        input: input.name.clone(),
        fixed_batch,
        label: label.filter(|_| single).map(|label| label.name.clone()),
        ..found
    })
}

/// The batch size that the input is fixed to. The inner `None` means any size; the outer one, that no request fits.
fn batch_of(input: &Port, notes: &mut Notes) -> Option<Option<usize>> {
    let name = &input.name;
    match input.shape[..] {
        [_, Some(columns)] if columns != 1 => notes.wrong(
            format!("the input `{name}` takes {columns} texts a row, and a request has one"),
            "export a pipeline that reads one text",
        ),
        [Some(1), ..] => {
            notes.assumed("it takes one text at a time, so nothing is batched", OPEN_BATCH);
            return Some(Some(1));
        }
        [Some(rows), ..] => notes.wrong(
            format!("the input `{name}` takes exactly {rows} texts at once"),
            OPEN_BATCH,
        ),
        _ => return Some(None),
    }
    None
}

/// Whether the label output holds a decision for each label, made by a threshold. skl2onnx writes this for a classifier
/// that was trained on several labels a text, and declares it as one label.
fn binarized(graph: &Graph, label: &Port) -> bool {
    let maker = graph.maker_of(&label.name);
    maker.is_some_and(|node| node.op_type == "Binarizer")
}

fn is_numbers(output: &&Port) -> bool {
    matches!(output.kind, PortKind::Tensor(Element::F32 | Element::F64))
}

/// Finds the output or the outputs with the numbers, and the classes of their columns.
fn numbers_of(graph: &Graph, label: Option<&Port>, notes: &mut Notes) -> Option<Facts> {
    let of_label = label.and_then(|label| graph.classes_of(&label.name));
    // A decision for each label is a row of them.
    let each = label
        .is_some_and(|label| matches!(label.shape[..], [_, Some(labels)] if labels > 1) || binarized(graph, label));
    let problem_type = if each {
        ProblemType::MultiLabel
    } else {
        ProblemType::SingleLabel
    };
    let numbers: Vec<&Port> = graph.outputs.iter().filter(is_numbers).collect();
    if let Some(output) = graph.outputs.iter().find(|output| output.kind == PortKind::ListOfMaps) {
        let classes = graph.classes_of(&output.name).or(of_label);
        if each && classes.is_none() {
            wrong_several(notes);
            return None;
        }
        if classes.is_none() {
            wrong_unnamed(notes);
        }
        return Some(Facts {
            output: output.name.clone(),
            classes: classes?,
            maps: true,
            problem_type,
            ..Facts::default()
        });
    }
    match numbers[..] {
        [] if each || graph.outputs.iter().any(|output| output.kind == PortKind::Other) => {
            wrong_several(notes);
            None
        }
        // A table of two classes for each label.
        [output] if each && output.shape.len() == 3 => {
            wrong_several(notes);
            None
        }
        [] => {
            notes.wrong(
                "it gives labels alone",
                "export a classifier with probabilities or scores",
            );
            None
        }
        // skl2onnx gives this name to an output that no classifier makes.
        [output]
            if label.is_none()
                && output.name == "variable"
                && matches!(output.shape[..], [_, Some(columns)] if columns > 1) =>
        {
            wrong_unmade(notes);
            None
        }
        [output] if label.is_none() && width(output).unwrap_or(1) == 1 => Some(Facts {
            classes: vec!["value".to_owned()],
            problem_type: ProblemType::Regression,
            ..of_table(output)
        }),
        [output] => Some(Facts {
            classes: classes_of_table(output, of_label, notes)?,
            problem_type,
            ..of_table(output)
        }),
        _ => Some(Facts {
            classes: column_classes(&numbers, of_label, notes)?,
            columns: numbers.iter().map(|output| output.name.clone()).collect(),
            problem_type,
            ..Facts::default()
        }),
    }
}

fn wrong_count(count: usize, notes: &mut Notes) {
    notes.wrong(
        format!("it has {count} classes, the most is {MOST_LABELS}"),
        "export a classifier of fewer classes",
    );
}

fn wrong_unnamed(notes: &mut Notes) {
    notes.wrong("it names no classes", BY_HAND);
}

fn wrong_several(notes: &mut Notes) {
    notes.wrong(
        "it gives several answers for each text (MultiOutputClassifier, ClassifierChain, nearest neighbours and trees on several \
         labels)",
        "train OneVsRestClassifier around it on the labels, or export each of its classifiers (estimators_) by itself",
    );
}

fn wrong_unmade(notes: &mut Notes) {
    notes.wrong(
        "it gives several numbers for each text and no classes: a regression of several values, or a pipeline without its \
         classifier",
        "export the whole pipeline, with a classifier at its end, or with a regression of one value",
    );
}

/// The number of columns of a table; `None` if the graph does not fix it.
fn width(table: &Port) -> Option<usize> {
    table.shape.get(1).copied().flatten().map(|columns| columns as usize)
}

/// The facts of a model whose numbers are in this table.
fn of_table(table: &Port) -> Facts {
    Facts {
        output: table.name.clone(),
        single_column: width(table) == Some(1) || table.shape.len() == 1,
        ..Facts::default()
    }
}

/// The classes of one table's columns: as the label output names them, or else their numbers.
fn classes_of_table(table: &Port, of_label: Option<Vec<String>>, notes: &mut Notes) -> Option<Vec<String>> {
    if of_label.is_some() {
        return of_label;
    }
    let Some(width) = width(table) else {
        wrong_unnamed(notes);
        return None;
    };
    // The file says so: nothing else shows that there are as many.
    if width > MOST_LABELS {
        wrong_count(width, notes);
        return None;
    }
    notes.assumed(
        format!("it names no classes: they are numbered from 0 to {}", width - 1),
        BY_HAND,
    );
    Some((0..width).map(|class| class.to_string()).collect())
}

/// The classes of `zipmap="columns"`: its outputs are named `s` and the class's name, or `i` and its number.
fn column_classes(columns: &[&Port], of_label: Option<Vec<String>>, notes: &mut Notes) -> Option<Vec<String>> {
    let name = |output: &&Port| output.name.strip_prefix(['s', 'i']).map(str::to_owned);
    let named = || columns.iter().map(name).collect::<Option<Vec<String>>>();
    let classes = of_label.or_else(named).filter(|classes| classes.len() == columns.len());
    if classes.is_none() {
        let names: Vec<&str> = columns.iter().map(|output| output.name.as_str()).collect();
        notes.wrong(
            format!(
                "several outputs hold numbers ({}), and not one a class",
                names.join(", ")
            ),
            BY_HAND,
        );
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_that_a_file_claims_has_a_bound() {
        let classes = |columns: i64| {
            let table = Port {
                name: "scores".to_owned(),
                kind: PortKind::Tensor(Element::F32),
                shape: vec![None, Some(columns), Some(1)],
            };
            let mut notes = Notes::default();
            let count = classes_of_table(&table, None, &mut notes).map(|classes| classes.len());
            (count, notes.0[0].text.clone())
        };
        let most = MOST_LABELS as i64;
        assert_eq!(classes(most).0, Some(MOST_LABELS));
        for columns in [most + 1, i64::MAX] {
            let told = format!("it has {columns} classes, the most is {MOST_LABELS}");
            assert_eq!(classes(columns), (None, told));
        }
    }
}
