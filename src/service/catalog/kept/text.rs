//! A kept text: one of live traffic that is worth labelling, with what was said of it and why it is kept.

use std::time::SystemTime;

use crate::model::Tier;
use crate::model::loaded::Model;
use crate::model::postprocess::{Classification, Selection};

/// The bytes that a kept text takes besides its strings: its places in the maps and rings, and their slack.
const OVERHEAD: usize = 512;
/// The same for each further string.
const OF_STRING: usize = 32;

/// Why a text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeepReason {
    /// The answer was withheld.
    Abstained,
    /// The audit of the cascade found that the deep model says something else than the answer.
    Differed,
    /// It was drawn at random, whatever the answer.
    Random,
}

impl KeepReason {
    pub const ALL: [KeepReason; 3] = [KeepReason::Abstained, KeepReason::Differed, KeepReason::Random];

    /// The value of the metric label `reason`, and what an exported line says.
    pub fn name(self) -> &'static str {
        match self {
            KeepReason::Abstained => "abstained",
            KeepReason::Differed => "differed",
            KeepReason::Random => "random",
        }
    }
}

/// Some of the reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons([bool; KeepReason::ALL.len()]);

impl Reasons {
    pub fn add(&mut self, reason: KeepReason) {
        self.0[reason as usize] = true;
    }

    pub fn remove(&mut self, reason: KeepReason) {
        self.0[reason as usize] = false;
    }

    pub fn has(self, reason: KeepReason) -> bool {
        self.0[reason as usize]
    }

    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    pub fn iter(self) -> impl Iterator<Item = KeepReason> {
        KeepReason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }

    /// Whether one of them is among `others`.
    pub fn meets(self, others: Self) -> bool {
        self.iter().any(|reason| others.has(reason))
    }

    /// Those that are not among `others`.
    pub fn without(self, others: Self) -> Self {
        self.iter().filter(|reason| !others.has(*reason)).collect()
    }
}

impl From<KeepReason> for Reasons {
    fn from(reason: KeepReason) -> Self {
        Self::from_iter([reason])
    }
}

impl FromIterator<KeepReason> for Reasons {
    fn from_iter<T: IntoIterator<Item = KeepReason>>(reasons: T) -> Self {
        let mut all = Self::default();
        reasons.into_iter().for_each(|reason| all.add(reason));
        all
    }
}

/// A text that a request brought, not copied yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeenText<'a> {
    /// Empty where the request named a model that serves no task.
    pub task: &'a str,
    pub text: &'a str,
    /// The second text of a pair.
    pub pair: Option<&'a str>,
}

/// What a model answered to a kept text.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAnswer {
    /// The label that was given; empty where none was, or where it was withheld.
    pub label: String,
    /// The likeliest label, or every label that is selected; also where the answer was withheld.
    pub predicted: Vec<String>,
    pub withheld: bool,
    /// Whether each label is right or not by itself.
    pub multi_label: bool,
    pub confidence: f32,
    pub tier: Tier,
    /// The model, as `name@version`.
    pub model: String,
}

impl KeptAnswer {
    pub fn of(model: &Model, answer: &Classification, withheld: bool) -> Self {
        let manifest = &model.manifest;
        let named = (answer.selects(answer.winner) || answer.value().is_some()) && !withheld;
        Self {
            label: if named {
                manifest.labels[answer.winner].clone()
            } else {
                String::new()
            },
            predicted: says(&manifest.labels, answer),
            withheld,
            multi_label: matches!(answer.selection, Selection::Each(_)),
            confidence: answer.confidence(),
            tier: model.tier(),
            model: format!("{}@{}", manifest.name, manifest.version),
        }
    }
}

/// The labels that an answer says: the winner, or every label that it selects.
pub fn says(labels: &[String], answer: &Classification) -> Vec<String> {
    match &answer.selection {
        Selection::Each(selected) => {
            let labels = labels.iter().zip(selected).filter(|(_, selected)| **selected);
            labels.map(|(label, _)| label.clone()).collect()
        }
        Selection::Winner | Selection::Value(_) => vec![labels[answer.winner].clone()],
    }
}

/// A text that is kept.
#[derive(Clone, PartialEq)]
pub struct KeptText {
    pub task: String,
    pub text: String,
    pub pair: Option<String>,
    pub answer: KeptAnswer,
    /// What the deep model says, where the audit found that this differs.
    pub deep: Option<Vec<String>>,
    /// When it was first kept.
    pub at: SystemTime,
}

impl std::fmt::Debug for KeptText {
    /// Without the texts, which no log may hold.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = formatter.debug_struct("KeptText");
        told.field("task", &self.task).field("bytes", &self.text.len());
        told.field("answer", &self.answer).field("deep", &self.deep);
        told.finish_non_exhaustive()
    }
}

impl KeptText {
    /// Of a text and what was said of it, at this moment.
    pub fn new(seen: SeenText<'_>, answer: KeptAnswer, deep: Option<Vec<String>>) -> Self {
        Self {
            task: seen.task.to_owned(),
            text: seen.text.to_owned(),
            pair: seen.pair.map(str::to_owned),
            answer,
            deep,
            at: SystemTime::now(),
        }
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let labels = self.answer.predicted.iter().chain(self.deep.iter().flatten());
        let labels = labels.map(|label| label.len() + OF_STRING).sum::<usize>();
        let names = self.task.len() + self.answer.label.len() + self.answer.model.len();
        let pair = self.pair.as_ref().map_or(0, String::len);
        OVERHEAD + self.text.len() + pair + names + labels
    }
}
