//! Failures as `OpenAI`'s API and vLLM write them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::call::Call;
use crate::error::{Error, Reason};

#[derive(Serialize)]
struct Document<'a> {
    error: Facts<'a>,
}

#[derive(Serialize)]
struct Facts<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field at fault, if one is.
    param: Option<&'a str>,
    /// The HTTP status.
    code: u16,
    /// Tandem's name of the failure, which says more than the status.
    reason: &'static str,
}

/// Writes a failure.
pub fn form(error: &Error, _: &Call) -> Response {
    let field = error.violations.first().map(|violation| violation.field.as_str());
    let of_model = matches!(error.reason, Reason::ModelNotFound | Reason::TaskNotFound).then_some("model");
    let code = error.reason.http_status();
    let facts = Facts {
        message: &error.message,
        kind: kind(code),
        param: field.or(of_model),
        code,
        reason: error.reason.name(),
    };
    Json(Document { error: facts }).into_response()
}

/// The type that clients make an exception of.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "AuthenticationError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        503 => "ServiceUnavailableError",
        500.. => "InternalServerError",
        _ => "BadRequestError",
    }
}
