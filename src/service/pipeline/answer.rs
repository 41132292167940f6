//! Answers to a request's texts, before they become messages.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::model::agreement;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::messages::{Decision, ModelRef, TierTiming};

/// The answers of one or two models to a request's texts.
pub struct Answers {
    /// One for each text, in order.
    pub texts: Vec<TextAnswer>,
    /// The models that took part, in that order.
    pub parts: Vec<ModelPart>,
    /// The counts of a cascade; empty where one model answered.
    pub counts: CascadeCounts,
    /// How each text was read in windows; empty where none was.
    pub read: Vec<ReadText>,
}

impl Answers {
    /// Withholds the answers that are less sure than `confidence`. One that is exactly as sure is given.
    pub fn withhold_below(&mut self, confidence: f32) {
        for text in &mut self.texts {
            if agreement::sureness(&text.answer, text.model.thresholds()) < confidence {
                text.decision = Decision::Abstained;
            }
        }
    }
}

#[derive(Clone)]
pub struct TextAnswer {
    /// The model whose labels the answer uses.
    pub model: Arc<Model>,
    pub answer: Classification,
    /// Why this model answered.
    pub decision: Decision,
    /// How many tokens or features it saw.
    pub token_count: usize,
    /// Whether it saw only a part of the text.
    pub truncated: bool,
}

/// How a text was read in windows.
pub struct ReadText {
    /// The answer to each window, with its bytes in the text.
    pub windows: Vec<(Range<usize>, TextAnswer)>,
    /// How many bytes of the text were read.
    pub bytes: usize,
}

pub struct ModelPart {
    pub model: ModelRef,
    pub preprocess: Duration,
    /// Where its time went.
    pub timing: TierTiming,
    /// How many texts were answered from the cache; absent where it is off.
    pub cache_hits: Option<usize>,
}

/// Counts of a request that both tiers shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CascadeCounts {
    /// How sure every fast answer is, from 0 to 1.
    pub fast_confidences: Vec<f32>,
    /// How many texts the deep model should have answered.
    pub wanted: usize,
    /// How many texts both tiers gave the same labels.
    pub agree: usize,
    /// How many texts they gave different ones.
    pub differ: usize,
    /// The positions of the texts of which the blended answer is not the deep model's own, ascending, each with the label
    /// that is.
    pub not_as_deep: Vec<(usize, usize)>,
    /// Those of them that the audit drew.
    pub found_otherwise: Vec<(usize, usize)>,
}
