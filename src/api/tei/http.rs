//! The HTTP paths of text-embeddings-inference. `POST /predict` is the tutorial's too: `http/simple_predict.rs` tells
//! their bodies apart and calls [`answer`].

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::answer::{Cost, characters};
use super::error::form;
use super::info::Info;
use super::request::{HTTP_FIELD_NAMES, TeiRequest};
use crate::api::call::Call;
use crate::api::classify::answer::scores;
use crate::api::door::Door;
use crate::api::field_names::renamed;
use crate::api::http::answer::{respond, with_cache_hits, written};
use crate::api::http::body::{Decoding, build, read_json};
use crate::api::http::route::Route;
use crate::api::offers::Offer;
use crate::error::{Error, Reason};
use crate::service::catalog::health::ServingState;

/// The paths, without `/predict`.
pub static TABLE: [Route; 3] = [
    Route::new("POST", "/", || post(predict)).of(Offer::TextEmbeddingsInference, form),
    Route::new("GET", "/info", || get(info)).of(Offer::TextEmbeddingsInference, form),
    Route::new("GET", "/health", || get(health))
        .of(Offer::TextEmbeddingsInference, form)
        .open_to_all(),
];

/// `POST /`: the same as `/predict`, for clients that know a server's address only.
async fn predict(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let decoding = Decoding::of_texts(TeiRequest::FIELDS, door.context.limits, build);
        let request = read_json(&door.context, &call, request, decoding).await?;
        answer(&door, &call, request).await
    };
    respond(&call, "/", work).await
}

/// Answers a body with `inputs`: a list of scores for one text or pair, a list of such lists for a batch.
pub async fn answer(door: &Door, call: &Call, request: TeiRequest) -> Result<Response, Error> {
    let is_single = request.is_single();
    let input = request.ask()?;
    let characters = characters(&input);
    let output = door.answer(call, call.time(), input).await;
    let output = output.map_err(|error| renamed(error, &HTTP_FIELD_NAMES))?;
    let (hits, cost) = (output.cache_hits, Cost::new(characters, &output));
    let mut lists = output
        .predictions
        .into_iter()
        .map(|prediction| scores(prediction.scores));
    let response = match (is_single, lists.next()) {
        (true, Some(only)) => written(&only)?,
        (_, first) => written(&first.into_iter().chain(lists).collect::<Vec<_>>())?,
    };
    Ok(with_cache_hits(cost.put_into(response), hits))
}

async fn info(State(door): State<Door>, Extension(call): Extension<Call>) -> Response {
    respond(&call, "/info", async { written(&Info::of(&door)?) }).await
}

/// `GET /health`: 200 and nothing while requests are taken.
async fn health(State(door): State<Door>, Extension(call): Extension<Call>) -> Response {
    let work = async {
        let reason = match door.service.state() {
            ServingState::Serving => return Ok(().into_response()),
            ServingState::Loading => Reason::ModelLoading,
            ServingState::Draining => Reason::ServerDraining,
            ServingState::Failed => Reason::ModelFailed,
        };
        Err(Error::new(reason, "unhealthy"))
    };
    respond(&call, "/health", work).await
}
