//! Connect, at the HTTP port: calls with one message and one answer, in proto3 JSON or in Protobuf, for clients that
//! connect-web, connect-go and others generate, and for `buf curl`. Streams of Connect are not offered.
//!
//! In reading order: this table of methods → `unary` (reads a message, writes an answer) → `form` (how failures are
//! told).

mod form;
mod unary;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::post;

use super::call::Call;
use super::door::Door;
use super::http::answer::{respond, with_cache_hits};
use super::http::route::Route;
use super::offers::Offer;
use super::{convert, convert_models, pb};
use unary::{small, texts};

const PREDICT: &str = "/tandem.v1.PredictionService/Predict";
const EXPLAIN: &str = "/tandem.v1.PredictionService/Explain";
const HEALTH: &str = "/tandem.v1.PredictionService/Health";
const LIST_MODELS: &str = "/tandem.v1.ModelService/ListModels";
const GET_MODEL: &str = "/tandem.v1.ModelService/GetModel";

/// A method, at the path that it has over gRPC too.
const fn method(path: &'static str, handler: fn() -> axum::routing::MethodRouter<Door>) -> Route {
    Route::new("POST", path, handler).of(Offer::Connect, form::form)
}

pub static ROUTES: [Route; 5] = [
    method(PREDICT, || post(predict)),
    method(EXPLAIN, || post(explain)),
    method(HEALTH, || post(health)),
    method(LIST_MODELS, || post(list_models)),
    method(GET_MODEL, || post(get_model)),
];

async fn predict(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let (message, format) = texts(&door, &call, request, convert::held_by).await?;
        let predicted = door.predict(&call, call.time(), message).await?;
        Ok(with_cache_hits(
            format.answer(&predicted.response),
            predicted.cache_hits,
        ))
    };
    respond(&call, PREDICT, work).await
}

async fn explain(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let held = |message: &pb::ExplainRequest| {
            let bytes = message.texts.iter().map(String::capacity).sum();
            convert::held_bytes(message.texts.len(), bytes)
        };
        let (message, format) = texts(&door, &call, request, held).await?;
        Ok(format.answer(&door.explain(&call, message).await?))
    };
    respond(&call, EXPLAIN, work).await
}

async fn health(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let (_, format) = small::<pb::HealthRequest>(&door, &call, request).await?;
        Ok(format.answer(&convert_models::health_response(&door.service)))
    };
    respond(&call, HEALTH, work).await
}

async fn list_models(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let (message, format) = small::<pb::ListModelsRequest>(&door, &call, request).await?;
        let page = door.service.list_models(message.page_size, &message.page_token)?;
        Ok(format.answer(&convert_models::list_models_response(page)))
    };
    respond(&call, LIST_MODELS, work).await
}

async fn get_model(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let (message, format) = small::<pb::GetModelRequest>(&door, &call, request).await?;
        let found = door.service.get_model(&message.name)?;
        Ok(format.answer(&convert_models::get_model_response(found)))
    };
    respond(&call, GET_MODEL, work).await
}
