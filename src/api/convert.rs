//! Conversion between wire types and the service's types. Refuses unknown enumeration values; all other checks are in
//! `service/pipeline/validate.rs`.

use std::time::Duration;

use super::pb;
use super::pb::task_result::Outcome;
use crate::error::Error;
use crate::model::Tier;
use crate::model::manifest::Truncation;
use crate::service::catalog::health::ServingState;
use crate::service::messages::{
    self, ExplainInput, PredictInput, PredictOutput, Priority, Route, ScoreKind, TaskOutput,
};

/// The RAM that `count` texts with `bytes` in all take: each has a header of 24 bytes besides its content.
pub fn held_bytes(count: usize, bytes: usize) -> usize {
    count.saturating_mul(size_of::<String>()).saturating_add(bytes)
}

/// The RAM that the texts of a request take, in bytes.
pub fn held_by(request: &pb::PredictRequest) -> usize {
    let texts = request.texts.iter().chain(&request.text_pairs);
    texts.map(|text| held_bytes(1, text.capacity())).sum()
}

/// A request from the wire. Enumeration values must be known.
pub fn predict_input(request: pb::PredictRequest) -> Result<PredictInput, Error> {
    let route = route(request.route)?;
    let score_kind = match known(request.score_kind, "score_kind")? {
        pb::ScoreKind::Unspecified | pb::ScoreKind::Probability => ScoreKind::Probability,
        pb::ScoreKind::Logit => ScoreKind::Logit,
    };
    let truncation = truncation(request.truncation)?;
    let priority = match known(request.priority, "priority")? {
        pb::Priority::Unspecified | pb::Priority::Normal => Priority::Normal,
        pb::Priority::Interactive => Priority::Interactive,
        pb::Priority::Bulk => Priority::Bulk,
    };
    Ok(PredictInput {
        texts: request.texts,
        text_pairs: request.text_pairs,
        task: request.task,
        route,
        model: request.model,
        top_k: request.top_k,
        score_kind,
        truncation,
        min_confidence: request.min_confidence,
        allow_fallback: request.allow_fallback,
        priority,
        include_windows: request.include_windows,
        min_precision: request.min_precision,
        tasks: request.tasks,
    })
}

/// A request for explanations from the wire. Enumeration values must be known.
pub fn explain_input(request: pb::ExplainRequest) -> Result<ExplainInput, Error> {
    Ok(ExplainInput {
        route: route(request.route)?,
        truncation: truncation(request.truncation)?,
        texts: request.texts,
        task: request.task,
        model: request.model,
        max_contributions: request.max_contribution_count,
    })
}

fn route(value: i32) -> Result<Route, Error> {
    Ok(match known(value, "route")? {
        pb::Route::Unspecified => Route::Default,
        pb::Route::Fast => Route::Fast,
        pb::Route::Deep => Route::Deep,
        pb::Route::Cascade => Route::Cascade,
    })
}

fn truncation(value: i32) -> Result<Option<Truncation>, Error> {
    Ok(match known(value, "truncation")? {
        pb::Truncation::Unspecified => None,
        pb::Truncation::End => Some(Truncation::End),
        pb::Truncation::Start => Some(Truncation::Start),
        pb::Truncation::Reject => Some(Truncation::Reject),
        pb::Truncation::Windows => Some(Truncation::Windows),
    })
}

fn known<T: TryFrom<i32>>(value: i32, field: &str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::invalid_field(field, format!("{value} is not one of its values")))
}

/// An answer for the wire.
pub fn predict_response(output: PredictOutput) -> pb::PredictResponse {
    let timing = timing(&output);
    pb::PredictResponse {
        predictions: output.predictions.into_iter().map(prediction).collect(),
        models: output.models.into_iter().map(model_ref).collect(),
        timing: Some(timing),
        min_confidence: output.min_confidence,
        task_results: Vec::new(),
    }
}

/// The answer to a request for several tasks; `to_status` makes a failure of one a message.
pub fn tasks_response(
    outputs: Vec<TaskOutput>,
    total: Duration,
    to_status: impl Fn(&Error) -> tonic_types::Status,
) -> pb::PredictResponse {
    let results = outputs.into_iter().map(|output| pb::TaskResult {
        task: output.task,
        outcome: Some(match output.outcome {
            Ok(answer) => Outcome::Response(predict_response(answer)),
            Err(error) => Outcome::Status(to_status(&error)),
        }),
    });
    pb::PredictResponse {
        task_results: results.collect(),
        timing: Some(pb::Timing {
            total_duration: duration(total),
            ..pb::Timing::default()
        }),
        ..pb::PredictResponse::default()
    }
}

fn prediction(prediction: messages::Prediction) -> pb::Prediction {
    let windows = prediction.windows.into_iter().map(window);
    pb::Prediction {
        label: prediction.label,
        confidence: prediction.confidence,
        tier: tier(prediction.tier).into(),
        decision: decision(prediction.decision).into(),
        scores: scores(prediction.scores),
        token_count: count(prediction.token_count),
        truncated: prediction.truncated,
        value: prediction.value,
        windows: windows.collect(),
        read_size_bytes: count(prediction.read_bytes),
    }
}

fn window(window: messages::Window) -> pb::Window {
    pb::Window {
        start_byte: count(window.bytes.start),
        end_byte: count(window.bytes.end),
        label: window.label,
        confidence: window.confidence,
        tier: tier(window.tier).into(),
        scores: scores(window.scores),
        token_count: count(window.token_count),
        value: window.value,
    }
}

fn scores(scores: Vec<messages::LabelScore>) -> Vec<pb::LabelScore> {
    let scores = scores.into_iter().map(|score| pb::LabelScore {
        label: score.label,
        score: score.score,
        selected: score.selected,
    });
    scores.collect()
}

fn decision(decision: messages::Decision) -> pb::Decision {
    match decision {
        messages::Decision::Requested => pb::Decision::Requested,
        messages::Decision::Confident => pb::Decision::Confident,
        messages::Decision::Escalated => pb::Decision::Escalated,
        messages::Decision::FallbackDeadline => pb::Decision::FallbackDeadline,
        messages::Decision::FallbackOverload => pb::Decision::FallbackOverload,
        messages::Decision::Abstained => pb::Decision::Abstained,
    }
}

fn timing(output: &PredictOutput) -> pb::Timing {
    let timing = &output.timing;
    // Tiers run one after the other, so their times add up.
    let all = |part: fn(&messages::TierTiming) -> Duration| timing.tiers.iter().map(|(_, tier)| part(tier)).sum();
    let tiers = timing.tiers.iter().map(|(which, timing)| pb::TierTiming {
        tier: tier(*which).into(),
        queue_duration: duration(timing.queue),
        inference_duration: duration(timing.inference),
        batch_text_count: count(timing.batch_texts),
    });
    pb::Timing {
        total_duration: duration(timing.total),
        preprocess_duration: duration(timing.preprocess),
        queue_duration: duration(all(|tier| tier.queue)),
        inference_duration: duration(all(|tier| tier.inference)),
        tiers: tiers.collect(),
    }
}

pub(super) fn model_ref(model: messages::ModelRef) -> pb::ModelRef {
    pb::ModelRef {
        name: model.name.to_string(),
        version: model.version.to_string(),
        fingerprint: model.fingerprint.to_string(),
        tier: tier(model.tier).into(),
    }
}

pub(super) fn tier(tier: Tier) -> pb::Tier {
    match tier {
        Tier::Fast => pb::Tier::Fast,
        Tier::Deep => pb::Tier::Deep,
    }
}

pub fn explain_response(output: messages::ExplainOutput) -> pb::ExplainResponse {
    pb::ExplainResponse {
        explanations: output.explanations.into_iter().map(explanation).collect(),
        model: Some(model_ref(output.model)),
        total_duration: duration(output.total),
    }
}

fn explanation(explanation: messages::Explanation) -> pb::Explanation {
    let labels = explanation.labels.into_iter().map(|label| pb::LabelExplanation {
        label: label.label,
        logit: label.logit,
        bias: label.bias,
        other_contribution: label.rest,
        supporting: label.supporting.into_iter().map(contribution).collect(),
        opposing: label.opposing.into_iter().map(contribution).collect(),
    });
    pb::Explanation {
        labels: labels.collect(),
        label: explanation.label,
        confidence: explanation.confidence,
        feature_count: count(explanation.feature_count),
        truncated: explanation.truncated,
    }
}

fn contribution(contribution: messages::Contribution) -> pb::Contribution {
    let spans = contribution.spans.iter().map(|span| pb::TextSpan {
        start_byte: count(span.start),
        end_byte: count(span.end),
    });
    pb::Contribution {
        contribution: contribution.contribution,
        spans: spans.collect(),
        span_count: count(contribution.span_count),
    }
}

pub(super) fn serving_state(state: ServingState) -> pb::ServingState {
    match state {
        ServingState::Loading => pb::ServingState::Loading,
        ServingState::Serving => pb::ServingState::Serving,
        ServingState::Draining => pb::ServingState::Draining,
        ServingState::Failed => pb::ServingState::Failed,
    }
}

pub(super) fn count(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(super) fn duration(value: Duration) -> Option<prost_types::Duration> {
    // Never `None`: every duration here was measured by this process and fits.
    prost_types::Duration::try_from(value).ok()
}
