//! The special and added tokens of a folder, as transformers gathers them from its files.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::tokenizer_overrides::{Class, Files};
use crate::model::manifest::AddedToken;

/// The special tokens with names, in the order in which transformers adds them.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A special token as a file names it.
pub(super) enum Named {
    /// By its text alone.
    Text(String),
    /// With its properties.
    Whole(AddedToken),
}

impl Named {
    pub(super) fn content(&self) -> &str {
        match self {
            Named::Text(text) => text,
            Named::Whole(token) => &token.content,
        }
    }
}

impl Class {
    /// The special token of this name that has only a text.
    fn token(&self, name: &str, text: &str) -> Named {
        if name == "mask_token" && self.mask_takes_space {
            Named::Whole(AddedToken {
                lstrip: true,
                ..special(text)
            })
        } else {
            Named::Text(text.to_owned())
        }
    }
}

impl Files<'_> {
    /// The special tokens with names: from the files, else from the class.
    pub(super) fn named(&self, class: &Class) -> Vec<(&'static str, Named)> {
        let decoder = self.decoder();
        let by_text: HashMap<&str, &AddedToken> =
            decoder.values().map(|token| (token.content.as_str(), token)).collect();
        let mut named = Vec::new();
        for name in NAMED {
            let mapped = self.special.get(name).filter(|_| !self.has_decoder());
            let written = mapped.or_else(|| self.config.get(name));
            let token = match written {
                Some(Value::String(text)) => match by_text.get(text.as_str()) {
                    Some(token) => Named::Whole((*token).clone()),
                    None => class.token(name, text),
                },
                Some(written @ Value::Object(_)) => match whole(written, true) {
                    Some(token) => Named::Whole(token),
                    None => continue,
                },
                Some(_) => continue,
                None => match class.defaults.get(name).and_then(Value::as_str) {
                    Some(text) => class.token(name, text),
                    None => continue,
                },
            };
            named.push((name, token));
        }
        named
    }

    /// The special tokens without names.
    fn additional(&self) -> Vec<Named> {
        let mut found: Vec<Named> = Vec::new();
        let mut seen = HashSet::new();
        let mapped = self.special.get("additional_special_tokens");
        let sources = [
            self.config.get("additional_special_tokens"),
            mapped.filter(|_| !self.has_decoder()),
            self.config.get("extra_special_tokens"),
        ];
        for source in sources.into_iter().flatten() {
            let tokens: Vec<&Value> = match source {
                Value::Array(tokens) => tokens.iter().collect(),
                Value::Object(tokens) => tokens.values().collect(),
                _ => Vec::new(),
            };
            for token in tokens {
                let token = match token {
                    Value::String(text) => Named::Text(text.clone()),
                    token => match whole(token, true) {
                        Some(token) => Named::Whole(token),
                        None => continue,
                    },
                };
                if seen.insert(token.content().to_owned()) {
                    found.push(token);
                }
            }
        }
        found
    }

    fn has_decoder(&self) -> bool {
        self.config.contains_key("added_tokens_decoder")
    }

    /// The added tokens that the other files list, by id.
    fn decoder(&self) -> BTreeMap<u32, AddedToken> {
        let mut found: BTreeMap<u32, AddedToken> = BTreeMap::new();
        if let Some(listed) = self.config.get("added_tokens_decoder") {
            for (id, token) in listed.as_object().into_iter().flatten() {
                if let (Ok(id), Some(token)) = (id.parse(), whole(token, false)) {
                    found.insert(id, token);
                }
            }
        } else {
            let specials = NAMED.iter().filter_map(|name| {
                let written = self.special.get(*name).or_else(|| self.config.get(*name))?;
                written.as_str().or_else(|| written.get("content")?.as_str())
            });
            let mut specials: HashSet<String> = specials.map(str::to_owned).collect();
            specials.extend(self.additional().iter().map(|token| token.content().to_owned()));
            for (text, id) in self.older {
                let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                    continue;
                };
                let is_special = specials.contains(text);
                let token = AddedToken {
                    special: is_special,
                    normalized: !is_special,
                    ..special(text)
                };
                found.insert(id, token);
            }
            found.extend(self.added.iter().cloned());
        }
        found
    }

    /// The tokens that transformers adds to those of tokenizer.json. If a special token is there already, version 5
    /// compares only the text (`by_text`), version 4 all of its properties.
    pub(super) fn added(&self, named: &[(&'static str, Named)], by_text: bool) -> Vec<AddedToken> {
        let own: HashSet<&AddedToken> = self.added.iter().map(|(_, token)| token).collect();
        let additional = self.additional();
        let all = || named.iter().map(|(_, token)| token).chain(&additional);
        let special_texts: HashSet<&str> = all().map(Named::content).collect();
        let mut found: Vec<AddedToken> = self.decoder().into_values().collect();
        found.retain(|token| !own.contains(token));
        for token in &mut found {
            token.special |= special_texts.contains(token.content.as_str());
        }
        let mut texts: HashSet<String> = self.added.iter().map(|(_, token)| token.content.clone()).collect();
        texts.extend(found.iter().map(|token| token.content.clone()));
        for token in all() {
            let known = texts.contains(token.content());
            match token {
                Named::Whole(token) if !by_text || !known => found.push(AddedToken {
                    special: true,
                    ..token.clone()
                }),
                Named::Text(text) if !known => found.push(special(text)),
                _ => {}
            }
        }
        let mut seen = HashSet::new();
        found.retain(|token| !own.contains(token) && seen.insert(token.clone()));
        found
    }
}

/// A special token with the usual properties.
fn special(text: &str) -> AddedToken {
    AddedToken {
        content: text.to_owned(),
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
    }
}

/// A token with its properties; a missing property has Python's default.
pub(super) fn whole(token: &Value, special: bool) -> Option<AddedToken> {
    let flag = |name: &str| token.get(name).and_then(Value::as_bool);
    let special = special || flag("special").unwrap_or(false);
    Some(AddedToken {
        content: token.get("content")?.as_str()?.to_owned(),
        single_word: flag("single_word").unwrap_or(false),
        lstrip: flag("lstrip").unwrap_or(false),
        rstrip: flag("rstrip").unwrap_or(false),
        normalized: flag("normalized").unwrap_or(!special),
        special,
    })
}
