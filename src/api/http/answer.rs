//! Answers over HTTP, for all paths: the outcome of a call as JSON, and the header with the cache hits.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;

use super::error::HttpError;
use crate::api::call::{CACHE_HITS_HEADER, Call};
use crate::error::{Error, Reason};

/// Does the work of a call of `method`, records how it ended, and returns the answer.
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

/// An answer that is no message of ours, as JSON.
pub fn written(answer: &impl Serialize) -> Result<Response, Error> {
    let document = serde_json::to_vec(answer);
    let document = document.map_err(|_| Error::new(Reason::Internal, "the answer can't be written"))?;
    Ok(json(document))
}

pub fn json(document: Vec<u8>) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (content_type, document).into_response()
}

/// Adds the header with the number of texts that were answered from the cache, if there is a cache.
pub fn with_cache_hits(mut response: Response, hits: Option<usize>) -> Response {
    if let Some(hits) = hits {
        let name = HeaderName::from_static(CACHE_HITS_HEADER);
        response.headers_mut().insert(name, hits.into());
    }
    response
}
