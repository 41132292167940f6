//! Failures on the gRPC wire: our [`Error`] as a status with google.rpc details, and the statuses that tonic makes on
//! its own put into our words.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::error::{ERROR_DOMAIN, Error, Reason};
use crate::telemetry::request_id::RequestId;

/// The metadata by which a server tells a gRPC client when to try again.
pub const PUSHBACK_METADATA: &str = "grpc-retry-pushback-ms";

/// The status for a failure, with its details; with the request's id where it is known.
pub fn to_status(error: &Error, request_id: Option<&RequestId>) -> Status {
    let mut details = ErrorDetails::new();
    let facts: HashMap<String, String> = error
        .facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    details.set_error_info(error.reason.label(), ERROR_DOMAIN, facts);
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
    if let Some(pause) = error.retry_after {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        status.metadata_mut().insert(PUSHBACK_METADATA, millis.into());
    }
    status
}

/// The failure behind a status that has no details of ours: tonic's own, told by its code and the words of its message.
pub fn from_foreign_status(code: Code, message: &str, largest_message: usize) -> Error {
    let malformed = |what: &str| Error::new(Reason::MalformedMessage, format!("the message can't be read: {what}"));
    match code {
        Code::OutOfRange | Code::ResourceExhausted => Error::message_too_large(largest_message),
        Code::Unimplemented if message.contains("compressed") => Error::new(
            Reason::UnsupportedEncoding,
            "the message's compression is not supported, the server takes gzip and identity",
        ),
        Code::Unimplemented => Error::new(Reason::MethodNotFound, "there is no such method"),
        Code::Cancelled => Error::new(Reason::Cancelled, "the call was cancelled"),
        // The request broke off: its connection was lost, by the caller or, past the grace limit of a drain, by us.
        Code::Unknown | Code::Unavailable => Error::new(Reason::Cancelled, "the connection ended within the call"),
        Code::Internal if message.contains("decompress") => malformed("its compression is broken"),
        Code::Internal if message.contains("protocol error") => malformed("its frame is broken"),
        Code::Internal if message.contains("Unexpected EOF") => malformed("it ends early"),
        Code::Internal if message.contains("Missing request message") => malformed("there is none"),
        _ => Error::internal(),
    }
}

/// The status itself where it carries details, else the status for the failure behind it.
pub fn with_details(status: Status, request_id: &RequestId, largest_message: usize) -> (Status, Option<Error>) {
    if !status.details().is_empty() {
        return (status, None);
    }
    let error = from_foreign_status(status.code(), status.message(), largest_message);
    (to_status(&error, Some(request_id)), Some(error))
}
