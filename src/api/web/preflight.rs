//! Preflights: a browser's question, before a call, whether a page of another origin may make it.
//!
//! A preflight has no key, and goes through the call layer like a call: it is bounded, counted and logged. The answer
//! lets the page call only where its origin is allowed and the path takes the method; else it is a failure without the
//! headers that browsers look for, as the Fetch standard wants it.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};
use tower::{Layer, ServiceExt};
use tower_http::cors::CorsLayer;

use crate::api::call::{Access, Call};
use crate::api::call_layer::{CallMethod, CallProtocol, DoorRouter, Routes};
use crate::api::call_spans;
use crate::api::door::Door;
use crate::api::http::error::{HttpError, own_form};
use crate::api::http::layer::HttpProtocol;
use crate::api::http::{Surroundings, routes};
use crate::api::offers::{Offer, Offers};
use crate::api::schema;
use crate::config::origins::Origins;
use crate::error::{Error, Reason};
use crate::telemetry::spans::Attribute;

/// The name of preflights in logs and metrics.
const NAME: &str = "OPTIONS";

/// Whether a request is one.
pub fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    is_options(request)
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a request asks what a path takes.
pub fn is_options(request: &Request) -> bool {
    request.method() == Method::OPTIONS
}

/// Answers preflights: `cors` writes the answers for pages of these origins.
pub fn router(door: &Door, surroundings: Surroundings, origins: &Origins, cors: CorsLayer) -> DoorRouter {
    let Surroundings { keys, grpc, .. } = surroundings;
    let offers = door.context.offers;
    let answers = Preflights {
        origins: origins.clone().into(),
        offers,
        cors,
    };
    let protocol = PreflightProtocol(HttpProtocol { grpc, offers });
    DoorRouter::new(answers, protocol, Arc::clone(&door.context), keys)
}

#[derive(Clone)]
struct Preflights {
    origins: Arc<Origins>,
    offers: Offers,
    cors: CorsLayer,
}

impl Preflights {
    /// Says why a page may not make the call that a preflight is about.
    fn check(&self, request: &Request) -> Result<(), Error> {
        let headers = request.headers();
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let wanted = wanted.and_then(|method| method.to_str().ok()).unwrap_or_default();
        let path = request.uri().path();
        let of_path = routes::all().filter(|route| route.is_offered(&self.offers) && route.matches(path));
        let mut methods: Vec<&str> = of_path.map(|route| route.method).collect();
        if self.offers.has(Offer::GrpcWeb) && schema::method(path).is_some() {
            methods.push("POST");
        }
        if methods.is_empty() {
            return Err(Error::new(Reason::MethodNotFound, "there is no such path"));
        }
        if !methods.contains(&wanted) {
            let problem = "this path does not take the method that is asked for; see /openapi.json";
            return Err(Error::new(Reason::MethodNotAllowed, problem));
        }
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        if origin.is_some_and(|origin| self.origins.has(origin)) {
            return Ok(());
        }
        let problem = "pages of this origin may not call: cors_origins names those that may";
        Err(Error::new(Reason::MethodNotAllowed, problem))
    }
}

impl Routes for Preflights {
    async fn answer(&self, request: Request) -> Response {
        let call = request.extensions().get::<Call>().cloned();
        let call = call.expect("no request gets past the call layer without");
        if let Err(error) = self.check(&request) {
            return HttpError { error, call }.into_response();
        }
        call.finish(NAME, Ok(()));
        let nothing = tower::service_fn(|_: Request| async { Ok::<_, Infallible>(Response::default()) });
        match self.cors.layer(nothing).oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// HTTP, for requests that need no key and whose failures are Tandem's own.
struct PreflightProtocol(HttpProtocol);

struct Preflight;

impl CallMethod for Preflight {
    fn gives_metrics(&self) -> bool {
        false
    }

    fn is_probe(&self) -> bool {
        false
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn access(&self) -> Access {
        Access::Open
    }

    fn deadline(&self, call: &Call) -> Option<Instant> {
        Some(call.deadline())
    }
}

impl CallProtocol for PreflightProtocol {
    const DOOR: &'static str = HttpProtocol::DOOR;

    type Method = Preflight;

    fn method(&self, _: &Request) -> Preflight {
        Preflight
    }

    fn describe(&self, request: &Request, _: &Preflight) -> (Cow<'static, str>, Vec<Attribute>) {
        call_spans::of_http(request.method(), None)
    }

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Error> {
        self.0.timeout(headers)
    }

    fn refer(&self, request: &Request, call: &Call) -> Option<(Error, Response)> {
        self.0.refer(request, call)
    }

    fn check_head(&self, request: &Request) -> Result<(), Error> {
        self.0.check_head(request)
    }

    /// Nobody reads its body.
    fn bound_body(&self, request: Request, _: &Call, _: &Preflight) -> Result<Request, Error> {
        Ok(request)
    }

    fn failed(&self, error: &Error, call: &Call, _: &Preflight) -> Response {
        own_form(error, call)
    }

    async fn answered(&self, response: Response, _: &Call, _: &Preflight) -> (Response, Option<Error>) {
        let failure = response.extensions().get::<Error>().cloned();
        (response, failure)
    }
}
