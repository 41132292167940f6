//! Trailers: adds the newest load report to an answer.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use tonic::Status;

use super::reports::{Form, LoadReports};

/// Adds it to an answer over gRPC: to the trailers, and so when the call ends.
pub fn add_to_grpc(mut response: Response, reports: &Arc<LoadReports>, form: Form) -> Response {
    // An answer without messages has its trailers in its head.
    if response.headers().contains_key(Status::GRPC_STATUS) {
        add_to_head(&mut response, reports, form);
        return response;
    }
    let reports = Arc::clone(reports);
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                let (name, value) = reports.header(form);
                trailers.insert(name, value);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}

/// Adds it to the head of an answer.
pub fn add_to_head(response: &mut Response, reports: &LoadReports, form: Form) {
    let (name, value) = reports.header(form);
    response.headers_mut().insert(name, value);
}
