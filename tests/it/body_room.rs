//! The room for bodies: what one caller sends and does not finish leaves room for others, by whatever method, and its time is
//! bounded; what is open to all takes small messages.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tandem::api::pb;
use tandem::config::HumanDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::frames::{self, PREDICT, RawCall};
use crate::support::h2_bytes::*;
use crate::support::{Refusal, TestServer, fast};

const STREAM: &str = "/tandem.v1.PredictionService/PredictStream";
const EXPLAIN: &str = "/tandem.v1.PredictionService/Explain";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const OLD_REFLECTION: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const LIST: &str = "/tandem.v1.ModelService/ListModels";

/// The calls that one connection begins below, and the bytes of each: more in all than the room of the server.
const CALLS: u32 = 100;
const BYTES: usize = 7000;

/// A server with room for 50 of these, of which each connection has a little less than one for itself.
async fn small_room() -> TestServer {
    TestServer::builder()
        .fast_only()
        .max_texts(2)
        .max_text_bytes(1000)
        .max_connections(4)
        .with(|settings| settings.max_inflight_body_bytes = 50 * BYTES)
        .start()
        .await
}

fn headers_to(path: &str) -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat()
}

/// The next frame of a connection: its kind and its flags.
async fn next_frame(stream: &mut TcpStream) -> (u8, u8) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("the connection is open");
    let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; size as usize];
    stream.read_exact(&mut payload).await.expect("a whole frame");
    (head[3], head[4])
}

#[tokio::test]
async fn calls_that_are_not_finished_leave_room_for_others() {
    for method in [PREDICT, STREAM, EXPLAIN] {
        let server = small_room().await;
        let mut greedy = TcpStream::connect(server.grpc_addr()).await.expect("open");
        greedy.write_all(PREFACE).await.expect("written");
        greedy.write_all(&frame(SETTINGS, NONE, 0, &[])).await.expect("written");
        let mut half = vec![0, 0, 0];
        half.extend(8000_u16.to_be_bytes());
        half.resize(BYTES, 7);
        for call in 0..CALLS {
            let stream = 2 * call + 1;
            let begun = [
                frame(HEADERS, END_HEADERS, stream, &headers_to(method)),
                frame(DATA, NONE, stream, &half),
            ];
            greedy.write_all(&begun.concat()).await.expect("written");
        }
        // One of them was refused: its connection holds all that it may.
        while !matches!(next_frame(&mut greedy).await, (HEADERS, flags) if flags & END_STREAM != 0) {}
        let text = "a".repeat(1000);
        let answer = server.client().await.predict(fast(&[&text])).await;
        answer.expect("another connection has room");
        let json = serde_json::json!({"text": [text], "do_fast": true}).to_string();
        assert_eq!(
            server.http().post("/predict", json).await.status.as_u16(),
            200,
            "{method}"
        );
        let mut health = HealthClient::new(server.channel().await);
        let asked = HealthCheckRequest { service: String::new() };
        health.check(asked).await.expect("health is answered");
    }
}

/// Calls a method with these bytes and no end, and reads the status.
async fn unfinished(server: &TestServer, path: &str, bytes: &[u8]) -> Status {
    let first = futures::stream::iter([Ok::<_, std::convert::Infallible>(Frame::data(Bytes::copy_from_slice(
        bytes,
    )))]);
    let body = futures::StreamExt::chain(first, futures::stream::pending());
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = http::Request::post(format!("http://{}{path}", server.grpc_addr()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(body))
        .expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let rest = body.collect().await.expect("it ends");
    let trailers = rest.trailers().and_then(Status::from_header_map);
    trailers
        .or_else(|| Status::from_header_map(&head.headers))
        .expect("a status")
}

#[tokio::test]
async fn the_first_message_of_every_method_must_come_in_time() {
    let server = TestServer::builder()
        .fast_only()
        .max_timeout(Duration::from_millis(50))
        .start()
        .await;
    for path in [PREDICT, STREAM, EXPLAIN, CHECK, WATCH, LIST] {
        for begun in [&[][..], &[0, 0], &[0, 0, 0, 0, 9, 1, 2]] {
            let status = unfinished(&server, path, begun).await;
            assert_eq!(status.code(), Code::DeadlineExceeded, "{path}: {begun:?}");
        }
    }
    for path in [REFLECTION, OLD_REFLECTION] {
        // The library says nothing of why; it ends.
        unfinished(&server, path, &[0, 0, 0, 0, 9, 1]).await;
    }
    let whole = frames::frame(false, &HealthCheckRequest::default().encode_to_vec());
    let status = unfinished(&server, WATCH, &whole).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "one message, and no end of it");
}

#[tokio::test]
async fn a_later_message_of_a_stream_that_has_begun_must_come_in_time() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.default_timeout = HumanDuration(Duration::from_millis(50)))
        .start()
        .await;
    let request = pb::PredictStreamRequest {
        id: "a".into(),
        request: Some(fast(&["좋다"])),
        timeout_duration: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
    };
    let whole = frames::frame(false, &request.encode_to_vec());
    let status = unfinished(&server, STREAM, &[&whole[..], &whole[..7]].concat()).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn messages_without_texts_are_small_by_what_they_declare() {
    let server = TestServer::shared().await;
    // A head that declares 4,097 bytes, of which none follows.
    for path in [CHECK, WATCH, LIST, "/tandem.v1.PredictionService/Health"] {
        let status = unfinished(server, path, &[0, 0, 0, 16, 1]).await;
        let refusal = Refusal::of(&status);
        assert_eq!(
            (refusal.reason.as_str(), refusal.limit_bytes.as_deref()),
            ("MESSAGE_TOO_LARGE", Some("4096")),
            "{path}"
        );
    }
    for path in [REFLECTION, OLD_REFLECTION] {
        unfinished(server, path, &[0, 0, 0, 16, 1]).await;
    }
}

#[tokio::test]
async fn a_second_message_where_one_belongs_is_refused() {
    let server = TestServer::shared().await;
    let one = frames::frame(false, &fast(&["좋다"]).encode_to_vec());
    let mut call = RawCall::predict(&[]);
    call.body = [&one[..], &one[..]].concat().into();
    let refusal = Refusal::of(&call.send(server.grpc_addr()).await.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::InvalidArgument, "MALFORMED_MESSAGE")
    );
}

#[tokio::test]
async fn a_name_that_nothing_can_have_is_unknown_and_its_watch_stays_open() {
    let mut server = TestServer::builder().fast_only().start().await;
    let mut health = HealthClient::new(server.channel().await);
    let asked = HealthCheckRequest {
        service: "n".repeat(4000),
    };
    let mut watched = health.watch(asked).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("open").expect("a status");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    server.start_shutdown().await;
    assert!(watched.message().await.expect("no failure").is_none());
    server.stopped().await;
}
