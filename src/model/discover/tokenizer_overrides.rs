//! What transformers takes from other files than tokenizer.json: BERT's case and accents, the space before RoBERTa's
//! first word, added tokens, Llama's first and last token, token types.
//!
//! `tokenizer_classes.json`, which tools/hugging_face/classes.py writes from transformers itself, says which class
//! reads a folder, what its settings are where no file says, and which steps it replaces. Versions 4 and 5 of
//! transformers differ: 4 takes tokenizer.json and changes single settings of it, 5 builds the steps of some classes
//! from their settings.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::file_names::{ADDED_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE};
use super::json_file;
use super::notes::Notes;
use crate::model::manifest::{AddedToken, TokenizerOverrides};

/// The tokenizer classes of both versions.
const CLASSES: &str = include_str!("tokenizer_classes.json");
/// The tokenizer classes of one version of transformers.
#[derive(Deserialize)]
struct Version {
    /// The class of each `model_type`.
    families: BTreeMap<String, String>,
    /// What each class does; `None` for one that is written in Python and does not read tokenizer.json.
    classes: BTreeMap<String, Option<Class>>,
}

/// What a tokenizer class does to tokenizer.json.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Class {
    /// Its settings where the files say nothing else.
    pub(super) defaults: Map<String, Value>,
    /// Whether it gives token types to models.
    token_types: bool,
    /// Version 4: the settings of the normalizer that the class sets.
    normalizer: Vec<String>,
    /// Version 4: whether the class puts its own first and last token around texts.
    bos_eos: bool,
    /// Version 4: whether a mask token that no file names takes the space before it.
    pub(super) mask_takes_space: bool,
    /// Version 4: whether the class does more than Tandem knows.
    more: bool,
    /// Version 4: whether the class reads the original file again if `add_prefix_space` is set.
    from_slow: bool,
    /// Version 5: the class whose steps it builds.
    pub(super) built_as: Option<String>,
}

/// What the files of a folder say about the tokenizer.
pub(super) struct Files<'a> {
    /// From tokenizer.json: what runs before the vocabulary.
    pub normalizer: Option<&'a Value>,
    /// From tokenizer.json: what runs before the vocabulary, after the normalizer.
    pub pre_tokenizer: Option<&'a Value>,
    /// From tokenizer.json: what runs after the vocabulary.
    pub post_processor: Option<&'a Value>,
    /// From tokenizer.json: the added tokens with their ids.
    pub added: &'a [(u32, AddedToken)],
    pub config: &'a Map<String, Value>,
    pub special: &'a Map<String, Value>,
    /// added_tokens.json: ids by text.
    pub older: &'a Map<String, Value>,
    /// `model_type` of config.json.
    pub family: Option<&'a str>,
    /// `tokenizer_class` of config.json.
    pub class: Option<&'a str>,
    /// `transformers_version` of config.json.
    pub version: Option<&'a str>,
}

/// How transformers reads a folder.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// What overrules tokenizer.json.
    pub overrides: TokenizerOverrides,
    /// Whether it gives token types to the model.
    pub token_types: bool,
    /// Whether the class changes tokenizer.json in ways that Tandem does not know.
    pub more: bool,
}

/// Reads the folder as the version of transformers that wrote it does, and notes where the other version differs.
pub(super) fn read(files: &Files<'_>, notes: &mut Notes) -> Reading {
    let Ok(versions) = serde_json::from_str::<BTreeMap<String, Version>>(CLASSES) else {
        return Reading::default();
    };
    let newer = files.version.is_some_and(|version| version.starts_with("5."));
    let order = if newer { ["5", "4"] } else { ["4", "5"] };
    let read = |major: &'static str| Some((major, files.read_as(major == "5", versions.get(major)?)?));
    let mut known = order.into_iter().filter_map(read);
    let name = files.class_name().unwrap_or("the one of this family");
    let Some((major, chosen)) = known.next() else {
        notes.assumed(
            format!("{TOKENIZER_FILE} is taken as it is: transformers has no tokenizer class {name}"),
            format!("name the class in {TOKENIZER_CONFIG_FILE} (tokenizer_class)"),
        );
        return files.untouched();
    };
    if major != order[0] && name != "TokenizersBackend" {
        notes.assumed(
            format!(
                "read as transformers {major} reads it: version {} has no tokenizer class {name}",
                order[0]
            ),
            format!("name the class in {TOKENIZER_CONFIG_FILE} (tokenizer_class)"),
        );
    }
    let Some(chosen) = chosen else {
        notes.doubtful(
            format!(
                "transformers reads this folder with a tokenizer written in Python ({name}), not with {TOKENIZER_FILE}"
            ),
            "compare the tokens of some texts; known answers go into golden examples (docs/models.md)",
        );
        return files.untouched();
    };
    if chosen.more {
        notes.assumed(
            format!(
                "{TOKENIZER_FILE} is as transformers {major} wrote it: the tokenizer class ({name}) sets steps of its own, which are not \
                 set anew here"
            ),
            "load the folder with transformers and save it again (save_pretrained), or compare the tokens of some texts",
        );
    }
    files.tell(&chosen, major, notes);
    if let Some((other_major, Some(other))) = known.next() {
        let differ = differences(&chosen.overrides, &other.overrides);
        if !differ.is_empty() {
            notes.assumed(
                format!(
                    "read as transformers {major} reads it; version {other_major} reads it otherwise: {}",
                    differ.join(", ")
                ),
                "the files decide by transformers_version in config.json",
            );
        }
    }
    chosen
}

/// In what two readings differ. Token types are left out: version 5 gives none by default, and most models want none.
fn differences(a: &TokenizerOverrides, b: &TokenizerOverrides) -> Vec<&'static str> {
    let parts = [
        ("normalizer", a.normalizer != b.normalizer),
        ("pre_tokenizer", a.pre_tokenizer != b.pre_tokenizer),
        ("post_processor", a.post_processor != b.post_processor),
        ("added tokens", a.added_tokens != b.added_tokens),
    ];
    parts
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
}

impl Files<'_> {
    /// The class that a file names, without the suffix of the classes that read tokenizer.json.
    fn class_name(&self) -> Option<&str> {
        let named = self.config.get("tokenizer_class").and_then(Value::as_str);
        let named = named.or(self.class)?;
        Some(named.strip_suffix("Fast").unwrap_or(named))
    }

    /// The reading that leaves tokenizer.json as it is.
    fn untouched(&self) -> Reading {
        Reading {
            overrides: TokenizerOverrides::default(),
            token_types: self.listed_token_types().unwrap_or(true),
            more: false,
        }
    }

    /// The folder as a version of transformers reads it. The outer `None` means that it doesn't know the class; the
    /// inner one, that the class does not use tokenizer.json.
    fn read_as(&self, newer: bool, version: &Version) -> Option<Option<Reading>> {
        let registered = self.family.and_then(|family| version.families.get(family));
        let name = match (self.class_name(), registered) {
            // Version 5 takes tokenizer.json as it is if it does not trust the class's name.
            (Some("LlamaTokenizer"), _) if newer && self.is_byte_level() => "TokenizersBackend",
            (Some(named), Some(registered)) if newer && named != registered => {
                let generic = ["TokenizersBackend", "PreTrainedTokenizer", "MistralCommonBackend"];
                let known = matches!(version.classes.get(named), Some(Some(_)));
                if known && !generic.contains(&registered.as_str()) {
                    named
                } else {
                    "TokenizersBackend"
                }
            }
            (Some(named), _) => named,
            (None, registered) => registered?,
        };
        let Some(class) = version.classes.get(name)? else {
            return Some(None);
        };
        let (mut overrides, more) = if newer {
            self.version_5(class)
        } else {
            (self.version_4(class), class.more)
        };
        overrides.split_special_tokens = self.flag("split_special_tokens").unwrap_or(false);
        Some(Some(Reading {
            overrides,
            token_types: self.listed_token_types().unwrap_or(class.token_types),
            more,
        }))
    }

    fn is_byte_level(&self) -> bool {
        let steps = self
            .pre_tokenizer
            .and_then(|step| step.get("pretokenizers")?.as_array());
        let mut all = steps.into_iter().flatten().chain(self.pre_tokenizer);
        all.any(|step| kind(Some(step)) == "ByteLevel")
    }

    /// Whether `model_input_names` lists token types; `None` if no file has such a list.
    fn listed_token_types(&self) -> Option<bool> {
        let names = self.config.get("model_input_names")?.as_array()?;
        Some(names.iter().any(|name| name == "token_type_ids"))
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        json_file::flag_of(self.config.get(name)?)
    }

    /// A setting: from the files, else from the class.
    pub(super) fn setting(&self, class: &Class, name: &str) -> Option<bool> {
        self.flag(name)
            .or_else(|| class.defaults.get(name).and_then(Value::as_bool))
    }

    /// The value that a setting of BertNormalizer should have.
    pub(super) fn normalizer_setting(&self, class: &Class, field: &str) -> Value {
        let name = match field {
            "lowercase" => "do_lower_case",
            "handle_chinese_chars" => "tokenize_chinese_chars",
            field => field,
        };
        self.setting(class, name).map_or(Value::Null, Value::Bool)
    }

    fn version_4(&self, class: &Class) -> TokenizerOverrides {
        let mut overrides = TokenizerOverrides::default();
        // A step inside a Sequence is not replaced.
        if let Some(own) = self.normalizer {
            let mut wanted = own.clone();
            let differs = |field: &String| {
                own.get(field)
                    .is_some_and(|own| *own != self.normalizer_setting(class, field))
            };
            if class.normalizer.iter().any(differs) {
                for field in &class.normalizer {
                    wanted[field] = self.normalizer_setting(class, field);
                }
                overrides.normalizer = Some(without_nulls(wanted));
            }
        }
        if let Some(own) = self.pre_tokenizer.filter(|own| kind(Some(own)) == "ByteLevel") {
            let asked = self.config.get("add_prefix_space");
            let wanted = self.setting(class, "add_prefix_space").unwrap_or(false);
            let differs = own.get("add_prefix_space").and_then(Value::as_bool) != Some(wanted);
            // transformers ignores values that are no boolean, and a setting for which it would read the original file.
            let followed = asked.is_none_or(|asked| asked.is_boolean() && !class.from_slow);
            if differs && followed {
                let mut own = own.clone();
                own["add_prefix_space"] = wanted.into();
                overrides.pre_tokenizer = Some(own);
            }
        }
        let named = self.named(class);
        overrides.added_tokens = self.added(&named, false);
        if class.bos_eos {
            let wanted = |setting: &str, token: &str| {
                let asked = self.setting(class, setting).unwrap_or(false);
                let found = named.iter().find(|(name, _)| *name == token);
                found.filter(|_| asked).map(|(_, token)| token.content())
            };
            let (first, last) = (
                wanted("add_bos_token", "bos_token"),
                wanted("add_eos_token", "eos_token"),
            );
            let single: Vec<&str> = first.into_iter().chain(["$A"]).chain(last).collect();
            let second = first.into_iter().chain(["$B"]).chain(last);
            let pair: Vec<&str> = single.iter().copied().chain(second).collect();
            let second_at = single.len();
            overrides.post_processor = self.template(&single, &pair, second_at);
        }
        overrides
    }

    /// Adds notes on what the reading follows.
    fn tell(&self, reading: &Reading, major: &str, notes: &mut Notes) {
        let overrides = &reading.overrides;
        let like = format!("as transformers {major} does");
        for (step, own, wanted) in [
            ("normalizer", self.normalizer, &overrides.normalizer),
            ("pre_tokenizer", self.pre_tokenizer, &overrides.pre_tokenizer),
        ] {
            let Some(wanted) = wanted else {
                continue;
            };
            let none = Map::new();
            let own = own.and_then(Value::as_object).unwrap_or(&none);
            let fields = ["lowercase", "strip_accents", "handle_chinese_chars", "add_prefix_space"];
            let shown = |value: Option<&Value>| match value {
                Some(Value::Bool(value)) => value.to_string(),
                _ => "by the case".to_owned(),
            };
            let changed: Vec<String> = fields
                .iter()
                .filter(|field| own.get(**field).is_some_and(|own| !own.is_null()) || wanted.get(**field).is_some())
                .filter(|field| shown(own.get(**field)) != shown(wanted.get(**field)))
                .map(|field| {
                    format!(
                        "{field} is {}, not {}",
                        shown(wanted.get(*field)),
                        shown(own.get(*field))
                    )
                })
                .collect();
            let what = if changed.is_empty() {
                format!("another {step}")
            } else {
                changed.join("; ")
            };
            let asked = [
                "do_lower_case",
                "strip_accents",
                "tokenize_chinese_chars",
                "add_prefix_space",
            ];
            if asked.iter().any(|name| self.config.contains_key(*name)) {
                notes.found(format!(
                    "{TOKENIZER_CONFIG_FILE} overrules {TOKENIZER_FILE}, {like}: {what}"
                ));
            } else {
                notes.assumed(
                    format!("the tokenizer's class overrules {TOKENIZER_FILE}, {like}: {what}"),
                    format!("say it in {TOKENIZER_CONFIG_FILE} (do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space)"),
                );
            }
        }
        if overrides.post_processor.is_some() {
            notes.found(format!(
                "the tokenizer's class puts other special tokens around texts than {TOKENIZER_FILE}, {like}"
            ));
        }
        if !overrides.added_tokens.is_empty() {
            notes.found(format!(
                "{TOKENIZER_CONFIG_FILE}, {ADDED_TOKENS_FILE} and the tokenizer's class add {} tokens to {TOKENIZER_FILE}, or change them, {like}",
                overrides.added_tokens.len()
            ));
        }
        if overrides.split_special_tokens {
            notes.found(format!(
                "{TOKENIZER_CONFIG_FILE}: special tokens that a text spells out are text (split_special_tokens)"
            ));
        }
    }
}

pub(super) fn kind(step: Option<&Value>) -> &str {
    step.and_then(|step| step.get("type")?.as_str()).unwrap_or("")
}

/// The fields that are not null: a manifest can't hold null.
pub(super) fn without_nulls(mut step: Value) -> Value {
    if let Value::Object(fields) = &mut step {
        fields.retain(|_, value| !value.is_null());
    }
    step
}
