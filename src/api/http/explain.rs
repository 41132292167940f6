//! `POST /v1/explain`: `ExplainRequest` and `ExplainResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::DOOR;
use super::body::read_json;
use super::error::{HttpError, malformed};
use crate::api::call::{Call, CancelGuard};
use crate::api::{convert, json, pb};
use crate::error::Error;
use crate::service::Service;

/// Answers one call.
pub async fn explain(State(service): State<Service>, Extension(call): Extension<Call>, request: Request) -> Response {
    let guard = CancelGuard {
        service: &service,
        call: &call,
        door: DOOR,
        method: "/v1/explain",
    };
    let answer = answer(&service, &call, request).await;
    call.finish(service.metrics(), guard.door, guard.method, answer.as_ref().map(|_| ()));
    let json = HeaderValue::from_static("application/json");
    match answer {
        Ok(body) => ([(header::CONTENT_TYPE, json)], body).into_response(),
        Err(error) => HttpError {
            error,
            call: call.clone(),
        }
        .into_response(),
    }
}

async fn answer(service: &Service, call: &Call, request: Request) -> Result<Vec<u8>, Error> {
    let body = read_json(service, call, request).await?;
    let message: pb::ExplainRequest = json::decode(&body).map_err(|error| malformed(&error))?;
    let input = convert::explain_input(message)?;
    let output = service.explain(input, call.times(service.deadlines())).await?;
    Ok(json::encode(&convert::explain_response(output)))
}
