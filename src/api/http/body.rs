//! Reading a request's body: its content type, its compression, its size, and the time it may take.

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::header;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::media_type;
use crate::api::call::Call;
use crate::error::{Error, Reason};
use crate::service::Service;
use crate::service::bodies::HeldBody;

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
    // What is declared is enough to refuse it; a compressed body is larger than it says.
    let declared = request.body().size_hint().lower();
    let declared = usize::try_from(declared).unwrap_or(usize::MAX);
    let limit = service.limits().max_json_bytes();
    if declared <= limit {
        call.body.check(declared)?;
    }
    let deadline = call.times(service.deadlines()).deadline;
    tokio::time::timeout_at(deadline.into(), read(request.into_body(), &call.body, limit))
        .await
        .map_err(|_| Error::deadline_exceeded())?
}

/// Reads a body whole. Its bytes are counted, decompressed, before they are kept.
async fn read(body: Body, held: &HeldBody, limit: usize) -> Result<Bytes, Error> {
    let mut body = Limited::new(body, limit);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Error::message_too_large(limit)
            } else {
                Error::new(
                    Reason::MalformedMessage,
                    "the body can't be read: its compression or its framing is broken",
                )
            }
        })?;
        if let Ok(data) = frame.into_data() {
            held.add(data.len())?;
            if whole.is_empty() && body.is_end_stream() {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
