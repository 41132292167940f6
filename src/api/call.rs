//! A call: what is known before its message is read: its id, its arrival, its deadline. And its end: one log line, one
//! count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use governor::clock::MonotonicClock;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use super::allowance::Allowance;
use super::keys::KeyOwner;
use crate::error::{Error, Reason};
use crate::service::bodies::HeldBody;
use crate::service::types::{CallTimes, ClientKey, Weight};
use crate::service::{Deadlines, Service};
use crate::telemetry::line_limit::LineLimit;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::request_id::{RequestId, trace_id};

/// The response header with the number of texts that were answered out of the cache; absent where there is no cache.
pub const CACHE_HITS_HEADER: &str = "x-tandem-cache-hits";

/// Which connection a request came on; the server puts it beside each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(pub u64);

/// The largest headers of a call, in bytes: names, values, and 32 for each, as HTTP/2 counts them.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Refuses headers that are larger than the limit.
pub fn check_headers(headers: &HeaderMap, path: &str) -> Result<(), Error> {
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
    if path.len() + headers.iter().map(bytes).sum::<usize>() <= MAX_HEADER_BYTES {
        return Ok(());
    }
    let error = Error::new(
        Reason::HeadersTooLarge,
        format!("the headers are larger than the limit of {MAX_HEADER_BYTES} bytes"),
    );
    Err(error.with_fact("limit_bytes", MAX_HEADER_BYTES))
}

/// Who asks, for fair shares: the value of the header that the operator chose, or else the caller's key, or else the
/// connection. A key with a weight is one client whatever its headers say: it can't make itself many.
fn client_of(service: &Service, key: Option<&KeyOwner>, headers: &HeaderMap, extensions: &Extensions) -> ClientKey {
    let header = service.client_header().and_then(|name| headers.get(name));
    match (key, header) {
        (Some(owner), header) if owner.limits.weight.is_some() || header.is_none() => owner.client,
        (_, Some(value)) => ClientKey::of(value.as_bytes()),
        _ => ClientKey(extensions.get::<ConnectionId>().map_or(0, |connection| connection.0)),
    }
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
    /// The bytes of its body, held until it is answered.
    pub body: Arc<HeldBody>,
    client: ClientKey,
    weight: Weight,
    allowance: Option<Arc<Allowance>>,
    trace_id: Option<Arc<str>>,
    finished: Arc<AtomicBool>,
}

impl Call {
    /// Reads what the headers say, with the caller's time limit taken from them by `timeout`.
    pub fn from_headers(service: &Service, headers: &HeaderMap, arrived: Instant, timeout: Option<Duration>) -> Self {
        Self {
            request_id: RequestId::from_headers(headers),
            arrived,
            timeout,
            body: Arc::new(HeldBody::new(service.bodies().clone())),
            client: ClientKey::default(),
            weight: Weight::default(),
            allowance: None,
            trace_id: trace_id(headers).map(Arc::from),
            finished: Arc::default(),
        }
    }

    /// The same, with whoever asks: the owner of `key`, if there is one.
    pub fn by(self, service: &Service, key: Option<KeyOwner>, headers: &HeaderMap, extensions: &Extensions) -> Self {
        Self {
            client: client_of(service, key.as_ref(), headers, extensions),
            weight: key.as_ref().and_then(|owner| owner.limits.weight).unwrap_or_default(),
            allowance: key.and_then(|owner| owner.allowance),
            ..self
        }
    }

    /// Takes a request's texts out of what the caller's key may send.
    pub fn allow(&self, texts: usize) -> Result<(), Error> {
        self.allowance
            .as_ref()
            .map_or(Ok(()), |allowance| allowance.take(texts))
    }

    /// The times of a request whose message is this call's.
    pub fn times(&self, deadlines: Deadlines) -> CallTimes {
        self.times_until(self.arrived, deadlines.deadline(self.arrived, self.timeout))
    }

    /// The times of a request of this call that arrived and ends when it says.
    pub fn times_until(&self, arrived: Instant, deadline: Instant) -> CallTimes {
        CallTimes {
            arrived,
            deadline,
            client: self.client,
            weight: self.weight,
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

// The log is the process's, and so are the bounds on its lines.
static FAILED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));
static REFUSED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));

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
            let failed = matches!(error.reason, Reason::Internal | Reason::InferenceFailed);
            let lines = if failed { &FAILED_LINES } else { &REFUSED_LINES };
            let Some(unlogged) = lines.take() else {
                tracing::debug!(door, method, request_id, trace_id, took_us, reason, "not answered");
                return;
            };
            let unlogged = (unlogged > 0).then_some(unlogged);
            if failed {
                tracing::error!(door, method, request_id, trace_id, took_us, reason, unlogged, "failed");
            } else {
                tracing::info!(door, method, request_id, trace_id, took_us, reason, unlogged, "refused");
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
