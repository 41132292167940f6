//! `POST /page`: the page's form as browsers send it without JavaScript, answered by the page with the answers in it.

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use super::asset::guarded;
use super::form::Form;
use super::render;
use crate::api::call::{Call, media_type};
use crate::api::door::Door;
use crate::api::http::answer::respond;
use crate::api::http::body::read;
use crate::error::{Error, Reason};

/// The largest form, in bytes as it is sent: for more there is the API.
const MOST_BYTES: usize = 64 << 10;

pub async fn answer(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    respond(&call, "/page", classify(&door, &call, request)).await
}

async fn classify(door: &Door, call: &Call, request: Request) -> Result<Response, Error> {
    check_head(request.headers())?;
    let reading = read(request.into_body(), &call.body, MOST_BYTES);
    let bytes = tokio::time::timeout_at(call.deadline().into(), reading).await;
    let form = Form::parse(&bytes.map_err(|_| Error::deadline_exceeded())??)?;
    let input = form.input()?;
    let texts = input.texts.clone();
    let output = door.answer(call, call.time(), input).await?;
    let never_kept = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let page = render::answered(&form, &texts, &output);
    Ok(guarded((never_kept, Body::from(page)).into_response()))
}

/// Checks that it is a form, and that no other site's page sends it: unlike JSON, browsers let any page post a form.
fn check_head(headers: &HeaderMap) -> Result<(), Error> {
    if !media_type(headers).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let problem = "the content type of the form must be application/x-www-form-urlencoded";
        return Err(Error::new(Reason::UnsupportedMediaType, problem));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let problem = "a form is not compressed";
        return Err(Error::new(Reason::UnsupportedEncoding, problem));
    }
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // The first is sent over TLS and to this host itself, the second always.
    let own = match value("sec-fetch-site") {
        Some(site) => ["same-origin", "none"].contains(&site),
        None => value("origin").is_none_or(|origin| {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == value("host")
        }),
    };
    own.then_some(())
        .ok_or_else(|| Error::invalid_field("origin", "must be this server: only its own page may post the form"))
}
