//! Reading a request's body: its content type, its compression, its size, and the time it may take.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::media_type;
use crate::api::call::Call;
use crate::error::{Error, Reason};
use crate::service::Service;

/// Reads the JSON body of a request, decompressed, within the message limit and the call's deadline.
pub async fn read_json(service: &Service, call: &Call, request: Request) -> Result<Bytes, Error> {
    let headers = request.headers();
    let media_type = media_type(headers);
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Error::new(
            Reason::UnsupportedMediaType,
            "the content type must be application/json",
        ));
    }
    // The decompression layer took off the encodings that it knows.
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Error::new(
            Reason::UnsupportedEncoding,
            "the content encoding must be gzip or identity",
        ));
    }
    let deadline = call.times(service.deadlines()).deadline;
    read(request.into_body(), service.limits().max_json_bytes(), deadline).await
}

async fn read(body: Body, limit: usize, deadline: Instant) -> Result<Bytes, Error> {
    let whole = tokio::time::timeout_at(deadline.into(), Limited::new(body, limit).collect())
        .await
        .map_err(|_| Error::deadline_exceeded())?;
    whole.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Error::message_too_large(limit)
        } else {
            Error::new(
                Reason::MalformedMessage,
                "the body can't be read: its compression or its framing is broken",
            )
        }
    })
}
