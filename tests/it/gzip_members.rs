//! Compressed bodies: gzip of any number of members, by each of its names, and nothing that is not gzip from end to end.

use prost::Message;
use tonic::Code;

use crate::support::frames::{RawCall, frame};
use crate::support::http::gzip;
use crate::support::{Refusal, TestServer, fast};

const BODY: &str = r#"{"texts": ["a", "b"], "route": "ROUTE_FAST"}"#;

/// A message in several members, one of them empty.
fn in_members(whole: &[u8]) -> Vec<u8> {
    let (first, second) = whole.split_at(whole.len() / 2);
    [gzip(first), gzip(b""), gzip(second)].concat()
}

fn packed(body: &[u8]) -> RawCall {
    RawCall {
        body: frame(true, body),
        ..RawCall::predict(b"").header("grpc-encoding", "gzip")
    }
}

#[tokio::test]
async fn members_are_one_body_and_what_is_none_is_refused() {
    let server = TestServer::shared().await;
    let http = server.http();
    let message = fast(&["a", "b"]).encode_to_vec();
    let large = fast(&[&"가 ".repeat(4000), &"a".repeat(16_000)]);
    let headers = [("content-encoding", "gzip")];
    for message in [&message, &large.encode_to_vec()] {
        let answer = packed(&in_members(message)).send(server.grpc_addr()).await;
        assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
    }
    for body in [BODY.to_owned(), format!("{BODY}{}", " ".repeat(1 << 20))] {
        let answer = http
            .post_with("/v1/predict", &headers, in_members(body.as_bytes()))
            .await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
        assert_eq!(answer.json()["predictions"].as_array().map(Vec::len), Some(2));
    }
    for break_it in [
        |whole: Vec<u8>| [&whole[..], b"junk"].concat(),
        |whole: Vec<u8>| [&whole[..], &[0]].concat(),
        |whole: Vec<u8>| [&whole[..], &whole[..10]].concat(),
        |whole: Vec<u8>| whole[..whole.len() - 1].to_vec(),
        |_: Vec<u8>| Vec::new(),
    ] {
        let answer = packed(&break_it(gzip(&message))).send(server.grpc_addr()).await;
        assert_eq!(Refusal::of(&answer.status).reason, "MALFORMED_MESSAGE");
        let answer = http
            .post_with("/v1/predict", &headers, break_it(gzip(BODY.as_bytes())))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (400, "MALFORMED_MESSAGE")
        );
    }
}

#[tokio::test]
async fn gzip_has_several_names_and_is_undone_once() {
    let http = TestServer::shared().await.http();
    let once = gzip(BODY.as_bytes());
    for name in [
        "gzip",
        "GZIP",
        "x-gzip",
        "X-Gzip",
        "identity, gzip",
        "gzip,identity",
        " gzip ,",
    ] {
        let answer = http
            .post_with("/v1/predict", &[("content-encoding", name)], once.clone())
            .await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text());
    }
    for name in ["", "identity", "Identity", "identity, identity", ","] {
        let answer = http.post_with("/v1/predict", &[("content-encoding", name)], BODY).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text());
    }
    let twice = gzip(&once);
    for headers in [
        &[("content-encoding", "gzip, gzip")][..],
        &[("content-encoding", "gzip"), ("content-encoding", "x-gzip")],
        &[("content-encoding", "br, gzip")],
        &[("content-encoding", "deflate")],
        &[("content-encoding", "gzip;q=1")],
    ] {
        let answer = http.post_with("/v1/predict", headers, twice.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (415, "UNSUPPORTED_ENCODING")
        );
    }
}

#[tokio::test]
async fn grpc_names_one_compression() {
    let server = TestServer::shared().await;
    let message = fast(&["a"]).encode_to_vec();
    for name in ["gzip", "GZIP"] {
        let call = RawCall {
            body: frame(true, &gzip(&message)),
            ..RawCall::predict(b"").header("grpc-encoding", name)
        };
        assert_eq!(call.send(server.grpc_addr()).await.status.code(), Code::Ok, "{name}");
    }
    // A message need not be packed where it may be.
    let call = RawCall::predict(&message).header("grpc-encoding", "gzip");
    assert_eq!(call.send(server.grpc_addr()).await.status.code(), Code::Ok);
    for names in [
        &["gzip", "gzip"][..],
        &["identity", "gzip"],
        &["gzip, gzip"],
        &[""],
        &["x-gzip"],
    ] {
        let call = RawCall::predict(&message);
        let call = names.iter().fold(call, |call, name| call.header("grpc-encoding", name));
        let refusal = Refusal::of(&call.send(server.grpc_addr()).await.status);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::Unimplemented, "UNSUPPORTED_ENCODING")
        );
    }
    for call in [
        RawCall::predict(b""),
        RawCall::predict(b"").header("grpc-encoding", "identity"),
    ] {
        let unnamed = RawCall {
            body: frame(true, &gzip(&message)),
            ..call
        };
        let refusal = Refusal::of(&unnamed.send(server.grpc_addr()).await.status);
        assert_eq!(refusal.reason, "MALFORMED_MESSAGE");
    }
}
