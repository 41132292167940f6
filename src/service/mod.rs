//! The service: what both doors call. The flow of a request is [`predict`]; no tonic, no axum, no ort in here.
//!
//! In reading order: [`bodies`] (what requests and answers may hold, and of which [`room`]) → [`types`] → [`validate`] → [`route`] → [`predict`] → [`tier`] (one model's part; out of the [`cache`],
//! if it can) → [`preparing`] (its texts, in turns) → [`cascade`] (both models' parts) → [`decide`] (what it decides, pure) → [`calibration`] (what it works
//! with) → [`observe`] and [`drift`] (what is seen of it) → [`explain`] → [`catalog`]
//! (which models there are: a [`slot`] each, and a [`task`] for what they decide) → [`start`] (loading them)
//! → [`reload`] (putting new versions in their place) → [`rollout`] (as operators say, and a share at a time) → [`failures`] and [`examine`] (which of them are broken) → [`health`] and [`models`] (what is told of them).

pub mod bodies;
pub mod cache;
pub mod calibration;
pub mod cascade;
pub mod catalog;
pub mod decide;
pub mod drift;
pub mod examine;
pub mod explain;
pub mod failures;
pub mod health;
mod loaded_line;
pub mod models;
pub mod observe;
pub mod predict;
pub mod preparing;
pub mod reload;
pub mod rollout;
pub mod room;
pub mod route;
pub mod slot;
pub mod sources;
pub mod start;
pub mod task;
pub mod tier;
pub mod types;
pub mod validate;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::batching::workers::Workers;
use crate::config::Settings;
use crate::config::bodies::{largest_json, largest_message};
use crate::error::Error;
use crate::telemetry::metrics::Metrics;
use bodies::Bodies;
use cache::AnswerCache;
use catalog::Catalog;
use health::HealthBoard;
use reload::Reloads;
use rollout::Rollouts;
use types::{CallTimes, ExplainInput, ExplainOutput, PredictInput, PredictOutput};

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: ArcSwap<Catalog>,
    limits: RequestLimits,
    deadlines: Deadlines,
    client_header: Option<String>,
    bodies: Bodies,
    cache: Option<Arc<AnswerCache>>,
    health: HealthBoard,
    reloads: Reloads,
    /// The threads that preprocess; started with the first model.
    workers: OnceLock<Workers>,
    rollouts: Rollouts,
    settings: Settings,
    metrics: Metrics,
    started_at: Instant,
}

/// The limits on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most texts.
    pub max_texts: usize,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: usize,
}

impl RequestLimits {
    /// The largest Protobuf message that a legal request can be, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        largest_message(self.max_texts, self.max_text_bytes)
    }

    /// The largest JSON document that a legal request can be, in bytes.
    pub fn max_json_bytes(&self) -> usize {
        largest_json(self.max_texts, self.max_text_bytes)
    }
}

/// How long requests may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a request that does not say.
    pub default_timeout: Duration,
    /// The longest that is kept.
    pub max_timeout: Duration,
}

impl Deadlines {
    /// The deadline of a request that arrived at `arrived` and asked for `timeout`, if it did.
    pub fn deadline(&self, arrived: Instant, timeout: Option<Duration>) -> Instant {
        arrived + timeout.unwrap_or(self.default_timeout).min(self.max_timeout)
    }
}

impl Service {
    /// A service over the models of `catalog`, none of them loaded yet.
    pub fn new(settings: &Settings, mut catalog: Catalog, metrics: Metrics) -> Self {
        let refused = std::mem::take(&mut catalog.refused);
        refused
            .keys()
            .for_each(|name| metrics.versions().set_refused(name, true));
        let limits = RequestLimits {
            max_texts: settings.max_texts,
            max_text_bytes: settings.max_text_bytes,
        };
        let deadlines = Deadlines {
            default_timeout: settings.default_timeout.0,
            max_timeout: settings.max_timeout.0,
        };
        Self {
            inner: Arc::new(Inner {
                catalog: ArcSwap::from_pointee(catalog),
                limits,
                deadlines,
                client_header: settings.client_header.clone(),
                bodies: Bodies::new(settings.room_size(), metrics.inflight_body_bytes()),
                cache: AnswerCache::new(settings.cache_bytes),
                health: HealthBoard::new(),
                reloads: Reloads::new(refused),
                workers: OnceLock::new(),
                rollouts: Rollouts::new(settings),
                settings: settings.clone(),
                metrics,
                started_at: Instant::now(),
            }),
        }
    }

    /// Answers one request, and takes note of how it ended.
    pub async fn answer(&self, input: PredictInput, times: CallTimes) -> Result<PredictOutput, Error> {
        let outcome = self.handle(input, times).await;
        self.observe(outcome.as_ref().map(|output| output.models.as_slice()), Instant::now());
        outcome
    }

    /// Explains the answers to texts, and takes note of how that ended.
    pub async fn explain(&self, input: ExplainInput, times: CallTimes) -> Result<ExplainOutput, Error> {
        let outcome = self.handle_explain(input, times).await;
        let models = outcome.as_ref().map(|output| std::slice::from_ref(&output.model));
        self.observe(models, Instant::now());
        outcome
    }

    /// The models and tasks of this moment. Whoever needs several things of it asks once: the next one may differ.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.load_full()
    }

    /// What it was set up with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The limits on one request.
    pub fn limits(&self) -> RequestLimits {
        self.inner.limits
    }

    /// How long requests may take.
    pub fn deadlines(&self) -> Deadlines {
        self.inner.deadlines
    }

    /// The header whose value tells clients apart; none if connections do.
    pub fn client_header(&self) -> Option<&str> {
        self.inner.client_header.as_deref()
    }

    /// Gives back to the system what the allocator keeps of memory that was freed. May take some milliseconds.
    pub fn give_memory_back() {
        crate::model::memory::give_back();
    }

    /// The bound on the bytes of bodies.
    pub fn bodies(&self) -> &Bodies {
        &self.inner.bodies
    }

    /// Where answers are kept; none if they are not.
    pub fn cache(&self) -> Option<Arc<AnswerCache>> {
        self.inner.cache.clone()
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Since when the service is there.
    pub fn uptime(&self) -> Duration {
        self.inner.started_at.elapsed()
    }
}
