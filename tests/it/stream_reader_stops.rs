//! Callers that do not read: what their requests held is given back by itself, and others are answered. First of all those of
//! a PredictStream, whose requests are one call's; then single calls over HTTP/2, and over HTTP/1 one behind the other.

use std::time::Duration;

use prost::Message;
use tandem::api::grpc::stream::MAX_OPEN_REQUESTS;
use tandem::api::pb;
use tandem::api::tei::pb as tei;
use tandem::batching::shares::Amount;
use tandem::service::catalog::ModelState;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::frames::frame as grpc_message;
use crate::support::h2_bytes::*;
use crate::support::server::HANG;
use crate::support::{TestServer, fast, reviews};

/// SETTINGS_INITIAL_WINDOW_SIZE: what the server may send on a stream before it is told that there is room.
const INITIAL_WINDOW: [u8; 2] = 4u16.to_be_bytes();

fn asked(id: usize, request: pb::PredictRequest) -> Vec<u8> {
    let request = pb::PredictStreamRequest {
        id: id.to_string(),
        request: Some(request),
        timeout_duration: None,
    };
    grpc_message(false, &request.encode_to_vec()).to_vec()
}

/// A connection of one stream, whose window for answers is `window` bytes and stays so. Its requests come one by one.
async fn open(server: &TestServer, window: u32, timeout: Option<&str>, requests: &[Vec<u8>]) -> TcpStream {
    let path = "/tandem.v1.PredictionService/PredictStream";
    open_at(path, server, window, timeout, requests).await
}

/// The same at another path.
async fn open_at(
    path: &str,
    server: &TestServer,
    window: u32,
    timeout: Option<&str>,
    requests: &[Vec<u8>],
) -> TcpStream {
    let mut headers = [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat();
    headers.extend(timeout.into_iter().flat_map(|timeout| field("grpc-timeout", timeout)));
    let settings = [&INITIAL_WINDOW[..], &window.to_be_bytes()].concat();
    let mut bytes = [
        PREFACE.to_vec(),
        frame(SETTINGS, NONE, 0, &settings),
        frame(HEADERS, END_HEADERS, 1, &headers),
    ]
    .concat();
    bytes.extend(requests.iter().flat_map(|request| frame(DATA, NONE, 1, request)));
    let mut connection = TcpStream::connect(server.grpc_addr()).await.expect("the port is open");
    connection.write_all(&bytes).await.expect("the server reads");
    connection
}

/// Waits until it is so; a hang fails.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANG, wait).await.expect(what);
}

fn held(server: &TestServer) -> Amount {
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    let ModelState::Serving(serving) = &*version.state() else {
        panic!("it serves");
    };
    serving.scheduler.held()
}

/// How many requests of streams were answered, with an answer or an error.
fn answered(server: &TestServer) -> usize {
    count(server, r#"method="PredictStream.request""#)
}

/// How many calls of all kinds.
fn requests(server: &TestServer) -> usize {
    count(server, "")
}

fn count(server: &TestServer, label: &str) -> usize {
    let metrics = server.service.metrics().text();
    let counts = metrics
        .lines()
        .filter(|line| line.starts_with("tandem_requests_total") && line.contains(label));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}

#[tokio::test]
async fn requests_of_a_reader_that_stopped_are_done_and_hold_nothing() {
    const REQUESTS: usize = 64;
    for window in [0, 1, 2000] {
        let server = TestServer::builder().fast_only().max_queue_texts(128).start().await;
        let requests: Vec<_> = (0..REQUESTS).map(|id| asked(id, fast(&["좋다", "나쁘다"]))).collect();
        let _connection = open(&server, window, None, &requests).await;
        // Some are read while the first are answered and wait; at least those that were open then are done.
        until("some are answered", || answered(&server) > 8).await;
        until("nothing is held", || held(&server) == Amount::default()).await;
        let texts = vec!["좋다"; 128];
        let mut other = server.client().await;
        // Between two requests of the stream nothing is held for a moment, so the first try may come too early.
        let room = async {
            while other.predict(fast(&texts)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let room = tokio::time::timeout(HANG, room).await;
        room.expect("all room is there for others");
    }
}

#[tokio::test]
async fn a_stream_of_another_protocol_reads_no_more_than_it_may_while_nobody_reads_its_answers() {
    const REQUESTS: usize = 500;
    let server = TestServer::builder().fast_only().max_queue_texts(128).start().await;
    let request = tei::PredictRequest {
        inputs: "좋다".into(),
        ..tei::PredictRequest::default()
    };
    let requests = vec![grpc_message(false, &request.encode_to_vec()).to_vec(); REQUESTS];
    let path = "/tei.v1.Predict/PredictStream";
    let connection = open_at(path, &server, 0, None, &requests).await;
    let answered = || count(&server, r#"method="tei.v1.Predict.PredictStream.request""#);
    until("some are answered", || answered() > 8).await;
    until("nothing is held", || held(&server) == Amount::default()).await;
    let texts = vec!["좋다"; 128];
    let mut other = server.client().await;
    other.predict(fast(&texts)).await.expect("all room is there for others");
    // Those that may be open at a time, and the one that the connection took.
    assert!(answered() <= MAX_OPEN_REQUESTS + 1, "{}", answered());
    drop(connection);
    server.until_no_body_is_held().await;
}

#[tokio::test]
async fn the_deadline_of_a_call_ends_all_that_waits_in_it_whoever_reads() {
    let server = TestServer::builder().fast_only().start().await;
    let long = "긴 글 ".repeat(100);
    let requests: Vec<_> = (0..40).map(|id| asked(id, fast(&[&long]))).collect();
    let _connection = open(&server, 0, Some("500m"), &requests).await;
    let bytes = server.service.metrics().inflight_body_bytes();
    until("requests are held", || bytes.get() > 0).await;
    // The one answer that the connection took is held until it is read: it is smaller than any request.
    let one_request = i64::try_from(long.len()).expect("small");
    until("the call is over", || bytes.get() < one_request).await;
    assert_eq!(held(&server), Amount::default());
}

#[tokio::test]
async fn texts_that_a_stopped_reader_asked_for_are_answered_to_others() {
    let server = TestServer::builder().fast_only().cache_bytes(1 << 20).start().await;
    let texts = reviews::texts(64);
    let requests: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| asked(id, fast(&[text])))
        .collect();
    let _connection = open(&server, 0, None, &requests).await;
    until("some are answered", || answered(&server) > 8).await;
    let mut other = server.client().await;
    for text in texts {
        other.predict(fast(&[text])).await.expect("no flight is held");
    }
}

#[tokio::test]
async fn single_calls_whose_answers_nobody_reads_hold_nothing() {
    let server = TestServer::builder().fast_only().max_queue_texts(128).start().await;
    let settings = [&INITIAL_WINDOW[..], &[0; 4]].concat();
    let message = grpc_message(false, &fast(&["좋다"; 2]).encode_to_vec());
    let mut multiplexed = [PREFACE.to_vec(), frame(SETTINGS, NONE, 0, &settings)].concat();
    for stream in (1..128).step_by(2) {
        multiplexed.extend(frame(HEADERS, END_HEADERS, stream, &call_headers()));
        multiplexed.extend(frame(DATA, END_STREAM, stream, &message));
    }
    // Some eight kilobytes an answer: a few hundred of them are more than the system keeps for a peer.
    let json = format!(r#"{{"texts":[{}],"topK":2}}"#, vec![r#""좋다""#; 64].join(","));
    let one = format!(
        "POST /v1/predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    );
    for (address, bytes) in [
        (server.grpc_addr(), multiplexed),
        (server.http_addr(), one.repeat(2000).into_bytes()),
    ] {
        let mut connection = TcpStream::connect(address).await.expect("the port is open");
        let writing = tokio::spawn(async move {
            // Over HTTP/1 the server stops reading at some time. Either way the connection stays open.
            let _ = connection.write_all(&bytes).await;
            std::future::pending::<()>().await;
        });
        until("some are answered", || requests(&server) > 20).await;
        let mut other = server.client().await;
        let texts = vec!["좋다"; 128];
        let all_room = async {
            // Calls that wait behind others take their turns meanwhile.
            while other.predict(fast(&texts)).await.is_err() {}
        };
        tokio::time::timeout(HANG, all_room)
            .await
            .expect("all room is there for others");
        writing.abort();
    }
}
