//! Requests of text-embeddings-inference, over HTTP as JSON and over gRPC, and what they ask the service for.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::pb;
use crate::api::classify::request::Parameters;
use crate::api::object::Object;
use crate::api::scores::EVERY_LABEL;
use crate::error::Error;
use crate::model::manifest::Truncation;
use crate::service::messages::{PredictInput, ScoreKind};

/// The names of the service's fields over gRPC, where every label is asked for.
pub const GRPC_FIELD_NAMES: [(&str, &str); 4] = [
    ("text_pairs", "inputs"),
    ("texts", "inputs"),
    ("top_k", "inputs"),
    ("truncation", "truncate"),
];

/// The same over HTTP, where fewer labels can be asked for.
pub const HTTP_FIELD_NAMES: [(&str, &str); 4] = [
    ("text_pairs", "inputs"),
    ("texts", "inputs"),
    ("top_k", "parameters.top_k"),
    ("truncation", "truncate"),
];

/// The body of `/predict` and `/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeiRequest {
    #[serde(default)]
    inputs: Inputs,
    /// Whether a text that is too long is cut; absent for the model's own setting.
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: Option<Direction>,
    /// Whether the scores are logits.
    #[serde(default)]
    raw_scores: Option<bool>,
    /// Options that clients of Hugging Face's inference API send to any server.
    #[serde(default)]
    parameters: Option<Object<Parameters>>,
}

/// Which end of a text is cut.
#[derive(Clone, Copy, Debug, Default)]
pub enum Direction {
    Left,
    #[default]
    Right,
}

impl<'de> Deserialize<'de> for Direction {
    // By hand: the derived one quotes what it does not know, which may be a caller's text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "Left" | "left" => Ok(Self::Left),
            "Right" | "right" => Ok(Self::Right),
            _ => Err(D::Error::custom("must be Left or Right")),
        }
    }
}

impl Direction {
    fn truncation(self) -> Truncation {
        match self {
            Self::Left => Truncation::Start,
            Self::Right => Truncation::End,
        }
    }
}

impl TeiRequest {
    pub const FIELDS: &'static [&'static str] =
        &["inputs", "truncate", "truncation_direction", "raw_scores", "parameters"];

    /// Whether it is one text or one pair, whose answer is no list of answers.
    pub fn is_single(&self) -> bool {
        self.inputs.single
    }

    /// What it asks for.
    pub fn ask(self) -> Result<PredictInput, Error> {
        let Inputs { texts, pairs, .. } = self.inputs;
        if !pairs.is_empty() && pairs.len() < texts.len() {
            let problem = "holds pairs and single texts; ask for each in a request of its own";
            return Err(Error::invalid_field("inputs", problem));
        }
        let direction = self.truncation_direction.unwrap_or_default();
        let truncation = self.truncate.map(|cut| {
            if cut {
                direction.truncation()
            } else {
                Truncation::Reject
            }
        });
        let input = input(texts, pairs, truncation, self.raw_scores.unwrap_or_default());
        self.parameters.unwrap_or_default().0.apply(input)
    }
}

impl pb::PredictRequest {
    /// What it asks for.
    pub fn ask(self) -> Result<PredictInput, Error> {
        let truncation = truncation(self.truncate, self.truncation_direction)?;
        Ok(input(vec![self.inputs], Vec::new(), Some(truncation), self.raw_scores))
    }
}

impl pb::PredictPairRequest {
    /// What it asks for.
    pub fn ask(self) -> Result<PredictInput, Error> {
        let truncation = truncation(self.truncate, self.truncation_direction)?;
        let found = self.inputs.len();
        let Ok([text, pair]) = <[String; 2]>::try_from(self.inputs) else {
            let problem = format!("holds {found} texts, it must hold 2: a text and its pair");
            return Err(Error::invalid_field("inputs", problem));
        };
        Ok(input(vec![text], vec![pair], Some(truncation), self.raw_scores))
    }
}

/// Over gRPC a text that is too long is refused unless the request says otherwise: the field has no absence.
fn truncation(truncate: bool, direction: i32) -> Result<Truncation, Error> {
    let direction = match pb::TruncationDirection::try_from(direction) {
        Ok(pb::TruncationDirection::Right) => Direction::Right,
        Ok(pb::TruncationDirection::Left) => Direction::Left,
        Err(_) => {
            let problem = format!("{direction} is not one of its values");
            return Err(Error::invalid_field("truncation_direction", problem));
        }
    };
    Ok(if truncate {
        direction.truncation()
    } else {
        Truncation::Reject
    })
}

fn input(texts: Vec<String>, text_pairs: Vec<String>, truncation: Option<Truncation>, raw: bool) -> PredictInput {
    PredictInput {
        texts,
        text_pairs,
        truncation,
        top_k: EVERY_LABEL,
        score_kind: if raw { ScoreKind::Logit } else { ScoreKind::Probability },
        ..PredictInput::default()
    }
}

/// A text, a pair of texts, or a list of lists with one or two texts each; none for `null`.
#[derive(Default)]
struct Inputs {
    texts: Vec<String>,
    pairs: Vec<String>,
    single: bool,
}

impl Inputs {
    /// A text or a pair; `None` for any other number of texts.
    fn put(&mut self, texts: Vec<String>) -> Option<()> {
        let mut texts = texts.into_iter();
        self.texts.push(texts.next()?);
        self.pairs.extend(texts.next());
        texts.next().is_none().then_some(())
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

/// An item of the outer list.
struct Item {
    texts: Vec<String>,
    /// Whether it is a list of its own.
    is_list: bool,
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a pair of texts, or a list of lists with one or two texts each")
    }

    fn visit_str<E>(self, text: &str) -> Result<Inputs, E> {
        Ok(Inputs {
            texts: vec![text.to_owned()],
            pairs: Vec::new(),
            single: true,
        })
    }

    fn visit_unit<E>(self) -> Result<Inputs, E> {
        Ok(Inputs::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inputs, A::Error> {
        let mut inputs = Inputs {
            texts: Vec::new(),
            pairs: Vec::new(),
            single: false,
        };
        let mut alone = Vec::new();
        while let Some(Item { texts, is_list }) = items.next_element()? {
            if !is_list {
                alone.extend(texts);
            } else if inputs.put(texts).is_none() {
                return Err(A::Error::custom(
                    "a list within the list must hold one text, or a text and its pair",
                ));
            }
        }
        if alone.is_empty() {
            return Ok(inputs);
        }
        inputs.single = true;
        if !inputs.texts.is_empty() || inputs.put(alone).is_none() {
            let problem = "a list of texts is one text, or a text and its pair; a batch is a list of such lists";
            return Err(A::Error::custom(problem));
        }
        Ok(inputs)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a list of one or two texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item {
            texts: vec![text.to_owned()],
            is_list: false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Item { texts, is_list: true })
    }
}
