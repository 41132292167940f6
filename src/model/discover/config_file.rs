//! `config.json` of a Hugging Face folder: what the columns of the output mean, their labels, and whether one or several of
//! them are right.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::Notes;
use super::graph::Port;
use crate::model::manifest::{MOST_LABELS, ProblemType};

/// The file's name.
pub(super) const CONFIG_FILE: &str = "config.json";

/// What matters of `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub model_type: Option<String>,
    pub id2label: Option<BTreeMap<String, String>>,
    pub label2id: Option<BTreeMap<String, i64>>,
    pub num_labels: Option<usize>,
    pub problem_type: Option<String>,
    pub max_position_embeddings: Option<i64>,
    pub pad_token_id: Option<u32>,
}

/// The labels, in the order of the output's columns.
pub(super) fn labels(config: &Config, output: Option<&Port>, notes: &mut Notes) -> Vec<String> {
    let columns = output
        .and_then(|output| output.shape.get(1).copied().flatten())
        .and_then(|columns| usize::try_from(columns).ok());
    let labels = match &config.id2label {
        Some(by_id) => {
            let mut by_id: Vec<(Option<usize>, &String)> =
                by_id.iter().map(|(id, label)| (id.parse().ok(), label)).collect();
            by_id.sort();
            if by_id.iter().enumerate().any(|(at, (id, _))| *id != Some(at)) {
                notes.wrong(
                    format!("{CONFIG_FILE}: the ids of id2label are not 0, 1, 2 and so on"),
                    "name each column of the output in id2label",
                );
            }
            by_id.into_iter().map(|(_, label)| label.clone()).collect()
        }
        None => {
            let told = config.num_labels;
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
        notes.assumed(
            format!("the labels are {}: nobody named them", listed(&labels)),
            format!("name them in {CONFIG_FILE}: \"id2label\": {{\"0\": \"negative\", \"1\": \"positive\"}}"),
        );
    } else {
        notes.found(format!("{CONFIG_FILE}: {count} labels: {}", listed(&labels)));
    }
    if let Some(columns) = columns
        && columns != count
    {
        notes.wrong(
            format!("the output has {columns} columns, {CONFIG_FILE} names {count} labels"),
            format!("take the {CONFIG_FILE} of this very model"),
        );
    }
    let ids = config.label2id.iter().flatten();
    let differs = |(label, id): (&String, &i64)| usize::try_from(*id).ok().and_then(|id| labels.get(id)) != Some(label);
    let known: HashSet<&String> = labels.iter().collect();
    if ids.filter(|(label, _)| known.contains(label)).any(differs) {
        notes.assumed(
            format!("{CONFIG_FILE}: label2id and id2label do not agree; id2label counts"),
            "make them agree",
        );
    }
    labels
}

/// What transformers calls labels that nobody named.
fn numbered_labels(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("LABEL_{at}")).collect()
}

fn listed(labels: &[String]) -> String {
    const MOST: usize = 8;
    let shown = labels.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match labels.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// What transformers' own pipeline makes of the outputs.
pub(super) fn problem_type(config: &Config, labels: usize, notes: &mut Notes) -> Option<ProblemType> {
    let remedy = format!(
        "say it in {CONFIG_FILE}: problem_type is single_label_classification, multi_label_classification or regression"
    );
    let found = match config.problem_type.as_deref() {
        Some("single_label_classification") => ProblemType::SingleLabel,
        Some("multi_label_classification") => ProblemType::MultiLabel,
        Some("regression") => ProblemType::Regression,
        Some(_) => {
            notes.wrong(
                format!("{CONFIG_FILE}: problem_type is not one of the three that there are"),
                remedy,
            );
            return None;
        }
        None if labels == 1 => {
            notes.assumed(
                "one column and no problem_type: its sigmoid is the answer, as in transformers' pipeline",
                remedy,
            );
            return Some(ProblemType::MultiLabel);
        }
        None => {
            notes.assumed("one of the labels is right (softmax)", remedy);
            return Some(ProblemType::SingleLabel);
        }
    };
    notes.found(match found {
        ProblemType::SingleLabel => format!("{CONFIG_FILE}: one of the labels is right (softmax)"),
        ProblemType::MultiLabel => {
            format!("{CONFIG_FILE}: each label is right or not (sigmoid), from a probability of 0.5 on")
        }
        ProblemType::Regression => format!("{CONFIG_FILE}: the output is a value, not a probability"),
    });
    Some(found)
}
