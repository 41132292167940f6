//! Failures over HTTP: the facts that gRPC puts into google.rpc details, as JSON.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::api::call::Call;
use crate::api::json::{MAX_PATH_BYTES, Refused};
use crate::error::{ERROR_DOMAIN, Error, Reason};

pub struct HttpError {
    pub error: Error,
    pub call: Call,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    error: Facts<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    code: &'static str,
    reason: &'static str,
    domain: &'static str,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    field_violations: Vec<Violation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    metadata: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        own_form(&self.error, &self.call)
    }
}

/// How a protocol writes a failure: the body of the answer and its type, and its status where the protocol has one of
/// its own for it. A handler that answers in another form than its path's adds it to the answer's extensions.
pub type ErrorForm = fn(&Error, &Call) -> Response;

/// A failure in Tandem's own form.
pub fn own_form(error: &Error, call: &Call) -> Response {
    with_headers(error, Json(document(error, call)).into_response())
}

/// The answer for a failure in any form: its status, unless the form has set one, and what clients look for in headers.
pub fn with_headers(error: &Error, mut response: Response) -> Response {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::from_u16(error.reason.http_status()).expect("a status of our own table");
    }
    let headers = response.headers_mut();
    if let Some(pause) = error.retry_after {
        // The header has whole seconds; the body has the exact pause.
        let seconds = pause.as_millis().div_ceil(1000);
        let value = HeaderValue::from_str(&seconds.to_string()).expect("digits");
        headers.insert(header::RETRY_AFTER, value);
    }
    if error.reason == Reason::UnsupportedEncoding {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if error.reason == Reason::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // For the call layer, which counts failures.
    response.extensions_mut().insert(error.clone());
    response
}

fn document(error: &Error, call: &Call) -> serde_json::Value {
    let violations = error.violations.iter().map(|violation| Violation {
        field: &violation.field,
        description: &violation.description,
    });
    let document = Document {
        error: Facts {
            code: error.reason.grpc_name(),
            reason: error.reason.name(),
            domain: ERROR_DOMAIN,
            message: &error.message,
            request_id: call.request_id.as_str(),
            field_violations: violations.collect(),
            retry_after_ms: error
                .retry_after
                .map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            metadata: error
                .facts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
                .collect(),
        },
    };
    serde_json::to_value(document).expect("facts are strings and numbers")
}

/// The error for a document that could not be read. It quotes no values.
pub fn malformed(refused: Refused, json: &[u8]) -> Error {
    let error = match refused {
        Refused::Told(error) => return error,
        Refused::Malformed(error) => error,
    };
    if let Err(error) = std::str::from_utf8(json) {
        let problem = format!("the JSON is not UTF-8 from byte {} on", error.valid_up_to());
        return Error::new(Reason::InvalidUtf8, problem);
    }
    // The parser quotes names of fields, which may hold line ends; the path has them too.
    let one_line = |told: String| told.replace(char::is_control, "\u{fffd}");
    let problem = one_line(without_values(&error.inner().to_string()));
    let path = one_line(error.path().to_string());
    // serde_path_to_error writes a point or a question mark for a place before any field.
    if path == "." || path == "?" {
        return Error::new(Reason::MalformedMessage, format!("the JSON can't be read: {problem}"));
    }
    Error {
        reason: Reason::MalformedMessage,
        ..Error::invalid_field(cut(&path, MAX_PATH_BYTES), problem)
    }
}

/// Cuts what stands between double quotes out of a parser's message, since it may be a caller's value. Names of fields
/// stand between single quotes and stay. Unknown enumeration values, which would stand there too, are found earlier
/// (`json::measure`).
fn without_values(message: &str) -> String {
    let kept = match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &message[..=first], &message[last..]),
        _ => message.to_owned(),
    };
    cut(&kept, 300)
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::marker::PhantomData;

    use prost_reflect::{Kind, MessageDescriptor};

    use super::*;
    use crate::api::{json, pb, schema};

    /// For each enumeration in a message, a document with an unknown value of it.
    fn with_unknown_names(of: &MessageDescriptor) -> Vec<serde_json::Value> {
        let names = of.fields().filter(|field| matches!(field.kind(), Kind::Enum(_)));
        names
            .map(|field| serde_json::json!({ field.json_name(): "A_SECRET" }))
            .collect()
    }

    fn told<T: prost::Message + prost::Name + Default + std::fmt::Debug>(document: &str) -> String {
        let refused = json::decode::<T>(document.as_bytes()).expect_err("no such value");
        malformed(refused, document.as_bytes()).to_string()
    }

    #[test]
    fn no_value_of_the_callers_is_told() {
        let predict = with_unknown_names(&schema::message::<pb::PredictRequest>());
        let explain = with_unknown_names(&schema::message::<pb::ExplainRequest>());
        assert!(predict.len() >= 4 && explain.len() >= 2, "the enumerations are found");
        for document in predict {
            assert!(
                !told::<pb::PredictRequest>(&document.to_string()).contains("SECRET"),
                "{document}"
            );
        }
        for document in explain {
            assert!(
                !told::<pb::ExplainRequest>(&document.to_string()).contains("SECRET"),
                "{document}"
            );
        }
        for document in [
            r#"{"topK": "A_SECRET"}"#,
            r#"{"texts": "A_SECRET"}"#,
            r#"{"texts": [["A_SECRET"]], "route": "A_SECRET"}"#,
            r#"{"allowFallback": "A 'SECRET' \" of a kind"}"#,
            r#"{"minConfidence": "A_SECRET"}"#,
            r#""A_SECRET""#,
        ] {
            let told = told::<pb::PredictRequest>(document);
            assert!(!told.contains("SECRET"), "{document}: {told}");
        }
    }

    #[test]
    fn names_of_fields_are_told_in_one_line() {
        let document = br#"{"a\nb": {}}"#;
        let error = json::with_path(document, PhantomData::<BTreeMap<String, u8>>).expect_err("no number");
        let error = malformed(Refused::Malformed(error), document);
        assert_eq!(error.violations[0].field, "a\u{fffd}b");
        assert_eq!(error.message.lines().count(), 1, "{}", error.message);
    }
}
