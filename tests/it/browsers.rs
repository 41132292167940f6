//! What browsers need of the HTTP port: gRPC-Web, and an answer to their question which pages may call.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use prost::Message;
use serde_json::json;
use tandem::api::pb;

use crate::support::http::Answer;
use crate::support::{TestServer, reviews};

const PREDICT: &str = "/tandem.v1.PredictionService/Predict";
const PAGE: &str = "https://app.example";

fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("a short message");
    [&[0], &length.to_be_bytes()[..], &bytes].concat()
}

fn request(texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        route: pb::Route::Fast.into(),
        ..pb::PredictRequest::default()
    }
}

/// The message of an answer, if it has one, and its trailers as text.
fn taken_apart(body: &[u8]) -> (Option<pb::PredictResponse>, String) {
    let (mut message, mut trailers) = (None, String::new());
    let mut rest = body;
    while let [flag, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (part, others) = after.split_at(length);
        if flag & 0x80 == 0 {
            message = Some(pb::PredictResponse::decode(part).expect("a message"));
        } else {
            String::from_utf8_lossy(part)
                .to_ascii_lowercase()
                .clone_into(&mut trailers);
        }
        rest = others;
    }
    (message, trailers)
}

async fn call(server: &TestServer, content_type: &str, body: Vec<u8>) -> Answer {
    let headers = [
        ("content-type", content_type),
        ("x-grpc-web", "1"),
        ("accept", content_type),
    ];
    server.http().send(Method::POST, PREDICT, &headers, body).await
}

#[tokio::test]
async fn grpc_web_gets_what_grpc_gets_in_both_of_its_formats() {
    let server = TestServer::shared().await;
    let message = request(&reviews::texts(20));
    let expected = server.client().await.predict(message.clone()).await;
    let expected = expected.expect("an answer").into_inner().predictions;
    let binary = call(server, "application/grpc-web+proto", framed(&message)).await;
    assert_eq!(binary.status, StatusCode::OK);
    let (found, trailers) = taken_apart(&binary.body);
    assert_eq!(found.expect("a message").predictions, expected);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");

    let text = STANDARD.encode(framed(&message));
    let answer = call(server, "application/grpc-web-text", text.into_bytes()).await;
    // Each piece of the body is base64 of its own, padding included.
    let pieces = answer
        .text()
        .split_inclusive("==")
        .flat_map(|part| part.split_inclusive('='));
    let mut bytes = Vec::new();
    let mut piece = String::new();
    for part in pieces {
        piece.push_str(part);
        if piece.len().is_multiple_of(4) {
            bytes.extend(STANDARD.decode(&piece).expect("base64"));
            piece.clear();
        }
    }
    let (found, _) = taken_apart(&bytes);
    assert_eq!(found.expect("a message").predictions, expected);
}

#[tokio::test]
async fn a_fault_over_grpc_web_is_a_grpc_status() {
    let server = TestServer::shared().await;
    let answer = call(server, "application/grpc-web+proto", framed(&request(&[]))).await;
    assert_eq!(answer.status, StatusCode::OK);
    let (message, trailers) = taken_apart(&answer.body);
    assert_eq!(message, None);
    let status = format!("grpc-status:{}\n{trailers}", answer.header("grpc-status"));
    assert!(status.contains("grpc-status:3"), "{status}");
    let cut = call(server, "application/grpc-web+proto", vec![0, 0, 0]).await;
    let (_, trailers) = taken_apart(&cut.body);
    let status = format!("grpc-status:{}\n{trailers}", cut.header("grpc-status"));
    assert!(status.contains("grpc-status:3"), "{status}");
    for body in [&b"????"[..], b"AAA", b"!!!!"] {
        let answer = call(server, "application/grpc-web-text", body.to_vec()).await;
        let (message, trailers) = taken_apart(&STANDARD.decode(&answer.body).unwrap_or_default());
        assert_eq!(message, None);
        let status = format!("grpc-status:{}\n{trailers}", answer.header("grpc-status"));
        assert!(status.contains("grpc-status:3"), "{body:?}: {status}");
    }
    // Spelled otherwise, and what is not gRPC-Web.
    let message = framed(&request(&["a"]));
    let spelled = call(server, "Application/Grpc-Web+proto; charset=utf-8", message.clone()).await;
    assert!(taken_apart(&spelled.body).0.is_some());
    let unknown = call(server, "application/grpc-web+json", message).await;
    assert_eq!(unknown.status.as_u16(), 415, "{}", unknown.text());
}

#[tokio::test]
async fn a_key_holds_over_grpc_web_and_the_switch_turns_it_off() {
    let server = TestServer::builder()
        .fast_only()
        .tokens("one:0123456789abcdef")
        .start()
        .await;
    let refused = call(&server, "application/grpc-web", framed(&request(&["a"]))).await;
    let (_, trailers) = taken_apart(&refused.body);
    let status = format!("grpc-status:{}\n{trailers}", refused.header("grpc-status"));
    assert!(status.contains("grpc-status:16"), "{status}");
    let off = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.no_grpc_web = true;
            settings.no_connect = true;
        })
        .start()
        .await;
    let answer = call(&off, "application/grpc-web", framed(&request(&["a"]))).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_of_the_named_origins_may_call_and_no_others() {
    let server = TestServer::builder()
        .fast_only()
        .tokens("one:0123456789abcdef")
        .with(|settings| {
            settings.cors_origins = Some(format!("{PAGE},http://localhost:3000").parse().expect("origins"));
        })
        .start()
        .await;
    let http = server.http();
    let asks = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "content-type,authorization,connect-protocol-version",
            ),
        ]
    };
    // A browser asks without a key.
    let allowed = http.send(Method::OPTIONS, PREDICT, &asks(PAGE), "").await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    assert!(!allowed.header("x-request-id").is_empty());
    // Refused: another origin, a path that is none, a method that the path does not take.
    for (path, asks, status) in [
        (PREDICT, asks("https://evil.example"), 405),
        ("/v1/nowhere", asks(PAGE), 404),
        ("/tandem.v1.PredictionService/Guess", asks(PAGE), 404),
        ("/v1/models", asks(PAGE), 405),
    ] {
        let refused = http.send(Method::OPTIONS, path, &asks, "").await;
        assert_eq!(refused.status.as_u16(), status, "{path}: {}", refused.text());
        assert_eq!(refused.header("access-control-allow-methods"), "", "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "", "{path}");
    }
    // What no browser asks is a call like others.
    let plain = http.send(Method::OPTIONS, "/v1/predict", &[], "").await;
    assert_eq!(plain.status, StatusCode::UNAUTHORIZED);
    // A method of gRPC that Connect does not have, for gRPC-Web.
    let streamed = http
        .send(
            Method::OPTIONS,
            "/tandem.v1.PredictionService/PredictStream",
            &asks(PAGE),
            "",
        )
        .await;
    assert_eq!(streamed.header("access-control-allow-origin"), PAGE);
    let metrics = server.service.metrics().text();
    for labels in [
        [r#"method="OPTIONS""#, r#""OK""#],
        [r#"method="OPTIONS""#, "METHOD_NOT_FOUND"],
    ] {
        let counted = metrics
            .lines()
            .any(|line| labels.iter().all(|label| line.contains(label)));
        assert!(counted, "{labels:?} in {metrics}");
    }

    let called = |origin| [("origin", origin), ("authorization", "Bearer 0123456789abcdef")];
    let body = json!({"texts": ["a"]}).to_string();
    let answer = http.post_with("/v1/predict", &called(PAGE), body.clone()).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (StatusCode::OK, PAGE)
    );
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    let answer = http
        .post_with("/v1/predict", &called("https://evil.example"), body)
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn without_the_setting_no_page_of_another_origin_may_call() {
    let http = TestServer::shared().await.http();
    let asks = [("origin", PAGE), ("access-control-request-method", "POST")];
    let answer = http.send(Method::OPTIONS, "/v1/predict", &asks, "").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.text().contains("cors_origins"), "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
