//! Answers of `/classify`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::api::scores::{LabelOrder, best_first};
use crate::error::Error;
use crate::service::messages::{LabelScore, PredictOutput, Prediction};

/// An answer of vLLM.
#[derive(Serialize)]
pub struct VllmResponse {
    id: String,
    object: &'static str,
    /// When it was made, in seconds since 1970.
    created: u64,
    model: String,
    data: Vec<Class>,
    usage: Usage,
}

/// The answer for one text.
#[derive(Serialize)]
struct Class {
    index: usize,
    /// `null` where a model of several labels selects none.
    label: Option<String>,
    /// By label, in the model's order.
    probs: Vec<f32>,
    num_classes: usize,
}

/// How many tokens the models saw.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
    completion_tokens: usize,
    prompt_tokens_details: Option<()>,
}

impl VllmResponse {
    /// The answer to a request for `model`, whose labels are `labels`.
    pub fn new(request_id: &str, model: String, labels: &[String], output: PredictOutput) -> Result<Self, Error> {
        let order = LabelOrder::new(labels);
        let prompt_tokens = output.predictions.iter().map(|prediction| prediction.token_count).sum();
        let data = output.predictions.into_iter().enumerate().map(|(index, prediction)| {
            let Prediction { label, scores, .. } = prediction;
            let probs = order.sort(&scores)?;
            Ok(Class {
                index,
                label: Some(label).filter(|label| !label.is_empty()),
                num_classes: probs.len(),
                probs,
            })
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            id: format!("classify-{request_id}"),
            object: "list",
            created: now.as_secs(),
            model,
            data: data.collect::<Result<_, Error>>()?,
            usage: Usage {
                prompt_tokens,
                total_tokens: prompt_tokens,
                completion_tokens: 0,
                prompt_tokens_details: None,
            },
        })
    }
}

/// A label and its score, as Hugging Face writes them.
#[derive(Serialize)]
pub struct Score {
    score: f32,
    label: String,
}

/// The scores of a text, the highest first.
pub fn scores(scores: Vec<LabelScore>) -> Vec<Score> {
    let scores = best_first(scores).into_iter();
    scores
        .map(|LabelScore { label, score, .. }| Score { score, label })
        .collect()
}
