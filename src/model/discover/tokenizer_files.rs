//! What a folder's tokenizer files say: the length, the padding, which end of a long text is cut, whether the model
//! takes pairs.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::config_file;
use super::file_names::{ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};
use super::json_file;
use super::json_file::read_json;
use super::notes::Notes;
use super::place::Place;
use super::tokenizer_overrides::{self, Reading};
use super::tokenizer_special;
use crate::model::manifest::{AddedToken, Truncation};

pub(super) struct TokenizerFacts {
    /// The most tokens, special ones included, if the files say.
    pub max_tokens: Option<usize>,
    /// Which end of a text that is too long is cut.
    pub truncation: Truncation,
    /// Whether the tokenizer has a template for pairs of texts.
    pub text_pairs: bool,
    /// The number of tokens to which tokenizer.json itself cuts texts, if it does; transformers ignores it.
    pub own_length: Option<usize>,
    /// The id that fills padded rows, if a file says.
    pub pad_id: Option<u32>,
    /// What transformers takes from the other files.
    pub reading: Reading,
}

/// The fields of `tokenizer.json` that matter here; the vocabulary is skipped.
#[derive(Deserialize)]
struct Tokenizer {
    post_processor: Option<Value>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    padding: Option<Value>,
    truncation: Option<Value>,
    #[serde(default)]
    added_tokens: Vec<Value>,
}

/// The fields of `tokenizer_config.json` whose types are checked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Checked {
    #[serde(deserialize_with = "json_file::number")]
    model_max_length: Option<f64>,
    #[serde(deserialize_with = "json_file::number")]
    max_len: Option<f64>,
    #[serde(deserialize_with = "json_file::text")]
    truncation_side: Option<String>,
    /// A wrong type is reported here; whoever uses it reads it again.
    #[serde(deserialize_with = "json_file::flag")]
    do_lower_case: Option<bool>,
}

/// Reads the files; what is wrong goes into the notes.
pub(super) fn read(place: &Place<'_>, model: &config_file::Config, notes: &mut Notes) -> Option<TokenizerFacts> {
    if !place.has(TOKENIZER_FILE) {
        no_tokenizer(place, notes);
        return None;
    }
    let mut told = |problem| notes.problem(problem);
    let tokenizer: Tokenizer = read_json(place, TOKENIZER_FILE).map_err(&mut told).ok()?;
    let mut checked = Checked::default();
    if place.has(TOKENIZER_CONFIG_FILE) {
        checked = read_json(place, TOKENIZER_CONFIG_FILE).map_err(&mut told).ok()?;
    }
    let mut others = [TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE].map(|file| {
        if place.has(file) {
            read_json::<Map<String, Value>>(place, file).map_err(&mut told)
        } else {
            Ok(Map::new())
        }
    });
    let [Ok(config), Ok(special), Ok(older)] = &mut others else {
        return None;
    };
    let text_pairs = tokenizer.post_processor.as_ref().is_some_and(knows_pairs);
    note_layout(&tokenizer, text_pairs, notes);
    let own = |token: &Value| {
        let id = u32::try_from(token.get("id")?.as_u64()?).ok()?;
        Some((id, tokenizer_special::whole(token, false)?))
    };
    let added: Vec<(u32, AddedToken)> = tokenizer.added_tokens.iter().filter_map(own).collect();
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    let (class, version) = (text(&model.tokenizer_class), text(&model.transformers_version));
    let files = tokenizer_overrides::Files {
        normalizer: tokenizer.normalizer.as_ref(),
        pre_tokenizer: tokenizer.pre_tokenizer.as_ref(),
        post_processor: tokenizer.post_processor.as_ref(),
        added: &added,
        config,
        special,
        older,
        family: model.model_type.as_deref(),
        class: class.as_deref(),
        version: version.as_deref(),
    };
    let reading = tokenizer_overrides::read(&files, notes);
    let named = config
        .get("pad_token")
        .or_else(|| special.get("pad_token"))
        .and_then(content);
    let by_name = || added.iter().find(|(_, token)| Some(token.content.as_str()) == named);
    let length = checked.model_max_length.or(checked.max_len);
    let own = |key: &str| tokenizer.truncation.as_ref()?.get(key);
    let own_side = own("direction").and_then(Value::as_str);
    let own_length = own("max_length").and_then(Value::as_u64);
    let side = checked.truncation_side.as_deref().or(own_side);
    if config.get("padding_side").and_then(Value::as_str) == Some("left") {
        notes.found(format!(
            "{TOKENIZER_CONFIG_FILE}: padding_side is not used: rows are padded at their end, where the mask hides it"
        ));
    }
    Some(TokenizerFacts {
        // Where there is no length, transformers writes 10^30.
        max_tokens: length
            .filter(|length| (3.0..1e6).contains(length))
            .map(|length| length as usize),
        truncation: match side {
            Some(side) if side.eq_ignore_ascii_case("left") => Truncation::Start,
            _ => Truncation::End,
        },
        text_pairs,
        own_length: own_length.and_then(|length| usize::try_from(length).ok()),
        pad_id: model.pad_id().or_else(|| by_name().map(|(id, _)| *id)),
        reading,
    })
}

/// Adds notes on which texts the tokenizer takes, and on a padding that is not used.
fn note_layout(tokenizer: &Tokenizer, text_pairs: bool, notes: &mut Notes) {
    let takes = if text_pairs {
        "it takes texts, and pairs of them"
    } else {
        "it takes single texts"
    };
    notes.found(format!("{TOKENIZER_FILE}: {takes}"));
    if tokenizer.padding.is_some() {
        notes.found(format!(
            "{TOKENIZER_FILE}: its fixed padding is not used: texts are padded to the longest of their batch"
        ));
    }
}

/// The text of a token that is written by itself or with its settings.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// Whether a post-processor says how two texts are joined.
fn knows_pairs(processor: &Value) -> bool {
    match processor.get("type").and_then(Value::as_str) {
        Some("BertProcessing" | "RobertaProcessing") => true,
        Some("TemplateProcessing") => processor
            .get("pair")
            .and_then(Value::as_array)
            .is_some_and(|template| !template.is_empty()),
        Some("Sequence") => processor
            .get("processors")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(knows_pairs)),
        _ => false,
    }
}

/// The command that writes `tokenizer.json` from the files of older tokenizers.
const SAVE: &str = "python -c 'import sys; from transformers import AutoTokenizer as T; T.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])'";

fn no_tokenizer(place: &Place<'_>, notes: &mut Notes) {
    let older = [
        "vocab.txt",
        "vocab.json",
        "sentencepiece.bpe.model",
        "spm.model",
        "spiece.model",
    ];
    match older.iter().find(|file| place.has(file)) {
        Some(file) => notes.wrong(
            format!("there is no {TOKENIZER_FILE}, but {file}"),
            format!("make it: {SAVE} {}", place.quoted("")),
        ),
        None => notes.wrong(
            format!("there is no {TOKENIZER_FILE}"),
            "copy it from the folder that the model was exported from",
        ),
    }
}
