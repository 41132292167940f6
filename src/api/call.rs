//! Call: what is known of a call before its message is read (its id, its arrival, its deadline), and its end: one log
//! line, one count.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use governor::clock::MonotonicClock;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use super::body_budget::{HeldBody, Holder};
use super::call_spans;
use super::door_context::{Deadlines, DoorContext};
use super::keys::KeyOwner;
use super::rate_limit::RateLimit;
use crate::error::{Error, Reason};
use crate::service::messages::{CallTimes, ClientKey, Weight};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::line_limit::LineLimit;
use crate::telemetry::request_id::{RequestId, trace_id};
use crate::telemetry::spans::Stage;

/// The response header with the number of texts that were answered from the cache; absent where the cache is off.
pub const CACHE_HITS_HEADER: &str = "x-tandem-cache-hits";

/// The connection of a request. The server adds it to each request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallerConnection {
    pub id: ConnectionId,
    pub standing: Standing,
}

/// Which connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId {
    pub number: u64,
    /// The peer, by its address.
    pub peer: ClientKey,
}

impl ConnectionId {
    /// The connection with that number, from that address. Peers without an address, over a Unix socket, count as one.
    /// Of an IPv6 address the first 64 bits count, since a machine usually has all addresses below them.
    pub fn new(number: u64, peer: Option<IpAddr>) -> Self {
        let peer = match peer.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => ClientKey::of(&address.octets()),
            Some(IpAddr::V6(address)) => ClientKey::of(&address.octets()[..8]),
            None => ClientKey::of(b"unix"),
        };
        Self { number, peer }
    }
}

/// How far the calls of a connection came. Cheap to clone.
///
/// When all places for connections are taken, it decides who makes room: connections that only asked for health go
/// before those with admitted calls, which showed a key where keys are needed.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<AtomicU8>);

impl Standing {
    const OPEN: u8 = 1;
    const ADMITTED: u8 = 2;

    /// Records a call that needs no key.
    pub fn called(&self) {
        self.0.fetch_max(Self::OPEN, Ordering::Relaxed);
    }

    /// Records an admitted call of a method that needs a key.
    pub fn admit(&self) {
        self.0.fetch_max(Self::ADMITTED, Ordering::Relaxed);
    }

    /// Whether there was any call that was not refused.
    pub fn has_called(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::OPEN
    }

    /// Whether a call of a method that needs a key was admitted.
    pub fn is_admitted(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::ADMITTED
    }
}

/// The largest headers of a call, in bytes: names, values, and 32 more for each, as HTTP/2 counts them.
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

/// The value of a header that may be given once; `None` if it is absent, an error if it is given twice.
pub fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Error::invalid_field(name.as_str(), "is given more than once")),
    }
}

/// The content type without its parameters; empty if it is absent, or given more than once.
pub fn media_type(headers: &HeaderMap) -> &str {
    let value = only(headers, &header::CONTENT_TYPE).ok().flatten();
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

/// The client, for fair shares: the value of the header that the operator chose, or else the caller's key, or else the
/// connection. A key with a weight is always one client: headers can't split it into many.
fn client_of(key: Option<&KeyOwner>, named: Option<ClientKey>, connection: u64) -> ClientKey {
    match (key, named) {
        (Some(owner), named) if owner.limits.weight.is_some() || named.is_none() => owner.client,
        (_, Some(named)) => named,
        _ => ClientKey(connection),
    }
}

/// Whether a call needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No: everybody is answered. For health.
    Open,
    /// Yes, where there are keys.
    Keyed,
}

/// When a request arrived, and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTime {
    pub arrived: Instant,
    pub deadline: Instant,
}

/// A call, before its message is read; cheap to clone.
#[derive(Clone)]
pub struct Call {
    pub(super) facts: Arc<CallFacts>,
    /// Notes what is done for it, if it is sampled.
    pub span: CallSpan,
}

/// What is known of a call.
pub struct CallFacts {
    pub request_id: RequestId,
    pub arrived: Instant,
    /// The time that its caller allows, if the headers say so.
    pub timeout: Option<Duration>,
    /// The bytes of its body, held until it is answered. Its holder also holds the answer.
    pub body: HeldBody,
    pub(super) door: &'static str,
    pub(super) context: Arc<DoorContext>,
    client: ClientKey,
    caller: ClientKey,
    weight: Weight,
    rate_limit: Option<Arc<RateLimit>>,
    trace_id: Option<String>,
    finished: AtomicBool,
}

impl Deref for Call {
    type Target = CallFacts;

    fn deref(&self) -> &CallFacts {
        &self.facts
    }
}

/// Who makes a call, as its key, its headers and its connection tell.
struct Who {
    client: ClientKey,
    caller: ClientKey,
    weight: Weight,
    rate_limit: Option<Arc<RateLimit>>,
    /// Holds its bodies.
    holder: Holder,
}

impl Who {
    /// The owner of the key that was `admitted`, if there is one. A caller that was not admitted holds bytes only like a
    /// call that needs no key.
    fn calls(
        context: &DoorContext,
        access: Access,
        admitted: &Result<Option<KeyOwner>, Error>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Self {
        let connection = extensions.get::<CallerConnection>();
        let standing = connection.map(|connection| &connection.standing);
        let peer = connection.map(|connection| connection.id.peer).unwrap_or_default();
        let connection = connection.map_or(0, |connection| connection.id.number);
        let (Access::Keyed, Ok(key)) = (access, admitted) else {
            if let (Ok(_), Some(standing)) = (admitted, standing) {
                standing.called();
            }
            return Self {
                client: ClientKey(connection),
                caller: ClientKey::default(),
                weight: Weight::default(),
                rate_limit: None,
                holder: context.bodies.open_to_all(connection),
            };
        };
        if let Some(standing) = standing {
            standing.admit();
        }
        let header = context.client_header.as_ref().and_then(|name| headers.get(name));
        let named = header.map(|value| ClientKey::of(value.as_bytes()));
        let client = client_of(key.as_ref(), named, connection);
        let weight = key.as_ref().and_then(|owner| owner.limits.weight).unwrap_or_default();
        let owner = key.as_ref().map(|owner| owner.client);
        Self {
            client,
            caller: owner.unwrap_or(peer),
            weight,
            rate_limit: key.as_ref().and_then(|owner| owner.rate_limit.clone()),
            holder: context.bodies.caller(connection, owner, named.map(|_| client), weight),
        }
    }
}

impl Call {
    /// A call at a door by its headers, with the time that its caller allows, and by the key that was `admitted`, if there
    /// is one.
    pub fn new(
        context: &Arc<DoorContext>,
        door: &'static str,
        (headers, extensions): (&HeaderMap, &Extensions),
        (arrived, timeout): (Instant, Option<Duration>),
        (access, admitted): (Access, &Result<Option<KeyOwner>, Error>),
    ) -> Self {
        let who = Who::calls(context, access, admitted, headers, extensions);
        // Whoever was not admitted, and health checks, have no spans: nobody without a key makes the server send any.
        let span = match (&context.spans, access, admitted) {
            (Some(spans), Access::Keyed, Ok(_)) => CallSpan::begin(spans, headers, arrived),
            _ => CallSpan::default(),
        };
        let facts = CallFacts {
            request_id: RequestId::from_headers(headers),
            arrived,
            timeout,
            body: HeldBody::new(who.holder),
            door,
            context: Arc::clone(context),
            client: who.client,
            caller: who.caller,
            weight: who.weight,
            rate_limit: who.rate_limit,
            trace_id: trace_id(headers).map(str::to_owned).or_else(|| span.trace_id()),
            finished: AtomicBool::new(false),
        };
        Self {
            facts: Arc::new(facts),
            span,
        }
    }

    /// The limits on the time of calls.
    pub fn deadlines(&self) -> Deadlines {
        self.context.deadlines
    }

    /// Its deadline, by what its caller allows and by the settings.
    pub fn deadline(&self) -> Instant {
        self.deadlines().deadline(self.arrived, self.timeout)
    }

    /// Its arrival and its deadline.
    pub fn time(&self) -> RequestTime {
        RequestTime {
            arrived: self.arrived,
            deadline: self.deadline(),
        }
    }

    /// Refuses a call whose caller holds its share already, of requests or of answers that it has not read.
    pub fn check_room(&self) -> Result<(), Error> {
        self.body.check_share()
    }

    /// Takes a request's texts from the rate of the caller's key. Refuses a caller that leaves answers unread. Only
    /// this gives the [`CallTimes`] that the service needs, so no door can forget it.
    pub fn take_texts(&self, texts: usize, time: RequestTime) -> Result<CallTimes, Error> {
        self.check_room()?;
        if let Some(limit) = &self.rate_limit {
            limit.take(texts)?;
        }
        let RequestTime { arrived, deadline } = time;
        self.span.add(|| Stage::new("read", arrived, Instant::now()));
        self.span.set("tandem.texts", || texts);
        Ok(CallTimes {
            arrived,
            deadline,
            client: self.client,
            caller: self.caller,
            weight: self.weight,
            span: self.span.clone(),
        })
    }

    /// Does the work of a call of `method`, and records how it ended: with an answer, an error, or a caller that went
    /// away.
    // Not an `async fn`: that would hold the work twice.
    pub fn run<'a, T: 'a>(
        &'a self,
        method: &'static str,
        work: impl Future<Output = Result<T, Error>> + 'a,
    ) -> impl Future<Output = Result<T, Error>> + 'a {
        let cancels = CancelGuard { call: self, method };
        work.map(move |outcome| {
            // The whole guard, which would else be dropped here and now.
            let cancels = cancels;
            cancels.call.finish(cancels.method, outcome.as_ref().map(|_| ()));
            outcome
        })
    }

    /// Writes the call's log line and counts it. Only the first call of this function does anything.
    pub fn finish(&self, method: &'static str, outcome: Result<(), &Error>) {
        if !self.finished.swap(true, Ordering::Relaxed) {
            record(self, method, outcome, self.arrived.elapsed());
        }
    }
}

/// Dropped without an outcome, it records the call: as cancelled if its caller went away, as failed if its handler
/// panicked.
struct CancelGuard<'a> {
    call: &'a Call,
    method: &'static str,
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        if self.call.finished.load(Ordering::Relaxed) {
            return;
        }
        let error = if std::thread::panicking() {
            Error::internal()
        } else {
            Error::new(Reason::Cancelled, "the caller went away")
        };
        self.call.finish(self.method, Err(&error));
    }
}

// One for the process, since the log is one too.
static FAILED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));
static REFUSED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));

fn record(call: &Call, method: &'static str, outcome: Result<(), &Error>, took: Duration) {
    let door = call.door;
    call.context
        .metrics
        .answered(door, method, outcome.err(), took, call.span.is());
    call.span
        .end(|| call_spans::outcome(door, call.request_id.as_str(), outcome.err()));
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let request_id = call.request_id.as_str();
    let trace_id = call.trace_id.as_deref();
    match outcome {
        Ok(()) => tracing::debug!(door, method, request_id, trace_id, took_us, "answered"),
        Err(error) => {
            let reason = error.reason.name();
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
