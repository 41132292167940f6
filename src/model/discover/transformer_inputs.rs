//! The inputs of a transformer's graph: which one takes ids, mask and so on, by its name, and the sizes that they are
//! fixed to.

use std::collections::BTreeMap;

use super::graph::{Element, Port, PortKind};
use super::notes::Notes;
use super::onnx_file::ChosenOnnx;
use super::place::Place;
use crate::model::manifest::{INPUT_ROLES, MOST_BATCH, MOST_TOKENS};

/// The inputs of a transformer.
pub(super) struct Inputs {
    /// The graph's names of those inputs that do not have the usual name.
    pub names: BTreeMap<String, String>,
    /// The only number of rows that the graph takes, if it is fixed.
    pub rows: Option<usize>,
    /// The only number of tokens that the graph takes, if it is fixed.
    pub width: Option<usize>,
}

/// The names that exporters give the inputs. Numbers that PyTorch and TensorFlow append are ignored.
const KNOWN: [(&str, &[&str]); 4] = [
    (
        "input_ids",
        &[
            "input_ids",
            "ids",
            "input",
            "inputs",
            "token_ids",
            "tokens",
            "input_tokens",
            "input_word_ids",
            "word_ids",
        ],
    ),
    (
        "attention_mask",
        &[
            "attention_mask",
            "input_mask",
            "mask",
            "masks",
            "attn_mask",
            "attention_masks",
            "padding_mask",
        ],
    ),
    (
        "token_type_ids",
        &[
            "token_type_ids",
            "segment_ids",
            "segments",
            "segment",
            "input_type_ids",
            "type_ids",
            "token_types",
        ],
    ),
    (
        "position_ids",
        &["position_ids", "positions", "position", "input_positions", "pos_ids"],
    ),
];

/// What an input of this name takes, by transformers' names.
fn role_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let plain = name.trim_end_matches(|end: char| end.is_ascii_digit());
    let plain = plain.strip_suffix([':', '.', '_']).unwrap_or(&name);
    // TensorFlow appends both: `input_ids_1:0`.
    let shorter = plain.trim_end_matches(|end: char| end.is_ascii_digit());
    let shorter = shorter.strip_suffix('_').unwrap_or(plain);
    let known = |name: &str| KNOWN.iter().find(|(_, names)| names.contains(&name));
    known(&name)
        .or_else(|| known(plain))
        .or_else(|| known(shorter))
        .map(|(role, _)| *role)
}

/// Whether a graph takes ids of tokens, as transformers do.
pub(super) fn takes_tokens(onnx: &ChosenOnnx, place: &Place<'_>) -> bool {
    let inputs = &onnx.graph.inputs;
    let ids =
        |input: &&Port| matches!(input.kind, PortKind::Tensor(Element::I64 | Element::I32)) && input.shape.len() == 2;
    inputs.iter().any(|input| role_of(&input.name) == Some("input_ids"))
        // With a tokenizer in the folder, whole numbers can be nothing else.
        || place.has(super::file_names::TOKENIZER_FILE) && inputs.iter().any(|input| ids(&input))
}

/// Finds the inputs; what is wrong goes into the notes.
pub(super) fn inputs(onnx: &ChosenOnnx, notes: &mut Notes) -> Inputs {
    let file = &onnx.file;
    let mut found = Inputs {
        names: BTreeMap::new(),
        rows: None,
        width: None,
    };
    let mut taken: Vec<(&str, &str)> = Vec::new();
    for Port { name, kind, shape } in &onnx.graph.inputs {
        let only = onnx.graph.inputs.len() == 1;
        let role = role_of(name).or(only.then_some("input_ids"));
        let which = || {
            format!(
                "say in a manifest.toml which input is which ([onnx.inputs] in docs/models-hugging-face.md), or name them {}",
                INPUT_ROLES.join(", ")
            )
        };
        match role {
            None => notes.wrong(
                format!("{file}: it has an input `{name}`, which a tokenizer does not give by that name"),
                which(),
            ),
            Some(role) => match taken.iter().find(|(other, _)| *other == role) {
                Some((_, other)) => notes.wrong(
                    format!("{file}: by their names both `{other}` and `{name}` take {role}"),
                    which(),
                ),
                None => taken.push((role, name)),
            },
        }
        let fits = match kind {
            PortKind::Tensor(Element::I64 | Element::I32) => true,
            // A mask is multiplied with floats, and some graphs take it as floats.
            PortKind::Tensor(Element::F32 | Element::F16 | Element::Bool) => role == Some("attention_mask"),
            _ => false,
        };
        if !fits {
            notes.wrong(
                format!("{file}: the input `{name}` should hold 64-bit or 32-bit integers"),
                "export it again with integer ids (torch.long)",
            );
        }
        let &[rows, width] = shape.as_slice() else {
            let problem = format!("{file}: the input `{name}` should have two dimensions, texts and tokens");
            notes.wrong(
                problem,
                "export the classifier with input_ids of the shape [texts, tokens]",
            );
            continue;
        };
        fix(&mut found.rows, rows, MOST_BATCH, (file, name, "texts"), notes);
        fix(&mut found.width, width, MOST_TOKENS, (file, name, "tokens"), notes);
    }
    if !taken.iter().any(|(role, _)| *role == "input_ids") {
        notes.wrong(
            format!("{file}: none of its inputs takes the ids of tokens by its name"),
            "say in a manifest.toml which one does: [onnx.inputs] input_ids = \"NAME\" (docs/models-hugging-face.md)",
        );
    }
    found.names = note_taken(&taken, file, notes);
    note_fixed(&found, file, notes);
    found
}

/// Notes which input takes what; gives the inputs that have unusual names, by what they take.
fn note_taken(taken: &[(&str, &str)], file: &str, notes: &mut Notes) -> BTreeMap<String, String> {
    let told = taken.iter().map(|(role, name)| {
        if role == name {
            name.to_string()
        } else {
            format!("{role} as `{name}`")
        }
    });
    notes.found(format!("{file}: it is fed {}", told.collect::<Vec<_>>().join(", ")));
    let others = taken.iter().filter(|(role, name)| role != name);
    let names: BTreeMap<String, String> = others
        .map(|(role, name)| (role.to_string(), name.to_string()))
        .collect();
    if !names.is_empty() {
        notes.assumed(
            format!("{file}: its inputs have names of another exporter; what each takes is known by its name alone"),
            "check --write-manifest writes them down: [onnx.inputs] says what takes what",
        );
    }
    names
}

/// Notes a size that an input is fixed to.
fn fix(
    known: &mut Option<usize>,
    size: Option<i64>,
    most: usize,
    (file, name, what): (&str, &str, &str),
    notes: &mut Notes,
) {
    let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
        return;
    };
    if size > most {
        let problem = format!("{file}: the input `{name}` takes exactly {size} {what}, the most is {most}");
        notes.wrong(problem, EXPORT);
    } else if known.is_some_and(|known| known != size) {
        let problem = format!("{file}: its inputs take different numbers of {what}");
        notes.wrong(problem, EXPORT);
    }
    *known = Some(size);
}

const EXPORT: &str = "export it with open sizes: optimum-cli export onnx leaves both open, torch.onnx.export needs dynamic_axes for both";

fn note_fixed(found: &Inputs, file: &str, notes: &mut Notes) {
    match found.rows {
        Some(1) => notes.assumed(
            format!("{file}: it takes one text at a time, so nothing is batched"),
            EXPORT,
        ),
        Some(rows) => notes.assumed(
            format!("{file}: it takes exactly {rows} texts at once, so smaller batches are filled up: they cost as much as whole ones"),
            EXPORT,
        ),
        None => {}
    }
    if let Some(width) = found.width {
        notes.assumed(
            format!("{file}: it takes exactly {width} tokens, so each text is padded or cut to that: short ones cost as much as long ones"),
            EXPORT,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_known_by_the_names_of_many_exporters() {
        for (name, role) in [
            ("input_ids", Some("input_ids")),
            ("input_ids:0", Some("input_ids")),
            ("input_ids_1:0", Some("input_ids")),
            ("input.1", Some("input_ids")),
            ("input_1", Some("input_ids")),
            ("input_word_ids", Some("input_ids")),
            ("input_mask", Some("attention_mask")),
            ("attention_mask.1", Some("attention_mask")),
            ("Mask", Some("attention_mask")),
            ("segment_ids:0", Some("token_type_ids")),
            ("input_type_ids", Some("token_type_ids")),
            ("positions", Some("position_ids")),
            ("pixel_values", None),
            ("scale", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(role_of(name), role, "{name}");
        }
    }
}
