//! Call layer: what happens around every call, whatever its protocol: who calls, whether the call is admitted, how long
//! it may take, how a failure is answered, and its log line.
//!
//! A protocol adds what is its own by [`CallProtocol`], which has no defaults. A port takes its routes only as a
//! [`DoorRouter`], and only this file makes one: a door without the layer does not compile.

use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures::FutureExt;
use futures::future::{BoxFuture, Either};
use http::{HeaderMap, StatusCode};
use tower::{Layer, Service, ServiceExt};

use super::body_budget::PartOfProgram;
use super::call::{Access, Call, check_headers};
use super::door_context::DoorContext;
use super::keys::Keys;
use crate::error::{Error, Reason};
use crate::telemetry::request_id::REQUEST_ID_HEADER;
use crate::telemetry::spans::Attribute;

/// A method that was reached answers at the deadline itself, with a better error. Calls that reached none end this much
/// later.
const AFTER_DEADLINE: Duration = Duration::from_millis(200);

/// The name of an unknown method in logs and metrics. Paths from the network never become metric labels.
pub const UNKNOWN_METHOD: &str = "unknown";

/// What the layer needs to know of a method before it is reached.
pub trait CallMethod: Send + Sync {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;
    /// Whether it needs a key.
    fn access(&self) -> Access;
    /// Whether keys that are good for metrics alone are good for it.
    fn gives_metrics(&self) -> bool;
    /// Whether it asks for health, and so counts as no request.
    fn is_probe(&self) -> bool;
    /// The deadline of a call, for its message too; `None` for streams, which bound each message.
    fn deadline(&self, call: &Call) -> Option<Instant>;
}

/// The parts of the layer that differ by protocol.
pub trait CallProtocol: Send + Sync + 'static {
    /// The name of the door in logs and metrics.
    const DOOR: &'static str;

    /// What the protocol knows of a method.
    type Method: CallMethod;

    /// The method that a request is for; for an unknown one, a method that stands for none.
    fn method(&self, request: &Request) -> Self::Method;

    /// The name of a call's span, and what the protocol tells of it. Nothing of it is the caller's own words.
    fn describe(&self, request: &Request, method: &Self::Method) -> (Cow<'static, str>, Vec<Attribute>);

    /// The time that the caller allows, if the headers say so.
    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Error>;

    /// An answer for a client of another protocol, which that client understands: it says where to go.
    fn refer(&self, request: &Request, call: &Call) -> Option<(Error, Response)>;

    /// Checks of the request's head that the protocol needs.
    fn check_head(&self, request: &Request) -> Result<(), Error>;

    /// The request with its body bounded and counted, unless its routes do that.
    fn bound_body(&self, request: Request, call: &Call, method: &Self::Method) -> Result<Request, Error>;

    /// The answer for a failure. Every failure of the layer goes through here.
    fn failed(&self, error: &Error, call: &Call, method: &Self::Method) -> Response;

    /// A route's answer as the caller gets it, and the failure that it stands for, if any.
    fn answered(
        &self,
        response: Response,
        call: &Call,
        method: &Self::Method,
    ) -> impl Future<Output = (Response, Option<Error>)> + Send;
}

/// What a port answers with, inside the layer: every path, also those that nobody knows.
pub trait Routes: Clone + Send + Sync + 'static {
    /// Answers a request that the layer has admitted.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl Routes for Router {
    async fn answer(&self, request: Request) -> Response {
        match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The routes of a port with the layer around them. Cheap to clone.
#[derive(Clone)]
pub struct DoorRouter(Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>);

impl DoorRouter {
    /// Puts the layer around `routes`.
    pub fn new<P: CallProtocol>(routes: impl Routes, protocol: P, context: Arc<DoorContext>, keys: Arc<Keys>) -> Self {
        let layer = Arc::new((
            CallLayer {
                protocol,
                context,
                keys,
            },
            routes,
        ));
        Self(Arc::new(move |request| {
            let layer = Arc::clone(&layer);
            Box::pin(async move { around(&layer.0, &layer.1, request).await })
        }))
    }

    pub fn answer(&self, request: Request) -> impl Future<Output = Response> + Send + use<> {
        (self.0)(request)
    }

    /// Both routers at one port: `other` answers the requests that `picks` picks.
    #[must_use]
    pub fn or_where(self, picks: fn(&Request) -> bool, other: Self) -> Self {
        Self(Arc::new(move |request| {
            let router = if picks(&request) { &other } else { &self };
            (router.0)(request)
        }))
    }

    /// This router with `layer` around whole calls, outside of all that is done around a call.
    #[must_use]
    pub fn within<L>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Future: Send,
    {
        let service = layer.layer(self);
        Self(Arc::new(move |request| {
            let answer = service.clone().oneshot(request);
            Box::pin(answer.map(|answer| match answer {
                Ok(response) => response,
                Err(never) => match never {},
            }))
        }))
    }
}

impl Service<Request> for DoorRouter {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin((self.0)(request).map(Ok))
    }
}

struct CallLayer<P> {
    protocol: P,
    context: Arc<DoorContext>,
    keys: Arc<Keys>,
}

/// Runs one call through every step of the layer. The order matters: each step says why it stands where it does.
async fn around<P: CallProtocol>(layer: &CallLayer<P>, routes: &impl Routes, request: Request) -> Response {
    let protocol = &layer.protocol;
    // 1. The call is known: its id, its arrival, its time, and by its key its caller. First, since every answer below
    //    names the call and counts its time from here, and since no bytes may be kept before it is known who holds them.
    let method = protocol.method(&request);
    let (call, checks) = layer.know(&request, &method);
    // 2. A client of another protocol is told where to go. Before anything can be refused, since it would not
    //    understand that.
    if let Some((error, response)) = protocol.refer(&request, &call) {
        call.finish(UNKNOWN_METHOD, Err(&error));
        return response;
    }
    let outcome = match layer.admit(request, &call, &method, checks) {
        Ok(request) => within_bounds(routes.answer(request), method.deadline(&call)).await,
        Err(error) => Err(error),
    };
    // 6. A failure becomes an answer. After everything that can fail, and before the answer is counted.
    let (mut response, failure) = match outcome {
        Ok(response) => protocol.answered(response, &call, &method).await,
        Err(error) => (protocol.failed(&error, &call, &method), Some(error)),
    };
    // 7. The call is counted and logged, unless its method has done that, which knows more.
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        call.tell_not_serving();
    }
    match failure {
        Some(error) => call.finish(method.name(), Err(&error)),
        None if method.is_probe() => call.finish(method.name(), Ok(())),
        None => {}
    }
    // 8. The answer gets the call's id and its holder. Last, so that no answer goes without them. The connection
    //    counts the bytes that wait to be read, but for those that are there in any case.
    if response.extensions().get::<PartOfProgram>().is_none() {
        response.extensions_mut().insert(call.body.holder().clone());
    }
    let name = REQUEST_ID_HEADER.clone();
    response.headers_mut().insert(name, call.request_id.header_value());
    response
}

/// The outcomes of the checks that were needed to know the call.
struct HeadChecks {
    key: Result<(), Error>,
    timeout: Result<(), Error>,
}

impl<P: CallProtocol> CallLayer<P> {
    fn know(&self, request: &Request, method: &P::Method) -> (Call, HeadChecks) {
        let arrived = Instant::now();
        let headers = request.headers();
        let (given, timeout) = match self.protocol.timeout(headers) {
            Ok(given) => (given, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let access = method.access();
        let key = match access {
            Access::Open => Ok(None),
            Access::Keyed => self.keys.admit(headers),
        };
        let head = (headers, request.extensions());
        let probe = method.is_probe();
        let call = Call::new(&self.context, P::DOOR, head, (arrived, given), (access, &key), probe);
        call.span.describe(|| self.protocol.describe(request, method));
        let key = key.and_then(|owner| match owner {
            Some(owner) if owner.limits.metrics_only && !method.gives_metrics() => {
                let problem = "this key is good for metrics alone (only=metrics)";
                Err(Error::new(Reason::KeyNotAllowed, problem))
            }
            _ => Ok(()),
        });
        (call, HeadChecks { key, timeout })
    }

    /// Admits a call, or says why not.
    fn admit(
        &self,
        mut request: Request,
        call: &Call,
        method: &P::Method,
        checks: HeadChecks,
    ) -> Result<Request, Error> {
        // 3. Cheap checks first, before any of the body is read: the head is small and as the protocol wants it, the
        //    key is known, the time can be read, and the caller leaves room to others. (Its texts are taken from the
        //    key's rate once they can be counted: `Call::take_texts`.)
        check_headers(request.headers(), request.uri().path())?;
        self.protocol.check_head(&request)?;
        checks.key?;
        checks.timeout?;
        call.check_room()?;
        // 4. The body is bounded and counted. After the call is admitted, so that a refused call costs nothing; before
        //    the route, which keeps it.
        request.extensions_mut().insert(call.clone());
        self.protocol.bound_body(request, call, method)
    }
}

/// Has a call answered by its route, within the call's time.
fn within_bounds(
    answer: impl Future<Output = Response>,
    deadline: Option<Instant>,
) -> impl Future<Output = Result<Response, Error>> {
    // 5. Time and panics are bounded, around the route and the reading of its message, so that whatever hangs or
    //    breaks there is a failure like others. After a panic the handler's own state is dropped; shared state is behind
    //    locks that survive one.
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let answer = answer.map(|answer| answer.map_err(|_| Error::internal()));
    let Some(deadline) = deadline else {
        return Either::Right(answer);
    };
    let in_time = tokio::time::timeout_at((deadline + AFTER_DEADLINE).into(), answer);
    Either::Left(in_time.map(|answer| answer.unwrap_or_else(|_| Err(Error::deadline_exceeded()))))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Version;

    use super::*;
    use crate::api::grpc::layer::GrpcProtocol;
    use crate::api::http::layer::{HttpProtocol, TIMEOUT_HEADER};
    use crate::config::Settings;
    use crate::service::limits::RequestLimits;
    use crate::telemetry::metrics::Metrics;

    fn context() -> Arc<DoorContext> {
        let limits = RequestLimits {
            max_texts: 1,
            max_text_bytes: 1,
        };
        Arc::new(DoorContext::new(&Settings::default(), limits, Metrics::new("")))
    }

    /// The same routes behind each protocol's door, with the calls that each protocol takes for them. None of the calls
    /// allows any time.
    fn doors(routes: &Router) -> [(DoorRouter, http::request::Builder); 2] {
        let keys = Arc::<Keys>::default();
        let there: Arc<str> = "elsewhere".into();
        let grpc = GrpcProtocol {
            context: context(),
            http: there.clone(),
        };
        let over_grpc = Request::post("/tandem.v1.PredictionService/Predict")
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "0n");
        let over_http = Request::post("/v1/predict")
            .header("host", "a")
            .header(&TIMEOUT_HEADER, "0");
        let over = HttpProtocol {
            grpc: there,
            offers: context().offers,
        };
        [
            (
                DoorRouter::new(routes.clone(), grpc, context(), keys.clone()),
                over_grpc,
            ),
            (DoorRouter::new(routes.clone(), over, context(), keys), over_http),
        ]
    }

    /// Checks how each door reports a reason.
    fn assert_told(response: &Response, reason: Reason) {
        let told = match response.headers().get("grpc-status") {
            Some(code) => code.to_str().expect("digits") == reason.grpc_code().to_string(),
            None => response.status().as_u16() == reason.http_status(),
        };
        assert!(told, "{response:?}");
        assert!(response.headers().contains_key(&REQUEST_ID_HEADER));
    }

    #[tokio::test]
    async fn a_route_that_never_answers_is_ended_after_the_deadline_whatever_the_protocol() {
        let routes = Router::new().fallback(std::future::pending::<()>);
        for (door, request) in doors(&routes) {
            let request = request.body(Body::empty()).expect("a request");
            let response = door.answer(request).await;
            assert_told(&response, Reason::DeadlineExceeded);
        }
    }

    #[tokio::test]
    async fn a_route_that_panics_is_answered_whatever_the_protocol() {
        async fn panics() {
            panic!("on purpose");
        }
        for (door, request) in doors(&Router::new().fallback(panics)) {
            let request = request.body(Body::empty()).expect("a request");
            let response = door.answer(request).await;
            assert_told(&response, Reason::Internal);
        }
    }
}
