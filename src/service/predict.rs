//! The flow of one request: [`Service::handle`] is all of it, each stage one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Service;
use super::route::{Plan, plan};
use super::types::{CallTimes, LabelScore, PredictInput, PredictOutput, Prediction, ScoreKind, TierTiming, Timing};
use super::validate::{AnswerOptions, ValidInput, validate};
use crate::batching::scheduler::Reservation;
use crate::batching::{Failure, RowOutput};
use crate::error::{Error, Reason};
use crate::model::Encoding;
use crate::model::load::Model;
use crate::model::manifest::Truncation;
use crate::model::preprocess::EncodeError;

impl Service {
    /// Answers one request: validate → route → preprocess → inference → postprocess.
    pub async fn handle(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let input = validate(input, self.limits())?;
        let plan = plan(&input, self.catalog())?;
        let room = self.reserve(&plan, &input)?;
        let options = input.options;
        let (encodings, preprocess) = self.preprocess(&plan, input, times).await?;
        let shapes: Vec<(usize, bool)> = encodings
            .iter()
            .map(|encoding| (encoding.token_count, encoding.truncated))
            .collect();
        let rows = self.inference(room, &plan, encodings, times).await?;
        let predictions = postprocess(&plan, &rows, &shapes, options)?;
        Ok(self.finish(&plan, predictions, &rows, preprocess, times))
    }

    /// Takes room for the request's texts, or refuses it at once.
    fn reserve(&self, plan: &Plan, input: &ValidInput) -> Result<Reservation, Error> {
        let texts = input.texts.len();
        plan.serving
            .scheduler
            .reserve(texts)
            .map_err(|failure| to_error(&failure, &plan.model.name))
    }

    /// Turns the texts into model inputs, off the async threads. A request has as many blocking tasks as it has
    /// reservations: one.
    async fn preprocess(
        &self,
        plan: &Plan,
        input: ValidInput,
        times: CallTimes,
    ) -> Result<(Vec<Encoding>, Duration), Error> {
        let model = Arc::clone(&plan.serving.model);
        let truncation = input.options.truncation;
        let watched = CancelOnDrop::default();
        let cancelled = Arc::clone(&watched.cancelled);
        let work = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let encodings = encode_all(&model, &input.texts, truncation, times.deadline, &cancelled);
            (encodings, started.elapsed())
        });
        let (encodings, took) = tokio::time::timeout_at(times.deadline.into(), work)
            .await
            .map_err(|_| Error::deadline_exceeded())?
            .map_err(|error| {
                tracing::error!(%error, "preprocessing ended without an answer");
                Error::new(Reason::Internal, "preprocessing failed")
            })?;
        plan.serving.metrics.preprocessed(took);
        Ok((encodings?, took))
    }

    /// Runs the rows through the model's scheduler.
    async fn inference(
        &self,
        room: Reservation,
        plan: &Plan,
        encodings: Vec<Encoding>,
        times: CallTimes,
    ) -> Result<Vec<RowOutput>, Error> {
        let inputs = encodings.into_iter().map(|encoding| encoding.input).collect();
        room.submit(inputs, times.deadline)
            .await
            .map_err(|failure| to_error(&failure, &plan.model.name))
    }

    fn finish(
        &self,
        plan: &Plan,
        predictions: Vec<Prediction>,
        rows: &[RowOutput],
        preprocess: Duration,
        times: CallTimes,
    ) -> PredictOutput {
        plan.serving.metrics.answered(predictions.len());
        PredictOutput {
            predictions,
            models: vec![plan.model.clone()],
            timing: Timing {
                total: times.arrived.elapsed(),
                preprocess,
                tier: tier_timing(rows),
            },
        }
    }
}

/// Tells the blocking task that its caller has gone.
#[derive(Default)]
struct CancelOnDrop {
    cancelled: Arc<AtomicBool>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

fn encode_all(
    model: &Model,
    texts: &[String],
    truncation: Option<Truncation>,
    deadline: Instant,
    cancelled: &AtomicBool,
) -> Result<Vec<Encoding>, Error> {
    let mut encodings = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        if cancelled.load(Ordering::Relaxed) || Instant::now() >= deadline {
            return Err(Error::deadline_exceeded());
        }
        let encoding = model.preprocess(text, truncation).map_err(|error| match error {
            EncodeError::TooLong { found, limit } => Error::invalid_field(
                format!("texts[{at}]"),
                format!("is longer than the model reads: it has {found}, the limit is {limit}"),
            ),
            EncodeError::Failed => Error::new(Reason::Internal, "preprocessing failed"),
        })?;
        encodings.push(encoding);
    }
    Ok(encodings)
}

fn postprocess(
    plan: &Plan,
    rows: &[RowOutput],
    shapes: &[(usize, bool)],
    options: AnswerOptions,
) -> Result<Vec<Prediction>, Error> {
    rows.iter()
        .zip(shapes)
        .map(|(row, &(token_count, truncated))| {
            let model = &plan.serving.model;
            let answer = model.postprocess(&row.values).map_err(|error| {
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
                token_count,
                truncated,
            })
        })
        .collect()
}

fn tier_timing(rows: &[RowOutput]) -> TierTiming {
    TierTiming {
        queue: rows.iter().map(|row| row.queued_for).max().unwrap_or_default(),
        inference: rows.iter().map(|row| row.ran_for).max().unwrap_or_default(),
        batch_texts: rows.iter().map(|row| row.batch_rows).max().unwrap_or_default(),
    }
}

fn to_error(failure: &Failure, model: &str) -> Error {
    match failure {
        Failure::QueueFull { retry_after } => {
            Error::queue_full(format!("the queue of the model `{model}` is full"), *retry_after)
        }
        Failure::DeadlineExceeded => Error::deadline_exceeded(),
        Failure::Closed => Error::new(Reason::ServerDraining, "the server is shutting down"),
        Failure::Inference(problem) => {
            tracing::error!(model, problem, "inference failed");
            Error::new(Reason::InferenceFailed, format!("the model `{model}` failed"))
        }
    }
}
