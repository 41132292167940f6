//! HTTP's own part of the call layer: its paths, its timeout, its host, and its answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::BytesMut;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use http_body_util::BodyExt;

use super::error::{self, ErrorForm};
use super::route::Route;
use super::routes;
use super::routes::METRICS;
use crate::api::body_budget::PartOfProgram;
use crate::api::call::{Access, Call, media_type, only};
use crate::api::call_layer::{CallMethod, CallProtocol, UNKNOWN_METHOD};
use crate::api::call_spans;
use crate::api::offers::Offers;
use crate::api::orca::trailers;
use crate::api::status::to_status;
use crate::error::{Error, Reason};
use crate::telemetry::spans::Attribute;

/// The header with the time that an HTTP caller allows a request, in milliseconds.
pub static TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The same header as Connect has it.
pub static CONNECT_TIMEOUT_HEADER: HeaderName = HeaderName::from_static("connect-timeout-ms");

pub struct HttpProtocol {
    /// Where gRPC is, such as `port 50051`, for a gRPC client that looks for it here.
    pub grpc: Arc<str>,
    /// What is switched on: a path of anything else is not there, and not open to all either.
    pub offers: Offers,
}

/// What is known of a request by its path.
pub struct HttpMethod {
    /// Its route; `None` for an unknown path.
    route: Option<&'static Route>,
    /// How its failures are told; `None` for Tandem's own form. An unknown path has that of the protocol that it is most
    /// like.
    form: Option<ErrorForm>,
}

impl CallMethod for HttpMethod {
    fn name(&self) -> &'static str {
        self.route.map_or(UNKNOWN_METHOD, |route| route.path)
    }

    fn access(&self) -> Access {
        self.route.map_or(Access::Keyed, |route| route.access)
    }

    fn gives_metrics(&self) -> bool {
        self.route.is_some_and(|route| route.path == METRICS)
    }

    fn is_probe(&self) -> bool {
        self.route.is_some_and(Route::is_probe)
    }

    fn deadline(&self, call: &Call) -> Option<Instant> {
        Some(call.deadline())
    }
}

impl CallProtocol for HttpProtocol {
    const DOOR: &'static str = "http";

    type Method = HttpMethod;

    fn method(&self, request: &Request) -> HttpMethod {
        let path = request.uri().path();
        let offered = |route: &&Route| route.is_offered(&self.offers);
        let route = routes::find(request.method(), path).filter(offered);
        let like = route.or_else(|| routes::nearest(path).filter(offered));
        HttpMethod {
            route,
            form: like.and_then(|route| route.form),
        }
    }

    fn describe(&self, request: &Request, method: &HttpMethod) -> (Cow<'static, str>, Vec<Attribute>) {
        call_spans::of_http(request.method(), method.route.map(|route| route.path))
    }

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Error> {
        for name in [&TIMEOUT_HEADER, &CONNECT_TIMEOUT_HEADER] {
            if let Some(value) = only(headers, name)? {
                let millis = value.to_str().ok().and_then(|value| value.parse().ok());
                let must = || Error::invalid_field(name.as_str(), "must be a whole number of milliseconds");
                return millis
                    .map(|millis| Some(Duration::from_millis(millis)))
                    .ok_or_else(must);
            }
        }
        Ok(None)
    }

    /// Tells a gRPC client, in gRPC, that this is the wrong port.
    fn refer(&self, request: &Request, call: &Call) -> Option<(Error, Response)> {
        if !is_grpc(request.headers()) {
            return None;
        }
        let problem = format!("this is a port for HTTP with JSON; gRPC is at {}", self.grpc);
        let error = Error::new(Reason::MethodNotFound, problem);
        let status = to_status(&error, Some(&call.request_id));
        let response = status.into_http::<tonic::body::Body>().map(Body::new);
        Some((error, response))
    }

    fn check_head(&self, request: &Request) -> Result<(), Error> {
        check_host(request.version(), request.headers())
    }

    /// Leaves bodies alone: paths that take one read it themselves, counted, and within the call's time (`body.rs`). A
    /// call to another method of gRPC is told where to go.
    fn bound_body(&self, request: Request, _: &Call, method: &HttpMethod) -> Result<Request, Error> {
        if method.route.is_some() || !names_a_service(request.uri().path()) {
            return Ok(request);
        }
        let problem = format!(
            "there is no such method of Connect here; HTTP with JSON is POST /v1/predict, say, and gRPC is at {}",
            self.grpc
        );
        Err(Error::new(Reason::MethodNotFound, problem))
    }

    fn failed(&self, error: &Error, call: &Call, method: &HttpMethod) -> Response {
        match method.form {
            Some(form) => error::with_headers(error, form(error, call)),
            None => error::own_form(error, call),
        }
    }

    /// With failures in the form of their protocol, and the load report.
    async fn answered(&self, response: Response, call: &Call, method: &HttpMethod) -> (Response, Option<Error>) {
        let (mut response, failure) = Self::in_form(response, call, method).await;
        if let Some((reports, form)) = call.context.load_reports.as_ref().zip(call.load_report) {
            trailers::add_to_head(&mut response, reports, form);
        }
        (response, failure)
    }
}

impl HttpProtocol {
    /// Tells a handler's failure in the form of its protocol, so that no handler needs to know one.
    async fn in_form(response: Response, call: &Call, method: &HttpMethod) -> (Response, Option<Error>) {
        let failure = response.extensions().get::<Error>().cloned();
        let of_handler = response.extensions().get::<ErrorForm>().copied();
        let foreign = of_handler.or(method.form);
        let (Some(error), Some(form)) = (&failure, foreign) else {
            return (packed(response).await, failure);
        };
        let mut told = error::with_headers(error, form(error, call));
        // Which methods a path takes.
        if let Some(methods) = response.headers().get(header::ALLOW) {
            told.headers_mut().insert(header::ALLOW, methods.clone());
        }
        (told, failure)
    }
}

/// Whether a client speaks gRPC itself, not gRPC-Web.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers).to_ascii_lowercase();
    media_type == "application/grpc" || media_type.starts_with("application/grpc+")
}

/// Whether a path is a method's of gRPC: `/package.Service/Method`.
fn names_a_service(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .is_some_and(|(service, method)| service.contains('.') && !method.is_empty() && !method.contains('/'))
}

/// RFC 9112, section 3.2: a request names its host exactly once.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    let host = only(headers, &header::HOST)?;
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Error::invalid_field("host", "is missing"));
    }
    let named = |host: &HeaderValue| {
        let host = host.as_bytes();
        host.is_empty() || (Authority::try_from(host).is_ok() && !host.contains(&b'@'))
    };
    if host.is_none_or(named) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "host",
        "must be a host and, if it is not the usual one, a port",
    ))
}

/// Compresses an answer here and now if it is to be compressed, so that its size in bytes is known.
async fn packed(response: Response) -> Response {
    let is_there = response.extensions().get::<PartOfProgram>().is_some();
    if is_there || !response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        // So that a large answer does not keep the thread from other tasks.
        tokio::task::yield_now().await;
    }
    Response::from_parts(head, whole.freeze().into())
}
