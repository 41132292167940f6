//! `POST /v1/predict`: `PredictRequest` and `PredictResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use super::answer::{json, respond, with_cache_hits};
use super::body::{Decoding, read_json};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::json::encode;
use crate::api::pb;

pub async fn predict(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let decoding = Decoding::of_message(door.context.limits);
        let message: pb::PredictRequest = read_json(&door.context, &call, request, decoding).await?;
        let predicted = door.predict(&call, call.time(), message).await?;
        Ok(with_cache_hits(json(encode(&predicted.response)), predicted.cache_hits))
    };
    respond(&call, "/v1/predict", work).await
}
