//! Ports are open before models are loaded, and say so.

use serde_json::json;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Refusal, TestServer, fast};

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
