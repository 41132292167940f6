//! Paths for probes, dashboards and client generators.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::api::door::Door;
use crate::service::catalog::health::ServingState;
use crate::service::messages::ModelRef;
use crate::telemetry::metrics;

/// `GET /healthz`: the process answers. While this is 200, a restart does not help.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 if requests are taken, else 503, with the state of each model: the stable version under its name,
/// any other loaded version under `name@version`.
pub async fn readyz(State(door): State<Door>) -> Response {
    let state = door.service.state();
    let status = if state == ServingState::Serving {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let models: serde_json::Map<_, _> = door
        .service
        .model_reports()
        .into_iter()
        .map(|report| {
            let ModelRef { name, version, .. } = report.model;
            let key = if report.stable {
                name.to_string()
            } else {
                format!("{name}@{version}")
            };
            (key, json!(report.state.name()))
        })
        .collect();
    (status, Json(json!({ "state": state.name(), "models": models }))).into_response()
}

/// `GET /metrics`: OpenMetrics text.
pub async fn metrics(State(door): State<Door>) -> Response {
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type)], door.service.metrics().render()).into_response()
}

/// `GET /openapi.json`: the OpenAPI document of the gateway.
pub async fn openapi() -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], include_str!("openapi.json")).into_response()
}
