//! Failures as Connect tells them: a code, a message, and the same details as over gRPC.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message;
use serde::Serialize;

use crate::api::call::Call;
use crate::api::status::to_status;
use crate::error::Error;

#[derive(Serialize)]
struct Failure<'a> {
    code: String,
    message: &'a str,
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    /// The name of its type.
    r#type: String,
    /// Its message: Protobuf, in base64 without padding.
    value: String,
}

/// A code as Connect spells it.
fn code(grpc: &str) -> String {
    match grpc {
        "CANCELLED" => "canceled".into(),
        other => other.to_ascii_lowercase(),
    }
}

pub fn form(error: &Error, call: &Call) -> Response {
    let status = to_status(error, Some(&call.request_id));
    let details =
        tonic_types::pb::Status::decode(status.details()).map_or_else(|_| Vec::new(), |status| status.details);
    let detail = |any: prost_types::Any| Detail {
        r#type: any.type_url.rsplit('/').next().unwrap_or_default().to_owned(),
        value: STANDARD_NO_PAD.encode(&any.value),
    };
    let failure = Failure {
        code: code(error.reason.grpc_name()),
        message: &error.message,
        details: details.into_iter().map(detail).collect(),
    };
    Json(failure).into_response()
}
