//! `POST /v1/explain`: `ExplainRequest` and `ExplainResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::answered;
use super::body::{Decoding, read_json};
use crate::api::call::Call;
use crate::api::{convert, json, pb};
use crate::error::Error;
use crate::service::Service;

/// Answers one call.
pub async fn explain(State(service): State<Service>, Extension(call): Extension<Call>, request: Request) -> Response {
    answered(&service, &call, "/v1/explain", answer(&service, &call, request)).await
}

async fn answer(service: &Service, call: &Call, request: Request) -> Result<Response, Error> {
    let decoding = Decoding::of_message(service.limits());
    let message: pb::ExplainRequest = read_json(service, call, request, decoding).await?;
    let input = convert::explain_input(message)?;
    call.allow(input.texts.len())?;
    let output = service.explain(input, call.times(service.deadlines())).await?;
    let body = json::encode(&convert::explain_response(output));
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((content_type, body).into_response())
}
