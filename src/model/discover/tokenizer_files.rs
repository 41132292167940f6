//! What a folder's tokenizer files say: the length, the padding, from which end texts are cut, whether pairs are known.

use serde::Deserialize;
use serde_json::Value;

use super::json::{self, read_json};
use super::{Notes, Place};
use crate::model::manifest::Truncation;

/// The tokenizer itself.
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
/// What transformers adds to it.
pub(super) const CONFIG_FILE: &str = "tokenizer_config.json";
/// Which tokens are special, in older exports.
pub(super) const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";

/// What the files say.
pub(super) struct TokenizerFacts {
    /// The most tokens, special ones included, if the files say.
    pub max_tokens: Option<usize>,
    /// From which end a text is cut that is too long.
    pub truncation: Truncation,
    /// Whether pairs of texts have a template.
    pub text_pairs: bool,
    /// The id that fills padded rows, if a file says.
    pub pad_id: Option<u32>,
}

/// What matters of `tokenizer.json`; the vocabulary is passed over.
#[derive(Deserialize)]
struct Tokenizer {
    post_processor: Option<Value>,
    normalizer: Option<Value>,
    padding: Option<Value>,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// What matters of `tokenizer_config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(deserialize_with = "json::number")]
    model_max_length: Option<f64>,
    #[serde(deserialize_with = "json::text")]
    truncation_side: Option<String>,
    pad_token: Option<Value>,
    #[serde(deserialize_with = "json::flag")]
    do_lower_case: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpecialTokens {
    pad_token: Option<Value>,
}

/// Reads the files; what is wrong goes into the notes.
pub(super) fn read(place: &Place<'_>, pad_id: Option<u32>, notes: &mut Notes) -> Option<TokenizerFacts> {
    if !place.has(TOKENIZER_FILE) {
        no_tokenizer(place, notes);
        return None;
    }
    let mut told = |problem| notes.problem(problem);
    let tokenizer: Tokenizer = read_json(place, TOKENIZER_FILE).map_err(&mut told).ok()?;
    let mut config = Config::default();
    if place.has(CONFIG_FILE) {
        config = read_json(place, CONFIG_FILE).map_err(&mut told).ok()?;
    }
    let mut special = SpecialTokens::default();
    if place.has(SPECIAL_TOKENS_FILE) {
        special = read_json(place, SPECIAL_TOKENS_FILE).map_err(&mut told).ok()?;
    }
    let text_pairs = tokenizer.post_processor.as_ref().is_some_and(knows_pairs);
    notes.found(format!(
        "{TOKENIZER_FILE}: {}",
        if text_pairs {
            "it takes texts, and pairs of them"
        } else {
            "it takes single texts"
        }
    ));
    if tokenizer.padding.is_some() {
        notes.found(format!(
            "{TOKENIZER_FILE}: its fixed padding is not used: texts are padded to the longest of their batch"
        ));
    }
    check_case(&tokenizer, &config, notes);
    let named = config.pad_token.or(special.pad_token);
    let named = named.as_ref().and_then(content);
    let by_name = || {
        let tokens = &tokenizer.added_tokens;
        tokens
            .iter()
            .find(|token| Some(token.content.as_str()) == named)
            .map(|token| token.id)
    };
    Some(TokenizerFacts {
        // Without a length transformers writes 10^30.
        max_tokens: config
            .model_max_length
            .filter(|length| (3.0..1e6).contains(length))
            .map(|length| length as usize),
        truncation: match config.truncation_side.as_deref() {
            Some("left") => Truncation::Start,
            _ => Truncation::End,
        },
        text_pairs,
        pad_id: pad_id.or_else(by_name),
    })
}

/// A token, by itself or with its settings.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// Whether a post-processor says how two texts are put together.
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

/// transformers lets `do_lower_case` overrule the tokenizer's own normaliser.
fn check_case(tokenizer: &Tokenizer, config: &Config, notes: &mut Notes) {
    let own = tokenizer
        .normalizer
        .as_ref()
        .and_then(|normalizer| normalizer.get("lowercase")?.as_bool());
    if let (Some(own), Some(asked)) = (own, config.do_lower_case)
        && own != asked
    {
        notes.wrong(
            format!("{TOKENIZER_FILE} has lowercase = {own}, {CONFIG_FILE} has do_lower_case = {asked}"),
            format!("save both anew: {}", SAVE.replace("FOLDER", ".")),
        );
    }
}

/// Writes `tokenizer.json` from what older tokenizers are kept in.
const SAVE: &str = "python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('FOLDER').save_pretrained('FOLDER')\"";

fn no_tokenizer(place: &Place<'_>, notes: &mut Notes) {
    let older = [
        "vocab.txt",
        "vocab.json",
        "sentencepiece.bpe.model",
        "spm.model",
        "spiece.model",
    ];
    let folder = place.folder.display().to_string();
    match older.iter().find(|file| place.has(file)) {
        Some(file) => notes.wrong(
            format!("there is no {TOKENIZER_FILE}, but {file}"),
            format!("make it: {}", SAVE.replace("FOLDER", &folder)),
        ),
        None => notes.wrong(
            format!("there is no {TOKENIZER_FILE}"),
            "copy it from the folder that the model was exported from",
        ),
    }
}
