//! What the span of a call says of it, by OpenTelemetry's conventions for RPC and HTTP. All words are the server's own:
//! paths, messages and fields of a caller are not among them.

use std::borrow::Cow;

use http::Method;

use crate::error::Error;
use crate::telemetry::spans::{Attribute, Value, attribute};

/// What the conventions say in place of a method that nobody knows.
const OTHER: &str = "_OTHER";

/// The codes that are failures of the server's side, by the conventions for RPC.
const SERVER_FAULTS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// A call over gRPC, of a method `package.Service/Method`.
pub fn of_grpc(method: Option<String>) -> (Cow<'static, str>, Vec<Attribute>) {
    let name = method.map_or(Cow::Borrowed(OTHER), Cow::Owned);
    let attributes = vec![
        attribute("rpc.system.name", "grpc"),
        attribute("rpc.method", Value::Text(name.clone())),
    ];
    (name, attributes)
}

/// A call over HTTP, at a path of the server's own.
pub fn of_http(method: &Method, route: Option<&'static str>) -> (Cow<'static, str>, Vec<Attribute>) {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    let verb = if known.contains(method) { method.as_str() } else { OTHER }.to_owned();
    let name = route.map_or_else(|| "HTTP".to_owned(), |route| format!("{verb} {route}"));
    let mut attributes = vec![attribute("http.request.method", verb)];
    attributes.extend(route.map(|route| attribute("http.route", route)));
    (Cow::Owned(name), attributes)
}

/// How a call ended, and whether that is a failure of the server's side.
pub fn outcome(door: &'static str, request_id: &str, failure: Option<&Error>) -> (Vec<Attribute>, bool) {
    let mut attributes = vec![attribute("tandem.request_id", request_id.to_owned())];
    attributes.extend(failure.map(|error| attribute("tandem.reason", error.reason.name())));
    let (code, failed) = if door == "grpc" {
        let code = failure.map_or("OK", |error| error.reason.grpc_name());
        attributes.push(attribute("rpc.response.status_code", code));
        (code.to_owned(), SERVER_FAULTS.contains(&code))
    } else {
        let status = failure.map_or(200, |error| error.reason.http_status());
        attributes.push(attribute("http.response.status_code", usize::from(status)));
        (status.to_string(), status >= 500)
    };
    if failed {
        attributes.push(attribute("error.type", code));
    }
    (attributes, failed)
}

/// How one of the many requests of a call ended.
pub fn request_outcome(failure: Option<&Error>) -> (Vec<Attribute>, bool) {
    let code = failure.map_or("OK", |error| error.reason.grpc_name());
    let mut attributes = vec![attribute("rpc.response.status_code", code)];
    attributes.extend(failure.map(|error| attribute("tandem.reason", error.reason.name())));
    let failed = SERVER_FAULTS.contains(&code);
    if failed {
        attributes.push(attribute("error.type", code));
    }
    (attributes, failed)
}
