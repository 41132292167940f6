//! The steps that version 5 of transformers builds from a class's settings, and templates of special tokens.

use serde_json::{Map, Value, json};

use super::tokenizer_overrides::{Class, Files, kind, without_nulls};
use crate::model::manifest::TokenizerOverrides;

impl Files<'_> {
    /// The overrides of version 5, which builds the steps of some classes from their settings alone. Also gives whether
    /// the class builds steps that Tandem does not know.
    pub(super) fn version_5(&self, class: &Class) -> (TokenizerOverrides, bool) {
        const NEVER: usize = usize::MAX;
        let mut overrides = TokenizerOverrides::default();
        let named = self.named(class);
        overrides.added_tokens = self.added(&named, true);
        let token = |name: &str| {
            let found = named.iter().find(|(found, _)| *found == name);
            found.map_or("", |(_, token)| token.content())
        };
        let (cls, sep, bos, eos) = (
            token("cls_token"),
            token("sep_token"),
            token("bos_token"),
            token("eos_token"),
        );
        // The pieces around two texts; those around one text are the beginning of these.
        let bert = [cls, "$A", sep, "$B", sep];
        let doubled = [cls, "$A", sep, sep, "$B", sep];
        let of_ends = [bos, "$A", eos, eos, "$B", eos];
        let last = ["$A", "</s>", "$B", "</s>"];
        let (normalizer, pre_tokenizer, pair, single, second_at): (Option<Value>, Value, &[&str], usize, usize) =
            match class.built_as.as_deref() {
                Some("BertTokenizer" | "DistilBertTokenizer") => (Some(self.bert(class)), bert_words(), &bert, 3, 3),
                Some("MPNetTokenizer") => (Some(self.bert(class)), bert_words(), &doubled, 3, NEVER),
                Some("RobertaTokenizer" | "DebertaTokenizer") => (None, self.bytes(class), &doubled, 3, NEVER),
                Some("GPT2Tokenizer") => (None, self.bytes(class), &[], 0, 0),
                Some("XLMRobertaTokenizer") => (self.charsmap(), self.pieces(class, "never"), &of_ends, 3, NEVER),
                Some("T5Tokenizer") => (self.charsmap(), self.pieces(class, "always"), &last, 2, NEVER),
                Some("AlbertTokenizer") => (Some(self.albert(class)), self.pieces(class, "never"), &bert, 3, 3),
                Some("DebertaV2Tokenizer") => (Some(self.deberta(class)), self.deberta_words(class), &bert, 3, 3),
                Some("LlamaTokenizer") => (None, self.llama_words(), &[], 0, 0),
                built_as => return (overrides, built_as.is_some()),
            };
        let normalizer = normalizer.unwrap_or_else(|| json!({"type": "Sequence", "normalizers": []}));
        if plain(self.normalizer) != plain(Some(&normalizer)) {
            overrides.normalizer = Some(normalizer);
        }
        if plain(self.pre_tokenizer) != plain(Some(&pre_tokenizer)) {
            overrides.pre_tokenizer = Some(pre_tokenizer);
        }
        if !pair.is_empty() {
            overrides.post_processor = self.template(&pair[..single], pair, second_at);
        }
        (overrides, false)
    }

    /// The normalizer that BERT needs.
    fn bert(&self, class: &Class) -> Value {
        let mut normalizer = json!({"type": "BertNormalizer", "clean_text": true});
        for field in ["lowercase", "strip_accents", "handle_chinese_chars"] {
            normalizer[field] = self.normalizer_setting(class, field);
        }
        without_nulls(normalizer)
    }

    fn bytes(&self, class: &Class) -> Value {
        let space = self.setting(class, "add_prefix_space").unwrap_or(false);
        json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": true})
    }

    /// SentencePiece's own normalizer, if tokenizer.json has it.
    fn charsmap(&self) -> Option<Value> {
        let steps = self.normalizer.and_then(|step| step.get("normalizers")?.as_array());
        let mut all = steps.into_iter().flatten().chain(self.normalizer);
        all.find(|step| kind(Some(step)) == "Precompiled").cloned()
    }

    fn pieces(&self, class: &Class, without: &str) -> Value {
        let space = self.setting(class, "add_prefix_space").unwrap_or(true);
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"}, metaspace(if space { "always" } else { without }, true)
        ]})
    }

    fn albert(&self, class: &Class) -> Value {
        let quotes = |quote: &str| json!({"type": "Replace", "pattern": {"String": quote}, "content": "\""});
        let mut steps = vec![quotes("``"), quotes("''")];
        if !self.setting(class, "keep_accents").unwrap_or(false) {
            steps.extend([json!({"type": "NFKD"}), json!({"type": "StripAccents"})]);
        }
        if self.setting(class, "do_lower_case").unwrap_or(false) {
            steps.push(json!({"type": "Lowercase"}));
        }
        steps.extend(self.charsmap());
        json!({"type": "Sequence", "normalizers": steps})
    }

    fn deberta(&self, class: &Class) -> Value {
        let mut steps = Vec::new();
        if self.setting(class, "do_lower_case").unwrap_or(false) {
            steps.push(json!({"type": "Lowercase"}));
        }
        steps.extend([
            json!({"type": "Replace", "pattern": {"Regex": r"\s{2,}|[\n\r\t]"}, "content": " "}),
            json!({"type": "NFC"}),
            json!({"type": "Strip", "strip_left": false, "strip_right": true}),
        ]);
        json!({"type": "Sequence", "normalizers": steps})
    }

    fn deberta_words(&self, class: &Class) -> Value {
        let mut steps = Vec::new();
        if self.setting(class, "split_by_punct").unwrap_or(false) {
            steps.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
        }
        let space = self.setting(class, "add_prefix_space").unwrap_or(true);
        steps.push(metaspace(if space { "always" } else { "first" }, true));
        json!({"type": "Sequence", "pretokenizers": steps})
    }

    fn llama_words(&self) -> Value {
        let scheme = match (self.flag("add_prefix_space"), self.flag("legacy")) {
            (Some(false), _) => "never",
            (_, Some(true)) => "always",
            _ => "first",
        };
        metaspace(scheme, false)
    }

    /// A template of these pieces; `None` if tokenizer.json has it already, or if it has no id for one of the tokens.
    pub(super) fn template(&self, single: &[&str], pair: &[&str], second_at: usize) -> Option<Value> {
        let mut specials = Map::new();
        let mut piece = |text: &str, of: u32| {
            Some(match text {
                "$A" => json!({"Sequence": {"id": "A", "type_id": of}}),
                "$B" => json!({"Sequence": {"id": "B", "type_id": of}}),
                token => {
                    let (id, _) = self.added.iter().find(|(_, added)| added.content == token)?;
                    let told = json!({"id": token, "ids": [id], "tokens": [token]});
                    specials.insert(token.to_owned(), told);
                    json!({"SpecialToken": {"id": token, "type_id": of}})
                }
            })
        };
        let single = single.iter().map(|text| piece(text, 0)).collect::<Option<Vec<_>>>()?;
        let pair = pair
            .iter()
            .enumerate()
            .map(|(at, text)| piece(text, u32::from(at >= second_at)))
            .collect::<Option<Vec<_>>>()?;
        let wanted = json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials});
        (pieces(self.post_processor) != pieces(Some(&wanted))).then_some(wanted)
    }
}

fn bert_words() -> Value {
    json!({"type": "BertPreTokenizer"})
}

fn metaspace(scheme: &str, split: bool) -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split})
}

/// The steps inside a step, in one form: a field that the file leaves out has the default of the tokenizers library.
fn plain(step: Option<&Value>) -> Vec<Value> {
    let Some(step) = step.filter(|step| !step.is_null()) else {
        return Vec::new();
    };
    for key in ["normalizers", "pretokenizers"] {
        if let Some(steps) = step.get(key).and_then(Value::as_array) {
            return steps.iter().flat_map(|step| plain(Some(step))).collect();
        }
    }
    let mut step = without_nulls(step.clone());
    if let Value::Object(fields) = &mut step {
        if fields.get("type").is_some_and(|name| name == "Metaspace") {
            let space = fields.remove("add_prefix_space").and_then(|space| space.as_bool());
            let scheme = if space == Some(false) { "never" } else { "always" };
            fields.entry("prepend_scheme").or_insert_with(|| scheme.into());
            fields.entry("split").or_insert(true.into());
            fields.remove("str_rep");
        } else if fields.get("type").is_some_and(|name| name == "ByteLevel") {
            fields.entry("use_regex").or_insert(true.into());
            fields.remove("trim_offsets");
        } else if *fields == spaces() {
            // Words are split at white space in any case.
            return Vec::new();
        }
    }
    vec![step]
}

/// A step that older exports of SentencePiece have, and newer ones leave out.
fn spaces() -> Map<String, Value> {
    let step = json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "});
    step.as_object().cloned().unwrap_or_default()
}

/// The pieces that a post-processor joins, for one text and for two: tokens by their text, texts by their letter.
fn pieces(processor: Option<&Value>) -> Option<[Vec<String>; 2]> {
    let plain = |pieces: &[&str]| pieces.iter().map(ToString::to_string).collect::<Vec<_>>();
    let token = |key: &str| processor.and_then(|processor| processor.get(key)?.get(0)?.as_str());
    match kind(processor) {
        "" | "ByteLevel" => Some([plain(&["A"]), plain(&["A", "B"])]),
        "BertProcessing" => {
            let (cls, sep) = (token("cls")?, token("sep")?);
            Some([
                plain(&[cls, "A", sep]),
                plain(&[cls, "A", sep, "B 1", &format!("{sep} 1")]),
            ])
        }
        "RobertaProcessing" => {
            let (cls, sep) = (token("cls")?, token("sep")?);
            Some([plain(&[cls, "A", sep]), plain(&[cls, "A", sep, sep, "B", sep])])
        }
        "TemplateProcessing" => {
            let of = |key: &str| {
                let pieces = processor?.get(key)?.as_array()?;
                let name = |piece: &Value| {
                    let (_, piece) = piece.as_object()?.iter().next()?;
                    let id = piece.get("id")?.as_str()?;
                    Some(match piece.get("type_id").and_then(Value::as_u64) {
                        Some(0) | None => id.to_owned(),
                        Some(of) => format!("{id} {of}"),
                    })
                };
                pieces.iter().map(name).collect::<Option<Vec<_>>>()
            };
            Some([of("single")?, of("pair")?])
        }
        _ => None,
    }
}
