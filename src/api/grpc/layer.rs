//! gRPC's own part of the call layer: its paths, its timeout, its content type, its messages, and its answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use tonic::{Code, Status};

use super::body::CountedBody;
use super::message::{self, Messages};
use super::methods::Method;
use super::timeout;
use crate::api::call::{Call, media_type};
use crate::api::call_layer::CallProtocol;
use crate::api::call_spans;
use crate::api::door_context::DoorContext;
use crate::api::orca::trailers;
use crate::api::status::{error_behind, named, to_status};
use crate::error::{Error, Reason};
use crate::telemetry::spans::Attribute;

pub struct GrpcProtocol {
    /// What all doors share.
    pub context: Arc<DoorContext>,
    /// Where the gateway is, such as `port 5000`, for an HTTP client that looks for it here.
    pub http: Arc<str>,
}

impl CallProtocol for GrpcProtocol {
    const DOOR: &'static str = "grpc";

    type Method = Method;

    fn method(&self, request: &Request) -> Method {
        Method::at(request.uri().path(), &self.context)
    }

    fn describe(&self, _: &Request, method: &Method) -> (Cow<'static, str>, Vec<Attribute>) {
        let name = method.descriptor.map(|method| {
            let service = method.parent_service().full_name();
            format!("{service}/{}", method.name())
        });
        call_spans::of_grpc(name)
    }

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Error> {
        timeout::parse(headers)
    }

    /// gRPC needs HTTP/2.
    fn refer(&self, request: &Request, _: &Call) -> Option<(Error, Response)> {
        if request.version() == Version::HTTP_2 {
            return None;
        }
        let http = &self.http;
        let problem = format!("this is the gRPC port, which speaks HTTP/2; HTTP with JSON is at {http}");
        let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
        let response = (StatusCode::BAD_REQUEST, close, format!("{problem}\n")).into_response();
        Some((Error::new(Reason::MethodNotAllowed, problem), response))
    }

    fn check_head(&self, request: &Request) -> Result<(), Error> {
        let http = &self.http;
        if request.method() != http::Method::POST {
            let problem = format!("gRPC calls are POST requests; HTTP with JSON is at {http}");
            return Err(Error::new(Reason::MethodNotAllowed, problem));
        }
        let media_type = media_type(request.headers());
        let proto = ["application/grpc", "application/grpc+proto"];
        if proto.iter().any(|proto| media_type.eq_ignore_ascii_case(proto)) {
            return Ok(());
        }
        let problem = format!("the content type of a gRPC call is application/grpc; HTTP with JSON is at {http}");
        Err(Error::new(Reason::UnsupportedMediaType, problem))
    }

    fn bound_body(&self, mut request: Request, call: &Call, method: &Method) -> Result<Request, Error> {
        let compressed = message::compressed(request.headers())?;
        // tonic gets messages uncompressed.
        request.headers_mut().remove(&message::ENCODING_HEADER);
        Ok(request.map(|body| {
            let body = CountedBody::new(body, call, method);
            Body::new(Messages::new(body, call, method, compressed, self.context.limits))
        }))
    }

    /// An HTTP status for HTTP clients, a gRPC status for others.
    fn failed(&self, error: &Error, call: &Call, _: &Method) -> Response {
        let mut response = into_response(to_status(error, Some(&call.request_id)));
        if matches!(error.reason, Reason::UnsupportedMediaType | Reason::MethodNotAllowed) {
            let status = StatusCode::from_u16(error.reason.http_status());
            *response.status_mut() = status.expect("a status of our own table");
        }
        if error.reason == Reason::UnsupportedEncoding {
            // Tells the client which compressions it may use instead.
            let accepted = HeaderValue::from_static("gzip,identity");
            response.headers_mut().insert("grpc-accept-encoding", accepted);
        }
        response
    }

    /// With our errors, and the load report.
    async fn answered(&self, response: Response, call: &Call, _: &Method) -> (Response, Option<Error>) {
        let (response, failure) = self.with_our_errors(response, call);
        let reported = self.context.load_reports.as_ref().zip(call.load_report);
        match reported {
            Some((reports, form)) => (trailers::add_to_grpc(response, reports, form), failure),
            None => (response, failure),
        }
    }
}

impl GrpcProtocol {
    /// Replaces an error that tonic made before our code was reached by ours.
    fn with_our_errors(&self, response: Response, call: &Call) -> (Response, Option<Error>) {
        let headers = response.headers();
        let code = headers.get(Status::GRPC_STATUS);
        let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
        if code == Code::Ok {
            return (response, None);
        }
        let status = Status::from_header_map(headers).unwrap_or_else(|| Status::new(code, ""));
        let error = error_behind(&status, self.context.max_message_bytes);
        if named(&status) {
            return (response, Some(error));
        }
        (into_response(to_status(&error, Some(&call.request_id))), Some(error))
    }
}

fn into_response(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new).into_response()
}
