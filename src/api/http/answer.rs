//! What the paths that answer calls have in common: the outcome of a call, its JSON, and a word on the cache.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

use super::error::HttpError;
use crate::api::call::{CACHE_HITS_HEADER, Call};
use crate::error::Error;

/// Does the work of a call of `method`, takes note of how it ended, and answers.
pub async fn respond(
    call: &Call,
    method: &'static str,
    work: impl Future<Output = Result<Response, Error>>,
) -> Response {
    let outcome = call.run(method, work).await;
    outcome.unwrap_or_else(|error| {
        let call = call.clone();
        HttpError { error, call }.into_response()
    })
}

/// A JSON document as an answer.
pub fn json(document: Vec<u8>) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (content_type, document).into_response()
}

/// Says how many texts were answered out of the cache, where there is one.
pub fn with_cache_hits(mut response: Response, hits: Option<usize>) -> Response {
    if let Some(hits) = hits {
        let name = HeaderName::from_static(CACHE_HITS_HEADER);
        response.headers_mut().insert(name, hits.into());
    }
    response
}
