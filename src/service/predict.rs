//! The flow of one request: [`Service::handle`] is all of it, each stage one line.

use super::Service;
use super::route::{Plan, plan};
use super::tier::{Chosen, TierRows};
use super::types::{CallTimes, LabelScore, PredictInput, PredictOutput, Prediction, ScoreKind, Timing};
use super::validate::{AnswerOptions, validate};
use crate::error::{Error, Reason};

impl Service {
    /// Answers one request: validate → route → preprocess → inference → postprocess.
    pub async fn handle(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let input = validate(input, self.limits())?;
        let plan = plan(&input, self.catalog())?;
        let options = input.options;
        let chosen = Chosen::all(input.texts, options.truncation);
        let answer = plan.serving.infer(chosen, times.terms(input.priority)).await?;
        let predictions = postprocess(&plan, &answer, options)?;
        Ok(self.finish(&plan, predictions, &answer, times))
    }

    fn finish(&self, plan: &Plan, predictions: Vec<Prediction>, answer: &TierRows, times: CallTimes) -> PredictOutput {
        plan.serving.metrics.answered(predictions.len());
        PredictOutput {
            predictions,
            models: vec![plan.model.clone()],
            cache_hits: plan.serving.cache.as_ref().map(|_| answer.cache_hits),
            timing: Timing {
                total: times.arrived.elapsed(),
                preprocess: answer.preprocess,
                tier: answer.timing(),
            },
        }
    }
}

fn postprocess(plan: &Plan, answer: &TierRows, options: AnswerOptions) -> Result<Vec<Prediction>, Error> {
    answer
        .rows
        .iter()
        .map(|row| {
            let model = &plan.serving.model;
            let answer = model.postprocess(&row.output.values).map_err(|error| {
                tracing::error!(model = plan.model.name, %error, "a row was refused");
                Error::new(
                    Reason::InferenceFailed,
                    format!("the model `{}` failed", plan.model.name),
                )
            })?;
            let labels = &model.manifest.labels;
            let scores = answer
                .ranking()
                .into_iter()
                .take(options.top_k)
                .map(|label| LabelScore {
                    label: labels[label].clone(),
                    score: match options.score_kind {
                        ScoreKind::Probability => answer.probabilities[label],
                        ScoreKind::Logit => answer.logits[label],
                    },
                    selected: label == answer.winner,
                });
            Ok(Prediction {
                label: labels[answer.winner].clone(),
                confidence: answer.confidence(),
                tier: model.tier(),
                decision: plan.decision,
                scores: scores.collect(),
                token_count: row.token_count,
                truncated: row.truncated,
            })
        })
        .collect()
}
