//! Failures on the gRPC wire: our [`Error`] as a status with google.rpc details, and tonic's own statuses as our
//! errors.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::{ERROR_DOMAIN, Error, Reason};
use crate::telemetry::request_id::RequestId;

/// The metadata that tells a gRPC client how long to wait before it tries again, in milliseconds; a negative number tells
/// it not to.
pub const PUSHBACK_METADATA: &str = "grpc-retry-pushback-ms";

/// The status for a failure, with its details, and with the request's id if it is known.
pub fn to_status(error: &Error, request_id: Option<&RequestId>) -> Status {
    let mut details = ErrorDetails::new();
    let facts: HashMap<String, String> = error
        .facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    details.set_error_info(error.reason.name(), ERROR_DOMAIN, facts);
    if !error.violations.is_empty() {
        let violations = error.violations.iter().map(|violation| FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
            ..FieldViolation::default()
        });
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    if error.retry_after.is_some() {
        details.set_retry_info(error.retry_after);
    }
    if let Some(request_id) = request_id {
        details.set_request_info(request_id.as_str(), "");
    }
    let mut status =
        Status::with_error_details(Code::from_i32(error.reason.grpc_code()), error.message.clone(), details);
    match error.retry_after {
        Some(pause) => {
            let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            status.metadata_mut().insert(PUSHBACK_METADATA, millis.into());
        }
        // What is too large stays so, but clients often try this code again.
        None if status.code() == Code::ResourceExhausted => {
            status.metadata_mut().insert(PUSHBACK_METADATA, (-1).into());
        }
        None => {}
    }
    status
}

/// The same as a message, for a failure within an answer.
pub fn to_message(error: &Error, request_id: Option<&RequestId>) -> tonic_types::Status {
    let status = to_status(error, request_id);
    prost::Message::decode(status.details()).expect("the details of a status of ours are a google.rpc.Status")
}

/// The failure behind a status without our details: tonic made it, and its code tells which one it is.
pub fn from_foreign_status(code: Code, largest_message: usize) -> Error {
    match code {
        Code::OutOfRange | Code::ResourceExhausted => Error::message_too_large(largest_message),
        Code::Unimplemented => Error::new(Reason::MethodNotFound, "there is no such method"),
        Code::Cancelled => Error::new(Reason::Cancelled, "the call was cancelled"),
        // The connection was lost within the request: by the caller, or by us when a drain's grace had passed.
        Code::Unknown | Code::Unavailable => Error::new(Reason::Cancelled, "the connection ended within the call"),
        _ => Error::internal(),
    }
}

/// The failure behind any status: by our details if it has them, else by its code.
pub fn error_behind(status: &Status, largest_message: usize) -> Error {
    if status.details().is_empty() {
        return from_foreign_status(status.code(), largest_message);
    }
    let details = status.get_error_details();
    let name = details.error_info().map_or("", |info| info.reason.as_str());
    let code = i32::from(status.code());
    let ours = |reason: &Reason| reason.name() == name && reason.grpc_code() == code;
    let violations = details
        .bad_request()
        .map(|bad| &bad.field_violations[..])
        .unwrap_or_default();
    let violation = |violation: &FieldViolation| crate::error::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
    };
    Error {
        violations: violations.iter().map(violation).collect(),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
        ..Error::new(
            Reason::ALL.into_iter().find(ours).unwrap_or(Reason::Internal),
            status.message(),
        )
    }
}

/// Whether a status has the request's id. One from the codec has none, since the codec knows no call.
pub fn named(status: &Status) -> bool {
    !status.details().is_empty() && status.get_details_request_info().is_some()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_is_told_when_to_try_again_or_not_to() {
        let told = |error: &Error| {
            let status = to_status(error, None);
            let pushback = status.metadata().get(PUSHBACK_METADATA);
            pushback.map(|value| value.to_str().expect("a number").to_owned())
        };
        let full = Error::queue_full("full", Duration::from_millis(1500));
        assert_eq!(told(&full).as_deref(), Some("1500"));
        for reason in [Reason::MessageTooLarge, Reason::RateLimited] {
            assert_eq!(
                told(&Error::new(reason, "")).as_deref(),
                Some("-1"),
                "{}",
                reason.name()
            );
        }
        for reason in [Reason::InvalidField, Reason::ModelLoading, Reason::ServerDraining] {
            assert_eq!(told(&Error::new(reason, "")), None, "{}", reason.name());
        }
    }
}
