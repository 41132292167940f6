//! Several addresses of a door, and one port for both doors.

use http::{Method, StatusCode};
use serde_json::json;
use tandem::api::pb;
use tandem::config::Listen;
use tandem::service::catalog::health::ServingState;
use tonic::transport::Endpoint;

use crate::support::frames::RawCall;
use crate::support::http::HttpClient;
use crate::support::{Client, TestServer};

fn request() -> pb::PredictRequest {
    pb::PredictRequest {
        texts: vec!["좋아요".into()],
        route: pb::Route::Fast.into(),
        ..pb::PredictRequest::default()
    }
}

async fn predicts(address: std::net::SocketAddr) -> bool {
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = channel.connect().await.expect("the port is open");
    Client::new(channel).predict(request()).await.is_ok()
}

#[tokio::test]
async fn one_port_answers_grpc_http_connect_and_grpc_web() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.shared_addr = Some("127.0.0.1:0".parse().expect("an address")))
        .start()
        .await;
    assert_eq!(server.grpc_addr(), server.http_addr());
    assert!(predicts(server.grpc_addr()).await);
    let http = server.http();
    let body = json!({"texts": ["좋아요"], "route": "ROUTE_FAST"}).to_string();
    for path in ["/v1/predict", "/tandem.v1.PredictionService/Predict"] {
        let answer = http.post(path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    }
    let web = [("content-type", "application/grpc-web+proto")];
    let frame = vec![0, 0, 0, 0, 0];
    let answer = http
        .send(Method::POST, "/tandem.v1.PredictionService/Health", &web, frame)
        .await;
    assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
    assert_eq!(http.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_door_listens_at_all_of_its_addresses() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.grpc_addr = "127.0.0.1:0,[::1]:0".parse().expect("addresses");
            settings.http_addr = "[::1]:0,127.0.0.1:0".parse().expect("addresses");
        })
        .start()
        .await;
    let (grpc, http) = (server.addresses.grpc.clone(), server.addresses.http.clone());
    assert_eq!((grpc.len(), http.len()), (2, 2));
    assert!(http[0].ip().expect("a port").is_ipv6() && grpc[1].ip().expect("a port").is_ipv6());
    for address in &grpc {
        assert!(predicts(address.ip().expect("a port")).await, "{address}");
    }
    for address in &http {
        let http = HttpClient::new(address.ip().expect("a port"));
        assert_eq!(http.get("/healthz").await.status, StatusCode::OK, "{address}");
    }
}

#[tokio::test]
async fn one_port_refuses_connections_until_every_model_serves_unless_told_otherwise() {
    for (listen, early) in [(Listen::WhenReady, false), (Listen::AtStart, true)] {
        let server = TestServer::builder()
            .fast_only()
            .without_loading()
            .with(move |settings| {
                settings.shared_addr = Some("127.0.0.1:0".parse().expect("an address"));
                settings.listen = listen;
            })
            .start()
            .await;
        let connects = tokio::net::TcpStream::connect(server.grpc_addr()).await.is_ok();
        assert_eq!(connects, early, "{listen:?}");
        if early {
            assert_eq!(server.http().get("/readyz").await.status.as_u16(), 503);
        }
        server.load().await;
        let mut changes = server.service.watch_health();
        while server.service.state() != ServingState::Serving {
            changes.changed().await.expect("the service is there");
        }
        assert!(predicts(server.grpc_addr()).await, "{listen:?}");
        assert_eq!(server.http().get("/readyz").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn who_comes_to_the_one_port_by_the_wrong_protocol_is_told_that_it_is_there() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            let addresses = format!("unix-abstract:tandem-one-port-{},127.0.0.1:0", std::process::id());
            settings.shared_addr = Some(addresses.parse().expect("addresses"));
        })
        .metrics_port()
        .admin_port()
        .start()
        .await;
    let port = server.addresses.grpc[1].ip().expect("a port");
    let headers = [("content-type", "application/grpc")];
    let answer = HttpClient::new(port)
        .send(Method::POST, "/v1/predict", &headers, "")
        .await;
    assert!(
        answer.text().contains("HTTP with JSON is at this port too"),
        "{}",
        answer.text()
    );
    let headers = [("content-type", "application/json")];
    let answer = HttpClient::new(port).send(Method::POST, "/a.B/C", &headers, "{}").await;
    assert!(answer.text().contains("gRPC is at this port too"), "{}", answer.text());
    // From other ports, the one that has a number.
    let expected = format!("port {}", port.port());
    let answer = HttpClient::new(server.admin_addr()).get("/healthz").await;
    assert!(answer.text().contains(&expected), "{}", answer.text());
    let answer = RawCall::predict(b"").send(server.metrics_addr()).await;
    assert!(answer.status.message().ends_with(&expected), "{:?}", answer.status);
    let facts = HttpClient::new(port).get("/page/server.json").await.json();
    assert_eq!(facts["grpcPort"], port.port());
}
