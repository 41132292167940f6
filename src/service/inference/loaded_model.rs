//! A loaded model: what runs a request's texts. Reserve room → preprocess → inference; out of the cache where there is one.

use std::sync::Arc;
use std::time::Duration;

use super::answer_cache::AnswerCache;
use super::errors::inference_failed;
use super::memory_budget::LoadedBytes;
use super::mirror::RequestMirror;
use super::outputs::{ModelOutputs, TextOutput};
use super::preparation::Preparation;
use super::texts::TextSubset;
use crate::batching::shares::Amount;
use crate::batching::workers::Workers;
use crate::batching::{BatchLimits, BatchShape, Failure, RowOutput, Scheduler, SchedulerSettings, SubmitOptions};
use crate::error::{Error, Reason};
use crate::model::ModelInput;
use crate::model::loaded::Model;
use crate::model::loading::Initialized;
use crate::model::manifest::Batch;
use crate::model::postprocess::Classification;
use crate::telemetry::metrics::ModelMetrics;

/// A model that takes requests.
pub struct LoadedModel {
    /// Its pre- and postprocessing.
    pub model: Arc<Model>,
    /// Where its texts become inputs.
    pub preparation: Preparation,
    /// Its queue and instances.
    pub scheduler: Scheduler,
    /// Its metrics.
    pub metrics: ModelMetrics,
    /// Where its answers are kept; none if they are not.
    pub cache: Option<Arc<AnswerCache>>,
    /// The size of a batch, in cells, from which on a wide session runs what is alone; nothing if it does not pay.
    pub wide_from_cells: Option<usize>,
    /// Where copies of its requests go while another version is compared with it.
    pub mirror: RequestMirror,
    /// Its part of the memory that loaded models are expected to take.
    _counted: LoadedBytes,
}

/// What a loaded model shares with others, and what is its own part of it.
pub struct Surroundings {
    /// The threads that preprocess for all models.
    pub workers: Workers,
    /// The room of its queue.
    pub room: Amount,
    /// The padded size of a batch at which a bigger one stops paying.
    pub max_cells: usize,
    /// Its metrics.
    pub metrics: ModelMetrics,
    /// Where its answers are kept; none if they are not.
    pub cache: Option<Arc<AnswerCache>>,
    /// Keeps it counted.
    pub counted: LoadedBytes,
}

impl LoadedModel {
    /// Starts the queue and the threads of a model. The error is the system's, which gives no threads.
    pub fn start(initialized: Initialized, surroundings: Surroundings) -> std::io::Result<Self> {
        let Surroundings {
            workers,
            room,
            max_cells,
            metrics,
            cache,
            counted,
        } = surroundings;
        let Initialized {
            model,
            runners,
            costs,
            wide_from_cells,
            ..
        } = initialized;
        let limits = &model.manifest.limits;
        let settings = SchedulerSettings {
            room,
            batch: BatchLimits {
                max_rows: limits.max_batch_size,
                max_cells,
                same_width: limits.batch == Some(Batch::SameLength),
            },
            max_width: model.manifest.max_token_count(),
        };
        let name = &model.manifest.name;
        Ok(Self {
            preparation: Preparation::new(Arc::clone(&model), workers),
            scheduler: Scheduler::start(name, runners, &costs, settings, metrics.clone())?,
            model,
            metrics,
            cache,
            wide_from_cells,
            mirror: RequestMirror::default(),
            _counted: counted,
        })
    }

    /// What the model makes of the texts, out of the cache where there is one. Refuses at once where there is no room or not
    /// enough time.
    pub async fn infer(&self, texts: TextSubset, options: SubmitOptions) -> Result<ModelOutputs, Error> {
        let Some(cache) = &self.cache else {
            return self.run(texts, options).await;
        };
        let run = |texts| self.run(texts, options);
        let expected = |sizes: Vec<usize>| self.scheduler.expected(options, sizes.into_iter());
        let fingerprint = self.model.fingerprint.as_str();
        let outputs = cache
            .outputs(fingerprint, texts, options.deadline, run, expected)
            .await?;
        let (hits, rows) = (outputs.cache_hits, outputs.rows.len());
        self.metrics.cached(hits, rows - hits);
        Ok(outputs)
    }

    /// Runs the texts through the model, and lets a version that is compared with it have a copy.
    async fn run(&self, texts: TextSubset, options: SubmitOptions) -> Result<ModelOutputs, Error> {
        let copied = self.mirror.keep(&texts);
        let outputs = self.run_unseen(texts, options).await?;
        self.mirror.send(copied);
        Ok(outputs)
    }

    /// Runs the texts through the model, past the cache, and nobody gets a copy.
    pub async fn run_unseen(&self, texts: TextSubset, options: SubmitOptions) -> Result<ModelOutputs, Error> {
        let ready_in = self.preparation.expected(texts.sizes(), &options);
        let room = self
            .scheduler
            .reserve_ahead(options, texts.sizes(), ready_in)
            .map_err(|failure| self.to_error(&failure))?;
        let (encodings, preprocess) = self.preparation.encode(texts, options).await?;
        self.metrics.preprocessed(preprocess);
        let shapes: Vec<(usize, bool)> = encodings
            .iter()
            .map(|encoding| (encoding.token_count, encoding.truncated))
            .collect();
        let inputs: Vec<ModelInput> = encodings.into_iter().map(|encoding| encoding.input).collect();
        let outputs = room.submit(inputs).await.map_err(|failure| self.to_error(&failure))?;
        let rows = outputs.into_iter().zip(shapes);
        Ok(ModelOutputs {
            rows: rows
                .map(|(output, (token_count, truncated))| TextOutput {
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
    pub async fn run_inputs(&self, inputs: Vec<ModelInput>, options: SubmitOptions) -> Result<Vec<RowOutput>, Error> {
        let told = |failure| self.to_error(&failure);
        let sizes = inputs.iter().map(ModelInput::width);
        let room = self.scheduler.reserve(options, sizes).map_err(told)?;
        room.submit(inputs).await.map_err(told)
    }

    /// What the raw outputs for a text say; with a temperature in place of the manifest's, if one is given.
    pub fn classify(&self, values: &[f32], temperature: Option<f32>) -> Result<Classification, Error> {
        self.model.postprocess(values, temperature).map_err(|error| {
            tracing::error!(model = self.model.manifest.name, %error, "a row was refused");
            inference_failed(&self.model)
        })
    }

    /// What a batch is expected to take.
    pub fn batch_cost(&self, shape: BatchShape) -> Duration {
        self.scheduler.batch_cost(shape)
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and done in time. Others may be quicker.
    pub fn admissible(&self, options: SubmitOptions, wanted: usize, size: usize) -> usize {
        let ready_in = |texts| self.preparation.expected(std::iter::repeat_n(size, texts), &options);
        self.scheduler.admissible_ahead(options, wanted, size, ready_in)
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
