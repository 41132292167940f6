//! Hugging Face and Optimum folders: a transformer's ONNX file, `config.json`, `tokenizer.json` and its companions.
//!
//! Follows what transformers does with the same files: labels and problem type from `config.json`, and a length that
//! both the tokenizer and the model's positions allow.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config_file::{Config, labels, problem_type};
use super::file_names::{ADDED_TOKENS_FILE, CONFIG_FILE, SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};
use super::graph::Port;
use super::json_file::read_json;
use super::notes::Notes;
use super::onnx_file::ChosenOnnx;
use super::place::Place;
use super::tokenizer_files::{self, TokenizerFacts};
use super::transformer_inputs::inputs;
use super::transformer_outputs::output;
use crate::model::manifest::{
    Calibration, LEAST_TOKENS, Limits, MOST_TOKENS, Manifest, Onnx, OutputKind, Preprocess, SCHEMA_VERSION, Tier,
    TokenizerSettings, UNASKED_TOKENS,
};

/// The number of positions where no file names one: that of BERT.
const USUAL_POSITIONS: usize = 512;
/// Before texts are tokenised, they are cut to this many bytes for each token that the model reads.
const BYTES_PER_TOKEN: usize = 16;

/// The manifest of such a folder; what is wrong goes into the notes.
pub(super) fn examine(place: &Place<'_>, onnx: &ChosenOnnx, notes: &mut Notes) -> Option<Manifest> {
    let config = config(place, notes)?;
    let family = config.model_type.clone().unwrap_or_else(|| "unknown".to_owned());
    notes.found(format!("{CONFIG_FILE}: a transformer of the family {family}"));
    let inputs = inputs(onnx, notes);
    let output = output(onnx, &config, notes)?;
    let labels = labels(&config, output, notes);
    let problem_type = problem_type(&config, labels.len(), notes);
    let tokenizer = tokenizer_files::read(place, &config, notes);
    let first_position = first_position(&family, config.pad_id());
    let tokenizer = tokenizer?;
    let (most, why) = most_tokens(&config, &tokenizer, first_position, inputs.width, notes);
    let max_tokens = max_tokens(most, &why, place.hints.max_tokens, notes);
    if let Some(own) = tokenizer.own_length
        && own < max_tokens
        && place.hints.max_tokens.is_none()
    {
        notes.assumed(
            format!("texts are cut at {max_tokens} tokens, as in transformers, though {TOKENIZER_FILE} by itself cuts them at {own}"),
            format!("where the model was used with the tokenizers library alone: --max-tokens {own}"),
        );
    }
    let token_types = token_types(onnx, &config, &tokenizer, notes);
    note_quantised(onnx, notes);
    let hints = place.hints;
    let files = checksums(place, onnx, notes);
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
            inputs: inputs.names,
            first_position,
            batch_invariant: false,
            label: None,
        },
        execution_providers: None,
        preprocess: Preprocess::Tokenizer(TokenizerSettings {
            file: TOKENIZER_FILE.to_owned(),
            max_tokens,
            max_bytes: (max_tokens * BYTES_PER_TOKEN).max(8192),
            truncation: tokenizer.truncation,
            text_pairs: tokenizer.text_pairs,
            pad_id: tokenizer.pad_id,
            token_types,
            overrides: tokenizer.reading.overrides,
        }),
        calibration: Calibration::default(),
        golden: None,
        limits: Limits {
            max_batch_size: inputs.rows,
            batch: None,
        },
        heads: Vec::new(),
        training: toml::Table::new(),
        metrics: toml::Table::new(),
        files: files?,
    })
}

/// The checksums of all files that make the model what it is.
fn checksums(place: &Place<'_>, onnx: &ChosenOnnx, notes: &mut Notes) -> Option<BTreeMap<String, String>> {
    let described = [
        CONFIG_FILE,
        TOKENIZER_FILE,
        TOKENIZER_CONFIG_FILE,
        SPECIAL_TOKENS_FILE,
        ADDED_TOKENS_FILE,
    ];
    let mut files = onnx.files.clone();
    files.extend(described.iter().filter(|file| place.has(file)).map(ToString::to_string));
    place.checksums(&files).map_err(|problem| notes.problem(problem)).ok()
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
        .map_err(|problem| notes.problem(problem))
        .ok()
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

/// The position of the first token: models of the RoBERTa kind number tokens from the padding's id on.
fn first_position(family: &str, pad_id: Option<u32>) -> u32 {
    const FROM_PADDING: [&str; 17] = [
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "longformer",
        "mpnet",
        "data2vec-text",
        "roberta-prelayernorm",
        "ibert",
        "xmod",
        "luke",
        "mluke",
        "lilt",
        "esm",
        "markuplm",
        "layoutlmv3",
        "ernie_m",
    ];
    if FROM_PADDING.contains(&family) {
        pad_id.unwrap_or(1).saturating_add(1)
    } else {
        0
    }
}

/// The most tokens that the model could read, and what sets this bound: the tokenizer, the number of positions, or the
/// graph.
fn most_tokens(
    config: &Config,
    tokenizer: &TokenizerFacts,
    first_position: u32,
    width: Option<usize>,
    notes: &mut Notes,
) -> (usize, String) {
    let positions = config
        .max_position_embeddings
        .and_then(|positions| usize::try_from(positions).ok())
        .map(|positions| positions.saturating_sub(first_position as usize))
        .filter(|&positions| positions > 0);
    let (most, why) = match (tokenizer.max_tokens, positions) {
        (Some(tokens), Some(positions)) if tokens <= positions => {
            (tokens, format!("{TOKENIZER_CONFIG_FILE}: model_max_length"))
        }
        (_, Some(positions)) if first_position > 0 => (
            positions,
            format!("{CONFIG_FILE}: max_position_embeddings, less {first_position} that this family leaves unused"),
        ),
        (_, Some(positions)) => (positions, format!("{CONFIG_FILE}: max_position_embeddings")),
        (Some(tokens), None) => (tokens, format!("{TOKENIZER_CONFIG_FILE}: model_max_length")),
        (None, None) => {
            notes.assumed(
                format!("it can read {USUAL_POSITIONS} tokens: no file says how many"),
                format!("say it in {TOKENIZER_CONFIG_FILE} (model_max_length)"),
            );
            (USUAL_POSITIONS, "the usual length".to_owned())
        }
    };
    match width {
        Some(width) if width < most => (width, "the graph takes so many and no more".to_owned()),
        _ if most > MOST_TOKENS => (MOST_TOKENS, "the most that any model is given".to_owned()),
        _ => (most, why),
    }
}

/// How many tokens the model reads of those that it could: as many as were asked for, or a moderate number if nobody
/// asked.
fn max_tokens(most: usize, why: &str, asked: Option<usize>, notes: &mut Notes) -> usize {
    match asked {
        Some(asked) if asked > most => {
            notes.assumed(
                format!("it reads {most} tokens ({why}), though max_tokens is {asked}"),
                format!("lower max_tokens to {most}, or leave it out"),
            );
            most
        }
        Some(asked) => {
            notes.found(format!("it reads up to {asked} tokens (max_tokens), it could {most} ({why})"));
            asked
        }
        None if most > UNASKED_TOKENS => {
            notes.assumed(
                format!("it reads {UNASKED_TOKENS} tokens of the {most} that it could ({why}): longer texts take time and memory by the square of their length"),
                format!("to let it read them all: --max-tokens {most}, or max_tokens = {most} in tandem.toml"),
            );
            UNASKED_TOKENS
        }
        None => {
            notes.found(format!("it reads up to {most} tokens ({why})"));
            most
        }
    }
    .max(LEAST_TOKENS)
}

/// Whether the graph gets the tokenizer's token types; otherwise it gets zeros, if it has an input for them.
fn token_types(onnx: &ChosenOnnx, config: &Config, tokenizer: &TokenizerFacts, notes: &mut Notes) -> bool {
    let single = config.type_vocab_size.as_ref().and_then(Value::as_f64) == Some(1.0);
    let given = tokenizer.reading.token_types && !single;
    if !given && onnx.graph.inputs.iter().any(|input| input.name == "token_type_ids") {
        let why = if single {
            "type_vocab_size is 1"
        } else {
            "the tokenizer does not list them (model_input_names)"
        };
        notes.found(format!("its token_type_ids are zeros, as in transformers: {why}"));
    }
    given
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
            "{}: it is quantised: faster, and its probabilities differ a little from training's",
            onnx.file
        ));
    }
}
