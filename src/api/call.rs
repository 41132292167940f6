//! A call: what is known before its message is read: its id, its arrival, its deadline. And its end: one log line, one
//! count.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Extensions, HeaderMap};

use crate::error::{Error, Reason};
use crate::service::types::{CallTimes, ClientKey};
use crate::service::{Deadlines, Service};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_id::{RequestId, trace_id};

/// The response header with the number of texts that were answered out of the cache; absent where there is no cache.
pub const CACHE_HITS_HEADER: &str = "x-tandem-cache-hits";

/// Which connection a request came on; the server puts it beside each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(pub u64);

/// Who asks, for fair shares: the value of the header that the operator chose, or else the caller's key, or else the
/// connection.
pub fn client_of(service: &Service, key: Option<ClientKey>, headers: &HeaderMap, extensions: &Extensions) -> ClientKey {
    if let Some(value) = service.client_header().and_then(|name| headers.get(name)) {
        let mut hasher = DefaultHasher::new();
        value.as_bytes().hash(&mut hasher);
        return ClientKey(hasher.finish());
    }
    key.unwrap_or_else(|| ClientKey(extensions.get::<ConnectionId>().map_or(0, |connection| connection.0)))
}

/// What is known of a call; cheap to clone.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub request_id: RequestId,
    /// When it arrived.
    pub arrived: Instant,
    /// The time that its caller gave it, if it said.
    pub timeout: Option<Duration>,
    /// Who asks, for fair shares.
    pub client: ClientKey,
    trace_id: Option<Arc<str>>,
    finished: Arc<AtomicBool>,
}

impl Call {
    /// Reads what the headers say, with the caller's time limit taken from them by `timeout`.
    pub fn from_headers(headers: &HeaderMap, arrived: Instant, timeout: Option<Duration>) -> Self {
        Self {
            request_id: RequestId::from_headers(headers),
            arrived,
            timeout,
            client: ClientKey::default(),
            trace_id: trace_id(headers).map(Arc::from),
            finished: Arc::default(),
        }
    }

    /// The same, asked by `client`.
    pub fn by(self, client: ClientKey) -> Self {
        Self { client, ..self }
    }

    /// The times of a request whose message is this call's.
    pub fn times(&self, deadlines: Deadlines) -> CallTimes {
        CallTimes {
            arrived: self.arrived,
            deadline: deadlines.deadline(self.arrived, self.timeout),
            client: self.client,
        }
    }

    /// Writes the call's log line and counts it; the first call of this function counts, later ones do nothing.
    pub fn finish(&self, metrics: &Metrics, door: &'static str, method: &'static str, outcome: Result<(), &Error>) {
        if self.finished.swap(true, Ordering::Relaxed) {
            return;
        }
        record(
            metrics,
            self,
            &Answered {
                door,
                method,
                outcome,
                took: self.arrived.elapsed(),
            },
        );
    }
}

struct Answered<'a> {
    door: &'static str,
    method: &'static str,
    outcome: Result<(), &'a Error>,
    took: Duration,
}

fn record(metrics: &Metrics, call: &Call, answered: &Answered<'_>) {
    let Answered {
        door,
        method,
        outcome,
        took,
    } = answered;
    metrics.answered(door, method, outcome.err(), *took);
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let request_id = call.request_id.as_str();
    let trace_id = call.trace_id.as_deref();
    match outcome {
        Ok(()) => tracing::debug!(door, method, request_id, trace_id, took_us, "answered"),
        Err(error) => {
            let reason = error.reason.label();
            if matches!(error.reason, Reason::Internal | Reason::InferenceFailed) {
                tracing::error!(door, method, request_id, trace_id, took_us, reason, "failed");
            } else {
                tracing::info!(door, method, request_id, trace_id, took_us, reason, "refused");
            }
        }
    }
}

/// Records the calls of a door that did not reach a method: their message was broken, say.
pub fn finish_unhandled(service: &Service, call: &Call, door: &'static str, method: &'static str, error: &Error) {
    call.finish(service.metrics(), door, method, Err(error));
}

/// A call whose caller went away before the answer is recorded as cancelled when this is dropped, and one whose handler
/// panics as failed.
pub struct CancelGuard<'a> {
    /// The service that counts.
    pub service: &'a Service,
    /// The call.
    pub call: &'a Call,
    /// The door that it came through.
    pub door: &'static str,
    /// Its method.
    pub method: &'static str,
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        let error = match std::thread::panicking() {
            true => Error::internal(),
            false => Error::new(Reason::Cancelled, "the caller went away"),
        };
        self.call
            .finish(self.service.metrics(), self.door, self.method, Err(&error));
    }
}
