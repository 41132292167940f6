//! Answers of text-embeddings-inference: scores, and what they took.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::pb;
use crate::api::scores::best_first;
use crate::service::messages::{PredictInput, PredictOutput, Prediction, TierTiming};

/// What an answer took.
pub struct Cost {
    characters: usize,
    tokens: usize,
    total: Duration,
    tokenization: Duration,
    queue: Duration,
    inference: Duration,
}

/// The number of characters in the texts of a request.
pub fn characters(input: &PredictInput) -> usize {
    let texts = input.texts.iter().chain(&input.text_pairs);
    texts.map(|text| text.chars().count()).sum()
}

impl Cost {
    /// Of the answer to a request with so many characters.
    pub fn new(characters: usize, output: &PredictOutput) -> Self {
        let timing = &output.timing;
        // Tiers run one after the other, so their times add up.
        let all = |part: fn(&TierTiming) -> Duration| timing.tiers.iter().map(|(_, tier)| part(tier)).sum();
        Self {
            characters,
            tokens: output.predictions.iter().map(|prediction| prediction.token_count).sum(),
            total: timing.total,
            tokenization: timing.preprocess,
            queue: all(|tier| tier.queue),
            inference: all(|tier| tier.inference),
        }
    }

    /// Adds it to an answer over HTTP; times are in whole milliseconds.
    pub fn put_into(&self, mut response: Response) -> Response {
        let number = |value: u128| HeaderValue::from(u64::try_from(value).unwrap_or(u64::MAX));
        let headers = [
            ("x-compute-type", HeaderValue::from_static("cpu")),
            ("x-compute-characters", self.characters.into()),
            ("x-compute-tokens", self.tokens.into()),
            ("x-compute-time", number(self.total.as_millis())),
            ("x-total-time", number(self.total.as_millis())),
            ("x-tokenization-time", number(self.tokenization.as_millis())),
            ("x-queue-time", number(self.queue.as_millis())),
            ("x-inference-time", number(self.inference.as_millis())),
        ];
        for (name, value) in headers {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
        response
    }

    fn metadata(&self) -> pb::Metadata {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        pb::Metadata {
            compute_chars: u32::try_from(self.characters).unwrap_or(u32::MAX),
            compute_tokens: u32::try_from(self.tokens).unwrap_or(u32::MAX),
            total_time_ns: nanos(self.total),
            tokenization_time_ns: nanos(self.tokenization),
            queue_time_ns: nanos(self.queue),
            inference_time_ns: nanos(self.inference),
        }
    }
}

/// The answer over gRPC to a request of one text with so many characters.
pub fn predict_response(characters: usize, output: PredictOutput) -> pb::PredictResponse {
    let metadata = Cost::new(characters, &output).metadata();
    let scores = output
        .predictions
        .into_iter()
        .flat_map(|Prediction { scores, .. }| best_first(scores));
    let predictions = scores.map(|score| pb::Prediction {
        score: score.score,
        label: score.label,
    });
    pb::PredictResponse {
        predictions: predictions.collect(),
        metadata: Some(metadata),
    }
}
