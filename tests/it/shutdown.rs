//! The drain: what was accepted is finished, nothing open or silent holds it up beyond the grace limit.

use std::time::Duration;

use tandem::api::pb;
use tandem::api::tei::pb as tei;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{TestServer, fast};

/// Longer than the harness waits for a server's end: who needs it hangs.
const ENDLESS: Duration = Duration::from_hours(1);

async fn server(grace: Duration) -> TestServer {
    TestServer::builder().fast_only().drain_grace(grace).start().await
}

fn streamed(id: &str) -> pb::PredictStreamRequest {
    pb::PredictStreamRequest {
        id: id.into(),
        request: Some(fast(&["좋다"])),
        timeout_duration: None,
    }
}

#[tokio::test]
async fn an_http_call_that_was_accepted_is_answered() {
    let mut server = server(ENDLESS).await;
    let body = r#"{"text": "좋다", "do_fast": true}"#;
    let mut connection = TcpStream::connect(server.http_addr()).await.expect("open");
    let head = format!(
        "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.expect("written");
    let mut interim = [0; 25];
    connection
        .read_exact(&mut interim)
        .await
        .expect("the handler asks for the body");
    assert!(interim.starts_with(b"HTTP/1.1 100 Continue"));
    server.start_shutdown().await;
    connection.write_all(body.as_bytes()).await.expect("written");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("read to the end");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("positive"), "{answer}");
    server.stopped().await;
}

#[tokio::test]
async fn a_grpc_call_that_was_accepted_is_finished() {
    let mut server = server(ENDLESS).await;
    let mut client = server.client().await;
    let (requests, receiver) = mpsc::channel(1);
    let call = client
        .predict_stream(ReceiverStream::new(receiver))
        .await
        .expect("a stream");
    let mut answers = call.into_inner();
    // Enough work that some of it is under way when the drain starts.
    let long = "긴 문장 ".repeat(800);
    let request = |at: usize| pb::PredictStreamRequest {
        request: Some(fast(&vec![long.as_str(); 64])),
        ..streamed(&at.to_string())
    };
    for at in 0..8 {
        requests.send(request(at)).await.expect("open");
    }
    let first = answers.message().await.expect("open").expect("an answer");
    server.start_shutdown().await;
    let mut answered = vec![first];
    while let Some(answer) = answers.message().await.expect("a good end") {
        answered.push(answer);
    }
    assert_eq!(answered.len(), 8, "what was read is answered");
    for answer in answered {
        assert!(matches!(
            answer.outcome,
            Some(pb::predict_stream_response::Outcome::Response(_))
        ));
    }
    server.stopped().await;
    drop(requests);
}

#[tokio::test]
async fn an_open_watch_hears_not_serving_and_ends() {
    let mut server = server(ENDLESS).await;
    let mut health = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watched = health.watch(request).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("open").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    server.start_shutdown().await;
    let last = watched.message().await.expect("open").expect("a status");
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert!(watched.message().await.expect("a good end").is_none());
    server.stopped().await;
}

#[tokio::test]
async fn silent_and_idle_connections_do_not_hold_up_the_end() {
    let mut server = server(ENDLESS).await;
    let silent = [
        TcpStream::connect(server.grpc_addr()).await.expect("open"),
        TcpStream::connect(server.http_addr()).await.expect("open"),
    ];
    let mut idle = server.client().await;
    idle.predict(fast(&["a"])).await.expect("an answer");
    let http = server.http();
    http.get("/healthz").await;
    server.start_shutdown().await;
    server.stopped().await;
    drop((silent, http));
}

#[tokio::test]
async fn an_idle_stream_is_ended_in_peace_and_does_not_hold_up_the_end() {
    let mut server = server(ENDLESS).await;
    let mut client = server.client().await;
    let (requests, receiver) = mpsc::channel(1);
    let call = client
        .predict_stream(ReceiverStream::new(receiver))
        .await
        .expect("a stream");
    let mut answers = call.into_inner();
    requests.send(streamed("one")).await.expect("open");
    answers.message().await.expect("open").expect("an answer");
    server.start_shutdown().await;
    assert!(answers.message().await.expect("a good end").is_none());
    server.stopped().await;
    drop(requests);
}

#[tokio::test]
async fn after_the_drain_started_no_connection_is_taken() {
    let mut server = server(ENDLESS).await;
    let (grpc, http) = (server.grpc_addr(), server.http_addr());
    server.start_shutdown().await;
    server.stopped().await;
    for address in [grpc, http] {
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn an_idle_stream_of_another_protocol_is_ended_in_peace_too() {
    let mut server = server(ENDLESS).await;
    let mut client = tei::predict_client::PredictClient::new(server.channel().await);
    let (requests, receiver) = mpsc::channel(1);
    let call = client.predict_stream(ReceiverStream::new(receiver)).await;
    let mut answers = call.expect("a stream").into_inner();
    let request = tei::PredictRequest {
        inputs: "좋다".into(),
        ..tei::PredictRequest::default()
    };
    requests.send(request).await.expect("open");
    answers.message().await.expect("open").expect("an answer");
    server.start_shutdown().await;
    assert!(answers.message().await.expect("a good end").is_none());
    server.stopped().await;
    drop(requests);
}
