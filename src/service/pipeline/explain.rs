//! Explanations: what each n-gram of a text adds to each label's logit, exactly, for models that add n-grams up.
//!
//! Reads no weights: the model runs on each n-gram alone and on none; the difference is the n-gram's part. Each time it
//! is checked that the parts add up to the logit of the whole text. A model for which they don't is not explained.

use std::collections::BTreeMap;
use std::ops::Range;

use super::route::explained;
use super::run_recorder::RunRecorder;
use super::target::ModelTarget;
use super::validate::{ValidExplain, validate_explain};
use crate::error::{Error, Reason};
use crate::model::ModelInput;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::catalog::Catalog;
use crate::service::inference::errors::encode_error;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::outputs::classify;
use crate::service::inference::texts::TextSubset;
use crate::service::limits::RequestLimits;
use crate::service::messages::{
    CallTimes, Contribution, ExplainInput, ExplainOutput, Explanation, LabelExplanation, Priority, SubmitOptions,
};

/// How far the sum of the parts may be from the logit; relative for logits above 1.
const TOLERANCE: f64 = 1e-4;
/// The most positions that are listed for one n-gram.
const MAX_SPANS: usize = 16;

/// A text's features: each bucket, with the positions of the n-grams in it, in bytes.
type Features = BTreeMap<u32, Vec<Range<usize>>>;

/// The model's logits for a text and for each of its features alone.
struct Measured {
    features: Features,
    truncated: bool,
    whole: Classification,
    /// For each feature, in the order of `features`: its part in each label's logit.
    parts: Vec<Vec<f64>>,
}

/// Explains the answers to texts: validate → route → preprocess → inference, once for each feature → the largest parts.
pub async fn explain(
    input: ExplainInput,
    times: CallTimes,
    catalog: &Catalog,
    limits: RequestLimits,
    recorder: &RunRecorder<'_>,
) -> Result<ExplainOutput, Error> {
    let span = recorder.span();
    let input = span.timed("validate", || validate_explain(input, limits))?;
    let target = span.timed("route", || explained(&input, catalog, times.client))?;
    let explained = span.open("explain");
    let explanations = explain_all(
        &target,
        &input,
        limits.max_texts,
        times.submit_options(Priority::Normal),
    )
    .await;
    drop(explained);
    recorder.record(&target.version, target.arm.as_ref(), &explanations);
    Ok(ExplainOutput {
        explanations: explanations?,
        model: target.model,
        total: times.arrived.elapsed(),
    })
}

async fn explain_all(
    target: &ModelTarget,
    input: &ValidExplain,
    rows_at_once: usize,
    options: SubmitOptions,
) -> Result<Vec<Explanation>, Error> {
    let all_features = features_of(target, input, options).await?;
    let bias = bias(target, options).await?;
    let mut explanations = Vec::with_capacity(input.texts.len());
    for (place, features) in all_features.into_iter().enumerate() {
        let measured = measure(target, features, &bias, rows_at_once, options).await?;
        check_sum(target, &measured, &bias).inspect_err(|_| {
            tracing::warn!(model = &*target.model.name, place, "parts do not add up to the logit");
        })?;
        explanations.push(describe(&target.loaded.model, &measured, &bias, input.most));
    }
    Ok(explanations)
}

/// Finds the features of all texts, by the same workers as any preprocessing.
async fn features_of(
    target: &ModelTarget,
    input: &ValidExplain,
    options: SubmitOptions,
) -> Result<Vec<(Features, bool)>, Error> {
    let texts = TextSubset::all(input.texts.clone(), Vec::new(), input.truncation);
    let features = |model: &Model, texts: &TextSubset, at: usize| {
        let (spans, truncated) = model
            .spans(&texts.texts[at], texts.truncation)
            .ok_or_else(|| not_explainable(model))?
            .map_err(|error| encode_error(at, error))?;
        let mut features = Features::new();
        for span in spans {
            features.entry(span.bucket).or_default().push(span.bytes);
        }
        Ok((features, truncated))
    };
    let (features, _) = target.loaded.preparation.each(texts, options, features).await?;
    Ok(features)
}

/// The logits for no text, by label: the id that pads a row means no n-gram.
async fn bias(target: &ModelTarget, options: SubmitOptions) -> Result<Vec<f64>, Error> {
    let nothing = vec![target.loaded.model.pad_id()];
    let rows = logits(&target.loaded, vec![ModelInput::Features(nothing)], options).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

async fn measure(
    target: &ModelTarget,
    (features, truncated): (Features, bool),
    bias: &[f64],
    rows_at_once: usize,
    options: SubmitOptions,
) -> Result<Measured, Error> {
    let ids: Vec<u32> = features.keys().copied().collect();
    // A row is scaled by the square root of its width; a row of one feature is not.
    let scale = 1.0 / (ids.len().max(1) as f64).sqrt();
    let mut parts = Vec::with_capacity(ids.len());
    for ids in ids.chunks(rows_at_once) {
        let alone = ids.iter().map(|&id| ModelInput::Features(vec![id])).collect();
        for row in logits(&target.loaded, alone, options).await? {
            parts.push(
                row.iter()
                    .zip(bias)
                    .map(|(value, bias)| (value - bias) * scale)
                    .collect(),
            );
        }
    }
    let whole = target
        .loaded
        .run_inputs(vec![ModelInput::Features(ids)], options)
        .await?;
    let whole = whole.first().map(|row| row.values.as_slice()).unwrap_or_default();
    Ok(Measured {
        features,
        truncated,
        whole: classify(&target.head, whole, None)?,
        parts,
    })
}

async fn logits(loaded: &LoadedModel, inputs: Vec<ModelInput>, options: SubmitOptions) -> Result<Vec<Vec<f64>>, Error> {
    let rows = loaded.run_inputs(inputs, options).await?;
    Ok(rows
        .into_iter()
        .map(|row| row.values.into_iter().map(f64::from).collect())
        .collect())
}

fn check_sum(target: &ModelTarget, measured: &Measured, bias: &[f64]) -> Result<(), Error> {
    for (label, bias) in bias.iter().enumerate() {
        let sum = bias + measured.parts.iter().map(|parts| parts[label]).sum::<f64>();
        let logit = f64::from(measured.whole.logits[label]);
        // False for NaN too.
        let within = (sum - logit).abs() <= TOLERANCE * logit.abs().max(1.0);
        if !within {
            return Err(not_explainable(&target.loaded.model));
        }
    }
    Ok(())
}

fn describe(model: &Model, measured: &Measured, bias: &[f64], most: usize) -> Explanation {
    let labels = model.manifest.labels.iter().enumerate();
    Explanation {
        label: model.manifest.labels[measured.whole.winner].clone(),
        confidence: measured.whole.confidence(),
        feature_count: measured.features.len(),
        truncated: measured.truncated,
        labels: labels
            .map(|(at, label)| {
                let supporting = largest(measured, at, most, 1.0);
                let opposing = largest(measured, at, most, -1.0);
                let listed = supporting.iter().chain(&opposing);
                let listed: f64 = listed.map(|part| f64::from(part.contribution)).sum();
                let all: f64 = measured.parts.iter().map(|parts| parts[at]).sum();
                LabelExplanation {
                    label: label.clone(),
                    logit: measured.whole.logits[at],
                    bias: bias[at] as f32,
                    rest: (all - listed) as f32,
                    supporting,
                    opposing,
                }
            })
            .collect(),
    }
}

/// The features with the largest parts of one sign in a label's logit, the largest first. `sign` is 1 or -1.
fn largest(measured: &Measured, label: usize, most: usize, sign: f64) -> Vec<Contribution> {
    let mut found: Vec<(f64, &Vec<Range<usize>>)> = measured
        .parts
        .iter()
        .zip(measured.features.values())
        .map(|(parts, spans)| (parts[label], spans))
        .filter(|(part, _)| part * sign > 0.0)
        .collect();
    let place = |spans: &[Range<usize>]| spans.first().map_or((0, 0), |span| (span.start, span.end));
    found.sort_by(|a, b| (b.0 * sign).total_cmp(&(a.0 * sign)).then(place(a.1).cmp(&place(b.1))));
    found.truncate(most);
    let contribution = |(part, spans): (f64, &Vec<Range<usize>>)| Contribution {
        contribution: part as f32,
        spans: spans.iter().take(MAX_SPANS).cloned().collect(),
        span_count: spans.len(),
    };
    found.into_iter().map(contribution).collect()
}

fn not_explainable(model: &Model) -> Error {
    let name = &model.manifest.name;
    Error::new(
        Reason::NotExplainable,
        format!(
            "the model `{name}` can't be explained: its answer is not a sum of parts of the text, and this server gives no \
             approximations; ask a fast model over n-grams"
        ),
    )
}
