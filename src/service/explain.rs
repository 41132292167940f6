//! Explanations: what each n-gram of a text adds to each label's logit, exactly, for models that add n-grams up.
//!
//! Reads no weights: the model itself runs on each n-gram alone, and on none, and what differs is the n-gram's part. That
//! the parts add up to the logit of the whole text is checked each time; a model of which it is not true is not explained.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Service;
use super::catalog::Serving;
use super::route::{Asked, explained};
use super::tier::Chosen;
use super::types::{
    CallTimes, Contribution, ExplainInput, ExplainOutput, Explanation, LabelExplanation, Priority, Terms,
};
use super::validate::{ValidExplain, validate_explain};
use crate::error::{Error, Reason};
use crate::model::ModelInput;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;

/// How far the sum of the parts may be from the logit, relative to logits above one.
const TOLERANCE: f64 = 1e-4;
/// The most places that are listed for one n-gram.
const MAX_SPANS: usize = 16;

/// A text's features: each bucket, with the places of the n-grams that fell into it.
type Features = BTreeMap<u32, Vec<Range<usize>>>;

/// What the model said of a text, and of each of its features alone.
struct Measured {
    features: Features,
    truncated: bool,
    whole: Classification,
    /// By feature, in the order of `features`: its part in each label's logit.
    parts: Vec<Vec<f64>>,
}

impl Service {
    /// Explains the answers to texts: validate → route → preprocess → inference, once a feature → the largest parts.
    pub(super) async fn handle_explain(&self, input: ExplainInput, times: CallTimes) -> Result<ExplainOutput, Error> {
        let input = validate_explain(input, self.limits())?;
        let asked = explained(&input, &self.catalog(), times.client)?;
        let rows_at_once = self.limits().max_texts;
        let terms = times.terms(Priority::Normal);
        let all_features = features_of(&asked, &input, terms).await?;
        let bias = bias(&asked, terms).await?;
        let mut explanations = Vec::with_capacity(input.texts.len());
        for (place, features) in all_features.into_iter().enumerate() {
            let measured = measure(&asked, features, &bias, rows_at_once, terms).await?;
            check_sum(&asked, &measured, &bias).inspect_err(|_| {
                tracing::warn!(model = asked.model.name, place, "parts do not add up to the logit");
            })?;
            explanations.push(describe(&asked.serving.model, &measured, &bias, input.most));
        }
        Ok(ExplainOutput {
            explanations,
            model: asked.model,
            total: times.arrived.elapsed(),
        })
    }
}

/// Finds the features of all texts, where and when any preprocessing is done.
async fn features_of(asked: &Asked, input: &ValidExplain, terms: Terms) -> Result<Vec<(Features, bool)>, Error> {
    let chosen = Chosen::all(input.texts.clone(), Vec::new(), input.truncation);
    let features = |model: &Model, chosen: &Chosen, at: usize| {
        let (spans, truncated) = model
            .spans(&chosen.texts[at], chosen.truncation)
            .ok_or_else(|| not_explainable(model))?
            .map_err(|error| super::tier::encode_error(at, error))?;
        let mut features = Features::new();
        for span in spans {
            features.entry(span.bucket).or_default().push(span.bytes);
        }
        Ok((features, truncated))
    };
    let (features, _) = asked.serving.preparation.each(chosen, terms, features).await?;
    Ok(features)
}

/// What the model says of nothing, by label: the id that pads a row stands for no n-gram.
async fn bias(asked: &Asked, terms: Terms) -> Result<Vec<f64>, Error> {
    let nothing = vec![asked.serving.model.pad_id()];
    let rows = logits(&asked.serving, vec![ModelInput::Features(nothing)], terms).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

async fn measure(
    asked: &Asked,
    (features, truncated): (Features, bool),
    bias: &[f64],
    rows_at_once: usize,
    terms: Terms,
) -> Result<Measured, Error> {
    let ids: Vec<u32> = features.keys().copied().collect();
    // A row is scaled by the root of its width, and a row of one feature is not.
    let scale = 1.0 / (ids.len().max(1) as f64).sqrt();
    let mut parts = Vec::with_capacity(ids.len());
    for ids in ids.chunks(rows_at_once) {
        let alone = ids.iter().map(|&id| ModelInput::Features(vec![id])).collect();
        for row in logits(&asked.serving, alone, terms).await? {
            parts.push(
                row.iter()
                    .zip(bias)
                    .map(|(value, bias)| (value - bias) * scale)
                    .collect(),
            );
        }
    }
    let whole = asked.serving.run_inputs(vec![ModelInput::Features(ids)], terms).await?;
    let whole = whole.first().map(|row| row.values.as_slice()).unwrap_or_default();
    Ok(Measured {
        features,
        truncated,
        whole: asked.classify(whole, None)?,
        parts,
    })
}

async fn logits(serving: &Serving, inputs: Vec<ModelInput>, terms: Terms) -> Result<Vec<Vec<f64>>, Error> {
    let rows = serving.run_inputs(inputs, terms).await?;
    Ok(rows
        .into_iter()
        .map(|row| row.values.into_iter().map(f64::from).collect())
        .collect())
}

fn check_sum(asked: &Asked, measured: &Measured, bias: &[f64]) -> Result<(), Error> {
    for (label, bias) in bias.iter().enumerate() {
        let sum = bias + measured.parts.iter().map(|parts| parts[label]).sum::<f64>();
        let logit = f64::from(measured.whole.logits[label]);
        // Not a number is never within it.
        let within = (sum - logit).abs() <= TOLERANCE * logit.abs().max(1.0);
        if !within {
            return Err(not_explainable(&asked.serving.model));
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

/// The features with the largest parts of one sign in a label's logit, the largest first.
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
