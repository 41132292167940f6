//! The metrics of models: their texts, their queues, their runs, and what they have for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::{Buckets, DURATION_BUCKETS, HistogramFamily};
use super::inputs::{InputFamilies, InputMetrics};
use super::load::{ModelTotals, ModelWork};

const BATCH_BUCKETS: Buckets = Buckets::classic(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]);

/// The names of the priorities of a queue, the highest first.
const PRIORITIES: [&str; 3] = ["interactive", "normal", "bulk"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    model: String,
    tier: &'static str,
    priority: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    model: String,
    route: &'static str,
}

/// The metrics of every model; cheap to clone.
#[derive(Clone)]
pub struct ModelFamilies {
    texts: Family<ModelLabels, Counter>,
    withheld: Family<ModelLabels, Counter>,
    queued: Family<QueueLabels, Gauge>,
    queue_limit: Family<ModelLabels, Gauge>,
    instances: Family<ModelLabels, Gauge>,
    expired: Family<ModelLabels, Counter>,
    cache_hits: Family<ModelLabels, Counter>,
    cache_misses: Family<ModelLabels, Counter>,
    queue_duration: HistogramFamily<ModelLabels>,
    preprocess_duration: HistogramFamily<ModelLabels>,
    inference_duration: HistogramFamily<ModelLabels>,
    batch_rows: HistogramFamily<ModelLabels>,
    windows: HistogramFamily<ModelLabels>,
    answer_duration: HistogramFamily<RouteLabels>,
    inputs: InputFamilies,
    /// Every model that there was, by its name and tier.
    known: Arc<Mutex<BTreeMap<(String, &'static str), ModelMetrics>>>,
}

impl ModelFamilies {
    pub fn register(registry: &mut Registry) -> Self {
        let durations = || Family::new_with_constructor(DURATION_BUCKETS);
        let families = Self {
            texts: Family::default(),
            withheld: Family::default(),
            queued: Family::default(),
            queue_limit: Family::default(),
            instances: Family::default(),
            expired: Family::default(),
            cache_hits: Family::default(),
            cache_misses: Family::default(),
            queue_duration: durations(),
            preprocess_duration: durations(),
            inference_duration: durations(),
            batch_rows: Family::new_with_constructor(BATCH_BUCKETS),
            windows: Family::new_with_constructor(BATCH_BUCKETS),
            answer_duration: Family::new_with_constructor(DURATION_BUCKETS),
            inputs: InputFamilies::register(registry),
            known: Arc::default(),
        };
        for (name, help, family) in [
            ("texts", "Texts answered", &families.texts),
            (
                "withheld_texts",
                "Texts whose answer was not sure enough to be given, among those answered",
                &families.withheld,
            ),
            (
                "expired_texts",
                "Texts dropped from the queue because their deadline had passed",
                &families.expired,
            ),
            ("cache_hits", "Texts answered out of the cache", &families.cache_hits),
            (
                "cache_misses",
                "Texts that were not in the cache",
                &families.cache_misses,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        families.register_queues(registry);
        for (name, help, family) in [
            (
                "queue_duration",
                "A text's wait for a place in a batch",
                &families.queue_duration,
            ),
            (
                "preprocess_duration",
                "Turning a request's texts into model inputs, without the wait for a turn",
                &families.preprocess_duration,
            ),
            (
                "inference_duration",
                "One run of a model, for a batch or for the texts of one short request",
                &families.inference_duration,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        registry.register_with_unit(
            "answer_duration",
            "From a request's arrival to its answer, for requests that are answered: by the model and the route that answered; of a cascade the fast model's name",
            Unit::Seconds,
            families.answer_duration.clone(),
        );
        families
    }

    fn register_queues(&self, registry: &mut Registry) {
        registry.register(
            "queued_texts",
            "Texts that wait for a place in a batch",
            self.queued.clone(),
        );
        registry.register(
            "queue_limit_texts",
            "The most texts that a queue takes, those that run included",
            self.queue_limit.clone(),
        );
        registry.register(
            "instances",
            "Sessions that run batches at the same time; the rate of tandem_inference_duration_seconds_sum over it is their busy share",
            self.instances.clone(),
        );
        registry.register("batch_texts", "Texts in a batch", self.batch_rows.clone());
        registry.register(
            "text_windows",
            "Windows of a text that was read in windows, by the model whose tokens count",
            self.windows.clone(),
        );
    }

    /// The metrics of one model. All its series exist from now on.
    pub fn for_model(&self, name: &str, tier: &'static str) -> ModelMetrics {
        let mut known = self.known.lock();
        let of = known.entry((name.to_owned(), tier));
        of.or_insert_with(|| self.new_model(name, tier)).clone()
    }

    /// What each model did since the start.
    pub fn work(&self) -> Vec<ModelTotals> {
        let known = self.known.lock();
        let totals = known.iter().map(|((name, tier), metrics)| {
            let instances = usize::try_from(metrics.of.instances.get()).unwrap_or(0);
            ModelTotals::new(name, tier, instances, &metrics.of.work)
        });
        totals.collect()
    }

    fn new_model(&self, name: &str, tier: &'static str) -> ModelMetrics {
        let labels = ModelLabels {
            model: name.to_owned(),
            tier,
        };
        let of_route = |route| RouteLabels {
            model: name.to_owned(),
            route,
        };
        let queued = PRIORITIES.map(|priority| {
            self.queued.get_or_create_owned(&QueueLabels {
                model: name.to_owned(),
                tier,
                priority,
            })
        });
        let of = OfModel {
            texts: self.texts.get_or_create_owned(&labels),
            withheld: self.withheld.get_or_create_owned(&labels),
            queued,
            queue_limit: self.queue_limit.get_or_create_owned(&labels),
            instances: self.instances.get_or_create_owned(&labels),
            expired: self.expired.get_or_create_owned(&labels),
            cache_hits: self.cache_hits.get_or_create_owned(&labels),
            cache_misses: self.cache_misses.get_or_create_owned(&labels),
            queue_duration: self.queue_duration.get_or_create_owned(&labels),
            preprocess_duration: self.preprocess_duration.get_or_create_owned(&labels),
            inference_duration: self.inference_duration.get_or_create_owned(&labels),
            batch_rows: self.batch_rows.get_or_create_owned(&labels),
            windows: self.windows.get_or_create_owned(&labels),
            answers: self.answer_duration.get_or_create_owned(&of_route(tier)),
            cascades: (tier == "fast").then(|| self.answer_duration.get_or_create_owned(&of_route("cascade"))),
            inputs: self.inputs.for_model(name, tier),
            work: ModelWork::default(),
        };
        ModelMetrics { of: Arc::new(of) }
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
    /// By priority, the highest first.
    queued: [Gauge; 3],
    queue_limit: Gauge,
    instances: Gauge,
    expired: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    queue_duration: Histogram,
    preprocess_duration: Histogram,
    inference_duration: Histogram,
    batch_rows: Histogram,
    windows: Histogram,
    answers: Histogram,
    /// Of cascades that begin with it; absent for a deep model.
    cascades: Option<Histogram>,
    inputs: InputMetrics,
    /// For load reports.
    work: ModelWork,
}

impl ModelMetrics {
    /// Metrics that nobody reads, for schedulers outside a server.
    pub fn unregistered() -> Self {
        ModelFamilies::register(&mut Registry::default()).for_model("none", "fast")
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

    /// Sets how many rows wait, by priority, the highest first.
    pub fn set_queued(&self, rows: [usize; 3]) {
        for (gauge, rows) in self.of.queued.iter().zip(rows) {
            gauge.set(whole(rows));
        }
    }

    /// Sets the most rows that its queue takes.
    pub fn set_queue_limit(&self, rows: usize) {
        self.of.queue_limit.set(whole(rows));
    }

    /// Sets how many sessions run at once.
    pub fn set_instances(&self, instances: usize) {
        self.of.instances.set(whole(instances));
    }

    /// Adds how long a row waited for its batch.
    pub fn waited(&self, took: Duration) {
        self.of.queue_duration.observe(took.as_secs_f64());
        self.of.work.waited(took);
    }

    /// Adds how long the preprocessing of a request's texts took.
    pub fn preprocessed(&self, took: Duration) {
        self.of.preprocess_duration.observe(took.as_secs_f64());
    }

    /// Adds how many rows a batch had and how long it ran.
    pub fn ran(&self, rows: usize, took: Duration) {
        self.of.batch_rows.observe(rows as f64);
        self.of.inference_duration.observe(took.as_secs_f64());
        self.of.work.ran(took);
    }

    /// Adds how long a request took that it answered, or that a cascade answered which begins with it.
    pub fn took(&self, in_cascade: bool, took: Duration) {
        let cascades = self.of.cascades.as_ref().filter(|_| in_cascade);
        cascades.unwrap_or(&self.of.answers).observe(took.as_secs_f64());
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

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
