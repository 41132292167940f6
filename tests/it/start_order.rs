//! Ports are taken before models are loaded: those that probes ask say so, and the gRPC port refuses connections until all serve, unless
//! it is to listen from the start.

use std::net::SocketAddr;

use serde_json::json;
use tandem::config::settings::RouteSetting;
use tandem::config::{Address, Listen, Settings};
use tandem::server::Server;
use tandem::server::security::{Security, Tokens};
use tandem::service::Service;
use tandem::service::catalog::health::ServingState;
use tandem::service::lifecycle::start::open_catalog;
use tandem::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::models::copy_folder;
use crate::support::{Client, Refusal, TestServer, fast, shipped_models};

#[tokio::test]
async fn before_loading_predict_is_unavailable_and_after_it_answers() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let mut client = server.client().await;
    let refusal = Refusal::of(&client.predict(fast(&["a"])).await.expect_err("not loaded"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Unavailable, "MODEL_LOADING")
    );
    let over_http = server
        .http()
        .post("/predict", r#"{"text": "a", "do_fast": true}"#)
        .await;
    assert_eq!(
        (over_http.status.as_u16(), over_http.reason().as_str()),
        (503, "MODEL_LOADING")
    );
    server.load().await;
    client.predict(fast(&["a"])).await.expect("an answer");
}

#[tokio::test]
async fn before_loading_health_is_not_serving_and_the_process_is_alive() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let mut health = HealthClient::new(server.channel().await);
    for service in ["", "tandem.v1.PredictionService", "sentiment-fast"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let answer = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing, "{service}");
    }
    let http = server.http();
    assert_eq!(http.get("/healthz").await.status.as_u16(), 200);
    let ready = http.get("/readyz").await;
    assert_eq!(ready.status.as_u16(), 503);
    assert_eq!(
        ready.json(),
        json!({"state": "loading", "models": {"sentiment-fast": "loading"}})
    );
    server.load().await;
    assert_eq!(http.get("/readyz").await.status.as_u16(), 200);
}

#[tokio::test]
async fn the_server_is_ready_only_once_the_grpc_port_takes_connections() {
    let repository = tempfile::tempdir().expect("a temporary folder");
    let name = "sentiment-fast";
    copy_folder(&shipped_models().join(name), &repository.path().join(name));
    let any_port = Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    let settings = Settings {
        grpc_addr: any_port.into(),
        no_http: true,
        models: repository.path().to_owned(),
        default_route: RouteSetting::Fast,
        ..Settings::default()
    };
    let opened = open_catalog(&settings).expect("the repository is whole");
    let service = Service::new(&settings, opened, Metrics::new("test")).expect("threads");
    let security = Security::load(&settings, Tokens::default()).expect("no files");
    let server = Server::bind(&settings, security, service.clone()).await;
    let server = server.expect("a free port");
    service.load_models().expect("the model passes its checks");
    // The models serve, and the port is still closed: it opens once the server runs.
    assert_eq!(service.state(), ServingState::Loading);
    assert_eq!(service.state_of_service(""), Some(ServingState::Loading));
    let grpc = server.addresses().expect("addresses").grpc[0].ip().expect("a port");
    let mut changes = service.watch_health();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let (_, no_hang_up) = tokio::sync::watch::channel(0);
    let running = tokio::spawn(server.run(shutdown, no_hang_up, CancellationToken::new()));
    while service.state() != ServingState::Serving {
        changes.changed().await.expect("the service is there");
    }
    tokio::net::TcpStream::connect(grpc).await.expect("it listens");
    stop.send(()).expect("it runs");
    running.await.expect("no panic").expect("the port is ours");
}

#[tokio::test]
async fn the_grpc_port_refuses_connections_until_every_model_serves() {
    let server = TestServer::builder()
        .fast_only()
        .without_loading()
        .with(|settings| settings.listen = Listen::WhenReady)
        .start()
        .await;
    let early = tokio::net::TcpStream::connect(server.grpc_addr()).await;
    assert_eq!(
        early.expect_err("nobody listens").kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    assert_eq!(server.http().get("/healthz").await.status.as_u16(), 200);
    assert_eq!(server.http().get("/readyz").await.status.as_u16(), 503);
    // A client that waits for a ready server goes on trying, within its deadline.
    let channel = Endpoint::from_shared(format!("http://{}", server.grpc_addr())).expect("an address");
    let waiting = tokio::spawn(async move {
        loop {
            match channel.connect().await {
                Ok(channel) => break Client::new(channel).predict(fast(&["a"])).await,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    server.load().await;
    waiting.await.expect("it ends").expect("an answer");
}
