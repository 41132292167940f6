//! `GET /v1/models` and `GET /v1/models/{name}`: ModelService's answers in proto3 JSON.

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::Response;

use super::answer::{json, respond};
use crate::api::call::Call;
use crate::api::convert_models;
use crate::api::door::Door;
use crate::api::json::encode;
use crate::error::Error;

/// Answers `ListModels`. In the query: `pageSize` and `pageToken`, or `page_size` and `page_token`.
pub async fn list(State(door): State<Door>, Extension(call): Extension<Call>, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        let (page_size, page_token) = page(query.as_deref().unwrap_or(""))?;
        let page = door.service.list_models(page_size, &page_token)?;
        Ok(json(encode(&convert_models::list_models_response(page))))
    };
    respond(&call, "/v1/models", answer).await
}

pub async fn get(
    State(door): State<Door>,
    Extension(call): Extension<Call>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    let answer = async {
        let Path(name) = name.map_err(|_| Error::invalid_field("name", "must be UTF-8"))?;
        let found = door.service.get_model(&name)?;
        Ok(json(encode(&convert_models::get_model_response(found))))
    };
    respond(&call, "/v1/models/{name}", answer).await
}

/// The page that the query asks for. An unknown key, or one given twice, is an error, as in a body.
fn page(query: &str) -> Result<(i32, String), Error> {
    let (mut size, mut token) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let said_twice = match key {
            "pageSize" | "page_size" => {
                let number = value.parse::<i32>();
                let number = number.map_err(|_| Error::invalid_field("page_size", "must be a whole number"))?;
                size.replace(number).is_some()
            }
            // The `@` of a token may be written as `%40`.
            "pageToken" | "page_token" => token.replace(value.replace("%40", "@")).is_some(),
            _ => return Err(Error::invalid_field("query", "takes pageSize and pageToken only")),
        };
        if said_twice {
            return Err(Error::invalid_field("query", "takes each key once"));
        }
    }
    Ok((size.unwrap_or_default(), token.unwrap_or_default()))
}
