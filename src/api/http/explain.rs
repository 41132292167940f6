//! `POST /v1/explain`: `ExplainRequest` and `ExplainResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::answered;
use super::body::read_json;
use super::error::malformed;
use crate::api::call::Call;
use crate::api::{convert, json, pb};
use crate::error::Error;
use crate::service::Service;

/// Answers one call.
pub async fn explain(State(service): State<Service>, Extension(call): Extension<Call>, request: Request) -> Response {
    answered(&service, &call, "/v1/explain", answer(&service, &call, request)).await
}

async fn answer(service: &Service, call: &Call, request: Request) -> Result<Response, Error> {
    let body = read_json(service, call, request).await?;
    let message: pb::ExplainRequest = json::decode(&body).map_err(|error| malformed(&error))?;
    let input = convert::explain_input(message)?;
    call.allow(input.texts.len())?;
    let output = service.explain(input, call.times(service.deadlines())).await?;
    let body = json::encode(&convert::explain_response(output));
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((content_type, body).into_response())
}
