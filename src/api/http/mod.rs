//! The HTTP door: the tutorial's `POST /predict`, `POST /v1/predict` in proto3 JSON, an OpenAPI document, and what
//! probes and dashboards ask.
//!
//! In reading order: [`body`] (reading a bounded body) → [`simple_predict`] → [`predict`] → [`mod@explain`] → [`models`] → [`mod@operations`] → [`error`].

pub mod body;
pub mod error;
pub mod explain;
pub mod models;
pub mod operations;
pub mod predict;
pub mod simple_predict;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::BytesMut;
use futures::FutureExt;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use http_body_util::BodyExt;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use super::call::{Access, CACHE_HITS_HEADER, Call, CancelGuard, check_headers, media_type, only};
use super::grpc::status::to_status;
use super::keys::Keys;
use crate::error::{Error, Reason};
use crate::service::Service;
use crate::telemetry::request_id::REQUEST_ID_HEADER;
use error::HttpError;

/// The name of this door in logs and metrics.
pub const DOOR: &str = "http";

/// The header by which an HTTP caller gives a request its time, in milliseconds.
pub const TIMEOUT_HEADER: &str = "x-request-timeout-ms";

/// Answers from this size on are compressed for clients that ask for it.
const COMPRESS_FROM_BYTES: u64 = 1024;

/// The paths, with the method that each takes.
const PATHS: [(&str, &str); 9] = [
    ("POST", "/predict"),
    ("POST", "/v1/predict"),
    ("POST", "/v1/explain"),
    ("GET", "/v1/models"),
    ("GET", MODEL_PATH),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
];

/// The one path with a name in it.
const MODEL_PATH: &str = "/v1/models/{name}";

/// What stands around the paths. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// Who may call.
    pub keys: Arc<Keys>,
    /// Where gRPC is, for a client that looks for it here: `port 50051`.
    pub grpc: Arc<str>,
}

/// The name of a path in logs and metrics. Paths from the network never become labels.
fn name_of(path: &str) -> &'static str {
    let is_model = |known| known == MODEL_PATH && path.starts_with("/v1/models/");
    let known = PATHS.iter().find(|(_, known)| *known == path || is_model(*known));
    known.map_or("unknown", |(_, name)| name)
}

/// Everything that answers on the gateway's port.
pub fn gateway(service: Service, surroundings: Surroundings) -> Router {
    let predict = Router::new()
        .route("/predict", post(simple_predict::predict))
        .route("/v1/predict", post(predict::predict))
        .route("/v1/explain", post(explain::explain));
    let told = Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}", get(models::get))
        .route("/openapi.json", get(operations::openapi));
    finish(predict.merge(told).merge(operations_routes()), service, surroundings)
}

/// What answers on the port for operators.
pub fn operations(service: Service, surroundings: Surroundings) -> Router {
    finish(operations_routes(), service, surroundings)
}

fn operations_routes() -> Router<Service> {
    Router::new()
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
}

fn finish(router: Router<Service>, service: Service, surroundings: Surroundings) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_FROM_BYTES)))
        .layer(from_fn_with_state((service.clone(), surroundings), around))
        .with_state(service)
}

/// What may be asked without a key: probes have none.
const OPEN_TO_ALL: [&str; 2] = ["/healthz", "/readyz"];

/// The layer around every call: its key, its id and its deadline.
async fn around(
    State((service, surroundings)): State<(Service, Surroundings)>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let name = name_of(request.uri().path());
    let timeout = timeout(request.headers());
    let access = match OPEN_TO_ALL.contains(&request.uri().path()) {
        true => Access::Open,
        false => Access::Keyed,
    };
    let admitted = match access {
        Access::Open => Ok(None),
        Access::Keyed => surroundings.keys.admit(request.headers()),
    };
    let given = timeout.as_ref().ok().copied().flatten();
    let call = Call::from_headers(&service, request.headers(), arrived, given);
    let call = call.by(&service, access, &admitted, request.headers(), request.extensions());
    if is_grpc(request.headers()) {
        return refer_to_grpc(&service, &call, &surroundings.grpc);
    }
    request.extensions_mut().insert(call.clone());
    let small = check_headers(request.headers(), request.uri().path());
    let addressed = check_host(request.version(), request.headers());
    let checked = small.and(addressed).and(admitted.map(drop)).and(timeout.map(drop));
    let answered = match checked.and_then(|()| call.check_room()) {
        // What a handler leaves behind when it panics is dropped with it; what is shared is behind locks that bear it.
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .map_err(|_| Error::internal()),
        Err(error) => Err(error),
    };
    let response = answered.unwrap_or_else(|error| {
        let call = call.clone();
        HttpError { error, call }.into_response()
    });
    let mut response = packed(response).await;
    // For the connection, which counts what of an answer waits to be read.
    response.extensions_mut().insert(call.body.holder().clone());
    if let Some(error) = response.extensions().get::<Error>() {
        call.finish(service.metrics(), DOOR, name, Err(error));
    }
    let name = HeaderName::from_static(REQUEST_ID_HEADER);
    response.headers_mut().insert(name, call.request_id.header_value());
    response
}

/// Whether a client speaks gRPC itself, rather than gRPC-Web.
fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers).to_ascii_lowercase();
    media_type == "application/grpc" || media_type.starts_with("application/grpc+")
}

/// Tells a gRPC client, in its own words, that it came to the wrong door.
fn refer_to_grpc(service: &Service, call: &Call, grpc: &str) -> Response {
    let error = Error::new(
        Reason::MethodNotFound,
        format!("this is a port for HTTP with JSON; gRPC is at {grpc}"),
    );
    call.finish(service.metrics(), DOOR, "unknown", Err(&error));
    let status = to_status(&error, Some(&call.request_id));
    status.into_http::<tonic::body::Body>().map(Body::new)
}

/// Packs an answer that is to be packed, so that it is one piece of memory, of a size that is known.
async fn packed(response: Response) -> Response {
    if !response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        // A large one must not keep a thread from others.
        tokio::task::yield_now().await;
    }
    Response::from_parts(head, whole.freeze().into())
}

/// RFC 9112, section 3.2: a request says once which host it is for.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    let host = only(headers, header::HOST.as_str())?;
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Error::invalid_field("host", "is missing"));
    }
    let named = |host: &HeaderValue| {
        let host = host.as_bytes();
        host.is_empty() || (Authority::try_from(host).is_ok() && !host.contains(&b'@'))
    };
    match host.is_none_or(named) {
        true => Ok(()),
        false => Err(Error::invalid_field(
            "host",
            "must be a host and, if it is not the usual one, a port",
        )),
    }
}

fn timeout(headers: &HeaderMap) -> Result<Option<std::time::Duration>, Error> {
    let Some(value) = only(headers, TIMEOUT_HEADER)? else {
        return Ok(None);
    };
    let millis = value.to_str().ok().and_then(|value| value.parse().ok());
    millis
        .map(|millis| Some(std::time::Duration::from_millis(millis)))
        .ok_or_else(|| Error::invalid_field(TIMEOUT_HEADER, "must be a whole number of milliseconds"))
}

async fn no_such_path(State(service): State<Service>, request: Request) -> HttpError {
    let paths = PATHS.map(|(method, path)| format!("{method} {path}")).join(", ");
    let problem = format!("there is no such path; a gateway has {paths}");
    refuse(&service, &request, Error::new(Reason::MethodNotFound, problem))
}

async fn method_not_allowed(State(service): State<Service>, request: Request) -> HttpError {
    refuse(
        &service,
        &request,
        Error::new(
            Reason::MethodNotAllowed,
            "this path does not take this method; see /openapi.json",
        ),
    )
}

fn refuse(service: &Service, request: &Request, error: Error) -> HttpError {
    let call = request.extensions().get::<Call>().cloned();
    let call = call.unwrap_or_else(|| Call::from_headers(service, request.headers(), Instant::now(), None));
    HttpError { error, call }
}

/// Runs one call of `method`, and takes note of how it ended: an answer, an error, or a caller who went away.
async fn answered(
    service: &Service,
    call: &Call,
    method: &'static str,
    answer: impl Future<Output = Result<Response, Error>>,
) -> Response {
    let guard = CancelGuard {
        service,
        call,
        door: DOOR,
        method,
    };
    let answer = answer.await;
    call.finish(service.metrics(), guard.door, guard.method, answer.as_ref().map(|_| ()));
    let call = call.clone();
    answer.unwrap_or_else(|error| HttpError { error, call }.into_response())
}

/// Says how many texts were answered out of the cache, where there is one.
fn with_cache_hits(mut response: Response, hits: Option<usize>) -> Response {
    if let Some(hits) = hits {
        let name = HeaderName::from_static(CACHE_HITS_HEADER);
        response.headers_mut().insert(name, hits.into());
    }
    response
}
