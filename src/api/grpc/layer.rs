//! The layer around every gRPC call: its id, its deadline, its content type, and the failures that happen before a
//! method is reached.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use tonic::{Code, Status};

use super::body::CountedBody;
use super::message::{self, Messages};
use super::methods::Method;
use super::status::{error_behind, named, to_status};
use super::{DOOR, admin, timeout};
use crate::api::call::{Access, Call, check_headers, finish_unhandled, media_type};
use crate::api::keys::Keys;
use crate::error::{Error, Reason};
use crate::service::Service;
use crate::telemetry::request_id::REQUEST_ID_HEADER;

/// A method that was reached answers at the deadline itself, and knows more; this is for those that were not.
const AFTER_DEADLINE: Duration = Duration::from_millis(200);

/// Runs one call.
pub async fn around(
    State((service, keys, http)): State<(Service, Arc<Keys>, Arc<str>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrived = Instant::now();
    let timeout = timeout::parse(request.headers());
    let method = Method::at(request.uri().path(), service.limits());
    let admitted = match method.access {
        Access::Open => Ok(None),
        Access::Keyed => keys.admit(request.headers()),
    };
    let given = timeout.as_ref().ok().copied().flatten();
    let call = Call::from_headers(&service, request.headers(), arrived, given);
    let call = call.by(
        &service,
        method.access,
        &admitted,
        request.headers(),
        request.extensions(),
    );
    if request.version() != Version::HTTP_2 {
        return refer_to_http(&service, &call, &http);
    }
    let checked = check_request(&request)
        .and(admitted.map(drop))
        .and(timeout.map(drop))
        .and_then(|()| call.check_room());
    let mut response = match checked.and_then(|()| message::compressed(request.headers())) {
        Err(error) => refuse(&service, &call, &method, &error),
        Ok(compressed) => {
            request.extensions_mut().insert(call.clone());
            let limit = unary_limit(&service, &call, &method);
            // The library gets messages uncompressed.
            request.headers_mut().remove(message::ENCODING_HEADER);
            let request = request.map(|body| {
                let body = CountedBody::new(body, &call, &method, service.deadlines());
                Body::new(Messages::new(body, &call, &method, compressed, service.limits()))
            });
            // What a handler leaves behind when it panics is dropped with it; what is shared is behind locks that bear it.
            match AssertUnwindSafe(within(limit, next.run(request))).catch_unwind().await {
                Ok(Some(response)) => reword(&service, &call, &method, response),
                Ok(None) => refuse(&service, &call, &method, &Error::deadline_exceeded()),
                Err(_) => refuse(&service, &call, &method, &Error::internal()),
            }
        }
    };
    // For the connection, which counts what of an answer waits to be read.
    response.extensions_mut().insert(call.body.holder().clone());
    let name = HeaderName::from_static(REQUEST_ID_HEADER);
    response.headers_mut().insert(name, call.request_id.header_value());
    response
}

/// Until when a call may take, its message included; nothing for streams, which set their own limits once their first message
/// is there.
fn unary_limit(service: &Service, call: &Call, method: &Method) -> Option<Instant> {
    if method.of_operators {
        return Some(admin::deadline(call) + AFTER_DEADLINE);
    }
    let unary = !method.takes_stream && !method.gives_stream;
    unary.then(|| call.times(service.deadlines()).deadline + AFTER_DEADLINE)
}

async fn within<T>(limit: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout_at(limit.into(), work).await.ok(),
        None => Some(work.await),
    }
}

fn check_request(request: &Request) -> Result<(), Error> {
    check_headers(request.headers(), request.uri().path())?;
    if request.method() != http::Method::POST {
        return Err(Error::new(Reason::MethodNotAllowed, "gRPC calls are POST requests"));
    }
    let media_type = media_type(request.headers());
    let proto = ["application/grpc", "application/grpc+proto"];
    if proto.iter().any(|proto| media_type.eq_ignore_ascii_case(proto)) {
        return Ok(());
    }
    Err(Error::new(
        Reason::UnsupportedMediaType,
        "the content type of a gRPC call is application/grpc; JSON is taken at the HTTP door",
    ))
}

/// Answers a call that is not gRPC: an HTTP status for HTTP clients, a gRPC status for the others.
fn refuse(service: &Service, call: &Call, method: &Method, error: &Error) -> Response {
    finish_unhandled(service, call, DOOR, method.name(), error);
    let mut response = into_response(to_status(error, Some(&call.request_id)));
    if matches!(error.reason, Reason::UnsupportedMediaType | Reason::MethodNotAllowed) {
        *response.status_mut() = StatusCode::from_u16(error.reason.http_status()).expect("a status of our own table");
    }
    if error.reason == Reason::UnsupportedEncoding {
        // Tells the client which compressions it may use instead.
        let accepted = HeaderValue::from_static("gzip,identity");
        response.headers_mut().insert("grpc-accept-encoding", accepted);
    }
    response
}

/// Tells a client of HTTP/1 that it came to the wrong door. gRPC is HTTP/2.
fn refer_to_http(service: &Service, call: &Call, http: &str) -> Response {
    let problem = format!("this is the gRPC port, which speaks HTTP/2; HTTP with JSON is at {http}\n");
    let error = Error::new(Reason::MethodNotAllowed, problem.trim_end());
    finish_unhandled(service, call, DOOR, "unknown", &error);
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (StatusCode::BAD_REQUEST, close, problem).into_response()
}

/// Puts a failure that tonic made on its own, before our code was reached, into our words.
fn reword(service: &Service, call: &Call, method: &Method, response: Response) -> Response {
    let headers = response.headers();
    let Some(code) = headers
        .get(Status::GRPC_STATUS)
        .map(|code| Code::from_bytes(code.as_bytes()))
    else {
        return response;
    };
    if code == Code::Ok {
        return response;
    }
    let status = Status::from_header_map(headers).unwrap_or_else(|| Status::new(code, ""));
    let error = error_behind(&status, service.limits().max_message_bytes());
    finish_unhandled(service, call, DOOR, method.name(), &error);
    if named(&status) {
        return response;
    }
    into_response(to_status(&error, Some(&call.request_id)))
}

fn into_response(status: Status) -> Response {
    status
        .into_http::<tonic::body::Body>()
        .map(axum::body::Body::new)
        .into_response()
}
