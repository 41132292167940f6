//! Several addresses of a door, and one port for both doors.

use http::{Method, StatusCode};
use serde_json::json;
use tandem::api::pb;
use tonic::transport::Endpoint;

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
