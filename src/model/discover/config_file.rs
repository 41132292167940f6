//! `config.json` of a Hugging Face folder: the labels of the output's columns, and whether one or several of them are
//! right.

use std::collections::{BTreeMap, HashSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::file_names::CONFIG_FILE;
use super::graph::Port;
use super::json_file;
use super::notes::Notes;
use crate::model::manifest::{MOST_LABELS, ProblemType};

/// The fields of `config.json` that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    #[serde(deserialize_with = "json_file::text")]
    pub model_type: Option<String>,
    /// What the model was trained for, in transformers' names: `BertForSequenceClassification`.
    pub architectures: Value,
    #[serde(deserialize_with = "labels_by_id")]
    pub id2label: Option<BTreeMap<String, String>>,
    /// Only compared with `id2label`.
    pub label2id: Value,
    #[serde(deserialize_with = "json_file::whole")]
    pub num_labels: Option<i64>,
    #[serde(deserialize_with = "json_file::text")]
    pub problem_type: Option<String>,
    #[serde(deserialize_with = "json_file::whole")]
    pub max_position_embeddings: Option<i64>,
    #[serde(deserialize_with = "json_file::whole")]
    pub pad_token_id: Option<i64>,
    pub type_vocab_size: Option<Value>,
    pub tokenizer_class: Option<Value>,
    pub transformers_version: Option<Value>,
}

impl Config {
    /// The id that fills padded rows; `None` for a negative one.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_token_id.and_then(|id| u32::try_from(id).ok())
    }
}

/// Reads labels by id. A label may be a number, a flag or `null`: Python makes a text of it.
fn labels_by_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let fail =
        || D::Error::custom("should be an object of ids and labels, like {\"0\": \"negative\", \"1\": \"positive\"}");
    let label = |(id, label): (String, Value)| {
        let label = match label {
            Value::String(label) => label,
            Value::Number(number) => number.to_string(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Null => "None".to_owned(),
            Value::Array(_) | Value::Object(_) => return Err(fail()),
        };
        Ok((id, label))
    };
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        // transformers names the labels itself where the file has none.
        Value::Object(by_id) if by_id.is_empty() => Ok(None),
        Value::Object(by_id) => by_id.into_iter().map(label).collect::<Result<_, _>>().map(Some),
        _ => Err(fail()),
    }
}

/// The labels, in the order of the output's columns.
pub(super) fn labels(config: &Config, output: &Port, notes: &mut Notes) -> Vec<String> {
    let columns = output.shape.get(1).copied().flatten();
    let columns = columns.and_then(|columns| usize::try_from(columns).ok());
    let labels = match &config.id2label {
        Some(by_id) => in_order(by_id, columns, notes),
        None => {
            let told = config.num_labels.and_then(|count| usize::try_from(count).ok());
            let count = columns
                .max(told.filter(|&count| count > MOST_LABELS))
                .or(told)
                .unwrap_or(2);
            if count > MOST_LABELS {
                notes.wrong(
                    format!("{CONFIG_FILE}: num_labels is {count}, the most is {MOST_LABELS}"),
                    format!("take the {CONFIG_FILE} of this very model"),
                );
                return Vec::new();
            }
            numbered_labels(count)
        }
    };
    let count = labels.len();
    if count > MOST_LABELS {
        notes.wrong(
            format!("{CONFIG_FILE}: id2label names {count} labels, the most is {MOST_LABELS}"),
            format!("take the {CONFIG_FILE} of this very model"),
        );
        return Vec::new();
    }
    if labels == numbered_labels(count) {
        notes.assumed_meaning(
            format!("the labels are {}: nobody named them", listed(&labels)),
            name_them(columns),
        );
    } else {
        notes.found(format!("{CONFIG_FILE}: {count} labels: {}", listed(&labels)));
    }
    if let Some(columns) = columns
        && columns != count
    {
        notes.wrong(
            format!("the output has {columns} columns, {CONFIG_FILE} names {count} labels"),
            format!(
                "take the {CONFIG_FILE} of this very model, or {}",
                name_them(Some(columns))
            ),
        );
    }
    note_label2id(config, &labels, notes);
    labels
}

/// The remedy where labels have no names, or wrong ids.
fn name_them(columns: Option<usize>) -> String {
    let count = columns.unwrap_or(2).clamp(1, 3);
    let example: Vec<String> = (0..count).map(|id| format!("\"{id}\": \"NAME\"")).collect();
    let more = if columns > Some(count) { ", …" } else { "" };
    format!(
        "name them in {CONFIG_FILE}: \"id2label\": {{{}{more}}}",
        example.join(", ")
    )
}

/// The labels of `id2label`, by their ids, which should be 0, 1, 2 and so on.
fn in_order(by_id: &BTreeMap<String, String>, columns: Option<usize>, notes: &mut Notes) -> Vec<String> {
    let mut by_id: Vec<(Option<usize>, &String)> = by_id
        .iter()
        .map(|(id, label)| (id.trim().parse().ok(), label))
        .collect();
    by_id.sort();
    if by_id.iter().enumerate().any(|(at, (id, _))| *id != Some(at)) {
        notes.wrong(
            format!("{CONFIG_FILE}: the ids of id2label are not 0, 1, 2 and so on"),
            name_them(columns),
        );
    }
    by_id.into_iter().map(|(_, label)| label.clone()).collect()
}

/// Adds a note if `label2id` says something else than the labels.
fn note_label2id(config: &Config, labels: &[String], notes: &mut Notes) {
    let ids = config.label2id.as_object().into_iter().flatten();
    let differs = |(label, id): (&String, &Value)| {
        let id = json_file::whole_of(id).and_then(|id| usize::try_from(id).ok());
        id.is_some_and(|id| labels.get(id) != Some(label))
    };
    let known: HashSet<&String> = labels.iter().collect();
    if ids.filter(|(label, _)| known.contains(label)).any(differs) {
        notes.assumed(
            format!("{CONFIG_FILE}: label2id and id2label do not agree; id2label counts"),
            format!("make them agree in {CONFIG_FILE}"),
        );
    }
}

/// The names that transformers gives to labels without names.
fn numbered_labels(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("LABEL_{at}")).collect()
}

/// The first few labels, and how many more there are.
pub(super) fn listed(labels: &[String]) -> String {
    const MOST: usize = 8;
    let shown = labels.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match labels.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// The problem type that transformers' own pipeline takes the model for.
pub(super) fn problem_type(config: &Config, labels: usize, notes: &mut Notes) -> Option<ProblemType> {
    let say = |kind: &str| format!("if so, say it in {CONFIG_FILE}: \"problem_type\": \"{kind}\"");
    let (single, several) = ("single_label_classification", "multi_label_classification");
    let found = match config.problem_type.as_deref() {
        Some("single_label_classification") => ProblemType::SingleLabel,
        Some("multi_label_classification") => ProblemType::MultiLabel,
        Some("regression") => ProblemType::Regression,
        Some(_) => {
            notes.wrong(
                format!("{CONFIG_FILE}: problem_type is not one of the three that there are"),
                format!("write {single}, {several} or regression, or leave it out"),
            );
            return None;
        }
        None if labels == 1 => {
            notes.assumed_meaning(
                "one column and no problem_type: its sigmoid is the answer, as in transformers' pipeline",
                format!("{}; if it is a value: \"regression\"", say(several)),
            );
            return Some(ProblemType::MultiLabel);
        }
        None => {
            notes.assumed_meaning(
                "one of the labels is right (softmax): no file says whether several can be",
                format!("{}; if several can be right: \"{several}\"", say(single)),
            );
            note_headless(config, notes);
            return Some(ProblemType::SingleLabel);
        }
    };
    if found != ProblemType::MultiLabel && (found == ProblemType::Regression) != (labels == 1) {
        notes.wrong(
            format!(
                "{CONFIG_FILE}: problem_type is {}, and there are {labels} labels",
                config.problem_type.as_deref().unwrap_or_default()
            ),
            format!(
                "write {}",
                if labels == 1 {
                    "regression or multi_label_classification"
                } else {
                    "single_label_classification or multi_label_classification"
                }
            ),
        );
        return None;
    }
    notes.found(match found {
        ProblemType::SingleLabel => format!("{CONFIG_FILE}: one of the labels is right (softmax)"),
        ProblemType::MultiLabel => {
            format!("{CONFIG_FILE}: each label is right or not (sigmoid), from a probability of 0.5 on")
        }
        ProblemType::Regression => format!("{CONFIG_FILE}: the output is a value, not a probability"),
    });
    Some(found)
}

/// Adds a note if the configuration is that of the model without its head: it says nothing about the answers.
fn note_headless(config: &Config, notes: &mut Notes) {
    let named = config.architectures.get(0).and_then(Value::as_str);
    if config.id2label.is_none() && named.is_some_and(|name| !name.contains("SequenceClassification")) {
        notes.doubtful(
            format!("{CONFIG_FILE} describes a model without a head (architectures), so what the columns of the output mean is not known"),
            format!("say both in {CONFIG_FILE}: id2label and problem_type"),
        );
    }
}
