//! Hugging Face and Optimum folders: a transformer's ONNX file, `config.json`, `tokenizer.json` and its companions.
//!
//! Follows what transformers does with the same files: the labels and the kind of answer of `config.json`, and a length
//! that both the tokenizer and the positions allow.

use serde::de::DeserializeOwned;

use super::config_file::{CONFIG_FILE, Config, labels, problem_type};
use super::graph::{Element, Port, PortKind};
use super::onnx_file::ChosenOnnx;
use super::tokenizer_files::{
    self, CONFIG_FILE as TOKENIZER_CONFIG, SPECIAL_TOKENS_FILE, TOKENIZER_FILE, TokenizerFacts,
};
use super::{Notes, Place};
use crate::model::files;
use crate::model::manifest::{
    Calibration, Limits, Manifest, Onnx, OutputKind, Preprocess, SCHEMA_VERSION, Tier, TokenizerSettings,
};

/// The length where nothing says another: that of BERT.
const USUAL_POSITIONS: usize = 512;
/// The longest that a manifest may ask for.
const MOST_TOKENS: usize = 8192;
/// Longer texts are cut to so many bytes for each token that the model reads, before they are tokenised.
const BYTES_PER_TOKEN: usize = 16;

/// Reads a JSON file of the folder; the error is a part of a line and quotes nothing of it.
pub(super) fn read_json<T: DeserializeOwned>(place: &Place<'_>, file: &str) -> Result<T, String> {
    let most = match file {
        TOKENIZER_FILE => files::MOST_OF_TOKENIZER,
        _ => files::MOST_OF_JSON,
    };
    let text = place.read(file, most)?;
    serde_json::from_slice(&text).map_err(|error| format!("{file}: line {}: not what is expected there", error.line()))
}

/// What the manifest of such a folder would say; what is wrong goes into the notes.
pub(super) fn examine(place: &Place<'_>, onnx: &ChosenOnnx, notes: &mut Notes) -> Option<Manifest> {
    let config = config(place, notes)?;
    let family = config.model_type.clone().unwrap_or_else(|| "unknown".to_owned());
    notes.found(format!("{CONFIG_FILE}: a transformer of the family {family}"));
    let batch = check_inputs(onnx, notes);
    let output = output(onnx, notes);
    let labels = labels(&config, output, notes);
    let problem_type = problem_type(&config, labels.len(), notes);
    let tokenizer = tokenizer_files::read(place, config.pad_token_id, notes);
    let first_position = first_position(&family, config.pad_token_id);
    let (output, tokenizer) = (output?, tokenizer?);
    let max_tokens = max_tokens(&config, &tokenizer, first_position, notes);
    note_quantised(onnx, notes);
    let hints = place.hints;
    let mut files = onnx.files.clone();
    let described = [CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG, SPECIAL_TOKENS_FILE];
    files.extend(described.iter().filter(|file| place.has(file)).map(ToString::to_string));
    let files = place
        .checksums(&files)
        .map_err(|problem| notes.wrong(problem, "copy the file itself into the folder"));
    Some(Manifest {
        schema_version: SCHEMA_VERSION,
        name: hints.name.clone(),
        version: hints.version.clone(),
        task: hints.task.clone().unwrap_or_else(|| hints.name.clone()),
        tier: hints.tier.unwrap_or(Tier::Deep),
        labels,
        problem_type: problem_type?,
        description: format!("{family}, served from an export without a manifest"),
        license: String::new(),
        stand_in: false,
        onnx: Onnx {
            file: onnx.file.clone(),
            output_kind: output_kind(output, notes),
            output: output.name.clone(),
            columns: Vec::new(),
            keys: Vec::new(),
            input: None,
            first_position,
            batch_invariant: false,
            label: None,
        },
        preprocess: Preprocess::Tokenizer(TokenizerSettings {
            file: TOKENIZER_FILE.to_owned(),
            max_tokens,
            max_bytes: (max_tokens * BYTES_PER_TOKEN).max(8192),
            truncation: tokenizer.truncation,
            text_pairs: tokenizer.text_pairs,
            pad_id: tokenizer.pad_id,
        }),
        calibration: Calibration::default(),
        golden: None,
        limits: Limits {
            max_batch_size: batch.unwrap_or(Limits::default().max_batch_size),
        },
        training: toml::Table::new(),
        metrics: toml::Table::new(),
        files: files.ok()?,
    })
}

fn config(place: &Place<'_>, notes: &mut Notes) -> Option<Config> {
    if !place.has(CONFIG_FILE) {
        notes.wrong(
            format!("there is no {CONFIG_FILE}, so the labels are not known"),
            "copy it from the folder that the model was exported from",
        );
        return None;
    }
    read_json(place, CONFIG_FILE)
        .map_err(|problem| {
            notes.wrong(
                problem,
                "copy it again from the folder that the model was exported from",
            )
        })
        .ok()
}

/// Whether the graph takes what a tokenizer gives; the number of rows where only one will do.
fn check_inputs(onnx: &ChosenOnnx, notes: &mut Notes) -> Option<usize> {
    const FED: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
    const EXPORT: &str = "export it with open sizes: optimum-cli export onnx leaves batch and sequence open, torch.onnx.export needs dynamic_axes for both";
    let mut single = None;
    for input in &onnx.graph.inputs {
        let Port { name, kind, shape } = input;
        if !FED.contains(&name.as_str()) {
            notes.wrong(
                format!(
                    "{}: it has an input `{name}`, which a tokenizer does not give",
                    onnx.file
                ),
                "export it with --task text-classification",
            );
        } else if !matches!(kind, PortKind::Tensor(Element::I64 | Element::I32)) {
            notes.wrong(
                format!(
                    "{}: the input `{name}` should hold 64-bit or 32-bit integers",
                    onnx.file
                ),
                "export it again with integer ids",
            );
        }
        match shape.as_slice() {
            [Some(1), None] => single = Some(1),
            [None, None] => {}
            [Some(rows), None] => notes.wrong(
                format!("{}: the input `{name}` takes exactly {rows} texts at once", onnx.file),
                EXPORT,
            ),
            [_, Some(width)] => notes.wrong(
                format!("{}: the input `{name}` takes exactly {width} tokens", onnx.file),
                EXPORT,
            ),
            _ => notes.wrong(
                format!(
                    "{}: the input `{name}` should have two dimensions, texts and tokens",
                    onnx.file
                ),
                EXPORT,
            ),
        }
    }
    let names: Vec<&str> = onnx.graph.inputs.iter().map(|input| input.name.as_str()).collect();
    notes.found(format!("{}: it is fed {}", onnx.file, names.join(", ")));
    if single.is_some() {
        notes.assumed(
            format!("{}: it takes one text at a time, so nothing is batched", onnx.file),
            EXPORT,
        );
    }
    single
}

/// The output to read: `logits`, or the only one that has a row a text.
fn output<'a>(onnx: &'a ChosenOnnx, notes: &mut Notes) -> Option<&'a Port> {
    let outputs = &onnx.graph.outputs;
    let rows: Vec<&Port> = outputs.iter().filter(|output| output.shape.len() == 2).collect();
    let output = match (onnx.graph.output("logits"), rows.as_slice()) {
        (Some(output), _) => output,
        (None, [output]) => {
            notes.assumed(
                format!(
                    "{}: the output `{}` is read, there is none called logits",
                    onnx.file, output.name
                ),
                "name another in a manifest.toml (onnx.output)",
            );
            output
        }
        _ => {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            notes.wrong(
                format!(
                    "{}: it gives {}, which are no answers of a classifier",
                    onnx.file,
                    names.join(", ")
                ),
                "export it with its head: optimum-cli export onnx --task text-classification",
            );
            return None;
        }
    };
    if output.shape.len() != 2 && !output.shape.is_empty() {
        notes.wrong(
            format!(
                "{}: the output `{}` has {} dimensions, not a row a text",
                onnx.file,
                output.name,
                output.shape.len()
            ),
            "export it with --task text-classification",
        );
        return None;
    }
    match output.kind {
        PortKind::Tensor(Element::F32) => Some(output),
        PortKind::Tensor(Element::F16) => {
            notes.wrong(
                format!(
                    "{}: the output `{}` has 16-bit floats, which are slow on a processor",
                    onnx.file, output.name
                ),
                "export it with --dtype fp32, and quantise it for speed (optimum-cli onnxruntime quantize)",
            );
            None
        }
        _ => {
            notes.wrong(
                format!("{}: the output `{}` should hold 32-bit floats", onnx.file, output.name),
                "export it with --dtype fp32",
            );
            None
        }
    }
}

fn output_kind(output: &Port, notes: &mut Notes) -> OutputKind {
    if !output.name.to_ascii_lowercase().contains("prob") {
        return OutputKind::Logits;
    }
    notes.assumed(
        format!("the output `{}` holds probabilities, by its name", output.name),
        "if it holds logits, say so in a manifest.toml (onnx.output_kind)",
    );
    OutputKind::Probabilities
}

/// What the first token's place counts as: the RoBERTa kind numbers tokens from the padding's id on.
fn first_position(family: &str, pad_id: Option<u32>) -> u32 {
    const FROM_PADDING: [&str; 8] = [
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "longformer",
        "mpnet",
        "data2vec-text",
        "roberta-prelayernorm",
    ];
    if FROM_PADDING.contains(&family) {
        pad_id.unwrap_or(1).saturating_add(1)
    } else {
        0
    }
}

/// The most tokens: what the tokenizer says, as far as there are positions for them.
fn max_tokens(config: &Config, tokenizer: &TokenizerFacts, first_position: u32, notes: &mut Notes) -> usize {
    let positions = config
        .max_position_embeddings
        .and_then(|positions| usize::try_from(positions).ok())
        .map(|positions| positions.saturating_sub(first_position as usize))
        .filter(|&positions| positions > 0);
    let (most, why) = match (tokenizer.max_tokens, positions) {
        (Some(tokens), Some(positions)) if tokens <= positions => {
            (tokens, format!("{TOKENIZER_CONFIG}: model_max_length"))
        }
        (_, Some(positions)) if first_position > 0 => (
            positions,
            format!("{CONFIG_FILE}: max_position_embeddings, less {first_position} that this family leaves unused"),
        ),
        (_, Some(positions)) => (positions, format!("{CONFIG_FILE}: max_position_embeddings")),
        (Some(tokens), None) => (tokens, format!("{TOKENIZER_CONFIG}: model_max_length")),
        (None, None) => {
            notes.assumed(
                format!("it reads {USUAL_POSITIONS} tokens: no file says how many"),
                format!("say it in {TOKENIZER_CONFIG} (model_max_length)"),
            );
            return USUAL_POSITIONS;
        }
    };
    let kept = most.clamp(3, MOST_TOKENS);
    notes.found(format!("it reads up to {kept} tokens ({why})"));
    kept
}

fn note_quantised(onnx: &ChosenOnnx, notes: &mut Notes) {
    let quantised = [
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QLinearMatMul",
        "DequantizeLinear",
        "DynamicQuantizeMatMul",
    ];
    if onnx
        .graph
        .nodes
        .iter()
        .any(|node| quantised.contains(&node.op_type.as_str()))
    {
        notes.found(format!(
            "{}: it is quantised: faster, and its probabilities differ a little from training's and with what is in the batch",
            onnx.file
        ));
    }
}
