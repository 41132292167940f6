//! One tier's part in a request: reserve room → preprocess → inference. Who answers is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::catalog::Serving;
use super::observe::Observed;
use super::route::Asked;
use super::types::{Decision, ModelRef, Terms, TierTiming};
use crate::batching::{BatchShape, Failure, RowOutput};
use crate::error::{Error, MODEL_FACT, MODEL_VERSION_FACT, Reason};
use crate::model::ModelInput;
use crate::model::loaded::Model;
use crate::model::manifest::Truncation;
use crate::model::postprocess::Classification;
use crate::model::preprocess::EncodeError;

/// Some of a request's texts.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// All of the request's texts.
    pub texts: Arc<Vec<String>>,
    /// The second texts of pairs: none, or one a text.
    pub pairs: Arc<Vec<String>>,
    /// The places of those that are meant, ascending.
    pub places: Vec<usize>,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
}

impl Chosen {
    /// All texts; with the second texts of pairs, if they are pairs.
    pub fn all(texts: Vec<String>, pairs: Vec<String>, truncation: Option<Truncation>) -> Self {
        let places = (0..texts.len()).collect();
        Self {
            texts: Arc::new(texts),
            pairs: Arc::new(pairs),
            places,
            truncation,
        }
    }

    /// The size of the chosen texts.
    pub(super) fn bytes(&self) -> usize {
        self.sizes().sum()
    }

    /// The size of each of the chosen texts, with its second text.
    pub(super) fn sizes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.places.iter().map(|&at| self.bytes_at(at))
    }

    /// The size of the text at a place, with its second text.
    pub(super) fn bytes_at(&self, at: usize) -> usize {
        self.texts[at].len() + self.pair(at).map_or(0, str::len)
    }

    /// The second text of the pair at a place, if it is one.
    pub(super) fn pair(&self, at: usize) -> Option<&str> {
        self.pairs.get(at).map(String::as_str)
    }
}

/// What a tier made of the chosen texts, in their order.
#[derive(Debug)]
pub struct TierRows {
    /// The raw outputs.
    pub rows: Vec<TierRow>,
    /// How long preprocessing took.
    pub preprocess: Duration,
    /// How many rows came out of the answer cache.
    pub cache_hits: usize,
}

/// What a tier made of one text.
#[derive(Debug)]
pub struct TierRow {
    /// The raw outputs, and what they took.
    pub output: RowOutput,
    /// How many tokens or features the model saw.
    pub token_count: usize,
    /// Whether it saw only a part of the text.
    pub truncated: bool,
}

impl TierRows {
    /// Where the time went: that of the row which was ready last, since the request waited for it. The longest wait of one row and
    /// the longest run of another would be more together than what passed.
    pub fn timing(&self) -> TierTiming {
        let outputs = || self.rows.iter().map(|row| &row.output);
        let last = outputs().max_by_key(|row| row.queued_for + row.ran_for);
        TierTiming {
            queue: last.map(|row| row.queued_for).unwrap_or_default(),
            inference: last.map(|row| row.ran_for).unwrap_or_default(),
            batch_texts: outputs().map(|row| row.batch.rows).max().unwrap_or_default(),
        }
    }
}

/// The answers to a request's texts, before they are put into words.
pub struct Answers {
    /// One for each text, in order.
    pub answers: Vec<Answer>,
    /// The tiers that took part, in the order in which they did.
    pub parts: Vec<Part>,
    /// What was seen beyond the answers, where two tiers shared the request.
    pub observed: Observed,
}

/// The answer to one text.
pub struct Answer {
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

/// A tier that took part.
pub struct Part {
    /// The model.
    pub model: ModelRef,
    /// How long preprocessing took.
    pub preprocess: Duration,
    /// Where the time went.
    pub timing: TierTiming,
    /// How many texts came out of the answer cache; absent where there is none.
    pub cache_hits: Option<usize>,
}

impl Answer {
    /// What `asked` says of the text of `row`.
    pub fn new(asked: &Asked, answer: Classification, row: &TierRow, decision: Decision) -> Self {
        Self {
            model: Arc::clone(&asked.serving.model),
            answer,
            decision,
            token_count: row.token_count,
            truncated: row.truncated,
        }
    }
}

impl Asked {
    /// Runs the chosen texts, and takes what the model says for the answer.
    pub async fn answer(&self, chosen: Chosen, terms: Terms) -> Result<Answers, Error> {
        let rows = self.serving.infer(chosen, terms).await?;
        let answers = rows.rows.iter().map(|row| {
            let answer = self.classify(&row.output.values, None)?;
            Ok(Answer::new(self, answer, row, Decision::Requested))
        });
        Ok(Answers {
            answers: answers.collect::<Result<_, Error>>()?,
            parts: vec![self.part(&rows)],
            observed: Observed::default(),
        })
    }

    /// What the model's raw outputs for a text say; with a temperature in place of the manifest's, if one is given.
    pub fn classify(&self, values: &[f32], temperature: Option<f32>) -> Result<Classification, Error> {
        let model = &self.serving.model;
        model.postprocess(values, temperature).map_err(|error| {
            tracing::error!(model = model.manifest.name, %error, "a row was refused");
            inference_failed(model)
        })
    }

    /// The model's part in a request.
    pub fn part(&self, rows: &TierRows) -> Part {
        Part {
            model: self.model.clone(),
            preprocess: rows.preprocess,
            timing: rows.timing(),
            cache_hits: self.serving.cache.as_ref().map(|_| rows.cache_hits),
        }
    }
}

impl Serving {
    /// What the model makes of the chosen texts, out of the cache where there is one. Refuses at once where there is no room
    /// or not enough time.
    pub async fn infer(&self, chosen: Chosen, terms: Terms) -> Result<TierRows, Error> {
        match &self.cache {
            Some(cache) => self.infer_cached(cache, chosen, terms).await,
            None => self.run(chosen, terms).await,
        }
    }

    /// Runs the chosen texts through the model, and lets a version that is tried beside it have a copy.
    pub(super) async fn run(&self, chosen: Chosen, terms: Terms) -> Result<TierRows, Error> {
        let copied = self.tap.keep(&chosen);
        let answered = self.run_unseen(chosen, terms).await?;
        self.tap.send(copied);
        Ok(answered)
    }

    /// Runs the chosen texts through the model, and nobody gets a copy.
    pub(super) async fn run_unseen(&self, chosen: Chosen, terms: Terms) -> Result<TierRows, Error> {
        let ready_in = self.preparation.expected(chosen.sizes(), &terms);
        let room = self
            .scheduler
            .reserve_ahead(terms, chosen.sizes(), ready_in)
            .map_err(|failure| self.to_error(&failure))?;
        let (encodings, preprocess) = self.preparation.encode(chosen, terms).await?;
        self.metrics.preprocessed(preprocess);
        let shapes: Vec<(usize, bool)> = encodings
            .iter()
            .map(|encoding| (encoding.token_count, encoding.truncated))
            .collect();
        let inputs: Vec<ModelInput> = encodings.into_iter().map(|encoding| encoding.input).collect();
        let outputs = room.submit(inputs).await.map_err(|failure| self.to_error(&failure))?;
        let rows = outputs.into_iter().zip(shapes);
        Ok(TierRows {
            rows: rows
                .map(|(output, (token_count, truncated))| TierRow {
                    output,
                    token_count,
                    truncated,
                })
                .collect(),
            preprocess,
            cache_hits: 0,
        })
    }

    /// Runs inputs that are already made, as one request. Refuses at once where there is no room.
    pub async fn run_inputs(&self, inputs: Vec<ModelInput>, terms: Terms) -> Result<Vec<RowOutput>, Error> {
        let told = |failure| self.to_error(&failure);
        let sizes = inputs.iter().map(ModelInput::width);
        let room = self.scheduler.reserve(terms, sizes).map_err(told)?;
        room.submit(inputs).await.map_err(told)
    }

    /// What a batch is expected to take.
    pub(super) fn batch_cost(&self, shape: BatchShape) -> Duration {
        self.scheduler.batch_cost(shape)
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and done in time. Others may be quicker.
    pub(super) fn admissible(&self, terms: Terms, wanted: usize, size: usize) -> usize {
        let ready_in = |texts| self.preparation.expected(std::iter::repeat_n(size, texts), &terms);
        self.scheduler.admissible_ahead(terms, wanted, size, ready_in)
    }

    fn to_error(&self, failure: &Failure) -> Error {
        let model = &self.model.manifest.name;
        match failure {
            Failure::QueueFull { retry_after } => {
                Error::queue_full(format!("the queue of the model `{model}` is full"), *retry_after)
            }
            Failure::DeadlineTooShort { expected } => Error::deadline_too_short(*expected),
            Failure::DeadlineExceeded => Error::deadline_exceeded(),
            Failure::Closed => Error::new(Reason::ServerDraining, "the server is shutting down"),
            Failure::Inference(problem) => {
                tracing::error!(model, problem, "inference failed");
                inference_failed(&self.model)
            }
        }
    }
}

pub(super) fn inference_failed(model: &Model) -> Error {
    let name = &model.manifest.name;
    Error::new(Reason::InferenceFailed, format!("the model `{name}` failed"))
        .with_fact(MODEL_FACT, name)
        .with_fact(MODEL_VERSION_FACT, &model.manifest.version)
}

/// The failure to encode the text at a place of the request.
pub(super) fn encode_error(place: usize, error: EncodeError) -> Error {
    match error {
        EncodeError::TooLong { found, limit } => Error::invalid_field(
            format!("texts[{place}]"),
            format!("is longer than the model reads: it has {found}, the limit is {limit}"),
        ),
        EncodeError::Untokenizable => Error::invalid_field(
            format!("texts[{place}]"),
            "can't be cut into tokens: it holds what the model's vocabulary does not, and that has no token for the unknown",
        ),
        EncodeError::NoTokens => Error::invalid_field(
            format!("texts[{place}]"),
            "has no tokens, and the model's vocabulary has none for the unknown, the padding or the end that could stand for it",
        ),
        EncodeError::BeyondTable { id, rows } => Error::invalid_field(
            format!("texts[{place}]"),
            format!(
                "holds a token that the model was not made for: its id is {id}, the model knows those below {rows}, and it has no token for the unknown"
            ),
        ),
        EncodeError::NoPairs => Error::invalid_field("text_pairs", "the model that was asked takes single texts"),
        EncodeError::Failed => Error::new(Reason::Internal, "preprocessing failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timing_of_a_tier_is_that_of_the_row_which_was_ready_last() {
        let row = |queued: u64, ran: u64, rows: usize| TierRow {
            output: RowOutput {
                values: Vec::new(),
                queued_for: Duration::from_millis(queued),
                ran_for: Duration::from_millis(ran),
                worked_for: Duration::ZERO,
                width: 1,
                batch: BatchShape { rows, width: 1 },
            },
            token_count: 1,
            truncated: false,
        };
        let rows = TierRows {
            rows: vec![row(1, 20, 8), row(21, 4, 2), row(21, 3, 3)],
            preprocess: Duration::ZERO,
            cache_hits: 0,
        };
        let timing = rows.timing();
        assert_eq!(
            (
                timing.queue.as_millis(),
                timing.inference.as_millis(),
                timing.batch_texts
            ),
            (21, 4, 8)
        );
    }
}
