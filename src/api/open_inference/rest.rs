//! The paths of the REST form: convert, have it answered, convert back.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::describe::describe;
use super::infer::infer;
use super::request::InferRequest;
use super::rest_answer::{HEADER_LENGTH, config, failure, index, inferred, metadata};
use super::rest_request::read;
use super::{EXTENSIONS, PLATFORM, names, repository};
use crate::api::call::{Call, media_type, only};
use crate::api::convert::held_bytes;
use crate::api::door::Door;
use crate::api::gzip::Packing;
use crate::api::http::answer::{respond, with_cache_hits};
use crate::api::http::body::{packing, read_as};
use crate::api::http::error::malformed;
use crate::api::http::route::Route;
use crate::api::json::{Refused, with_path};
use crate::api::object::Object;
use crate::api::offers::Offer;
use crate::error::{Error, Reason};
use crate::service::catalog::health::ServingState;

const SERVER: &str = "/v2";
const LIVE: &str = "/v2/health/live";
const READY: &str = "/v2/health/ready";
const MODEL: &str = "/v2/models/{name}";
const VERSION: &str = "/v2/models/{name}/versions/{version}";
const MODEL_READY: &str = "/v2/models/{name}/ready";
const VERSION_READY: &str = "/v2/models/{name}/versions/{version}/ready";
const MODEL_CONFIG: &str = "/v2/models/{name}/config";
const VERSION_CONFIG: &str = "/v2/models/{name}/versions/{version}/config";
const MODEL_INFER: &str = "/v2/models/{name}/infer";
const VERSION_INFER: &str = "/v2/models/{name}/versions/{version}/infer";
const INDEX: &str = "/v2/repository/index";
const LOAD: &str = "/v2/repository/models/{name}/load";
const UNLOAD: &str = "/v2/repository/models/{name}/unload";

/// The paths of the protocol.
pub static ROUTES: [Route; 14] = [
    Route::new("GET", LIVE, || get(live))
        .open_to_all()
        .of(Offer::OpenInference, failure),
    Route::new("GET", READY, || get(ready))
        .open_to_all()
        .of(Offer::OpenInference, failure),
    Route::new("GET", SERVER, || get(server)).of(Offer::OpenInference, failure),
    Route::new("GET", MODEL, || get(model)).of(Offer::OpenInference, failure),
    Route::new("GET", VERSION, || get(model)).of(Offer::OpenInference, failure),
    Route::new("GET", MODEL_READY, || get(model_ready)).of(Offer::OpenInference, failure),
    Route::new("GET", VERSION_READY, || get(model_ready)).of(Offer::OpenInference, failure),
    Route::new("GET", MODEL_CONFIG, || get(model_config)).of(Offer::OpenInference, failure),
    Route::new("GET", VERSION_CONFIG, || get(model_config)).of(Offer::OpenInference, failure),
    Route::new("POST", MODEL_INFER, || post(model_infer)).of(Offer::OpenInference, failure),
    Route::new("POST", VERSION_INFER, || post(model_infer)).of(Offer::OpenInference, failure),
    Route::new("POST", INDEX, || post(repository_index)).of(Offer::OpenInference, failure),
    Route::new("POST", LOAD, || post(load)).of(Offer::OpenInference, failure),
    Route::new("POST", UNLOAD, || post(unload)).of(Offer::OpenInference, failure),
];

/// The parts of a path that stand for something.
#[derive(Default, Deserialize)]
struct Place {
    name: String,
    #[serde(default)]
    version: String,
}

type GivenPlace = Result<Path<Place>, PathRejection>;

fn place(given: GivenPlace) -> Result<Place, Error> {
    let problem = |_| Error::invalid_field("model_name", "must be UTF-8");
    given.map(|Path(place)| place).map_err(problem)
}

/// The path's name in logs and metrics: with a version or without.
fn at(place: &GivenPlace, alone: &'static str, with_version: &'static str) -> &'static str {
    match place {
        Ok(Path(Place { version, .. })) if !version.is_empty() => with_version,
        _ => alone,
    }
}

async fn live() -> Response {
    Json(json!({"live": true})).into_response()
}

async fn ready(State(door): State<Door>) -> Response {
    let ready = door.service.state() == ServingState::Serving;
    (status_of(ready), Json(json!({"ready": ready}))).into_response()
}

/// Clients look at the status alone.
fn status_of(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn server(Extension(call): Extension<Call>) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    let told = json!({"name": PLATFORM, "version": version, "extensions": EXTENSIONS});
    respond(&call, SERVER, async { Ok(Json(told).into_response()) }).await
}

async fn model(State(door): State<Door>, Extension(call): Extension<Call>, given: GivenPlace) -> Response {
    let path = at(&given, MODEL, VERSION);
    let work = async {
        let Place { name, version } = place(given)?;
        Ok(Json(metadata(&describe(&door, &name, &version)?)).into_response())
    };
    respond(&call, path, work).await
}

async fn model_ready(State(door): State<Door>, Extension(call): Extension<Call>, given: GivenPlace) -> Response {
    let path = at(&given, MODEL_READY, VERSION_READY);
    let work = async {
        let Place { name, version } = place(given)?;
        let ready = names::find(&door.service, &name, &version)?.state(&door.service) == ServingState::Serving;
        Ok((status_of(ready), Json(json!({"name": name, "ready": ready}))).into_response())
    };
    respond(&call, path, work).await
}

async fn model_config(State(door): State<Door>, Extension(call): Extension<Call>, given: GivenPlace) -> Response {
    let path = at(&given, MODEL_CONFIG, VERSION_CONFIG);
    let work = async {
        let Place { name, version } = place(given)?;
        Ok(Json(config(&describe(&door, &name, &version)?)).into_response())
    };
    respond(&call, path, work).await
}

async fn model_infer(
    State(door): State<Door>,
    Extension(call): Extension<Call>,
    given: GivenPlace,
    request: Request,
) -> Response {
    let path = at(&given, MODEL_INFER, VERSION_INFER);
    let work = async {
        let place = place(given)?;
        let request = read_request(&door, &call, request, place).await?;
        let answer = infer(&door, &call, request).await?;
        Ok(with_cache_hits(inferred(&answer)?, answer.cache_hits))
    };
    respond(&call, path, work).await
}

async fn read_request(door: &Door, call: &Call, request: Request, place: Place) -> Result<InferRequest, Error> {
    check_type(request.headers())?;
    let packing = packing(request.headers(), &[Packing::Gzip, Packing::Zlib])?;
    let header_length = header_length(request.headers())?;
    let max_texts = door.context.limits.max_texts;
    let decode = move |body: bytes::Bytes, held: &crate::api::body_budget::HeldBody| {
        // Each text of JSON takes three bytes at least.
        held.grow_to(held_bytes((2 * max_texts).min(body.len() / 3), body.len()))?;
        read(&body, header_length, max_texts)
    };
    let read = read_as(door.context.max_json_bytes, packing, call, request, decode).await?;
    Ok(InferRequest {
        model_name: place.name,
        model_version: place.version,
        ..read
    })
}

/// Clients of the protocol say nothing, or that it is JSON, or bytes.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let given = media_type(headers);
    let taken = ["", "application/json", "application/octet-stream"];
    if taken.iter().any(|taken| given.eq_ignore_ascii_case(taken)) {
        return Ok(());
    }
    Err(Error::new(
        Reason::UnsupportedMediaType,
        "the content type must be application/json, or application/octet-stream with binary tensors",
    ))
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Error> {
    let Some(value) = only(headers, &HEADER_LENGTH)? else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|value| value.parse().ok());
    length
        .map(Some)
        .ok_or_else(|| Error::invalid_field(HEADER_LENGTH.as_str(), "must be the size of the JSON in bytes"))
}

/// What an index is asked with.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    repository_name: String,
}

/// The largest body without texts, in bytes.
const SMALL_BODY_BYTES: usize = 4 << 10;

async fn repository_index(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let work = async {
        let decode = |body: bytes::Bytes, _: &_| {
            if body.is_empty() {
                return Ok(IndexRequest::default());
            }
            let read = with_path(&body, std::marker::PhantomData);
            read.map(|Object(asked)| asked)
                .map_err(|error| malformed(Refused::Malformed(error), &body))
        };
        let packing = packing(request.headers(), &[])?;
        let asked: IndexRequest = read_as(SMALL_BODY_BYTES, packing, &call, request, decode).await?;
        let entries = repository::index(&door.service, &asked.repository_name, asked.ready)?;
        Ok(Json(index(&entries)).into_response())
    };
    respond(&call, INDEX, work).await
}

async fn load(Extension(call): Extension<Call>) -> Response {
    respond(&call, LOAD, async { Err(for_operators()) }).await
}

async fn unload(Extension(call): Extension<Call>) -> Response {
    respond(&call, UNLOAD, async { Err(for_operators()) }).await
}

/// The keys of operators hold at the admin port, which speaks gRPC.
fn for_operators() -> Error {
    let problem =
        "loading and unloading are for operators: call inference.GRPCInferenceService at the admin port, over gRPC";
    Error::new(Reason::MethodNotFound, problem)
}
