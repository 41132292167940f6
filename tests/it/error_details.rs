//! Every failure tells the same facts at both doors: reason, domain and request id always, fields and pause where there
//! are some. `limits.rs`, `bounds.rs` and `tests/faults` have those that need more than a request.

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, Method};
use prost::Message;
use serde_json::{Value, json};
use tandem::api::{DESCRIPTOR_SET, pb};
use tandem::error::Reason;
use tonic::Status;
use tonic_types::StatusExt;

use crate::support::frames::{RawCall, frame};
use crate::support::{TestServer, fast};

/// What a failure of a reason must tell beyond the reason.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    Reason,
    Fields,
}

const ID: &str = "row-1";

/// Checks the details of a gRPC status.
fn check_grpc(row: &str, status: &Status, headers: &HeaderMap, reason: Reason, tells: Tells) {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("{row}: no ErrorInfo: {status:?}"));
    assert_eq!(info.reason, reason.name(), "{row}");
    assert_eq!(info.domain, "tandem.v1", "{row}");
    assert_eq!(i32::from(status.code()), reason.grpc_code(), "{row}");
    let id = details
        .request_info()
        .unwrap_or_else(|| panic!("{row}: no RequestInfo"));
    assert_eq!(id.request_id, ID, "{row}");
    assert_eq!(
        headers.get("x-request-id").map(|id| id.as_bytes()),
        Some(ID.as_bytes()),
        "{row}"
    );
    let fields = details.bad_request().map_or(0, |bad| bad.field_violations.len());
    assert_eq!(fields > 0, tells == Tells::Fields, "{row}: {fields} fields");
    assert!(!status.message().is_empty(), "{row}");
}

fn message(change: impl FnOnce(&mut pb::PredictRequest)) -> Vec<u8> {
    let mut request = fast(&["좋다"]);
    change(&mut request);
    request.encode_to_vec()
}

#[tokio::test]
async fn over_grpc() {
    let server = TestServer::shared().await;
    let good = || RawCall::predict(&message(|_| {}));
    let asked = |change: fn(&mut pb::PredictRequest)| RawCall::predict(&message(change));
    let of = |change: fn(&mut RawCall)| {
        let mut call = good();
        change(&mut call);
        call
    };
    let explain_deep = pb::ExplainRequest {
        texts: vec!["a".into()],
        route: pb::Route::Deep.into(),
        ..pb::ExplainRequest::default()
    };
    let mut explain = RawCall::predict(&explain_deep.encode_to_vec());
    explain.path = "/tandem.v1.PredictionService/Explain".into();
    let rows: Vec<(&str, RawCall, Reason, Tells)> = vec![
        (
            "no text",
            asked(|request| request.texts.clear()),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "a route that is none",
            asked(|request| request.route = 77),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "a timeout that is none",
            good().header("grpc-timeout", "soon"),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "broken Protobuf",
            RawCall::predict(&[0x0a, 0xff]),
            Reason::MalformedMessage,
            Tells::Reason,
        ),
        (
            "bytes that are not UTF-8",
            RawCall::predict(&[0x0a, 1, 0xff]),
            Reason::InvalidUtf8,
            Tells::Fields,
        ),
        (
            "no message",
            of(|call| call.body = bytes::Bytes::new()),
            Reason::MalformedMessage,
            Tells::Reason,
        ),
        (
            "a frame that ends early",
            of(|call| call.body = frame(false, b"abc").slice(..6)),
            Reason::MalformedMessage,
            Tells::Reason,
        ),
        (
            "no such task",
            asked(|request| request.task = "none".into()),
            Reason::TaskNotFound,
            Tells::Reason,
        ),
        (
            "no such model",
            asked(|request| (request.route, request.model) = (0, "none".into())),
            Reason::ModelNotFound,
            Tells::Reason,
        ),
        (
            "no time",
            good().header("grpc-timeout", "0m"),
            Reason::DeadlineExceeded,
            Tells::Reason,
        ),
        ("not explainable", explain, Reason::NotExplainable, Tells::Reason),
        (
            "no such method",
            of(|call| call.path = "/tandem.v1.PredictionService/No".into()),
            Reason::MethodNotFound,
            Tells::Reason,
        ),
        (
            "no such service",
            of(|call| call.path = "/no.Service/No".into()),
            Reason::MethodNotFound,
            Tells::Reason,
        ),
        (
            "GET",
            of(|call| call.method = Method::GET),
            Reason::MethodNotAllowed,
            Tells::Reason,
        ),
        (
            "JSON",
            of(|call| call.content_type = "application/json".into()),
            Reason::UnsupportedMediaType,
            Tells::Reason,
        ),
        (
            "zstd",
            of(|call| call.body = frame(true, b"abc")).header("grpc-encoding", "zstd"),
            Reason::UnsupportedEncoding,
            Tells::Reason,
        ),
    ];
    for (row, call, reason, tells) in rows {
        let answer = call.header("x-request-id", ID).send(server.grpc_addr()).await;
        check_grpc(row, &answer.status, &answer.headers, reason, tells);
    }
}

/// Name, method, path, headers, body, and what comes back.
type HttpRow = (
    &'static str,
    Method,
    &'static str,
    Vec<(&'static str, &'static str)>,
    String,
    Reason,
    Tells,
);

#[tokio::test]
async fn over_http() {
    static GOOD: LazyLock<String> = LazyLock::new(|| json!({"texts": ["좋다"]}).to_string());
    let server = TestServer::shared().await;
    let http = server.http();
    let json_type = ("content-type", "application/json");
    let post = Method::POST;
    let rows: Vec<HttpRow> = vec![
        (
            "no text",
            post.clone(),
            "/v1/predict",
            vec![json_type],
            "{}".into(),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "the tutorial's, without one",
            post.clone(),
            "/predict",
            vec![json_type],
            json!({"text": []}).to_string(),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "a timeout that is none",
            post.clone(),
            "/v1/predict",
            vec![json_type, ("x-request-timeout-ms", "soon")],
            GOOD.clone(),
            Reason::InvalidField,
            Tells::Fields,
        ),
        (
            "broken JSON",
            post.clone(),
            "/v1/predict",
            vec![json_type],
            "{".into(),
            Reason::MalformedMessage,
            Tells::Reason,
        ),
        (
            "an unknown key",
            post.clone(),
            "/v1/predict",
            vec![json_type],
            json!({"textz": 1}).to_string(),
            Reason::MalformedMessage,
            Tells::Fields,
        ),
        (
            "no such task",
            post.clone(),
            "/v1/predict",
            vec![json_type],
            json!({"texts": ["a"], "task": "none"}).to_string(),
            Reason::TaskNotFound,
            Tells::Reason,
        ),
        (
            "no such model",
            post.clone(),
            "/v1/predict",
            vec![json_type],
            json!({"texts": ["a"], "model": "none"}).to_string(),
            Reason::ModelNotFound,
            Tells::Reason,
        ),
        (
            "a wrong type",
            post.clone(),
            "/predict",
            vec![json_type],
            json!({"text": 1}).to_string(),
            Reason::MalformedMessage,
            Tells::Fields,
        ),
        (
            "no time",
            post.clone(),
            "/v1/predict",
            vec![json_type, ("x-request-timeout-ms", "0")],
            GOOD.clone(),
            Reason::DeadlineExceeded,
            Tells::Reason,
        ),
        (
            "not explainable",
            post.clone(),
            "/v1/explain",
            vec![json_type],
            json!({"texts": ["a"], "route": "ROUTE_DEEP"}).to_string(),
            Reason::NotExplainable,
            Tells::Reason,
        ),
        (
            "no such path",
            post.clone(),
            "/no",
            vec![json_type],
            String::new(),
            Reason::MethodNotFound,
            Tells::Reason,
        ),
        (
            "GET",
            Method::GET,
            "/v1/predict",
            vec![],
            String::new(),
            Reason::MethodNotAllowed,
            Tells::Reason,
        ),
        (
            "text",
            post.clone(),
            "/v1/predict",
            vec![("content-type", "text/plain")],
            GOOD.clone(),
            Reason::UnsupportedMediaType,
            Tells::Reason,
        ),
        (
            "zstd",
            post,
            "/v1/predict",
            vec![json_type, ("content-encoding", "zstd")],
            GOOD.clone(),
            Reason::UnsupportedEncoding,
            Tells::Reason,
        ),
    ];
    for (row, method, path, mut headers, body, reason, tells) in rows {
        headers.push(("x-request-id", ID));
        let answer = http.send(method, path, &headers, body).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status.as_u16(), reason.http_status(), "{row}");
        assert_eq!(error["reason"], reason.name(), "{row}");
        assert_eq!(error["code"], reason.grpc_name(), "{row}");
        assert_eq!(error["domain"], "tandem.v1", "{row}");
        assert_eq!(error["requestId"], ID, "{row}");
        assert_eq!(answer.header("x-request-id"), ID, "{row}");
        let fields = error["fieldViolations"].as_array().map_or(0, Vec::len);
        assert_eq!(fields > 0, tells == Tells::Fields, "{row}: {error}");
        assert_ne!(error["message"], Value::Null, "{row}");
    }
}

#[test]
fn the_contract_names_no_code_that_no_failure_has() {
    let codes = "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED \
        FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED";
    // The comments of the protocol files are in it.
    let contract = String::from_utf8_lossy(DESCRIPTOR_SET);
    for code in codes.split_whitespace() {
        let answered = Reason::ALL.iter().any(|reason| reason.grpc_name() == code);
        assert!(answered || !contract.contains(&format!("`{code}`")), "{code}");
    }
}

#[tokio::test]
async fn while_models_load_and_without_a_key() {
    let server = TestServer::builder()
        .fast_only()
        .without_loading()
        .tokens("a:0123456789abcdef")
        .max_timeout(Duration::from_secs(5))
        .start()
        .await;
    let key = "Bearer 0123456789abcdef";
    let call = || RawCall::predict(&message(|_| {})).header("x-request-id", ID);
    let without = call().send(server.grpc_addr()).await;
    check_grpc(
        "no key",
        &without.status,
        &without.headers,
        Reason::Unauthenticated,
        Tells::Reason,
    );
    let loading = call().header("authorization", key).send(server.grpc_addr()).await;
    check_grpc(
        "loading",
        &loading.status,
        &loading.headers,
        Reason::ModelLoading,
        Tells::Reason,
    );
    let http = server.http();
    for (headers, reason) in [
        (vec![("x-request-id", ID)], Reason::Unauthenticated),
        (vec![("x-request-id", ID), ("authorization", key)], Reason::ModelLoading),
    ] {
        let answer = http
            .post_with("/predict", &headers, r#"{"text": "a", "do_fast": true}"#)
            .await;
        assert_eq!(answer.status.as_u16(), reason.http_status());
        assert_eq!(answer.json()["error"]["reason"], reason.name());
        assert_eq!(answer.json()["error"]["requestId"], ID);
    }
}
