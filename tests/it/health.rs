//! grpc.health.v1: Check and Watch, by server, service and model, and List of them all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tandem::api::grpc::health::pb;
use tandem::service::catalog::ModelState;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{Refusal, TestServer};

/// From now on every run of the model fails.
pub fn break_model(server: &TestServer, name: &str) {
    let version = server.service.catalog().stable(name).expect("it is there");
    end_runs(&version.state());
}

/// From now on every run of this version fails.
pub fn end_runs(state: &ModelState) {
    let ModelState::Serving(serving) = state else {
        panic!("it serves")
    };
    serving.model.end_runs();
}

/// What a watch tells of a service.
async fn watched(server: &TestServer, service: &str) -> Streaming<HealthCheckResponse> {
    let mut health = HealthClient::new(server.channel().await);
    health.watch(about(service)).await.expect("a stream").into_inner()
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn check_knows_the_server_the_service_and_each_model() {
    let mut health = HealthClient::new(TestServer::shared().await.channel().await);
    let services = ["", "tandem.v1.PredictionService", "tandem.v1.ModelService"];
    for name in services.into_iter().chain(["sentiment-fast", "sentiment-deep"]) {
        let answer = health.check(about(name)).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
    }
    let status = health.check(about("no-such")).await.expect_err("unknown");
    assert_eq!(Refusal::of(&status).code, Code::NotFound);
}

/// What List answers, by name.
async fn listed(channel: tonic::transport::Channel) -> BTreeMap<String, &'static str> {
    let mut health = pb::health_client::HealthClient::new(channel);
    let answer = health.list(pb::HealthListRequest {}).await.expect("an answer");
    let statuses = answer.into_inner().statuses.into_iter();
    statuses
        .map(|(name, answer)| (name, answer.status().as_str_name()))
        .collect()
}

#[tokio::test]
async fn list_has_all_that_check_knows_with_the_states_that_check_tells() {
    let mut server = TestServer::builder().admin_port().start().await;
    for (channel, own) in [
        (server.channel().await, "inference.GRPCInferenceService"),
        (server.admin_channel().await, "tandem.v1.AdminService"),
    ] {
        let listed = listed(channel.clone()).await;
        for name in [
            "",
            "tandem.v1.PredictionService",
            "sentiment-fast",
            "sentiment-deep",
            own,
        ] {
            assert!(listed.contains_key(name), "{name} in {listed:?}");
        }
        let mut health = HealthClient::new(channel);
        for (name, status) in listed {
            let answer = health.check(about(&name)).await.expect("an answer").into_inner();
            assert_eq!(
                (answer.status().as_str_name(), status),
                ("SERVING", "SERVING"),
                "{name}"
            );
        }
    }
    break_model(&server, "sentiment-fast");
    let mut watched = watched(&server, "sentiment-fast").await;
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    for _ in 0..5 {
        server.service.health().failed(&version, Instant::now());
    }
    // It is examined first.
    while watched.message().await.expect("open").expect("a status").status() != ServingStatus::NotServing {}
    let told = listed(server.channel().await).await;
    assert_eq!(
        (told["sentiment-fast"], told["sentiment-deep"]),
        ("NOT_SERVING", "SERVING")
    );
    assert_eq!(told[""], "NOT_SERVING");
    let channel = server.channel().await;
    assert_eq!(listed(channel.clone()).await["sentiment-deep"], "SERVING");
    server.service.start_draining();
    assert!(listed(channel).await.values().all(|status| *status == "NOT_SERVING"));
    server.start_shutdown().await;
    server.stopped().await;
}

#[tokio::test]
async fn watch_hears_the_server_turn_serving() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watched = health.watch(about("")).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("open").expect("a status");
    assert_eq!(first.status(), ServingStatus::NotServing);
    server.load().await;
    let second = watched.message().await.expect("open").expect("a status");
    assert_eq!(second.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn watch_on_an_unknown_name_says_so_and_stays_open_to_the_drain() {
    let mut server = TestServer::builder().fast_only().start().await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watched = health.watch(about("no-such")).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("open").expect("a status");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    server.start_shutdown().await;
    assert!(
        watched.message().await.expect("no failure").is_none(),
        "it ends with the server"
    );
    server.stopped().await;
}

#[tokio::test]
async fn a_burst_of_failures_turns_a_model_that_is_broken_not_serving_and_one_failure_does_not() {
    let server = TestServer::builder().fast_only().start().await;
    break_model(&server, "sentiment-fast");
    let mut watched = watched(&server, "sentiment-fast").await;
    let first = watched.message().await.expect("open").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    // Long ago, so that the end of the pause is in the test's time.
    let before = Instant::now()
        .checked_sub(Duration::from_secs(1))
        .expect("the machine is up");
    server.service.health().failed(&version, before);
    let mut health = HealthClient::new(server.channel().await);
    for name in ["", "sentiment-fast"] {
        let answer = health.check(about(name)).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name}: one failure");
    }
    for _ in 0..4 {
        server.service.health().failed(&version, before);
    }
    let turned = watched.message().await.expect("open").expect("a status");
    assert_eq!(turned.status(), ServingStatus::NotServing);
    let back = watched.message().await.expect("open").expect("a status");
    assert_eq!(back.status(), ServingStatus::Serving);
}
