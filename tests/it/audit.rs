//! The live audit: texts that the fast model was sure of go to the deep model too, afterwards, and what differs is held
//! against the certificate.

use tandem::api::pb;
use tandem::config::TaskSettings;
use tandem::config::settings::CascadeSettings;
use tandem::service::catalog::cascade_calibration::{Calibration, CertifiedShare};

use crate::support::{TestServer, by_route, reviews, shipped_models};

/// A server that audits every text, with this certified.
async fn server(at_least: f64, min_confidence: f32) -> (TestServer, tempfile::TempDir) {
    let shipped = Calibration::read(&shipped_models().join("sentiment.cascade.toml")).expect("the shipped calibration");
    let certified = CertifiedShare {
        of: "agreement".into(),
        label: None,
        at_least,
        confidence: 0.95,
        min_confidence,
        answers_from: None,
        by_gain: false,
        texts: 1000,
        errors: 1,
    };
    let calibration = Calibration {
        min_confidence,
        certificates: vec![certified],
        ..shipped
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.cascade.toml");
    std::fs::write(&file, calibration.to_toml()).expect("written");
    let cascade = CascadeSettings {
        calibration: Some(file),
        audit_share: Some(1.0),
        ..CascadeSettings::default()
    };
    let task = TaskSettings {
        cascade,
        ..TaskSettings::default()
    };
    (TestServer::builder().task("sentiment", task).start().await, folder)
}

async fn audit(server: &TestServer) -> Option<pb::CascadeAudit> {
    let mut models = pb::model_service_client::ModelServiceClient::new(server.channel().await);
    let listed = models.list_models(pb::ListModelsRequest::default()).await;
    let task = listed.expect("a list").into_inner().tasks.remove(0);
    task.cascade.expect("a cascade").audit
}

/// Asks until so many texts were audited; gives what was found. No text comes twice, since each is looked at once.
async fn audited(server: &TestServer, texts: i64) -> pb::CascadeAudit {
    let mut client = server.client().await;
    for round in 0.. {
        let varied: Vec<String> = reviews::texts(96)
            .iter()
            .map(|text| format!("{text} {round}"))
            .collect();
        let varied: Vec<&str> = varied.iter().map(String::as_str).collect();
        let answer = client.predict(by_route(pb::Route::Cascade, &varied)).await;
        answer.expect("an answer");
        if let Some(found) = audit(server).await.filter(|found| found.text_count >= texts) {
            return found;
        }
    }
    unreachable!("it asks until it finds enough")
}

#[tokio::test]
async fn what_differs_more_often_than_was_certified_raises_the_alarm() {
    // At a threshold of 0 every fast answer stands, and about one in ten differs.
    let (server, _folder) = server(0.999, 0.0).await;
    assert_eq!(audit(&server).await, None);
    let found = audited(&server, 500).await;
    assert!(
        found.alarm && found.evidence.expect("a certificate") >= 20.0,
        "{found:?}"
    );
    assert!(found.differing_text_count * 50 > found.text_count, "{found:?}");
    let health = server.client().await.health(pb::HealthRequest {}).await;
    let told = health.expect("health").into_inner();
    assert!(
        told.models
            .iter()
            .any(|model| model.message.contains("the audit of the cascade of `sentiment`")),
        "{told:?}"
    );
    let metrics = server.http().get("/metrics").await;
    assert!(
        metrics
            .text()
            .contains("tandem_cascade_audit_alarm{task=\"sentiment\"} 1")
    );
}

#[tokio::test]
async fn what_holds_raises_none() {
    let (server, _folder) = server(0.8, 0.0).await;
    let found = audited(&server, 500).await;
    assert!(
        !found.alarm && found.evidence.expect("a certificate") < 1.0,
        "{found:?}"
    );
    assert!((found.certified_risk.expect("a certificate") - 0.2).abs() < 1e-9);
}

#[tokio::test]
async fn a_request_with_its_own_threshold_is_not_audited() {
    let (server, _folder) = server(0.8, 0.5).await;
    let own = pb::PredictRequest {
        min_confidence: Some(0.0),
        ..by_route(pb::Route::Cascade, &reviews::texts(96))
    };
    server.client().await.predict(own).await.expect("an answer");
    server
        .client()
        .await
        .predict(by_route(pb::Route::Fast, &reviews::texts(96)))
        .await
        .expect("an answer");
    // What is audited comes after them.
    let found = audited(&server, 96).await;
    assert_eq!(found.text_count % 96, 0, "{found:?}");
    let metrics = server.http().get("/metrics").await;
    assert!(
        !metrics.text().contains("cascade_audit_dropped_texts_total{"),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn a_text_that_comes_again_is_looked_at_once() {
    let (server, _folder) = server(0.8, 0.0).await;
    let mut client = server.client().await;
    for _ in 0..4 {
        let answer = client.predict(by_route(pb::Route::Cascade, &reviews::texts(96))).await;
        answer.expect("an answer");
    }
    // They are looked at in turn, so what comes last is counted last.
    let last = client
        .predict(by_route(pb::Route::Cascade, &["이 글은 처음이자 마지막"]))
        .await;
    last.expect("an answer");
    let found = loop {
        let found = audit(&server).await;
        if let Some(found) = found.filter(|found| found.text_count > 96) {
            break found;
        }
    };
    assert_eq!(found.text_count, 97, "{found:?}");
}
