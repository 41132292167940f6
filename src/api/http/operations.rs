//! Paths for probes, dashboards and client generators.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::api::door::Door;
use crate::service::catalog::health::ServingState;
use crate::service::messages::ModelRef;
use crate::telemetry::metrics::Format;

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

/// `GET /metrics`, in the format that the caller asks for.
pub async fn metrics(State(door): State<Door>, headers: HeaderMap) -> Response {
    let format = wanted_format(&headers);
    let content_type = HeaderValue::from_static(format.content_type());
    (
        [(header::CONTENT_TYPE, content_type)],
        door.service.metrics().render(format),
    )
        .into_response()
}

/// The format that `accept` likes best; OpenMetrics as text where it names none that there is.
fn wanted_format(headers: &HeaderMap) -> Format {
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    let mut best = (0.0, Format::default());
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Format::OpenMetrics,
            "text/plain" | "text/*" => Format::PlainText,
            "application/vnd.google.protobuf" if range.contains("io.prometheus.client.MetricFamily") => {
                Format::Protobuf
            }
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |quality| {
            quality
                .trim()
                .parse::<f32>()
                .map_or(0.0, |quality| quality.clamp(0.0, 1.0))
        });
        if quality > best.0 {
            best = (quality, format);
        }
    }
    best.1
}

/// `GET /openapi.json`: the OpenAPI document of the gateway.
pub async fn openapi() -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], include_str!("openapi.json")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_caller_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6, text/plain;q=0.5";
        for (accept, format) in [
            (None, Format::OpenMetrics),
            (Some("*/*"), Format::OpenMetrics),
            (Some(prometheus), Format::OpenMetrics),
            (Some(native), Format::Protobuf),
            (
                Some("application/vnd.google.protobuf; proto=other, text/plain; q=0.1"),
                Format::PlainText,
            ),
            (Some("text/plain"), Format::PlainText),
            (
                Some("text/plain;q=0.2, application/openmetrics-text;q=0.9"),
                Format::OpenMetrics,
            ),
            (Some("Text/Plain;version=0.0.4;charset=utf-8;q=1"), Format::PlainText),
            (Some("text/plain;q=0"), Format::OpenMetrics),
            (Some("text/plain;q=x"), Format::OpenMetrics),
            (Some("application/json"), Format::OpenMetrics),
        ] {
            let value = accept.map(|accept| (header::ACCEPT, accept.parse().expect("a value")));
            assert_eq!(wanted_format(&HeaderMap::from_iter(value)), format, "{accept:?}");
        }
    }
}
