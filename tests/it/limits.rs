//! What one caller, and all of them together, may ask: texts a second by key, and the bytes of bodies in flight.

use std::time::{Duration, Instant};

use futures::future::join_all;
use prost::Message;
use tandem::api::body_budget::HeldBody;
use tandem::api::pb;
use tandem::config::HumanDuration;
use tandem::service::messages::Weight;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::support::frames::{PREDICT, RawCall};
use crate::support::http::gzip;
use crate::support::reviews::texts;
use crate::support::stage::later;
use crate::support::{Client, Refusal, TestServer, deep, fast};

const SLOW: &str = "slow-0123456789abcdef";
const FREE: &str = "free-0123456789abcdef";

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    request
}

/// The pause that a refusal tells, in its details and for clients that retry by themselves.
fn pause(status: &Status) -> Duration {
    let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let pause = pause.expect("when to come back");
    let pushback = status
        .metadata()
        .get("grpc-retry-pushback-ms")
        .expect("the same, for clients");
    assert_eq!(pushback.to_str().expect("digits"), pause.as_millis().to_string());
    pause
}

async fn limited_server() -> TestServer {
    // One text in a hundred seconds would be less than the least, so a burst decides.
    let tokens = format!("slow:{SLOW} texts_per_second=1 burst=100,free:{FREE}");
    TestServer::builder().fast_only().tokens(&tokens).start().await
}

#[tokio::test]
async fn over_grpc_a_key_is_held_to_its_rate_and_others_are_not() {
    let server = limited_server().await;
    let mut client = server.client().await;
    let texts = vec!["좋다"; 50];
    for _ in 0..2 {
        client.predict(by(SLOW, fast(&texts))).await.expect("within the burst");
    }
    let status = client.predict(by(SLOW, fast(&texts))).await.expect_err("used up");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let pause = pause(&status);
    assert!(
        pause > Duration::from_secs(30) && pause <= Duration::from_secs(50),
        "{pause:?}"
    );
    let explain = pb::ExplainRequest {
        texts: vec!["a".into(); 8],
        ..pb::ExplainRequest::default()
    };
    let status = client.explain(by(SLOW, explain)).await.expect_err("it counts too");
    assert_eq!(Refusal::of(&status).reason, "RATE_LIMITED");
    for _ in 0..10 {
        client.predict(by(FREE, fast(&texts))).await.expect("another key");
    }
    let more = vec!["a"; 101];
    let status = client.predict(by(SLOW, fast(&more))).await.expect_err("never");
    assert!(status.get_details_retry_info().is_none(), "no pause would help");

    let asked = vec![pb::PredictStreamRequest {
        id: "it".into(),
        request: Some(fast(&texts)),
        timeout_duration: None,
    }];
    let stream = client.predict_stream(by(SLOW, tokio_stream::iter(asked))).await;
    let mut answers = stream.expect("a stream").into_inner();
    let answer = answers.message().await.expect("no failure").expect("an answer");
    match answer.outcome.expect("an outcome") {
        pb::predict_stream_response::Outcome::Status(status) => assert_eq!(status.code, Code::ResourceExhausted as i32),
        pb::predict_stream_response::Outcome::Response(_) => panic!("the rate is used up"),
    }
}

#[tokio::test]
async fn over_http_a_key_is_held_to_its_rate() {
    let server = limited_server().await;
    let http = server.http();
    let key = format!("Bearer {SLOW}");
    let headers = [("authorization", key.as_str())];
    let body = serde_json::json!({"text": vec!["좋다"; 100], "do_fast": true}).to_string();
    let answer = http.post_with("/predict", &headers, body.clone()).await;
    assert_eq!(answer.status.as_u16(), 200);
    for (path, body) in [
        ("/predict", body),
        (
            "/v1/predict",
            serde_json::json!({"texts": vec!["좋다"; 100]}).to_string(),
        ),
        ("/v1/explain", serde_json::json!({"texts": vec!["좋다"; 8]}).to_string()),
    ] {
        let answer = http.post_with(path, &headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (429, "RATE_LIMITED")
        );
        assert!(answer.json()["error"]["retryAfterMs"].as_u64().expect("a pause") > 1000);
        assert!(answer.header("retry-after").parse::<u64>().expect("seconds") > 1);
    }
    let counted = http.get("/metrics").await;
    assert_eq!(counted.status.as_u16(), 401, "metrics want a key too");
    let free = format!("Bearer {FREE}");
    let counted = http
        .send(http::Method::GET, "/metrics", &[("authorization", &free)], "")
        .await;
    assert!(
        counted.text().contains(r#"reason="RATE_LIMITED""#),
        "{}",
        counted.text()
    );
}

#[tokio::test]
async fn who_waits_for_the_told_pause_is_served() {
    let tokens = format!("slow:{SLOW} texts_per_second=1 burst=1");
    let server = TestServer::builder().fast_only().tokens(&tokens).start().await;
    let mut client = server.client().await;
    let ask = || by(SLOW, fast(&["좋다"]));
    client.predict(ask()).await.expect("within the burst");
    let status = client.predict(ask()).await.expect_err("used up");
    assert_eq!(Refusal::of(&status).reason, "RATE_LIMITED");
    tokio::time::sleep(pause(&status)).await;
    client.predict(ask()).await.expect("after the pause");

    let http = server.http();
    let key = format!("Bearer {SLOW}");
    let headers = [("authorization", key.as_str())];
    let ask = async || {
        let body = serde_json::json!({"texts": ["좋다"], "route": "ROUTE_FAST"}).to_string();
        http.post_with("/v1/predict", &headers, body).await
    };
    let mut answer = ask().await;
    for told in ["retryAfterMs", "retry-after"] {
        // A call that took longer than a second found the burst full again.
        while answer.status.as_u16() == 200 {
            answer = ask().await;
        }
        assert_eq!(answer.reason(), "RATE_LIMITED", "{}", answer.text());
        let pause = match told {
            "retryAfterMs" => Duration::from_millis(answer.json()["error"]["retryAfterMs"].as_u64().expect("a pause")),
            header => Duration::from_secs(answer.header(header).parse().expect("seconds")),
        };
        tokio::time::sleep(pause).await;
        answer = ask().await;
        assert_eq!(answer.status.as_u16(), 200, "after {told}: {}", answer.text());
    }
}

#[tokio::test]
async fn callers_who_wait_for_the_told_pauses_get_through_a_full_queue_within_their_deadline() {
    let server = TestServer::builder()
        .one_deep_instance()
        .max_texts(16)
        .max_queue_texts(32)
        .start()
        .await;
    let channel = server.channel().await;
    let texts = texts(16);
    let caller = async |deadline: Instant| {
        let mut client = Client::new(channel.clone());
        let mut refusals = 0;
        loop {
            let status = match client.predict(deep(&texts)).await {
                Ok(answer) => {
                    assert_eq!(answer.into_inner().predictions.len(), texts.len());
                    return refusals;
                }
                Err(status) => status,
            };
            assert_eq!(Refusal::of(&status).reason, "QUEUE_FULL", "{status:?}");
            refusals += 1;
            tokio::time::sleep(pause(&status)).await;
            assert!(Instant::now() < deadline, "refused {refusals} times");
        }
    };
    let deadline = later();
    let refusals = join_all((0..12).map(|_| caller(deadline))).await;
    assert!(refusals.iter().sum::<usize>() > 0, "the queue was never full");
}

#[tokio::test]
async fn a_keys_limits_are_exchanged_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    std::fs::write(&file, format!("slow:{SLOW} texts_per_second=1 burst=1\n")).expect("written");
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.tokens_file = Some(file.clone());
            settings.reload_interval = HumanDuration(Duration::from_millis(20));
        })
        .start()
        .await;
    let mut client = server.client().await;
    let two = || by(SLOW, fast(&["a", "b"]));
    client.predict(two()).await.expect_err("more than a burst");
    std::fs::write(&file, format!("slow:{SLOW} texts_per_second=1000000\n")).expect("written");
    while client.predict(two()).await.is_err() {}
}

/// What bodies may hold: a little more than the largest one of the server below.
const ROOM: usize = 49_000;

/// A server whose bodies may hold as much as the largest one.
async fn tight_server() -> TestServer {
    TestServer::builder()
        .fast_only()
        .max_texts(2)
        .max_text_bytes(1000)
        .with(|settings| settings.max_inflight_body_bytes = ROOM)
        .start()
        .await
}

/// Holds all but so many bytes of what bodies may hold.
async fn leave(server: &TestServer, bytes: usize) -> HeldBody {
    server.until_no_body_is_held().await;
    let body = HeldBody::new(server.bodies.caller(u64::MAX, None, None, Weight::default()));
    body.add(ROOM - bytes).expect("room");
    body
}

#[tokio::test]
async fn bodies_over_the_bound_are_refused_at_both_doors_with_the_limit() {
    let server = tight_server().await;
    let limit = ROOM.to_string();
    let text = "a".repeat(1000);
    let message = fast(&[&text]).encode_to_vec();
    let json = serde_json::json!({"text": [text], "do_fast": true}).to_string();

    // A text has a header of 24 bytes; the message has less beside it.
    let becomes = text.len() + 24;
    assert!(message.len() + 5 < becomes && becomes < json.len());
    let held = leave(&server, becomes).await;
    let answer = RawCall::predict(&message).send(server.grpc_addr()).await;
    assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
    drop(held);
    let held = leave(&server, becomes - 1).await;
    let answer = RawCall::predict(&message).send(server.grpc_addr()).await;
    let refusal = Refusal::of(&answer.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str(), refusal.limit_bytes),
        (Code::ResourceExhausted, "BODIES_FULL", Some(limit.clone()))
    );
    pause(&answer.status);
    drop(held);

    let http = server.http();
    let held = leave(&server, json.len()).await;
    assert_eq!(http.post("/predict", json.clone()).await.status.as_u16(), 200);
    drop(held);
    let held = leave(&server, json.len() - 1).await;
    let answer = http.post("/predict", json.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (429, "BODIES_FULL"));
    assert_eq!(answer.json()["error"]["metadata"]["limit_bytes"], limit);
    assert!(answer.header("retry-after").parse::<u64>().expect("seconds") > 0);
    drop(held);
    assert_eq!(
        http.post("/predict", json).await.status.as_u16(),
        200,
        "there is room again"
    );
}

#[tokio::test]
async fn it_is_the_decompressed_size_that_counts() {
    let server = tight_server().await;
    let text = "a".repeat(1000);
    let message = fast(&[&text]).encode_to_vec();
    let packed = gzip(&message);
    assert!(packed.len() < 100);
    let held = leave(&server, message.len() - 1).await;
    let mut call = RawCall::predict(&message).header("grpc-encoding", "gzip");
    call.body = crate::support::frames::frame(true, &packed);
    let answer = call.send(server.grpc_addr()).await;
    assert_eq!(Refusal::of(&answer.status).reason, "BODIES_FULL");
    let json = serde_json::json!({"text": [text], "do_fast": true}).to_string();
    let headers = [("content-encoding", "gzip")];
    let answer = server
        .http()
        .post_with("/predict", &headers, gzip(json.as_bytes()))
        .await;
    assert_eq!(answer.reason(), "BODIES_FULL");
    drop(held);
}

#[tokio::test]
async fn a_message_is_refused_by_its_length_before_it_has_come() {
    let server = tight_server().await;
    let _held = leave(&server, 1000).await;
    // The head says 2,000 bytes; none of them follows, and the call is not ended.
    let head = [0, 0, 0, 7, 208];
    let (body, sender) = open_body(&head);
    let request = http::Request::post(format!("http://{}{PREDICT}", server.grpc_addr()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let answer = client.request(request).await.expect("an answer");
    let status = Status::from_header_map(answer.headers()).expect("a status without a body");
    assert_eq!(Refusal::of(&status).reason, "BODIES_FULL");
    drop(sender);
}

type Piece = Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>;
type Pieces = futures::channel::mpsc::UnboundedSender<Piece>;
type OpenBody = http_body_util::StreamBody<futures::channel::mpsc::UnboundedReceiver<Piece>>;

/// A body that begins with `bytes` and stays open as long as its sender.
fn open_body(bytes: &[u8]) -> (OpenBody, Pieces) {
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    let first = http_body::Frame::data(bytes::Bytes::copy_from_slice(bytes));
    sender.unbounded_send(Ok(first)).expect("open");
    (http_body_util::StreamBody::new(receiver), sender)
}

#[tokio::test]
async fn open_requests_of_a_stream_count_and_everything_comes_back() {
    let server = tight_server().await;
    let text = "a".repeat(1000);
    let asked: Vec<_> = (0..200)
        .map(|at| pb::PredictStreamRequest {
            id: at.to_string(),
            request: Some(fast(&[&text])),
            timeout_duration: None,
        })
        .collect();
    let client = server.client().await;
    let streams = (0..4).map(|_| {
        let (mut client, asked) = (client.clone(), asked.clone());
        async move {
            // A stream that finds the room full is refused as its messages are.
            let mut answers = match client.predict_stream(tokio_stream::iter(asked)).await {
                Ok(stream) => stream.into_inner(),
                Err(status) => {
                    assert_eq!(Refusal::of(&status).reason, "BODIES_FULL", "{status:?}");
                    return 0;
                }
            };
            let mut seen = 0;
            loop {
                match answers.message().await {
                    Ok(Some(_)) => seen += 1,
                    Ok(None) => break seen,
                    Err(status) => {
                        // A message that had no room while it came ends its stream.
                        assert_eq!(Refusal::of(&status).reason, "BODIES_FULL", "{status:?}");
                        break seen;
                    }
                }
            }
        }
    });
    let seen: usize = join_all(streams).await.into_iter().sum();
    assert!(seen > 0);
    while server.service.metrics().inflight_body_bytes().get() != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn headers_over_the_limit_are_told_so_at_both_doors() {
    let server = tight_server().await;
    let filler = "a".repeat(4000);
    let names = ["x-a", "x-b", "x-c", "x-d", "x-e"];
    let headers: Vec<(&str, &str)> = names.iter().map(|&name| (name, filler.as_str())).collect();
    let mut call = RawCall::predict(&fast(&["a"]).encode_to_vec());
    for (name, value) in &headers {
        call = call.header(name, value);
    }
    let answer = call.send(server.grpc_addr()).await;
    let refusal = Refusal::of(&answer.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str(), refusal.limit_bytes.as_deref()),
        (Code::ResourceExhausted, "HEADERS_TOO_LARGE", Some("16384"))
    );
    let body = r#"{"text": "a", "do_fast": true}"#;
    let http = server.http();
    let answer = http.post_with("/predict", &headers, body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (431, "HEADERS_TOO_LARGE")
    );
    let answer = http.post_with("/predict", &headers[..3], body).await;
    assert_eq!(answer.status.as_u16(), 200);
}
