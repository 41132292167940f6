//! The life of connections: told to go for their age or idleness without a failed call; silent ones keep nobody out.

use std::time::Duration;

use http_body_util::StreamBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tandem::config::duration::HumanDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::support::frames::{self, PREDICT, RawCall};
use crate::support::{TestServer, fast};

fn millis(millis: u64) -> HumanDuration {
    HumanDuration(Duration::from_millis(millis))
}

/// Longer than any test runs.
const ENDLESS: HumanDuration = HumanDuration(Duration::from_hours(1));

/// The number of connections that a server has accepted for gRPC.
fn connections_of(server: &TestServer) -> u64 {
    let text = server.service.metrics().text();
    let line = text
        .lines()
        .find(|line| line.starts_with("tandem_connections_accepted_total") && line.contains("\"grpc\""));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.map_or(0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn serial_calls_over_many_ages_of_connections_are_all_answered() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.max_connection_age = millis(20))
        .start()
        .await;
    let client = frames::client();
    let message = fast(&["좋다"]).encode_to_vec();
    while connections_of(&server) < 20 {
        let call = RawCall::predict(&message);
        let answer = call.send_by(&client, server.grpc_addr()).await;
        assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
    }
}

#[tokio::test]
async fn a_connection_without_a_call_is_told_to_go() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.idle_timeout = millis(50);
            settings.header_timeout = ENDLESS;
        })
        .start()
        .await;
    let mut connection = TcpStream::connect(server.http_addr()).await.expect("open");
    connection
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("written");
    let mut answer = String::new();
    connection
        .read_to_string(&mut answer)
        .await
        .expect("the server ends the connection");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_silent_or_stammering_peer_is_sent_away() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.handshake_timeout = millis(50);
            settings.header_timeout = millis(50);
        })
        .start()
        .await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let headers = b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow";
    for (address, said) in [
        (server.grpc_addr(), &b""[..]),
        (server.grpc_addr(), &preface[..20]),
        (server.http_addr(), &b""[..]),
        (server.http_addr(), &preface[..20]),
        (server.http_addr(), &headers[..]),
    ] {
        let mut peer = TcpStream::connect(address).await.expect("open");
        peer.write_all(said).await.expect("written");
        let mut rest = Vec::new();
        // Closed with or without a word about the broken request, by end or by reset.
        let _ = peer.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn silent_peers_make_room_for_one_that_speaks() {
    let server = TestServer::builder()
        .fast_only()
        .max_connections(4)
        .with(|settings| settings.handshake_timeout = ENDLESS)
        .start()
        .await;
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(TcpStream::connect(server.grpc_addr()).await.expect("open"));
    }
    let mut client = server.client().await;
    client.predict(fast(&["좋다"])).await.expect("an answer");
    // The oldest was sent away.
    let mut rest = Vec::new();
    let _ = silent[0].read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_call_whose_message_never_comes_ends_at_its_deadline() {
    let server = TestServer::builder()
        .fast_only()
        .max_timeout(Duration::from_millis(50))
        .start()
        .await;
    let endless = futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>>();
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<StreamBody<_>>();
    let request = http::Request::post(format!("http://{}{PREDICT}", server.grpc_addr()))
        .header("content-type", "application/grpc")
        .body(StreamBody::new(endless))
        .expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let status = Status::from_header_map(answer.headers()).expect("a status");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_mute_peer_does_not_hold_up_a_drain() {
    let mut server = TestServer::builder().fast_only().drain_grace(ENDLESS.0).start().await;
    let mut mute = TcpStream::connect(server.grpc_addr()).await.expect("open");
    // A preface and empty settings, and then not even an answer to a PING.
    mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("written");
    // What the server says to that shows that it has heard.
    assert_ne!(mute.read(&mut [0; 9]).await.expect("open"), 0);
    server.start_shutdown().await;
    server.stopped().await;
}
