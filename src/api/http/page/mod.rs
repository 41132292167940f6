//! The page for people: `GET /`, what it is made of under `/page/`, and `POST /page`, its form without JavaScript. (What
//! is posted to `/` is another protocol's.)
//!
//! In reading order: `asset` (what never changes: bytes, tags, headers) → `form` (what the form says) → `render`
//! (the page as HTML) → `posted` (answers the form). `web/` holds the scripts and the style sheet as browsers get them;
//! nothing is built.
//!
//! Everybody may read the page, and the few facts of `server.json`; what it asks for needs a key where there are keys.

mod asset;
mod form;
mod posted;
mod render;

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use super::error::HttpError;
use super::route::Route;
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::keys::Keys;
use crate::api::offers::Offer;
use crate::error::{Error, Reason};
use asset::Asset;

/// What the page tells of its server.
#[derive(Clone)]
pub struct PageFacts {
    /// The keys of callers.
    pub keys: Arc<Keys>,
    /// Where gRPC is, such as `port 50051`.
    pub grpc: Arc<str>,
}

pub static TABLE: [Route; 5] = [
    Route::new("GET", "/", || get(index))
        .of(Offer::Page, render::failure)
        .open_to_all(),
    Route::new("GET", "/page", || get(index))
        .of(Offer::Page, render::failure)
        .open_to_all(),
    Route::new("POST", "/page", || post(posted::answer)).of(Offer::Page, render::failure),
    Route::new("GET", "/page/server.json", || get(server))
        .of(Offer::Page, render::failure)
        .open_to_all(),
    Route::new("GET", "/page/{file}", || get(file))
        .of(Offer::Page, render::failure)
        .open_to_all(),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

static INDEX: LazyLock<Asset> = LazyLock::new(|| Asset::new("text/html; charset=utf-8", render::index()));

/// The files under `/page/`, by name.
static FILES: LazyLock<Vec<(&str, Asset)>> = LazyLock::new(|| {
    [
        ("style.css", "text/css; charset=utf-8", include_str!("web/style.css")),
        ("icon.svg", "image/svg+xml", include_str!("web/icon.svg")),
        ("main.js", SCRIPT, include_str!("web/main.js")),
        ("api.js", SCRIPT, include_str!("web/api.js")),
        ("cascade.js", SCRIPT, include_str!("web/cascade.js")),
        ("dom.js", SCRIPT, include_str!("web/dom.js")),
        ("explain.js", SCRIPT, include_str!("web/explain.js")),
        ("models.js", SCRIPT, include_str!("web/models.js")),
        ("reference.js", SCRIPT, include_str!("web/reference.js")),
        ("snippets.js", SCRIPT, include_str!("web/snippets.js")),
        ("try.js", SCRIPT, include_str!("web/try.js")),
    ]
    .map(|(name, kind, content)| (name, Asset::new(kind, content)))
    .into()
});

async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

async fn file(Path(name): Path<String>, Extension(call): Extension<Call>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, asset)) => asset.answer(&headers),
        None => {
            let error = Error::new(Reason::MethodNotFound, "the page has no such file");
            HttpError { error, call }.into_response()
        }
    }
}

/// `GET /page/server.json`: what the page needs to know before anybody shows a key.
async fn server(State(door): State<Door>, Extension(facts): Extension<PageFacts>) -> Response {
    let limits = door.context.limits;
    let document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "grpc": &*facts.grpc,
        "keys": !facts.keys.admits_everybody(),
        "maxTextCount": limits.max_texts,
        "maxTextSizeBytes": limits.max_text_bytes,
    });
    let never_kept = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    asset::guarded((never_kept, Json(document)).into_response())
}
