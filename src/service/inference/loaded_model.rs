//! Loaded model: what runs a request's texts. Reserve room → preprocess → inference; with a cache, only for texts that
//! are not in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::answer_cache::AnswerCache;
use super::core_share::CoreShare;
use super::errors::{encode_error, inference_failed};
use super::memory_budget::LoadedBytes;
use super::mirror::RequestMirror;
use super::outputs::{ModelOutputs, TextOutput};
use super::preparation::Preparation;
use super::shared_runs::SharedRuns;
use super::texts::TextSubset;
use crate::batching::on_arrival::{OnArrival, hand_over};
use crate::batching::scheduler::Reservation;
use crate::batching::shares::Amount;
use crate::batching::workers::Workers;
use crate::batching::{BatchLimits, BatchShape, Failure, RowOutput, Scheduler, SchedulerSettings, SubmitOptions};
use crate::error::{Error, Reason};
use crate::model::linear::NativeRunner;
use crate::model::loaded::Model;
use crate::model::loading::Initialized;
use crate::model::loading::wide_trial::WideTrial;
use crate::model::manifest::Batch;
use crate::model::preprocess::windows::{WindowSize, Windows};
use crate::model::{Encoding, ModelInput, memory};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::model_metrics::ModelMetrics;

/// One request of so many is looked at for what its texts are like.
const SAMPLED: u32 = 16;
/// A model that takes requests.
pub struct LoadedModel {
    /// Its preprocessing and postprocessing.
    pub model: Arc<Model>,
    /// Its heads, each as a model of its own that reads the same rows; none for a model with one output.
    heads: Vec<Arc<Model>>,
    /// Turns its texts into inputs.
    pub preparation: Preparation,
    /// Cuts long texts into windows.
    windowing: Preparation,
    /// Its queue and instances.
    pub scheduler: Scheduler,
    share: CoreShare,
    pub metrics: ModelMetrics,
    /// The answer cache; absent where it is off.
    pub cache: Option<Arc<AnswerCache>>,
    /// Sends copies of its requests while another version is compared with it.
    pub mirror: RequestMirror,
    /// Counts requests, of which a sample is looked at.
    sampled: AtomicU32,
    /// The session with more threads for quiet moments, until it is opened; `None` afterwards, or where none is wanted.
    wide: Mutex<Option<WideTrial>>,
    /// Counts its expected RAM for as long as it is loaded.
    _counted: LoadedBytes,
}

/// A model that runs without ONNX Runtime may run where its texts arrive.
fn on_arrival(native: Option<NativeRunner>) -> std::io::Result<Option<OnArrival>> {
    let Some(native) = native else { return Ok(None) };
    Ok(Some(OnArrival::new(Arc::new(native), hand_over()?)))
}

/// What a loaded model gets from outside.
pub struct Surroundings {
    /// The threads that preprocess for all models.
    pub workers: Workers,
    /// The instances that were opened, and on how many cores.
    pub share: CoreShare,
    /// The most that its queue holds.
    pub room: Amount,
    pub metrics: ModelMetrics,
    /// The answer cache; absent where it is off.
    pub cache: Option<Arc<AnswerCache>>,
    /// Counts its expected RAM until dropped.
    pub counted: LoadedBytes,
}

impl LoadedModel {
    /// Starts the queue and the threads of a model. An error means that the system gives no thread.
    pub fn start(initialized: Initialized, surroundings: Surroundings) -> std::io::Result<Self> {
        let Surroundings {
            workers,
            mut share,
            room,
            metrics,
            cache,
            counted,
        } = surroundings;
        let Initialized {
            model,
            runners,
            native,
            costs,
            max_cells,
            wide,
            ..
        } = initialized;
        let limits = &model.manifest.limits;
        let settings = SchedulerSettings {
            room,
            batch: BatchLimits {
                max_rows: limits.most_texts(),
                max_cells,
                same_width: limits.batch == Some(Batch::SameLength),
            },
            max_width: model.manifest.max_token_count(),
        };
        metrics.set_queue_limit(room.rows);
        // There may be fewer than were meant, where they run on other hardware.
        share.instances.count = runners.len();
        metrics.set_instances(share.instances.count);
        let name = &model.manifest.name;
        let scheduler = Scheduler::start(name, runners, on_arrival(native)?, &costs, settings, metrics.clone())?;
        Ok(Self {
            windowing: Preparation::of_windows(Arc::clone(&model), workers.clone()),
            preparation: Preparation::new(Arc::clone(&model), workers),
            scheduler,
            share,
            heads: model.heads(),
            model,
            metrics,
            cache,
            mirror: RequestMirror::default(),
            sampled: AtomicU32::default(),
            wide: Mutex::new(wide),
            _counted: counted,
        })
    }

    /// Begins to open the session with more threads for quiet moments, unless that was begun before. Returns at once; a
    /// thread beside the instances does it, and ends with it.
    pub fn open_wide(&self) {
        let Some(wide) = self.wide.lock().take() else { return };
        let name = &self.model.manifest.name;
        let started = self.scheduler.start_beside(&format!("{name}-wide"), move |is_over| {
            wide.run(is_over);
            // What the session was made from is freed.
            memory::give_back();
        });
        if let Err(error) = started {
            tracing::warn!(model = name, %error, "there is no thread to open a session of more threads");
        }
    }

    /// Lets as many instances run at once as there are cores for, of those that were opened at the load.
    pub fn follow_cores(&self, cores: usize) {
        self.scheduler
            .set_at_once(self.share.at_once(cores), self.share.allows_wide(cores));
    }

    /// The model's outputs for the texts, from the cache where they are in it; `shared` is what several tasks of the request
    /// have in common. Refuses at once where there is no room or not enough time.
    pub async fn infer(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        shared: Option<&Arc<SharedRuns>>,
        span: &CallSpan,
    ) -> Result<ModelOutputs, Error> {
        let Some(cache) = &self.cache else {
            return self.run_shared(texts, options, shared, span).await;
        };
        let run = |texts| self.run_shared(texts, options, shared, span);
        let expected = |sizes: Vec<usize>| self.scheduler.expected(options, sizes.into_iter());
        let fingerprint = self.model.fingerprint.as_str();
        let outputs = cache
            .outputs(fingerprint, texts, options.deadline, run, expected)
            .await?;
        let (hits, rows) = (outputs.cache_hits, outputs.rows.len());
        self.metrics.cached(hits, rows - hits);
        Ok(outputs)
    }

    /// Runs the texts, but those that another task of the same request has run, or is running, on this model.
    async fn run_shared(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        shared: Option<&Arc<SharedRuns>>,
        span: &CallSpan,
    ) -> Result<ModelOutputs, Error> {
        let fingerprint = self.model.fingerprint.as_str();
        let run = |texts| self.run(texts, options, shared, span);
        let Some(rows) = shared.and_then(|shared| shared.rows(fingerprint)) else {
            return run(texts).await;
        };
        let outputs = rows.outputs(fingerprint, texts, options.deadline, run, |_| Duration::ZERO);
        Ok(ModelOutputs {
            cache_hits: 0,
            ..outputs.await?
        })
    }

    /// Runs the texts, and sends a copy to a comparison if one is under way.
    async fn run(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        shared: Option<&Arc<SharedRuns>>,
        span: &CallSpan,
    ) -> Result<ModelOutputs, Error> {
        let copied = self.mirror.keep(&texts);
        let outputs = self.run_here(texts, options, shared, span).await?;
        self.mirror.send(copied);
        Ok(outputs)
    }

    /// Holds room in the queue for texts that are about to be cut into windows. Refuses at once where there is none, or
    /// not enough time even for what one row of each takes.
    pub fn hold(&self, texts: &TextSubset, options: SubmitOptions) -> Result<Reservation, Error> {
        let ready_in = self.windowing.expected(texts.sizes(), &options);
        let held = self.scheduler.reserve_ahead(options, texts.sizes(), ready_in);
        held.map_err(|failure| self.to_error(&failure, &CallSpan::default()))
    }

    /// Cuts the texts into windows that this model and another read whole.
    pub async fn windows(
        &self,
        other: Option<Arc<Model>>,
        texts: TextSubset,
        size: WindowSize,
        options: SubmitOptions,
    ) -> Result<Vec<Windows>, Error> {
        let cut = move |model: &Model, texts: &TextSubset, at: usize| {
            let windows = model.windows(other.as_deref(), &texts.texts[at], texts.pair(at), &size);
            windows.map_err(|error| encode_error(at, error))
        };
        let (windows, took) = self.windowing.each(texts, options, cut).await?;
        self.metrics.preprocessed(took);
        Ok(windows)
    }

    /// Runs the texts without the cache, and sends no copy.
    pub async fn run_unseen(&self, texts: TextSubset, options: SubmitOptions) -> Result<ModelOutputs, Error> {
        self.run_here(texts, options, None, &CallSpan::default()).await
    }

    async fn run_here(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        shared: Option<&Arc<SharedRuns>>,
        span: &CallSpan,
    ) -> Result<ModelOutputs, Error> {
        let ready_in = self.preparation.expected(texts.sizes(), &options);
        let room = self
            .scheduler
            .reserve_ahead(options, texts.sizes(), ready_in)
            .map_err(|failure| self.to_error(&failure, span))?;
        let sizes = self.is_sampled().then(|| texts.sizes().collect::<Vec<_>>());
        let preparing = span.open("preprocess");
        let (encodings, preprocess) = self.preparation.encode(texts, options, shared.cloned()).await?;
        drop(preparing);
        self.metrics.preprocessed(preprocess);
        if let Some(sizes) = sizes {
            self.look_at(&sizes, &encodings);
        }
        let shapes: Vec<(usize, bool)> = encodings
            .iter()
            .map(|encoding| (encoding.token_count, encoding.truncated))
            .collect();
        let inputs: Vec<ModelInput> = encodings.into_iter().map(|encoding| encoding.input).collect();
        let outputs = room.traced(span).submit(inputs).await;
        let outputs = outputs.map_err(|failure| self.to_error(&failure, span))?;
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

    /// Whether this request is one of those that are looked at.
    fn is_sampled(&self) -> bool {
        self.sampled.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLED)
    }

    /// Counts what texts are like.
    fn look_at(&self, sizes: &[usize], encodings: &[Encoding]) {
        let metrics = self.metrics.inputs();
        for (&bytes, encoding) in sizes.iter().zip(encodings) {
            metrics.sized(bytes);
            metrics.read(encoding.token_count, self.model.unknown(&encoding.input));
        }
    }

    /// Runs finished inputs as one request. Refuses at once where there is no room.
    pub async fn run_inputs(&self, inputs: Vec<ModelInput>, options: SubmitOptions) -> Result<Vec<RowOutput>, Error> {
        let to_error = |failure| self.to_error(&failure, &CallSpan::default());
        let sizes = inputs.iter().map(ModelInput::width);
        let room = self.scheduler.reserve(options, sizes).map_err(to_error)?;
        room.submit(inputs).await.map_err(to_error)
    }

    /// What answers a task: the task's head, or the model itself where it has none. `None` where no head is for the task.
    pub fn of_task(&self, task: &str) -> Option<&Arc<Model>> {
        if self.heads.is_empty() {
            return Some(&self.model);
        }
        self.heads.iter().find(|head| head.manifest.task == task)
    }

    /// The expected time of a batch.
    pub fn batch_cost(&self, shape: BatchShape) -> Duration {
        self.scheduler.batch_cost(shape)
    }

    /// How many of `wanted` texts of about `size` bytes could be reserved now and done in time. May be too low: other
    /// texts may be quicker.
    pub fn admissible(&self, options: SubmitOptions, wanted: usize, size: usize) -> usize {
        let ready_in = |texts| self.preparation.expected(std::iter::repeat_n(size, texts), &options);
        self.scheduler.admissible_ahead(options, wanted, size, ready_in)
    }

    fn to_error(&self, failure: &Failure, span: &CallSpan) -> Error {
        let model = &self.model.manifest.name;
        match failure {
            Failure::QueueFull { retry_after } => {
                Error::queue_full(format!("the queue of the model `{model}` is full"), *retry_after)
            }
            Failure::DeadlineTooShort { expected } => Error::deadline_too_short(*expected),
            Failure::DeadlineExceeded => Error::deadline_exceeded(),
            Failure::Closed => Error::new(Reason::ServerDraining, "the server is shutting down"),
            Failure::Inference(problem) => {
                let (trace_id, span_id) = (span.trace_id(), span.span_id());
                tracing::error!(model, problem, trace_id, span_id, "inference failed");
                inference_failed(&self.model)
            }
        }
    }
}
