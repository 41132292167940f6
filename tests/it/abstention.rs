//! Abstention: an answer that is not sure enough has scores, but no label.

use serde_json::json;
use tandem::api::pb;
use tandem::config::TaskSettings;
use tandem::config::settings::{AbstainSettings, CascadeSettings};
use tandem::service::catalog::cascade_calibration::{AbstainRule, AnsweredPoint, Calibration};
use tonic::Code;

use crate::support::{Client, Refusal, TestServer, by_route, reviews, shipped_models};

/// The shipped calibration, with what is right among the answers that are given.
fn calibration() -> Calibration {
    let path = shipped_models().join("sentiment.cascade.toml");
    let answered = [(0.5, 0.88), (0.8, 0.93), (0.95, 0.97)].map(|(min_confidence, precision_low)| AnsweredPoint {
        min_confidence,
        coverage: 0.5,
        precision: precision_low + 0.01,
        precision_low,
    });
    Calibration {
        answered: answered.to_vec(),
        ..Calibration::read(&path).expect("the shipped calibration")
    }
}

async fn server(calibration: &Calibration, abstain: AbstainSettings) -> (TestServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.cascade.toml");
    std::fs::write(&file, calibration.to_toml()).expect("written");
    let task = TaskSettings {
        cascade: CascadeSettings {
            calibration: Some(file),
            ..CascadeSettings::default()
        },
        abstain,
        ..TaskSettings::default()
    };
    (TestServer::builder().task("sentiment", task).start().await, folder)
}

async fn ask(client: &mut Client, request: pb::PredictRequest) -> pb::PredictResponse {
    client.predict(request).await.expect("an answer").into_inner()
}

/// Checks that exactly the answers below `confidence` are withheld, beside the same answers given.
fn check(withheld: &pb::PredictResponse, given: &pb::PredictResponse, confidence: f32) -> usize {
    let mut count = 0;
    for (found, known) in withheld.predictions.iter().zip(&given.predictions) {
        assert!((found.confidence - known.confidence).abs() < 1e-4);
        if (known.confidence - confidence).abs() < 1e-4 {
            // The same text in another batch may be a last digit surer.
            continue;
        }
        if known.confidence < confidence {
            count += 1;
            assert_eq!((found.decision(), found.label.as_str()), (pb::Decision::Abstained, ""));
            assert_eq!(
                (&found.scores[0].label, found.scores[0].selected),
                (&known.label, false)
            );
            assert_eq!(found.scores.len(), 1);
        } else {
            assert_eq!((found.decision(), &found.label), (known.decision(), &known.label));
            assert!(found.scores.is_empty());
        }
        assert_eq!(found.tier(), known.tier());
    }
    count
}

#[tokio::test]
async fn a_confidence_that_the_operator_set_holds_for_every_route() {
    let abstain = AbstainSettings {
        min_confidence: Some(0.9),
        ..AbstainSettings::default()
    };
    let (server, _folder) = server(&calibration(), abstain).await;
    let (mut client, mut shared) = (server.client().await, TestServer::shared().await.client().await);
    for route in [pb::Route::Fast, pb::Route::Deep, pb::Route::Cascade] {
        let request = by_route(route, &reviews::texts(48));
        let (found, known) = (ask(&mut client, request.clone()).await, ask(&mut shared, request).await);
        let count = check(&found, &known, 0.9);
        assert!((1..48).contains(&count), "{route:?}: {count}");
    }
    // A model by its name is asked for what it says.
    let named = pb::PredictRequest {
        model: "sentiment-fast".into(),
        ..by_route(pb::Route::Unspecified, &reviews::texts(48))
    };
    let found = ask(&mut client, named).await;
    assert!(
        found
            .predictions
            .iter()
            .all(|found| found.decision() == pb::Decision::Requested)
    );
    let metrics = server.http().get("/metrics").await;
    let told = metrics.text();
    let none = "tandem_withheld_texts_total{model=\"sentiment-fast\",tier=\"fast\"} 0\n";
    assert!(
        told.contains("tandem_withheld_texts_total") && !told.contains(none),
        "{told}"
    );
}

#[tokio::test]
async fn a_precision_is_kept_by_what_was_measured() {
    let abstain = AbstainSettings {
        min_precision: Some(0.95),
        ..AbstainSettings::default()
    };
    let (server, _folder) = server(&calibration(), abstain).await;
    let (mut client, mut shared) = (server.client().await, TestServer::shared().await.client().await);
    let request = by_route(pb::Route::Cascade, &reviews::texts(48));
    let known = ask(&mut shared, request.clone()).await;
    assert!(check(&ask(&mut client, request.clone()).await, &known, 0.95) > 0);
    // A request may ask for another one.
    let looser = pb::PredictRequest {
        min_precision: Some(0.9),
        ..request.clone()
    };
    assert!(check(&ask(&mut client, looser.clone()).await, &known, 0.8) > 0);
    // One model alone was not measured so.
    let fast = ask(&mut client, by_route(pb::Route::Fast, &reviews::texts(48))).await;
    assert!(
        fast.predictions
            .iter()
            .all(|found| found.decision() == pb::Decision::Requested)
    );
    // Every door and the stream.
    let body = tandem::api::json::encode(&looser);
    let over_http = server.http().post("/v1/predict", body).await;
    let answer = over_http.json();
    let decisions = answer["predictions"].as_array().expect("a list").iter();
    let withheld = decisions.filter(|one| one["decision"] == "DECISION_ABSTAINED").count();
    assert!(withheld > 0, "{answer}");
    let body = json!({"text": reviews::texts(48), "do_fast": false}).to_string();
    server.http().post("/predict", body).await.json();
}

#[tokio::test]
async fn a_threshold_that_the_calibration_holds_is_kept_without_a_setting() {
    let held = Calibration {
        abstain: Some(AbstainRule { min_confidence: 0.95 }),
        ..calibration()
    };
    let (server, _folder) = server(&held, AbstainSettings::default()).await;
    let request = by_route(pb::Route::Cascade, &reviews::texts(48));
    let known = ask(&mut TestServer::shared().await.client().await, request.clone()).await;
    let mut client = server.client().await;
    assert!(check(&ask(&mut client, request.clone()).await, &known, 0.95) > 0);
    // At another threshold of the cascade it was not measured.
    let other = pb::PredictRequest {
        min_confidence: Some(0.7),
        ..request
    };
    let other = ask(&mut client, other).await;
    assert!(
        other
            .predictions
            .iter()
            .all(|found| found.decision() != pb::Decision::Abstained)
    );
    assert_eq!(other.min_confidence, Some(0.7));
}

#[tokio::test]
async fn what_was_not_certified_is_refused() {
    let (server, _folder) = server(&calibration(), AbstainSettings::default()).await;
    let mut client = server.client().await;
    let with = |min_precision| pb::PredictRequest {
        min_precision: Some(min_precision),
        ..by_route(pb::Route::Cascade, &["좋다"])
    };
    let refusal = Refusal::of(&client.predict(with(0.99)).await.expect_err("too much"));
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert!(
        refusal
            .message
            .contains("min_precision: the calibration certifies no more than 0.97"),
        "{}",
        refusal.message
    );
    // The shipped file as it was before anything was measured of precision.
    let bare = Calibration {
        answered: Vec::new(),
        abstain: None,
        ..calibration()
    };
    let (without, _other) = self::server(&bare, AbstainSettings::default()).await;
    let refusal = Refusal::of(
        &without
            .client()
            .await
            .predict(with(0.5))
            .await
            .expect_err("not measured"),
    );
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert!(refusal.message.contains("tandem calibrate"), "{}", refusal.message);
}
