//! What no generated client sends: broken frames, paths, types and encodings, at both doors.

use http::{Method, StatusCode};
use prost::Message;
use tonic::Code;

use crate::support::frames::{RawCall, frame};
use crate::support::http::gzip;
use crate::support::{Refusal, TestServer, fast};

fn good() -> Vec<u8> {
    fast(&["좋다"]).encode_to_vec()
}

/// Sends a call, and gives how it was refused.
async fn refused(call: RawCall) -> (StatusCode, Refusal) {
    let answer = call.send(TestServer::shared().await.grpc_addr()).await;
    (answer.http_status, Refusal::of(&answer.status))
}

#[tokio::test]
async fn a_frame_by_hand_is_answered() {
    let answer = RawCall::predict(&good())
        .send(TestServer::shared().await.grpc_addr())
        .await;
    assert_eq!((answer.http_status, answer.status.code()), (StatusCode::OK, Code::Ok));
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_the_callers_mistake_and_name_the_field() {
    for (field, message) in [
        ("texts", &b"\x0a\x02\xff\xfe"[..]),
        ("task", b"\x1a\x01\xff"),
        ("model", b"\x2a\x01\x80"),
    ] {
        let (_, refusal) = refused(RawCall::predict(message)).await;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "INVALID_UTF8")
        );
        assert_eq!(refusal.fields, [field]);
        // On a stream, the same field of the request that the message holds.
        let length = u8::try_from(message.len()).expect("short");
        let within = RawCall {
            path: "/tandem.v1.PredictionService/PredictStream".into(),
            ..RawCall::predict(&[&[0x12, length][..], message].concat())
        };
        let (_, refusal) = refused(within).await;
        assert_eq!(refusal.reason, "INVALID_UTF8");
        assert_eq!(refusal.fields, [format!("request.{field}")]);
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_malformed() {
    let empty_body = RawCall {
        body: bytes::Bytes::new(),
        ..RawCall::predict(b"")
    };
    let cut_frame = RawCall {
        body: frame(false, &good()).slice(..9),
        ..RawCall::predict(b"")
    };
    let not_gzip = RawCall {
        body: frame(true, b"not gzip"),
        ..RawCall::predict(b"").header("grpc-encoding", "gzip")
    };
    let odd_flag = RawCall {
        body: [&[7_u8][..], &frame(false, &good())[1..]].concat().into(),
        ..RawCall::predict(b"")
    };
    for (case, call) in [
        ("not Protobuf", RawCall::predict(b"\xff\xff\xff\xff")),
        ("a number where a text is", RawCall::predict(b"\x08\x01")),
        ("a text longer than the message", RawCall::predict(b"\x0a\x7fab")),
        ("no message", empty_body),
        ("a frame that ends early", cut_frame),
        ("broken compression", not_gzip),
        ("an unknown flag", odd_flag),
    ] {
        let (_, refusal) = refused(call).await;
        assert_eq!(refusal.code, Code::InvalidArgument, "{case}: {refusal:?}");
        assert_eq!(refusal.reason, "MALFORMED_MESSAGE", "{case}");
    }
}

#[tokio::test]
async fn a_call_without_its_message_is_malformed_whatever_the_method() {
    for path in [
        "/tandem.v1.PredictionService/Predict",
        "/tandem.v1.PredictionService/Explain",
        "/tandem.v1.ModelService/ListModels",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ] {
        let call = RawCall {
            path: path.into(),
            body: bytes::Bytes::new(),
            ..RawCall::predict(b"")
        };
        let (_, refusal) = refused(call).await;
        assert_eq!(refusal.reason, "MALFORMED_MESSAGE", "{path}");
        assert_eq!(refusal.message, "the message can't be read: there is none", "{path}");
    }
}

#[tokio::test]
async fn a_wrong_path_is_unimplemented() {
    for path in ["/tandem.v1.PredictionService/Guess", "/no.such.Service/Predict", "/"] {
        let call = RawCall {
            path: path.into(),
            ..RawCall::predict(&good())
        };
        let (_, refusal) = refused(call).await;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::Unimplemented, "METHOD_NOT_FOUND"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_415_and_a_wrong_method_405() {
    for content_type in [
        "application/json",
        "text/plain",
        "application/grpc-web",
        "application/grpc+json",
    ] {
        let call = RawCall {
            content_type: content_type.into(),
            ..RawCall::predict(&good())
        };
        let (status, refusal) = refused(call).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_eq!(refusal.reason, "UNSUPPORTED_MEDIA_TYPE", "{content_type}");
    }
    let get = RawCall {
        method: Method::GET,
        ..RawCall::predict(&good())
    };
    let (status, refusal) = refused(get).await;
    assert_eq!(
        (status, refusal.reason.as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
    );
}

#[tokio::test]
async fn an_unknown_compression_is_unimplemented_and_told_what_is_known() {
    let call = RawCall {
        body: frame(true, &good()),
        ..RawCall::predict(b"").header("grpc-encoding", "br")
    };
    let answer = call.send(TestServer::shared().await.grpc_addr()).await;
    let refusal = Refusal::of(&answer.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Unimplemented, "UNSUPPORTED_ENCODING")
    );
    let accepted = answer.headers.get("grpc-accept-encoding").expect("what is known");
    assert!(accepted.to_str().expect("text").contains("gzip"));
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    for value in ["soon", "10", "123456789S", "-1S", "1.5S"] {
        let (_, refusal) = refused(RawCall::predict(&good()).header("grpc-timeout", value)).await;
        assert_eq!(refusal.code, Code::InvalidArgument, "{value}");
        assert_eq!(refusal.fields, ["grpc-timeout"], "{value}");
    }
    let longest = RawCall::predict(&good()).header("grpc-timeout", "99999999H");
    let answer = longest.send(TestServer::shared().await.grpc_addr()).await;
    assert_eq!(answer.status.code(), Code::Ok, "a long one is cut to the longest");
}

#[tokio::test]
async fn a_wrong_type_or_encoding_is_415_over_http() {
    let http = TestServer::shared().await.http();
    let body = r#"{"texts": ["a"]}"#;
    for path in ["/predict", "/v1/predict"] {
        let text = http
            .send(Method::POST, path, &[("content-type", "text/plain")], body)
            .await;
        assert_eq!(
            (text.status.as_u16(), text.reason().as_str()),
            (415, "UNSUPPORTED_MEDIA_TYPE")
        );
        let none = http.send(Method::POST, path, &[], body).await;
        assert_eq!(none.status.as_u16(), 415);
        let packed = http.post_with(path, &[("content-encoding", "br")], body).await;
        assert_eq!(
            (packed.status.as_u16(), packed.reason().as_str()),
            (415, "UNSUPPORTED_ENCODING")
        );
        let broken = http.post_with(path, &[("content-encoding", "gzip")], body).await;
        assert_eq!(
            (broken.status.as_u16(), broken.reason().as_str()),
            (400, "MALFORMED_MESSAGE")
        );
        let get = http.get(path).await;
        assert_eq!(
            (get.status.as_u16(), get.reason().as_str()),
            (405, "METHOD_NOT_ALLOWED")
        );
    }
    let nowhere = http.get("/nowhere").await;
    assert_eq!(
        (nowhere.status.as_u16(), nowhere.reason().as_str()),
        (404, "METHOD_NOT_FOUND")
    );
}

#[tokio::test]
async fn a_charset_beside_the_content_type_is_accepted() {
    let http = TestServer::shared().await.http();
    let headers = [("content-type", "Application/JSON; charset=utf-8")];
    let answer = http.send(Method::POST, "/predict", &headers, r#"{"text": "a"}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_small_body_that_unpacks_beyond_the_limit_is_refused() {
    let server = TestServer::shared().await;
    let largest = server.max_message_bytes();
    let bomb = frame(true, &gzip(&vec![0; largest + 1]));
    assert!(bomb.len() < largest / 100);
    let call = RawCall {
        body: bomb,
        ..RawCall::predict(b"").header("grpc-encoding", "gzip")
    };
    let (_, refusal) = refused(call).await;
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
    assert_eq!(refusal.limit_bytes, Some(largest.to_string()));

    let largest = server.max_json_bytes();
    let bomb = gzip(&vec![b' '; largest + 1]);
    let headers = [("content-encoding", "gzip")];
    let answer = server.http().post_with("/v1/predict", &headers, bomb).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (413, "MESSAGE_TOO_LARGE")
    );
}
