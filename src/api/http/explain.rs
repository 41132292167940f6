//! `POST /v1/explain`: `ExplainRequest` and `ExplainResponse` in proto3 JSON.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use super::answer::{json, respond};
use super::body::{Decoding, read_json};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::json::encode;
use crate::api::pb;

pub async fn explain(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let decoding = Decoding::of_message(door.context.limits);
        let message: pb::ExplainRequest = read_json(&door.context, &call, request, decoding).await?;
        let explained = door.explain(&call, message).await?;
        Ok(json(encode(&explained)))
    };
    respond(&call, "/v1/explain", work).await
}
