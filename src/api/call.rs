//! Call: what is known of a call before its message is read (its id, its arrival, its deadline), and its end: one log
//! line, one count.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use super::body_budget::{HeldBody, Holder};
use super::call_line::{Asked, CallLine};
use super::call_spans;
use super::caller_connection::CallerConnection;
use super::door_context::{Deadlines, DoorContext};
use super::keys::KeyOwner;
use super::orca::reports::Form;
use super::rate_limit::RateLimit;
use crate::error::{Error, Reason};
use crate::service::messages::{CallTimes, ClientKey, Weight};
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::door_metrics::Counted;
use crate::telemetry::request_id::{RequestId, trace_id};
use crate::telemetry::spans::Stage;

/// The response header with the number of texts that were answered from the cache; absent where the cache is off.
pub const CACHE_HITS_HEADER: &str = "x-tandem-cache-hits";

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
    /// The name of its key.
    pub(super) key: Option<Arc<str>>,
    peer: Option<IpAddr>,
    trace_id: Option<String>,
    /// Whether it asks for health, and so is no request.
    probe: bool,
    /// Whether the answer to such a call was that this does not serve.
    not_serving: AtomicBool,
    /// The form in which its answer carries a load report, if it does.
    pub(super) load_report: Option<Form>,
    asked: OnceLock<Asked>,
    /// How many texts it brought so far.
    texts: AtomicUsize,
    finished: AtomicBool,
    _unanswered: Counted,
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
    /// The name of its key.
    key: Option<Arc<str>>,
    peer: Option<IpAddr>,
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
        let address = connection.and_then(|connection| connection.id.address);
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
                key: None,
                peer: address,
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
            key: key.as_ref().map(|owner| Arc::clone(&owner.name)),
            peer: address,
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
        probe: bool,
    ) -> Self {
        let who = Who::calls(context, access, admitted, headers, extensions);
        // Whoever was not admitted, and health checks, have no spans: nobody without a key makes the server send any.
        let span = match (&context.spans, access, admitted) {
            (Some(spans), Access::Keyed, Ok(_)) => CallSpan::begin(spans, headers, arrived),
            _ => CallSpan::default(),
        };
        // Nobody else learns how loaded the server is.
        let load_report = match (&context.load_reports, access, admitted) {
            (Some(reports), Access::Keyed, Ok(_)) => reports.form(headers),
            _ => None,
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
            key: who.key,
            peer: who.peer,
            trace_id: trace_id(headers).map(str::to_owned).or_else(|| span.trace_id()),
            probe,
            not_serving: AtomicBool::new(false),
            load_report,
            asked: OnceLock::new(),
            texts: AtomicUsize::new(0),
            finished: AtomicBool::new(false),
            _unanswered: context.metrics.doors().begin_call(door),
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
        self.texts.fetch_add(texts, Ordering::Relaxed);
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

    /// Notes what the call asks for. Of several requests of a call the first counts.
    pub fn asks(&self, asked: Asked) {
        // It may be there already.
        let _ = self.asked.set(asked);
    }

    /// Notes that the answer to a health check is that this does not serve.
    pub fn tell_not_serving(&self) {
        self.not_serving.store(true, Ordering::Relaxed);
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
            self.line(method).write(outcome, self.arrived.elapsed());
            let (door, id) = (self.door, self.request_id.as_str());
            self.span.end(|| call_spans::outcome(door, id, outcome.err()));
        }
    }

    fn line(&self, method: &'static str) -> CallLine<'_> {
        CallLine {
            door: self.door,
            method,
            request_id: self.request_id.as_str(),
            trace_id: self.trace_id.as_deref(),
            key: self.key.as_deref(),
            peer: self.peer,
            asked: self.asked.get(),
            texts: self.texts.load(Ordering::Relaxed),
            probe: self.probe,
            not_serving: self.not_serving.load(Ordering::Relaxed),
            access_log: self.context.access_log,
            span: self.span.is(),
            doors: self.context.metrics.doors(),
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
