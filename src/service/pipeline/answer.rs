//! The answers to a request's texts, before they are put into words.

use std::sync::Arc;
use std::time::Duration;

use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::messages::{Decision, ModelRef, TierTiming};

/// The answers to a request's texts.
pub struct Answers {
    /// One for each text, in order.
    pub texts: Vec<TextAnswer>,
    /// The models that took part, in the order in which they did.
    pub parts: Vec<ModelPart>,
    /// What was seen beyond the answers, where two tiers shared the request.
    pub observed: Observed,
}

/// The answer to one text.
pub struct TextAnswer {
    /// The model that answers, whose labels are meant.
    pub model: Arc<Model>,
    /// What it says.
    pub answer: Classification,
    /// Why it answers.
    pub decision: Decision,
    /// How many tokens or features it saw.
    pub token_count: usize,
    /// Whether it saw only a part of the text.
    pub truncated: bool,
}

/// A model that took part.
pub struct ModelPart {
    /// The model.
    pub model: ModelRef,
    /// How long preprocessing took.
    pub preprocess: Duration,
    /// Where the time went.
    pub timing: TierTiming,
    /// How many texts came out of the answer cache; absent where there is none.
    pub cache_hits: Option<usize>,
}

/// What both tiers said in one request, beyond its answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The confidence of every fast answer.
    pub fast_confidences: Vec<f32>,
    /// How many texts were not left to the fast model.
    pub wanted: usize,
    /// How many texts got the same label from both tiers.
    pub agree: usize,
    /// How many got different ones.
    pub differ: usize,
}
