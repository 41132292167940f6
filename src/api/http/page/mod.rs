//! The page for people: `GET /`, what it is made of under `/page/`, and `POST /page`, its form without JavaScript. (What
//! is posted to `/` is another protocol's.)
//!
//! In reading order: `asset` (what never changes: bytes, tags, headers) → `form` (what the form says) → `render`
//! (the page as HTML) → `posted` (answers the form). `web/` holds the scripts and the style sheet as browsers get them;
//! nothing is built.
//!
//! Everybody may read the page, and the few facts of `server.json`; what it asks for needs a key where there are keys.

mod asset;
pub mod form;
mod posted;
mod render;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::json;

use super::error::HttpError;
use super::route::Route;
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::keys::Keys;
use crate::api::offers::Offer;
use crate::config::Address;
use crate::config::address::is_localhost;
use crate::error::{Error, Reason};
use asset::Asset;

/// What the page tells of its server.
#[derive(Clone)]
pub struct PageFacts {
    /// The keys of callers.
    pub keys: Arc<Keys>,
    /// Where gRPC listens.
    pub grpc: Arc<[Address]>,
}

impl PageFacts {
    /// The port at which a program finds gRPC on the host that this request's browser came to; absent where there is
    /// none.
    fn grpc_port(&self, headers: &HeaderMap, uri: &Uri) -> Option<u16> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let host = host.as_ref().or(uri.authority()).map(|host| host.host().to_owned());
        port_at(host.as_deref().unwrap_or_default(), &self.grpc)
    }
}

/// The port of the first address that is the host's, or else one of all addresses, or else the first.
fn port_at(host: &str, addresses: &[Address]) -> Option<u16> {
    let host = host.trim_matches(['[', ']']);
    let found: Vec<SocketAddr> = addresses.iter().filter_map(Address::ip).collect();
    let is_host = |address: &&SocketAddr| match host.parse::<IpAddr>() {
        Ok(ip) => address.ip() == ip,
        Err(_) => is_localhost(host) && address.ip().is_loopback(),
    };
    let exact = found.iter().find(is_host);
    let any = || found.iter().find(|address| address.ip().is_unspecified());
    exact.or_else(any).or(found.first()).map(SocketAddr::port)
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
async fn server(
    State(door): State<Door>,
    Extension(facts): Extension<PageFacts>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let limits = door.context.limits;
    let document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "grpcPort": facts.grpc_port(&headers, &uri),
        "keys": !facts.keys.admits_everybody(),
        "maxTextCount": limits.max_texts,
        "maxTextSizeBytes": limits.max_text_bytes,
    });
    let never_kept = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    asset::guarded((never_kept, Json(document)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_the_port_of_the_host_that_the_browser_came_to() {
        let listed: crate::config::AddressList = "10.0.0.1:1,127.0.0.1:2,[::1]:3,unix:/a".parse().expect("addresses");
        for (host, port) in [
            ("10.0.0.1", 1),
            ("127.0.0.1", 2),
            ("[::1]", 3),
            ("localhost", 2),
            ("tandem.example", 1),
            ("", 1),
        ] {
            assert_eq!(port_at(host, listed.all()), Some(port), "{host}");
        }
        let any: crate::config::AddressList = "127.0.0.1:1,0.0.0.0:2".parse().expect("addresses");
        assert_eq!(port_at("tandem.example", any.all()), Some(2));
        let none: crate::config::AddressList = "unix:/a".parse().expect("an address");
        assert_eq!(port_at("localhost", none.all()), None);
    }
}
