//! Metrics, in the OpenMetrics text format at `/metrics`.
//!
//! Every label has a bounded set of values: names of models, methods, codes. Nothing from a request becomes a label.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::cascade::CascadeMetrics;
use super::histogram::{Buckets, ExemplarFamily, HistogramFamily, observe};
use super::inputs::{InputFamilies, InputMetrics};
use super::kept::KeptMetrics;
use super::process::ProcessCollector;
use super::span_metrics::SpanMetrics;
use super::spans::SpanRef;
use super::versions::VersionMetrics;
use crate::error::Error;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bounds of the buckets of durations, in seconds: from 50 µs (a fast answer) to 10 s (the default deadline).
const DURATION_BUCKETS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    door: &'static str,
    method: &'static str,
    code: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    door: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

/// All metrics of one server; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<CallLabels, Counter>,
    call_duration: ExemplarFamily<MethodLabels>,
    connections: Family<DoorLabels, Gauge>,
    accepted: Family<DoorLabels, Counter>,
    versions: VersionMetrics,
    inflight_body_bytes: Gauge,
    cores: Gauge,
    model: ModelFamilies,
    cascade: CascadeMetrics,
    kept: KeptMetrics,
    inputs: InputFamilies,
    spans: SpanMetrics,
}

#[derive(Clone)]
struct ModelFamilies {
    texts: Family<ModelLabels, Counter>,
    withheld: Family<ModelLabels, Counter>,
    queued: Family<ModelLabels, Gauge>,
    expired: Family<ModelLabels, Counter>,
    cache_hits: Family<ModelLabels, Counter>,
    cache_misses: Family<ModelLabels, Counter>,
    queue_duration: HistogramFamily<ModelLabels>,
    preprocess_duration: HistogramFamily<ModelLabels>,
    inference_duration: HistogramFamily<ModelLabels>,
    batch_rows: HistogramFamily<ModelLabels>,
    windows: HistogramFamily<ModelLabels>,
}

impl Metrics {
    /// The metrics of a server, with what it was built from.
    pub fn new(onnxruntime_version: &str) -> Self {
        let mut registry = Registry::with_prefix("tandem");
        let calls = Family::default();
        registry.register(
            "requests",
            "Requests answered, by door, method, gRPC code and reason",
            calls.clone(),
        );
        let call_duration = Family::new_with_constructor(Buckets(&DURATION_BUCKETS));
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to its answer",
            Unit::Seconds,
            call_duration.clone(),
        );
        let connections = Family::default();
        registry.register("connections", "Open connections, by door", connections.clone());
        let accepted = Family::default();
        registry.register(
            "connections_accepted",
            "Connections accepted, by door",
            accepted.clone(),
        );
        let versions = VersionMetrics::register(&mut registry);
        let inflight_body_bytes = Gauge::default();
        registry.register(
            "inflight_body_bytes",
            "Bytes of the bodies of requests that are read and worked on",
            inflight_body_bytes.clone(),
        );
        let cores = Gauge::default();
        registry.register(
            "cores",
            "Cores that the server may use, by its affinity and its control group's quota",
            cores.clone(),
        );
        let model = ModelFamilies::new();
        model.register(&mut registry);
        let cascade = CascadeMetrics::register(&mut registry);
        let kept = KeptMetrics::register(&mut registry);
        let inputs = InputFamilies::register(&mut registry);
        let spans = SpanMetrics::register(&mut registry);
        let build = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("onnxruntime", onnxruntime_version.to_owned()),
        ];
        registry.register("build", "What this server was built from", Info::new(build.to_vec()));
        registry.register_collector(Box::new(ProcessCollector));
        Self {
            registry: Arc::new(registry),
            calls,
            call_duration,
            connections,
            accepted,
            versions,
            inflight_body_bytes,
            cores,
            model,
            cascade,
            kept,
            inputs,
            spans,
        }
    }

    pub fn spans(&self) -> &SpanMetrics {
        &self.spans
    }

    pub fn versions(&self) -> &VersionMetrics {
        &self.versions
    }

    pub fn cascade(&self) -> &CascadeMetrics {
        &self.cascade
    }

    pub fn kept(&self) -> &KeptMetrics {
        &self.kept
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail; a collector that fails leaves what was written before it.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// Counts an answered request. `method` is a name of the server's own: labels stay bounded. `span` is the exemplar.
    pub fn answered(
        &self,
        door: &'static str,
        method: &'static str,
        failure: Option<&Error>,
        took: Duration,
        span: Option<SpanRef>,
    ) {
        let (code, reason) = failure.map_or(("OK", ""), |error| (error.reason.grpc_name(), error.reason.name()));
        self.calls
            .get_or_create(&CallLabels {
                door,
                method,
                code,
                reason,
            })
            .inc();
        observe(
            &self.call_duration.get_or_create(&MethodLabels { door, method }),
            took,
            span,
        );
    }

    /// Counts an open connection until the guard is dropped.
    pub fn connected(&self, door: &'static str) -> ConnectionGuard {
        let gauge = self.connections.get_or_create_owned(&DoorLabels { door });
        self.accepted.get_or_create(&DoorLabels { door }).inc();
        gauge.inc();
        ConnectionGuard { gauge }
    }

    /// The gauge of the bytes of bodies in flight.
    pub fn inflight_body_bytes(&self) -> Gauge {
        self.inflight_body_bytes.clone()
    }

    /// Sets how many cores the server may use.
    pub fn set_cores(&self, cores: usize) {
        self.cores.set(i64::try_from(cores).unwrap_or(i64::MAX));
    }

    pub fn for_model(&self, name: &str, tier: &'static str) -> ModelMetrics {
        let labels = ModelLabels {
            model: name.to_owned(),
            tier,
        };
        let families = &self.model;
        let of = OfModel {
            texts: families.texts.get_or_create_owned(&labels),
            withheld: families.withheld.get_or_create_owned(&labels),
            queued: families.queued.get_or_create_owned(&labels),
            expired: families.expired.get_or_create_owned(&labels),
            cache_hits: families.cache_hits.get_or_create_owned(&labels),
            cache_misses: families.cache_misses.get_or_create_owned(&labels),
            queue_duration: families.queue_duration.get_or_create_owned(&labels),
            preprocess_duration: families.preprocess_duration.get_or_create_owned(&labels),
            inference_duration: families.inference_duration.get_or_create_owned(&labels),
            batch_rows: families.batch_rows.get_or_create_owned(&labels),
            windows: families.windows.get_or_create_owned(&labels),
            inputs: self.inputs.for_model(name, tier),
        };
        ModelMetrics { of: Arc::new(of) }
    }
}

impl ModelFamilies {
    fn new() -> Self {
        Self {
            texts: Family::default(),
            withheld: Family::default(),
            queued: Family::default(),
            expired: Family::default(),
            cache_hits: Family::default(),
            cache_misses: Family::default(),
            queue_duration: Family::new_with_constructor(Buckets(&DURATION_BUCKETS)),
            preprocess_duration: Family::new_with_constructor(Buckets(&DURATION_BUCKETS)),
            inference_duration: Family::new_with_constructor(Buckets(&DURATION_BUCKETS)),
            batch_rows: Family::new_with_constructor(Buckets(&BATCH_BUCKETS)),
            windows: Family::new_with_constructor(Buckets(&BATCH_BUCKETS)),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("texts", "Texts answered, by model", self.texts.clone());
        registry.register(
            "withheld_texts",
            "Texts whose answer was not sure enough to be given, among those answered",
            self.withheld.clone(),
        );
        registry.register(
            "queued_texts",
            "Texts that wait for a place in a batch",
            self.queued.clone(),
        );
        registry.register(
            "expired_texts",
            "Texts dropped before they ran, because their deadline had passed",
            self.expired.clone(),
        );
        registry.register("cache_hits", "Texts answered out of the cache", self.cache_hits.clone());
        registry.register(
            "cache_misses",
            "Texts that the cache did not know",
            self.cache_misses.clone(),
        );
        registry.register("batch_texts", "Texts in a batch", self.batch_rows.clone());
        registry.register(
            "text_windows",
            "Windows of a text that was read in windows, by the model whose tokens count",
            self.windows.clone(),
        );
        for (name, help, family) in [
            (
                "queue_duration",
                "A text's wait for a place in a batch",
                &self.queue_duration,
            ),
            (
                "preprocess_duration",
                "Turning a request's texts into model inputs",
                &self.preprocess_duration,
            ),
            ("inference_duration", "One run of a model", &self.inference_duration),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
    }
}

/// Counts a connection as open until it is dropped.
pub struct ConnectionGuard {
    gauge: Gauge,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The metrics of one model; cheap to clone.
#[derive(Clone)]
pub struct ModelMetrics {
    of: Arc<OfModel>,
}

struct OfModel {
    texts: Counter,
    withheld: Counter,
    queued: Gauge,
    expired: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    queue_duration: Histogram,
    preprocess_duration: Histogram,
    inference_duration: Histogram,
    batch_rows: Histogram,
    windows: Histogram,
    inputs: InputMetrics,
}

impl ModelMetrics {
    /// Metrics that nobody reads, for schedulers outside a server.
    pub fn unregistered() -> Self {
        Metrics::new("none").for_model("none", "fast")
    }

    /// Counts rows that were dropped before they ran, because their deadline had passed.
    pub fn expired(&self, rows: usize) {
        self.of.expired.inc_by(rows as u64);
    }

    /// Counts the texts that were in the answer cache, and those that were not.
    pub fn cached(&self, hits: usize, misses: usize) {
        self.of.cache_hits.inc_by(hits as u64);
        self.of.cache_misses.inc_by(misses as u64);
    }

    /// Sets how many rows wait.
    pub fn set_queued(&self, rows: usize) {
        self.of.queued.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Adds how long a row waited for its batch.
    pub fn waited(&self, took: Duration) {
        self.of.queue_duration.observe(took.as_secs_f64());
    }

    /// Adds how long the preprocessing of a request's texts took.
    pub fn preprocessed(&self, took: Duration) {
        self.of.preprocess_duration.observe(took.as_secs_f64());
    }

    /// Adds how many rows a batch had and how long it ran.
    pub fn ran(&self, rows: usize, took: Duration) {
        self.of.batch_rows.observe(rows as f64);
        self.of.inference_duration.observe(took.as_secs_f64());
    }

    /// Adds in how many windows a text was read.
    pub fn windows(&self, windows: usize) {
        self.of.windows.observe(windows as f64);
    }

    /// The metrics of what its texts are like.
    pub fn inputs(&self) -> &InputMetrics {
        &self.of.inputs
    }

    /// Counts answered texts, of which some answers were withheld.
    pub fn answered(&self, texts: usize, withheld: usize) {
        self.of.texts.inc_by(texts as u64);
        self.of.withheld.inc_by(withheld as u64);
    }
}
