//! Connection: the life of one connection: until its peer speaks, while it is served, and how it ends.
//!
//! It ends when its peer hangs up; with its last call after it was told to go (because of the drain, its age, or
//! idleness); when a time limit passes; or when everything is cut.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::body::Body;
use governor::clock::MonotonicClock;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::authority::AuthorityFilter;
use super::call_body::{AnswerBody, CallBody};
use super::metered_io::MeteredIo;
use super::places::Place;
use super::protocol::Protocol;
use super::socket::Stream;
use crate::api::body_budget::Holder;
use crate::api::call_layer::DoorRouter;
use crate::api::caller_connection::{CallerConnection, ConnectionId};
use crate::config::Settings;
use crate::telemetry::door_metrics::Handshake;
use crate::telemetry::line_limit::LineLimit;
use crate::telemetry::metrics::Metrics;
use crate::timer::sleep_until;

/// The largest request headers that are read, in bytes. Twice what a call may have, so that most callers who send more
/// get an error that says so (`api/call.rs`).
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// The buffer for the headers of an HTTP/1 request, in bytes.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;

/// How much a peer may send on one stream before it is read, in bytes: HTTP/2's own default.
const STREAM_WINDOW: u32 = 65_535;
/// The size of the smallest message of a PredictStream, with its head: an id and a text of one byte each.
const SMALLEST_REQUEST: u32 = 13;
/// What the HTTP/2 library counts for a frame that nobody has read yet, in bytes; larger frames count their size.
const FRAME_COST: u32 = 256;
/// How many streams of a connection may be full of smallest requests at the same time.
const FULL_STREAMS: u32 = 16;
/// How much a peer may send on all streams of a connection before it is read, in bytes.
///
/// Clients put each message of a stream into a frame of its own. The overhead of small frames, as the library counts
/// it, may be half of this window; past that the library ends the connection (`too_many_data_frames`). So the windows
/// of the streams must fill up first, since a client that keeps to the protocol then waits. A stream full of smallest
/// requests costs 1.2 MB; of requests of 64 bytes, 0.2 MB.
const CONNECTION_WINDOW: u32 =
    2 * FULL_STREAMS * (STREAM_WINDOW / SMALLEST_REQUEST + 1) * (FRAME_COST - SMALLEST_REQUEST);

/// How long to wait for calls on their way, from a peer that goes away itself: some round trips.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// How long to wait for the first bytes of a peer when a drain begins: about a round trip.
const FIRST_WORDS: Duration = Duration::from_millis(100);

/// The HTTP/2 library's message when it reset more calls of a connection than it may (ENHANCE_YOUR_CALM).
const TOO_MANY_RESETS: &str = "excessive load";
// One for the process, since the log is one too.
static MALFORMED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));

/// The bounds on connections. A duration of zero means no bound, where the settings allow that.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The most open connections of a listener.
    pub max_connections: usize,
    max_streams: u32,
    handshake: Duration,
    headers: Duration,
    idle: Duration,
    age: Duration,
    age_grace: Duration,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
    max_pending_resets: usize,
    max_error_resets: usize,
    pub(super) max_rapid_resets: usize,
    max_send_buffer: usize,
    /// How long answers may wait for their reader without one of them moving.
    stuck: Duration,
}

impl From<&Settings> for ConnectionLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            max_connections: settings.max_connections,
            max_streams: settings.max_streams_per_connection,
            handshake: settings.handshake_timeout.0,
            headers: settings.header_timeout.0,
            idle: settings.idle_timeout.0,
            age: settings.max_connection_age.0,
            age_grace: settings.max_connection_age_grace.0,
            keepalive_interval: settings.keepalive_interval.0,
            keepalive_timeout: settings.keepalive_timeout.0,
            max_pending_resets: settings.max_pending_resets,
            max_error_resets: settings.max_error_resets,
            max_rapid_resets: settings.max_rapid_resets,
            max_send_buffer: settings.max_send_buffer_bytes,
            stuck: settings.max_timeout.0,
        }
    }
}

/// A connection that was accepted.
pub struct Connection {
    pub id: ConnectionId,
    pub router: DoorRouter,
    /// What its port speaks.
    pub protocol: Protocol,
    pub limits: ConnectionLimits,
    /// Does the TLS handshake; absent without TLS.
    pub tls: Option<TlsAcceptor>,
    pub metrics: Metrics,
    /// Its place at its listener.
    pub place: Place,
    /// Cancelled when its calls should finish and no others start.
    pub drain: CancellationToken,
    /// Tracks the tasks of its calls.
    pub tasks: TaskTracker,
}

/// Runs the calls of HTTP/2 connections as tracked tasks, so that the end of all of them can be awaited.
#[derive(Clone)]
struct TrackedExecutor(TaskTracker);

impl<F> hyper::rt::Executor<F> for TrackedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}

impl Connection {
    /// Serves the connection until it ends.
    pub async fn serve(self, stream: Stream) {
        let limit = self.limits.handshake;
        let Some(acceptor) = &self.tls else {
            return self.speak(stream, limit).await;
        };
        let started = Instant::now();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(limit, acceptor.accept(stream)) => shaken,
            () = self.place.sent_away() => return,
            () = self.drain.cancelled() => return,
        };
        let left = limit.saturating_sub(started.elapsed());
        let door = self.protocol.name();
        let outcome = match &shaken {
            Ok(Ok(_)) => Handshake::Done,
            Ok(Err(_)) => Handshake::Failed,
            Err(_) => Handshake::TimedOut,
        };
        self.metrics.doors().shaken(door, outcome);
        match shaken {
            Ok(Ok(stream)) => self.speak(stream, left).await,
            Ok(Err(error)) => tracing::debug!(door, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(door, "a TLS handshake took too long"),
        }
    }

    /// Serves a peer that must speak within `handshake`.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, handshake: Duration) {
        let peer = self.place.peer.clone();
        let activity = peer.activity;
        let builder = self.builder();
        let Self {
            id,
            router,
            protocol,
            limits,
            place,
            drain,
            ..
        } = self;
        let service = {
            let activity = activity.clone();
            let connection = CallerConnection {
                id,
                standing: peer.standing.clone(),
            };
            tower::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                let call = activity.begin_call();
                request.extensions_mut().insert(connection.clone());
                let multiplexed = request.version() == http::Version::HTTP_2;
                let request = request.map(|body| Body::new(CallBody::new(body, multiplexed, call.clone())));
                let answer = router.answer(request);
                async move {
                    let mut answer = answer.await;
                    let holder = answer.extensions_mut().remove::<Holder>();
                    Ok::<_, Infallible>(answer.map(|body| AnswerBody::new(body, holder, call)))
                }
            })
        };
        // At the gRPC doors, nothing uses the authority of a call.
        let authorities = protocol.is_grpc().then(AuthorityFilter::default);
        let stream = TokioIo::new(MeteredIo::new(stream, activity.clone(), authorities));
        let mut connection = pin!(builder.serve_connection(stream, TowerToHyperService::new(service)));
        let grace = tokio::select! {
            outcome = connection.as_mut() => return ended(protocol, outcome),
            () = drain.cancelled() => None,
            () = silence(&activity, handshake) => Some(limits.age_grace),
            () = old_age(limits.age) => Some(limits.age_grace),
            () = activity.idle_for(limits.idle) => Some(limits.age_grace),
            () = activity.stuck_for(limits.stuck) => return stuck(protocol),
            // A peer with admitted calls is told to go, since its next call may be on its way. Others are cut.
            () = place.sent_away() => {
                if !peer.standing.is_admitted() {
                    return;
                }
                Some(limits.age_grace)
            }
        };
        if drain.is_cancelled() && !activity.is_heard() {
            // A peer that has just connected may have sent its first call. Before it has spoken, even its HTTP version
            // is unknown: it could not be told to go, only be cut.
            tokio::select! {
                outcome = connection.as_mut() => return ended(protocol, outcome),
                () = activity.until_heard() => {}
                () = tokio::time::sleep(FIRST_WORDS) => {}
            }
        }
        // Over HTTP/2 this sends GOAWAY twice: calls on their way to us are still accepted.
        connection.as_mut().graceful_shutdown();
        // A drain has its own limit.
        let cut_at = grace.map(|grace| Instant::now() + grace);
        tokio::select! {
            outcome = connection => ended(protocol, outcome),
            () = no_more_calls(&activity) => tracing::debug!(door = protocol.name(), "a mute peer was sent away"),
            () = activity.stuck_for(limits.stuck) => stuck(protocol),
            () = sleep_until(cut_at) => tracing::debug!(door = protocol.name(), "a connection was cut after its grace"),
        }
    }

    fn builder(&self) -> auto::Builder<TrackedExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TrackedExecutor(self.tasks.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        let interval = Some(limits.keepalive_interval).filter(|interval| !interval.is_zero());
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_pending_accept_reset_streams(limits.max_pending_resets)
            .max_local_error_reset_streams(limits.max_error_resets)
            .max_send_buf_size(limits.max_send_buffer)
            .keep_alive_interval(interval)
            .keep_alive_timeout(limits.keepalive_timeout);
        builder
    }
}

/// Waits until the peer has sent nothing, or only HTTP/2's preface, for `handshake`: such a peer loses its place.
async fn silence(activity: &Activity, handshake: Duration) {
    tokio::select! {
        () = tokio::time::sleep(handshake) => {}
        () = activity.until_heard() => std::future::pending().await,
    }
}

/// Waits for `age`, plus or minus a tenth, so that connections opened together don't all return together. Zero means
/// forever.
async fn old_age(age: Duration) {
    let age = (!age.is_zero()).then(|| age.mul_f64(0.9 + 0.2 * fastrand::f64()));
    sleep_until(age.map(|age| Instant::now() + age)).await;
}

/// On a connection that was told to go: waits until there has been no call for a while. A peer that does not even
/// confirm must not hold up the end.
async fn no_more_calls(activity: &Activity) {
    tokio::time::sleep(LAST_CALLS).await;
    activity.idle_for(LAST_CALLS).await;
}

fn stuck(protocol: Protocol) {
    tracing::debug!(
        door = protocol.name(),
        "a connection was cut whose peer does not read its answers"
    );
}

fn ended(protocol: Protocol, outcome: Result<(), axum::BoxError>) {
    let Err(error) = outcome else { return };
    tracing::debug!(door = protocol.name(), %error, "a connection ended with an error");
    let mut causes = std::iter::successors(Some(&*error as &dyn Error), |&cause| cause.source());
    if causes.any(|cause| cause.to_string().contains(TOO_MANY_RESETS))
        && let Some(unlogged) = MALFORMED_LINES.take()
    {
        let unlogged = (unlogged > 0).then_some(unlogged);
        tracing::warn!(
            door = protocol.name(),
            unlogged,
            "a connection was ended: too many of its calls were reset, malformed (their :authority, say) or taken back at once"
        );
    }
}
