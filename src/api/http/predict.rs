//! `POST /v1/predict`: `PredictRequest` and `PredictResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::body::{Decoding, read_json};
use super::{answered, with_cache_hits};
use crate::api::call::Call;
use crate::api::{convert, json, pb};
use crate::error::Error;
use crate::service::Service;

/// Answers one call.
pub async fn predict(State(service): State<Service>, Extension(call): Extension<Call>, request: Request) -> Response {
    answered(&service, &call, "/v1/predict", answer(&service, &call, request)).await
}

async fn answer(service: &Service, call: &Call, request: Request) -> Result<Response, Error> {
    let decoding = Decoding::of_message(service.limits());
    let message: pb::PredictRequest = read_json(service, call, request, decoding).await?;
    let input = convert::predict_input(message)?;
    call.allow(input.texts.len())?;
    let output = service.answer(input, call.times(service.deadlines())).await?;
    let hits = output.cache_hits;
    let body = json::encode(&convert::predict_response(output));
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok(with_cache_hits((content_type, body).into_response(), hits))
}
