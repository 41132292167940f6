//! Peers that hold a place among the connections and make no use of it: sent away in time, and at once when others come.

use std::time::Duration;

use tandem::config::duration::HumanDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::h2_bytes::*;
use crate::support::{TestServer, fast};

/// Longer than any test runs.
const ENDLESS: HumanDuration = HumanDuration(Duration::from_hours(1));
const TOKEN: &str = "good-0123456789abcdef";

/// What a client of HTTP/2 says before its first call.
fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, NONE, 0, &[])].concat()
}

/// A server of keys with four places at each door, whose time limits nobody meets.
async fn four_places() -> TestServer {
    TestServer::builder()
        .fast_only()
        .max_connections(4)
        .tokens(&format!("good:{TOKEN}"))
        .with(|settings| {
            settings.handshake_timeout = ENDLESS;
            settings.header_timeout = ENDLESS;
            settings.idle_timeout = ENDLESS;
        })
        .start()
        .await
}

async fn say(address: std::net::SocketAddr, words: &[u8]) -> TcpStream {
    let mut peer = TcpStream::connect(address).await.expect("open");
    peer.write_all(words).await.expect("written");
    peer
}

async fn call_with_key(server: &TestServer) {
    let mut request = Request::new(fast(&["좋다"]));
    let value = format!("Bearer {TOKEN}").parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    server.client().await.predict(request).await.expect("an answer");
}

#[tokio::test]
async fn a_preface_alone_is_silence() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.handshake_timeout = HumanDuration(Duration::from_millis(50)))
        .start()
        .await;
    for address in [server.grpc_addr(), server.http_addr()] {
        let mut peer = say(address, &preface()).await;
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn prefaces_make_room_for_one_that_calls() {
    let server = four_places().await;
    let mut peers = Vec::new();
    for _ in 0..12 {
        let mut peer = say(server.grpc_addr(), &preface()).await;
        // The server's settings show that it has heard.
        assert_ne!(peer.read(&mut [0; 9]).await.expect("open"), 0);
        peers.push(peer);
    }
    call_with_key(&server).await;
}

#[tokio::test]
async fn calls_that_are_refused_for_their_key_do_not_hold_a_place() {
    let server = four_places().await;
    let mut peers = Vec::new();
    for _ in 0..12 {
        let mut client = server.client().await;
        client.predict(fast(&["좋다"])).await.expect_err("no key");
        peers.push(client);
    }
    call_with_key(&server).await;
}

#[tokio::test]
async fn those_who_ask_for_health_make_room_for_a_key_and_find_a_place_again() {
    let server = four_places().await;
    let asked = || HealthCheckRequest { service: String::new() };
    let mut watches = Vec::new();
    for _ in 0..12 {
        let mut health = HealthClient::new(server.channel().await);
        let mut watch = health.watch(asked()).await.expect("a stream").into_inner();
        watch.message().await.expect("open").expect("a status");
        watches.push((health, watch));
    }
    call_with_key(&server).await;
    let mut health = HealthClient::new(server.channel().await);
    health.check(asked()).await.expect("answered at once");
}

#[tokio::test]
async fn idle_connections_of_http_1_make_room() {
    let server = four_places().await;
    let mut peers = Vec::new();
    for _ in 0..12 {
        let mut peer = say(server.http_addr(), b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut answer = [0; 15];
        peer.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        peers.push(peer);
        peers.push(say(server.http_addr(), b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow").await);
    }
    assert_eq!(server.http().get("/healthz").await.status.as_u16(), 200);
}
