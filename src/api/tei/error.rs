//! Failures as text-embeddings-inference writes them over HTTP. Over gRPC they are Tandem's own.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::api::call::Call;
use crate::error::{Error, Reason};

#[derive(Serialize)]
struct Document<'a> {
    error: &'a str,
    error_type: &'static str,
    /// Tandem's name of the failure, which says more than the type.
    reason: &'static str,
}

/// Writes a failure.
pub fn form(error: &Error, _: &Call) -> Response {
    let (error_type, status) = kind(error.reason);
    let document = Json(Document {
        error: &error.message,
        error_type,
        reason: error.reason.name(),
    });
    // Without a status of the protocol's own the call layer sets Tandem's.
    let status = status.unwrap_or(StatusCode::OK);
    (status, document).into_response()
}

/// The type, and the status where the protocol has another than Tandem.
fn kind(reason: Reason) -> (&'static str, Option<StatusCode>) {
    match reason {
        Reason::InvalidField | Reason::MalformedMessage | Reason::InvalidUtf8 => {
            ("Validation", Some(StatusCode::UNPROCESSABLE_ENTITY))
        }
        Reason::QueueFull | Reason::RateLimited | Reason::BodiesFull => ("Overloaded", None),
        Reason::ModelLoading | Reason::ModelFailed | Reason::ServerDraining => ("Unhealthy", None),
        Reason::InferenceFailed => ("Backend", Some(StatusCode::FAILED_DEPENDENCY)),
        Reason::Internal | Reason::DeadlineExceeded | Reason::Cancelled => ("Backend", None),
        _ => ("Validation", None),
    }
}
