//! The output of a transformer's graph that holds an answer for each text; and what the model is, if it is no
//! classifier.

use super::architectures::{CLASSIFIERS, other_kind};
use super::config_file::Config;
use super::file_names::CONFIG_FILE;
use super::graph::{Element, Port, PortKind};
use super::notes::Notes;
use super::onnx_file::ChosenOnnx;

/// The output to read: `logits`, or the only one that has a row for each text.
pub(super) fn output<'a>(onnx: &'a ChosenOnnx, config: &Config, notes: &mut Notes) -> Option<&'a Port> {
    let file = &onnx.file;
    if let Some((what, why)) = no_classifier(onnx, config) {
        notes.wrong(format!("{file}: {what}, not a classifier of texts: {why}"), CLASSIFIERS);
        return None;
    }
    let output = choose(onnx, config, notes)?;
    holds_rows_of_floats(file, output, notes).then_some(output)
}

/// The output called `logits`, or else the only one that can be meant.
fn choose<'a>(onnx: &'a ChosenOnnx, config: &Config, notes: &mut Notes) -> Option<&'a Port> {
    let file = &onnx.file;
    let outputs = &onnx.graph.outputs;
    let rows: Vec<&Port> = outputs.iter().filter(|output| output.shape.len() == 2).collect();
    match (onnx.graph.output("logits"), rows.as_slice()) {
        (Some(output), _) => Some(output),
        (None, &[output]) => {
            if let Some(why) = looks_like_embedding(output, config) {
                notes.wrong(
                    format!("{file}: an embedding model by its output `{}`: {why}", output.name),
                    format!("serve a classifier; if this is one, name its labels in {CONFIG_FILE} (id2label)"),
                );
                return None;
            }
            notes.assumed(
                format!(
                    "{file}: the output `{}` is read, there is none called logits",
                    output.name
                ),
                "name another in a manifest.toml (onnx.output)",
            );
            Some(output)
        }
        (None, []) => {
            notes.wrong(
                format!(
                    "{file}: it gives {}, which are no answers of a classifier",
                    listed(outputs)
                ),
                CLASSIFIERS,
            );
            None
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|output| output.name.as_str()).collect();
            notes.wrong(
                format!(
                    "{file}: it has several heads ({}), and none is called logits",
                    names.join(", ")
                ),
                "say in a manifest.toml which one is meant (onnx.output), a folder for each head",
            );
            None
        }
    }
}

/// Whether an output has a row of floats for each text.
fn holds_rows_of_floats(file: &str, output: &Port, notes: &mut Notes) -> bool {
    if output.shape.len() != 2 && !output.shape.is_empty() {
        notes.wrong(
            format!(
                "{file}: the output `{}` has {} dimensions, not a row a text",
                output.name,
                output.shape.len()
            ),
            CLASSIFIERS,
        );
        return false;
    }
    match output.kind {
        PortKind::Tensor(Element::F32 | Element::F64) => true,
        PortKind::Tensor(Element::F16) => {
            notes.found(format!(
                "{file}: the output `{}` has 16-bit floats, which processors are slow at",
                output.name
            ));
            true
        }
        _ => {
            notes.wrong(
                format!(
                    "{file}: the output `{}` should hold floats of 16, 32 or 64 bits",
                    output.name
                ),
                "export it with --dtype fp32",
            );
            false
        }
    }
}

/// What the model is, if it gives no answer for a whole text, and how that is known.
fn no_classifier(onnx: &ChosenOnnx, config: &Config) -> Option<(&'static str, String)> {
    let graph = &onnx.graph;
    let has = |name: &str| graph.output(name).is_some();
    let architecture = architecture(config);
    let is = |kind: &str| architecture.contains(kind);
    let known = || format!("{CONFIG_FILE}: architectures");
    let per_token = graph.output("logits").is_some_and(|output| output.shape.len() == 3);
    let input = |word: &str| graph.inputs.iter().any(|input| input.name.contains(word));
    let of_outputs = || format!("its outputs are {}", listed(&graph.outputs));
    if has("start_logits") && has("end_logits") {
        return Some(("question answering", of_outputs()));
    }
    if input("past_key_values") || graph.outputs.iter().any(|output| output.name.starts_with("present")) {
        return Some((
            "a language model",
            "it keeps what it has read (past_key_values)".to_owned(),
        ));
    }
    if input("pixel_values") || input("input_features") || input("input_values") {
        return Some(("a model of images or sound", "its inputs say so".to_owned()));
    }
    if per_token {
        let wide = || {
            graph
                .output("logits")
                .and_then(|output| output.shape[2])
                .is_some_and(|last| last >= 1000)
        };
        return Some(match other_kind(architecture) {
            Some(kind @ ("a token classifier" | "a language model")) => (kind, known()),
            _ if wide() => (
                "a language model",
                "it gives a number for each word of a vocabulary, at each token".to_owned(),
            ),
            _ => ("a token classifier", "it gives a row for each token".to_owned()),
        });
    }
    if is("ForMultipleChoice") {
        return Some(("multiple choice", known()));
    }
    let rows = graph
        .outputs
        .iter()
        .any(|output| output.shape.len() == 2 || output.shape.is_empty());
    let hidden = |output: &Port| output.shape.len() == 3;
    if !rows && graph.outputs.iter().any(hidden) {
        return Some(("an embedding model", of_outputs()));
    }
    None
}

/// Why an output that is not called `logits` does not belong to a classifier; `None` if the folder says that it does.
fn looks_like_embedding(output: &Port, config: &Config) -> Option<String> {
    let columns = output.shape.get(1).copied().flatten();
    let named = config.id2label.as_ref();
    let numbered = |labels: &std::collections::BTreeMap<String, String>| {
        labels.iter().all(|(id, label)| *label == format!("LABEL_{id}"))
    };
    if named.is_some_and(|labels| !numbered(labels) || columns == Some(labels.len() as i64))
        || architecture(config).contains("ForSequenceClassification")
    {
        return None;
    }
    let columns = columns.map_or_else(|| "columns".to_owned(), |columns| format!("{columns} columns"));
    Some(format!(
        "it is not called logits, and {CONFIG_FILE} names no labels for its {columns}"
    ))
}

/// The name of the architecture; empty if no file has it.
fn architecture(config: &Config) -> &str {
    config
        .architectures
        .get(0)
        .and_then(|name| name.as_str())
        .unwrap_or_default()
}

fn listed(outputs: &[Port]) -> String {
    const MOST: usize = 8;
    let names: Vec<&str> = outputs.iter().take(MOST).map(|output| output.name.as_str()).collect();
    match outputs.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", names.join(", ")),
        _ => names.join(", "),
    }
}
