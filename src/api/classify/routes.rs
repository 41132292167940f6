//! The paths of `/classify`.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::post;

use super::answer::{VllmResponse, scores};
use super::error::form;
use super::request::{PipelineRequest, VllmRequest};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::field_names::renamed;
use crate::api::http::answer::{respond, with_cache_hits, written};
use crate::api::http::body::{Decoding, build, read_json_by};
use crate::api::http::peek::first_field;
use crate::api::http::route::Route;
use crate::api::offers::Offer;
use crate::error::Error;

/// The paths.
pub static TABLE: [Route; 2] = [
    Route::new("POST", "/classify", || post(classify)).of(Offer::Classify, form),
    Route::new("POST", "/v1/classify", || post(v1_classify)).of(Offer::Classify, form),
];

/// A body, by its key.
enum Body {
    Vllm(VllmRequest),
    Pipeline(PipelineRequest),
}

async fn classify(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    respond(&call, "/classify", answer(&door, &call, request)).await
}

async fn v1_classify(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    respond(&call, "/v1/classify", answer(&door, &call, request)).await
}

async fn answer(door: &Door, call: &Call, request: Request) -> Result<Response, Error> {
    let limits = door.context.limits;
    let decoding = move |json: &[u8]| match first_field(json, &["input", "inputs"]) {
        Some("inputs") => Decoding::of_texts(PipelineRequest::FIELDS, limits, |json| build(json).map(Body::Pipeline)),
        _ => Decoding::of_texts(VllmRequest::FIELDS, limits, |json| build(json).map(Body::Vllm)),
    };
    match read_json_by(&door.context, call, request, decoding).await? {
        Body::Vllm(request) => vllm(door, call, request).await,
        Body::Pipeline(request) => pipeline(door, call, request).await,
    }
}

async fn vllm(door: &Door, call: &Call, request: VllmRequest) -> Result<Response, Error> {
    let catalog = door.service.catalog();
    let asked = request.model.clone().filter(|name| !name.is_empty());
    let (target, input) = request.ask(&catalog)?;
    let output = door.answer(call, call.time(), input).await;
    let output = output.map_err(|error| renamed(error, &[("texts", "input"), ("top_k", "input")]))?;
    let hits = output.cache_hits;
    let model = asked.unwrap_or_else(|| target.name(&catalog));
    let answer = VllmResponse::new(call.request_id.as_str(), model, &target.labels(&catalog), output)?;
    Ok(with_cache_hits(written(&answer)?, hits))
}

async fn pipeline(door: &Door, call: &Call, request: PipelineRequest) -> Result<Response, Error> {
    let input = request.ask(&door.service.catalog())?;
    let output = door.answer(call, call.time(), input).await;
    let output = output.map_err(|error| renamed(error, &[("texts", "inputs"), ("top_k", "parameters.top_k")]))?;
    let hits = output.cache_hits;
    let lists: Vec<_> = output
        .predictions
        .into_iter()
        .map(|prediction| scores(prediction.scores))
        .collect();
    Ok(with_cache_hits(written(&lists)?, hits))
}
