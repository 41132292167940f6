//! Headers and framing that are almost right: each is read as its standard says, or refused, and never overlooked.

use http::Method;
use prost::Message;
use tandem::api::pb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::frames::{RawCall, frame};
use crate::support::http::gzip;
use crate::support::{Refusal, TestServer, fast};

const BODY: &str = r#"{"texts": ["a"]}"#;

fn good() -> Vec<u8> {
    fast(&["좋다"]).encode_to_vec()
}

#[tokio::test]
async fn the_content_type_of_grpc_is_one_of_two() {
    let server = TestServer::shared().await;
    for (content_type, code) in [
        ("application/grpc", Code::Ok),
        ("application/grpc+proto", Code::Ok),
        ("Application/GRPC+Proto", Code::Ok),
        ("application/grpc;charset=utf-8", Code::Ok),
        ("application/grpc+proto ; a=b", Code::Ok),
        ("application/grpc+protofoo", Code::InvalidArgument),
        ("application/grpc+proto+json", Code::InvalidArgument),
        ("application/grpc+", Code::InvalidArgument),
        ("application/grpc proto", Code::InvalidArgument),
        ("", Code::InvalidArgument),
    ] {
        let call = RawCall {
            content_type: content_type.into(),
            ..RawCall::predict(&good())
        };
        let answer = call.send(server.grpc_addr()).await;
        assert_eq!(answer.status.code(), code, "{content_type}");
    }
    let twice = RawCall::predict(&good()).header("content-type", "application/grpc");
    let refusal = Refusal::of(&twice.send(server.grpc_addr()).await.status);
    assert_eq!(refusal.reason, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn json_is_utf8_whatever_its_type_says() {
    let http = TestServer::shared().await.http();
    for (content_type, status) in [
        ("application/json", 200),
        ("APPLICATION/JSON", 200),
        ("application/json;charset=utf-8", 200),
        ("application/json; charset=\"UTF-8\"", 200),
        ("application/json; a=b; Charset=us-ascii", 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; a=b; charset=latin1", 415),
        ("application/json; charset", 415),
        ("application/jsonfoo", 415),
        ("application/json, text/plain", 415),
    ] {
        for path in ["/v1/predict", "/predict"] {
            let body = if path == "/predict" {
                r#"{"text": "a", "do_fast": true}"#
            } else {
                BODY
            };
            let answer = http
                .send(Method::POST, path, &[("content-type", content_type)], body)
                .await;
            assert_eq!(answer.status.as_u16(), status, "{content_type}: {}", answer.text());
        }
    }
    let twice = [
        ("content-type", "application/json"),
        ("content-type", "application/json"),
    ];
    assert_eq!(
        http.send(Method::POST, "/v1/predict", &twice, BODY)
            .await
            .status
            .as_u16(),
        415
    );
    let marked = format!("\u{feff}{BODY}");
    let large = format!("{marked}{}", " ".repeat(1 << 17));
    for body in [marked.as_bytes(), large.as_bytes()] {
        let answer = http.post("/v1/predict", body.to_vec()).await;
        assert_eq!(answer.status.as_u16(), 200, "a byte order mark: {}", answer.text());
        let packed = [("content-encoding", "gzip")];
        let answer = http.post_with("/v1/predict", &packed, gzip(body)).await;
        assert_eq!(answer.status.as_u16(), 200, "a byte order mark: {}", answer.text());
    }
    for (body, reason) in [
        (&b"\xef\xbb\xbf"[..], "MALFORMED_MESSAGE"),
        ("\u{feff}\u{feff}{}".as_bytes(), "MALFORMED_MESSAGE"),
        // A half of a mark is not UTF-8.
        (b"\xef\xbb{}", "INVALID_UTF8"),
    ] {
        let answer = http.post("/v1/predict", body.to_vec()).await;
        assert_eq!(answer.reason(), reason, "{body:?}");
    }
    let utf16: Vec<u8> = BODY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(http.post("/v1/predict", utf16).await.reason(), "MALFORMED_MESSAGE");
}

#[tokio::test]
async fn a_call_of_one_message_has_one() {
    let server = TestServer::shared().await;
    let one = frame(false, &good()).to_vec();
    let empty = frame(false, b"").to_vec();
    for path in [
        "/tandem.v1.PredictionService/Predict",
        "/tandem.v1.PredictionService/Explain",
        "/tandem.v1.PredictionService/Health",
        "/tandem.v1.ModelService/ListModels",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ] {
        let first = if path.ends_with("Predict") { &one } else { &empty };
        for second in [&first[..], &first[..4], b"\0"] {
            let call = RawCall {
                path: path.into(),
                body: [&first[..], second].concat().into(),
                ..RawCall::predict(b"")
            };
            let refusal = Refusal::of(&call.send(server.grpc_addr()).await.status);
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::InvalidArgument, "MALFORMED_MESSAGE"),
                "{path}"
            );
        }
    }
    let stream = pb::PredictStreamRequest {
        id: "a".into(),
        request: Some(fast(&["a"])),
        timeout_duration: None,
    };
    let message = frame(false, &stream.encode_to_vec());
    let two = RawCall {
        path: "/tandem.v1.PredictionService/PredictStream".into(),
        body: [&message[..], &message[..]].concat().into(),
        ..RawCall::predict(b"")
    };
    assert_eq!(
        two.send(server.grpc_addr()).await.status.code(),
        Code::Ok,
        "a stream has many"
    );
    let cut = RawCall {
        path: "/tandem.v1.PredictionService/PredictStream".into(),
        body: [&message[..], &message[..9]].concat().into(),
        ..RawCall::predict(b"")
    };
    let refusal = Refusal::of(&cut.send(server.grpc_addr()).await.status);
    assert_eq!(refusal.reason, "MALFORMED_MESSAGE");
}

#[tokio::test]
async fn a_time_limit_is_given_once() {
    let server = TestServer::shared().await;
    let call = RawCall::predict(&good())
        .header("grpc-timeout", "1M")
        .header("grpc-timeout", "2M");
    assert_eq!(
        Refusal::of(&call.send(server.grpc_addr()).await.status).fields,
        ["grpc-timeout"]
    );
    let twice = [("x-request-timeout-ms", "1000"), ("x-request-timeout-ms", "2000")];
    let answer = server.http().post_with("/v1/predict", &twice, BODY).await;
    assert_eq!(
        (answer.status.as_u16(), answer.fields()),
        (400, vec!["x-request-timeout-ms".to_owned()])
    );
}

/// Sends a request by hand over HTTP/1, and reads the status of the answer.
async fn status_of(head: &str, body: &str) -> u16 {
    let address = TestServer::shared().await.http_addr();
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // Up to the end of the status line.
    while !answer.ends_with(b"\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    let line = String::from_utf8(answer).expect("text");
    line.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{line}"))
}

#[tokio::test]
async fn an_http_request_says_once_which_host_it_is_for() {
    for (hosts, version, status) in [
        (&["localhost"][..], "1.1", 200),
        (&["localhost:8080"], "1.1", 200),
        (&["[::1]:8080"], "1.1", 200),
        (&[""], "1.1", 200),
        (&[], "1.0", 200),
        (&["localhost"], "1.0", 200),
        (&[], "1.1", 400),
        (&["localhost", "localhost"], "1.1", 400),
        (&["localhost", "elsewhere"], "1.0", 400),
        (&["a, b"], "1.1", 400),
        (&["a b"], "1.1", 400),
        (&["http://a/"], "1.1", 400),
        (&["someone@a"], "1.1", 400),
    ] {
        let hosts_lines: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        for path in ["/healthz", "/readyz"] {
            let head = format!("GET {path} HTTP/{version}\r\n{hosts_lines}\r\n");
            assert_eq!(status_of(&head, "").await, status, "{hosts:?} {version}");
        }
    }
}

#[tokio::test]
async fn an_http_body_has_one_length() {
    let chunked = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let length = BODY.len();
    for (lines, body, status) in [
        (format!("Content-Length: {length}\r\n"), BODY, 200),
        (
            format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
            BODY,
            200,
        ),
        ("Transfer-Encoding: chunked\r\n".into(), &chunked[..], 200),
        (format!("Content-Length: {length}\r\nContent-Length: 1\r\n"), BODY, 400),
        (format!("Content-Length: {length}, {length}\r\n"), BODY, 400),
        (format!("Content-Length: +{length}\r\n"), BODY, 400),
        ("Transfer-Encoding: gzip\r\n".into(), BODY, 400),
        ("Transfer-Encoding: chunked, gzip\r\n".into(), &chunked, 400),
        // The library leaves the length away, as RFC 9112, section 6.3, says: what counts is the coding.
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n".into(),
            &chunked,
            200,
        ),
        ("Transfer-Encoding : chunked\r\n".into(), &chunked, 400),
    ] {
        let head = format!("POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{lines}\r\n");
        assert_eq!(status_of(&head, body).await, status, "{lines}");
    }
}
