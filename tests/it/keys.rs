//! Keys: with some set, health is open and everything else wants one; the same at both doors.

use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Refusal, TestServer, fast};

const TOKENS: &str = "first:0123456789abcdef,second:fedcba9876543210";

fn with_token(token: &str) -> Request<tandem::api::pb::PredictRequest> {
    let mut request = Request::new(fast(&["좋다"]));
    let value = format!("Bearer {token}").parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test]
async fn over_grpc_health_is_open_and_the_rest_wants_one_of_the_keys() {
    let server = TestServer::builder().fast_only().tokens(TOKENS).start().await;
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("open to all");
    let mut client = server.client().await;
    for token in ["0123456789abcdef", "fedcba9876543210"] {
        client.predict(with_token(token)).await.expect("an answer");
    }
    let without = client.predict(fast(&["좋다"])).await.expect_err("no key");
    let wrong = client.predict(with_token("0123456789abcdee")).await.expect_err("wrong");
    for status in [without, wrong] {
        let refusal = Refusal::of(&status);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::Unauthenticated, "UNAUTHENTICATED")
        );
    }
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let asked = reflection.server_reflection_info(futures::stream::empty()).await;
    assert_eq!(asked.expect_err("no key").code(), Code::Unauthenticated);
}

#[tokio::test]
async fn over_http_probes_are_open_and_the_rest_wants_one_of_the_keys() {
    let server = TestServer::builder()
        .fast_only()
        .tokens(TOKENS)
        .metrics_port()
        .start()
        .await;
    let http = server.http();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http.get(path).await.status.as_u16(), 200, "{path}");
    }
    let operations = crate::support::HttpClient::new(server.metrics_addr());
    for answer in [
        http.get("/metrics").await,
        http.get("/openapi.json").await,
        http.get("/no-such-path").await,
        operations.get("/metrics").await,
        http.post("/predict", r#"{"text": "a", "do_fast": true}"#).await,
        http.post_with("/v1/predict", &[("authorization", "Bearer 0123456789abcdee")], "{}")
            .await,
    ] {
        assert_eq!(answer.status.as_u16(), 401);
        assert_eq!(answer.reason(), "UNAUTHENTICATED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let key = [("authorization", "bearer fedcba9876543210")];
    let answer = http
        .post_with("/predict", &key, r#"{"text": "a", "do_fast": true}"#)
        .await;
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn keys_are_exchanged_while_the_server_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    std::fs::write(&file, "a:0123456789abcdef\n").expect("written");
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| {
            settings.tokens_file = Some(file.clone());
            settings.reload_interval = tandem::config::HumanDuration(std::time::Duration::from_millis(20));
        })
        .start()
        .await;
    let mut client = server.client().await;
    client.predict(with_token("0123456789abcdef")).await.expect("an answer");
    // A file that can't be used changes nothing, and is not the end of the watch.
    std::fs::write(&file, "a:short\n").expect("written");
    client.predict(with_token("0123456789abcdef")).await.expect("an answer");
    std::fs::write(&file, "a:ABCDEF9876543210\n").expect("written");
    while client.predict(with_token("ABCDEF9876543210")).await.is_err() {}
    let old = client.predict(with_token("0123456789abcdef")).await.expect_err("gone");
    assert_eq!(old.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn reflection_can_be_turned_off() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_reflection = true)
        .start()
        .await;
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let asked = reflection.server_reflection_info(futures::stream::empty()).await;
    assert_eq!(asked.expect_err("off").code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_key_for_metrics_is_good_for_metrics_alone() {
    let server = TestServer::builder()
        .fast_only()
        .tokens("first:0123456789abcdef,collector:fedcba9876543210 only=metrics")
        .metrics_port()
        .start()
        .await;
    let as_collector = [("authorization", "Bearer fedcba9876543210")];
    for address in [server.http_addr(), server.metrics_addr()] {
        let http = crate::support::HttpClient::new(address);
        let scraped = http.send(http::Method::GET, "/metrics", &as_collector, "").await;
        assert_eq!(scraped.status.as_u16(), 200);
    }
    let body = r#"{"text": "a", "do_fast": true}"#;
    let refused = server.http().post_with("/predict", &as_collector, body).await;
    assert_eq!(refused.status.as_u16(), 403);
    assert!(refused.text().contains("KEY_NOT_ALLOWED"), "{}", refused.text());
    let mut client = server.client().await;
    let status = client
        .predict(with_token("fedcba9876543210"))
        .await
        .expect_err("refused");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::PermissionDenied, "KEY_NOT_ALLOWED")
    );
    let metrics = server.service.metrics().text();
    let counted = "tandem_key_refusals_total{key=\"collector\",reason=\"KEY_NOT_ALLOWED\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
}
