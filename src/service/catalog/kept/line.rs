//! The line of JSON that a kept text is in a file: what `tandem train`, `calibrate` and `evaluate` read once its label is
//! filled in. They read `text` and `label`, and leave the other keys alone.

use std::time::SystemTime;

use serde::Serialize;

use super::text::{KeptText, Reasons};

/// A line, in the order of its keys.
#[derive(Serialize)]
pub struct KeptLine<'a> {
    pub text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<&'a str>,
    /// For people to fill in. Null is no label for whoever reads the line; an empty text would say, where several labels may
    /// be right, that none is.
    pub label: (),
    pub reasons: Vec<&'a str>,
    /// What the model holds likeliest.
    pub predicted: Labels<'a>,
    /// Whether the answer was withheld.
    pub withheld: bool,
    pub confidence: f32,
    pub tier: &'a str,
    /// What the deep model says where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep: Option<Labels<'a>>,
    pub task: &'a str,
    /// The model that answered, as `name@version`.
    pub model: &'a str,
    /// When the text was first kept.
    pub at: &'a str,
}

/// A label, or a list of them where several may be right.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Labels<'a> {
    One(&'a str),
    Several(&'a [String]),
}

impl<'a> Labels<'a> {
    pub fn new(labels: &'a [String], multi_label: bool) -> Self {
        match labels {
            [one] if !multi_label => Self::One(one),
            several => Self::Several(several),
        }
    }
}

impl KeptLine<'_> {
    /// The line with its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("strings and finite numbers are JSON");
        line.push(b'\n');
        line
    }
}

/// A moment in UTC, to the second.
pub fn moment(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// The line of a kept text.
pub fn line(kept: &KeptText, reasons: Reasons) -> Vec<u8> {
    let answer = &kept.answer;
    let deep = kept.deep.as_ref();
    let line = KeptLine {
        text: &kept.text,
        text_pair: kept.pair.as_deref(),
        label: (),
        reasons: reasons.iter().map(super::text::KeepReason::name).collect(),
        predicted: Labels::new(&answer.predicted, answer.multi_label),
        withheld: answer.withheld,
        confidence: answer.confidence,
        tier: answer.tier.name(),
        deep: deep.map(|labels| Labels::new(labels, answer.multi_label)),
        task: &kept.task,
        model: &answer.model,
        at: &moment(kept.at),
    };
    line.to_bytes()
}
