//! The metrics of doors: calls, health checks, refusals, connections, and the limits on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::{DURATION_BUCKETS, ExemplarFamily, observe};
use super::spans::SpanRef;
use crate::error::{Error, Reason};

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
struct DoorLabels {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    key: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HealthLabels {
    door: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    door: &'static str,
    outcome: &'static str,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    Done,
    Failed,
    TimedOut,
}

impl Handshake {
    const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::TimedOut];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The names of answers to health checks: those of `grpc.health.v1`.
pub const SERVING: &str = "SERVING";
pub const NOT_SERVING: &str = "NOT_SERVING";

/// The metrics of every door; cheap to clone.
#[derive(Clone)]
pub struct DoorMetrics {
    calls: Family<CallLabels, Counter>,
    duration: ExemplarFamily<MethodLabels>,
    inflight: Family<DoorLabels, Gauge>,
    refusals: Family<ReasonLabels, Counter>,
    of_keys: Family<KeyLabels, Counter>,
    health_checks: Family<HealthLabels, Counter>,
    connections: Family<DoorLabels, Gauge>,
    connections_limit: Family<DoorLabels, Gauge>,
    accepted: Family<DoorLabels, Counter>,
    handshakes: Family<HandshakeLabels, Counter>,
    outcomes: Arc<Outcomes>,
}

/// Requests since the start, for load reports.
#[derive(Default)]
struct Outcomes {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl DoorMetrics {
    /// The metrics, of which the refusals by reason exist from now on.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            calls: Family::default(),
            duration: Family::new_with_constructor(DURATION_BUCKETS),
            inflight: Family::default(),
            refusals: Family::default(),
            of_keys: Family::default(),
            health_checks: Family::default(),
            connections: Family::default(),
            connections_limit: Family::default(),
            accepted: Family::default(),
            handshakes: Family::default(),
            outcomes: Arc::default(),
        };
        registry.register(
            "requests",
            "Requests answered; reason is empty for success",
            metrics.calls.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request's arrival to its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "inflight_requests",
            "Calls that have no answer yet",
            metrics.inflight.clone(),
        );
        registry.register(
            "refusals",
            "Requests that were refused or failed; every reason is there from the start",
            metrics.refusals.clone(),
        );
        registry.register(
            "key_refusals",
            "Refusals and failures of requests that showed a known key, by the key's name",
            metrics.of_keys.clone(),
        );
        registry.register(
            "health_checks",
            "Answers to health checks and probes, which are no requests",
            metrics.health_checks.clone(),
        );
        metrics.register_connections(registry);
        for reason in Reason::ALL {
            let labels = ReasonLabels { reason: reason.name() };
            drop(metrics.refusals.get_or_create(&labels));
        }
        metrics
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connections_limit",
            "The most connections that may be open",
            self.connections_limit.clone(),
        );
        registry.register("connections_accepted", "Connections accepted", self.accepted.clone());
        registry.register(
            "tls_handshakes",
            "TLS handshakes, by how they ended",
            self.handshakes.clone(),
        );
    }

    /// A door opens: its series exist from now on, with the count of answers of each of these methods.
    pub fn open(&self, door: &'static str, methods: impl Iterator<Item = &'static str>) {
        drop(self.inflight.get_or_create(&DoorLabels { door }));
        for status in [SERVING, NOT_SERVING] {
            drop(self.health_checks.get_or_create(&HealthLabels { door, status }));
        }
        for method in methods {
            let labels = CallLabels {
                door,
                method,
                code: "OK",
                reason: "",
            };
            drop(self.calls.get_or_create(&labels));
        }
    }

    /// A listener opens, with so many places for connections at its door: their series exist from now on.
    pub fn listen(&self, door: &'static str, places: usize, tls: bool) {
        drop(self.connections.get_or_create(&DoorLabels { door }));
        drop(self.accepted.get_or_create(&DoorLabels { door }));
        let limit = self.connections_limit.get_or_create_owned(&DoorLabels { door });
        limit.set(i64::try_from(places).unwrap_or(i64::MAX));
        for outcome in Handshake::ALL.into_iter().filter(|_| tls) {
            let outcome = outcome.name();
            drop(self.handshakes.get_or_create(&HandshakeLabels { door, outcome }));
        }
    }

    /// Counts an answered request, and the key that it showed if it was refused. `method` is one of the server's own names
    /// and keys are those that it knows, so the labels
    /// stay bounded. `span` becomes the exemplar.
    pub fn answered(
        &self,
        (door, method): (&'static str, &'static str),
        failure: Option<&Error>,
        key: Option<&str>,
        (took, span): (Duration, Option<SpanRef>),
    ) {
        let (code, reason) = failure.map_or(("OK", ""), |error| (error.reason.grpc_name(), error.reason.name()));
        let labels = CallLabels {
            door,
            method,
            code,
            reason,
        };
        self.calls.get_or_create(&labels).inc();
        let labels = MethodLabels { door, method };
        observe(&self.duration.get_or_create(&labels), took, span);
        let Some(error) = failure else {
            self.outcomes.answered.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if error.reason.is_the_servers() {
            self.outcomes.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
        if let Some(key) = key {
            let key = key.to_owned();
            self.of_keys.get_or_create_owned(&KeyLabels { key, reason }).inc();
        }
    }

    /// How many requests were answered since the start, and how many failed through no fault of their callers.
    pub fn outcomes(&self) -> (u64, u64) {
        let Outcomes { answered, failed } = &*self.outcomes;
        (answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
    }

    /// Counts an answer to a health check.
    pub fn health_checked(&self, door: &'static str, status: &'static str) {
        self.health_checks.get_or_create(&HealthLabels { door, status }).inc();
    }

    /// Counts a call as unanswered until the guard is dropped.
    pub fn begin_call(&self, door: &'static str) -> Counted {
        Counted::new(self.inflight.get_or_create_owned(&DoorLabels { door }))
    }

    /// Counts an open connection until the guard is dropped.
    pub fn connected(&self, door: &'static str) -> Counted {
        self.accepted.get_or_create(&DoorLabels { door }).inc();
        Counted::new(self.connections.get_or_create_owned(&DoorLabels { door }))
    }

    /// Counts a TLS handshake.
    pub fn shaken(&self, door: &'static str, outcome: Handshake) {
        let outcome = outcome.name();
        self.handshakes.get_or_create(&HandshakeLabels { door, outcome }).inc();
    }
}

/// Counts one of something until it is dropped.
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
