//! The cascade: the fast model answers what it is sure of, the deep one the rest, in one request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tandem::api::pb;
use tandem::config::TaskSettings;
use tandem::config::settings::{CascadeSettings, RouteSetting};
use tandem::model::gain::{COUNT, Gain, Term};
use tandem::model::repository::{self, VerifiedModel};
use tandem::service::catalog::cascade_calibration::{
    AbstainRule, AnsweredPoint, BlendWeights, CalibratedModel, Calibration, CertifiedShare, DataFacts, EscalationRange,
    GainRule, SCHEMA_VERSION,
};
use tonic::Code;

use crate::support::models::{ModelCopy, copy_folder};
use crate::support::{Client, Refusal, TestServer, by_route, reviews, shipped_models};

/// A request that lets the fast answer stand from `min_confidence` on.
fn cascade(texts: &[&str], min_confidence: f32) -> pb::PredictRequest {
    pb::PredictRequest {
        min_confidence: Some(min_confidence),
        top_k: 2,
        ..by_route(pb::Route::Cascade, texts)
    }
}

async fn ask(client: &mut Client, request: pb::PredictRequest) -> pb::PredictResponse {
    client.predict(request).await.expect("an answer").into_inner()
}

fn shipped(tier: &str) -> VerifiedModel {
    let models = repository::open(&shipped_models()).expect("the shipped models");
    let mut models = models.into_iter();
    models
        .find(|model| model.manifest.tier.name() == tier)
        .expect("one of each tier")
}

fn calibrated(model: &VerifiedModel, temperature: f32) -> CalibratedModel {
    CalibratedModel {
        model: model.manifest.name.clone(),
        version: model.manifest.version.clone(),
        fingerprint: model.fingerprint.clone(),
        temperature,
    }
}

/// A calibration of the shipped models that none would fit: what it says can be told from what the manifests say.
fn odd_calibration() -> Calibration {
    Calibration {
        schema_version: SCHEMA_VERSION,
        task: "sentiment".into(),
        min_confidence: 0.75,
        each_label: false,
        escalation: EscalationRange::around(0.3),
        fast: calibrated(&shipped("fast"), 2.0),
        deep: calibrated(&shipped("deep"), 3.0),
        blend: BlendWeights {
            fast: 0.5,
            deep: 0.25,
            bias: BTreeMap::from([("negative".into(), 0.125)]),
        },
        certificates: Vec::new(),
        data: DataFacts {
            file: "none".into(),
            fitted_on: 1,
            measured_on: 1,
            seed: 0,
            against_deep: false,
            measured_at: None,
        },
        gain: None,
        abstain: None,
        answered: Vec::new(),
        curve: Vec::new(),
    }
}

/// A server whose task has this calibration.
async fn server_with(calibration: &Calibration, folder: &Path, task: TaskSettings) -> TestServer {
    let file = folder.join("a.cascade.toml");
    std::fs::write(&file, calibration.to_toml()).expect("written");
    let cascade = CascadeSettings {
        calibration: Some(file),
        ..task.cascade
    };
    TestServer::builder()
        .task("sentiment", TaskSettings { cascade, ..task })
        .start()
        .await
}

#[tokio::test]
async fn answers_come_in_order_by_the_tier_that_their_confidence_calls_for() {
    let server = TestServer::shared().await;
    let mut client = server.client().await;
    let texts = reviews::texts(48);
    let alone = ask(&mut client, cascade(&texts, 0.0)).await;
    let mut confidences: Vec<f32> = alone.predictions.iter().map(|fast| fast.confidence).collect();
    confidences.sort_by(f32::total_cmp);
    // Between two of them: the same text in a batch of another size may be a last digit surer.
    let above = confidences[17..].iter().find(|next| **next > confidences[16] + 1e-4);
    let threshold = (confidences[16] + above.expect("they differ")) / 2.0;
    let answer = ask(&mut client, cascade(&texts, threshold)).await;
    let deep = ask(&mut client, cascade(&texts, 1.0)).await;
    assert_eq!(answer.predictions.len(), texts.len());
    for (at, found) in answer.predictions.iter().enumerate() {
        let (fast, deep) = (&alone.predictions[at], &deep.predictions[at]);
        if fast.confidence >= threshold {
            assert_eq!(found.label, fast.label);
            assert!((found.confidence - fast.confidence).abs() < 1e-5, "{found:?}, {fast:?}");
            assert_eq!(found.decision(), pb::Decision::Confident);
            assert_eq!(found.tier(), pb::Tier::Fast);
        } else {
            assert_eq!(found.decision(), pb::Decision::Escalated);
            assert_eq!(found.tier(), pb::Tier::Deep);
            assert_eq!((&found.label, found.token_count), (&deep.label, deep.token_count));
            assert!((found.confidence - deep.confidence).abs() < 1e-4);
        }
    }
    let escalated = answer.predictions.iter().filter(|text| text.tier() == pb::Tier::Deep);
    assert_eq!(
        escalated.count(),
        confidences.iter().filter(|&&sure| sure < threshold).count()
    );
    let tiers: Vec<pb::Tier> = answer.models.iter().map(pb::ModelRef::tier).collect();
    assert_eq!(tiers, [pb::Tier::Fast, pb::Tier::Deep]);
    let timing = answer.timing.expect("times");
    let timed: Vec<pb::Tier> = timing.tiers.iter().map(pb::TierTiming::tier).collect();
    assert_eq!(timed, tiers);
}

#[tokio::test]
async fn where_nothing_is_escalated_one_model_took_part() {
    let server = TestServer::shared().await;
    let answer = ask(&mut server.client().await, cascade(&reviews::texts(8), 0.0)).await;
    assert_eq!(answer.models.len(), 1);
    assert_eq!(answer.models[0].tier(), pb::Tier::Fast);
    assert_eq!(answer.timing.expect("times").tiers.len(), 1);
}

#[tokio::test]
async fn both_doors_and_the_stream_take_the_cascade() {
    let server = TestServer::shared().await;
    let texts = reviews::texts(12);
    let request = cascade(&texts, 0.9);
    let over_grpc = ask(&mut server.client().await, request.clone()).await;
    let over_http = server
        .http()
        .post("/v1/predict", tandem::api::json::encode(&request))
        .await
        .json();
    let message = pb::PredictStreamRequest {
        id: "one".into(),
        request: Some(request),
        timeout_duration: None,
    };
    let mut client = server.client().await;
    let stream = client.predict_stream(tokio_stream::iter([message])).await;
    let streamed = stream
        .expect("a stream")
        .into_inner()
        .message()
        .await
        .expect("an answer");
    let Some(pb::predict_stream_response::Outcome::Response(streamed)) = streamed.expect("one answer").outcome else {
        panic!("the request failed");
    };
    for (at, found) in over_grpc.predictions.iter().enumerate() {
        assert_eq!(over_http["predictions"][at]["decision"], found.decision().as_str_name());
        assert_eq!(streamed.predictions[at].decision, found.decision);
        assert_eq!(streamed.predictions[at].label, found.label);
    }
}

#[tokio::test]
async fn an_escalated_answer_blends_calibrated_log_probabilities() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server_with(&odd_calibration(), folder.path(), TaskSettings::default()).await;
    let mut client = server.client().await;
    let texts = reviews::texts(32);
    let logits = |route| pb::PredictRequest {
        score_kind: pb::ScoreKind::Logit.into(),
        top_k: 2,
        ..by_route(route, &texts)
    };
    let fast = ask(&mut client, logits(pb::Route::Fast)).await;
    let deep = ask(&mut client, logits(pb::Route::Deep)).await;
    let answer = ask(&mut client, by_route(pb::Route::Cascade, &texts)).await;
    let spread = |prediction: &pb::Prediction| {
        let of = |label: &str| {
            prediction
                .scores
                .iter()
                .find(|score| score.label == label)
                .expect(label)
                .score
        };
        f64::from(of("positive") - of("negative"))
    };
    let mut decisions = BTreeMap::<i32, usize>::new();
    for (at, found) in answer.predictions.iter().enumerate() {
        let (fast, deep) = (spread(&fast.predictions[at]) / 2.0, spread(&deep.predictions[at]) / 3.0);
        let own = 1.0 / (1.0 + (-fast.abs()).exp());
        *decisions.entry(found.decision).or_default() += 1;
        let expected = if own >= 0.75 {
            fast
        } else {
            0.5 * fast + 0.25 * deep - 0.125
        };
        assert_eq!(found.label == "positive", expected > 0.0);
        assert_eq!(found.tier() == pb::Tier::Fast, own >= 0.75);
        let confidence = 1.0 / (1.0 + (-expected.abs()).exp());
        assert!(
            (f64::from(found.confidence) - confidence).abs() < 1e-4,
            "{found:?}, {confidence}"
        );
    }
    assert_eq!(decisions.len(), 2, "both happen: {decisions:?}");
}

#[tokio::test]
async fn the_shipped_models_are_calibrated() {
    let server = TestServer::shared().await;
    let texts = reviews::texts(200);
    let mut client = server.client().await;
    let mut escalated = 0;
    for texts in texts.chunks(50) {
        let answer = ask(&mut client, by_route(pb::Route::Cascade, texts)).await;
        escalated += answer
            .predictions
            .iter()
            .filter(|text| text.tier() == pb::Tier::Deep)
            .count();
    }
    assert!((10..150).contains(&escalated), "{escalated} of 200");
}

#[tokio::test]
async fn labels_in_another_order_are_matched_by_name() {
    let copy = ModelCopy::of("sentiment-fast", "1");
    copy.replace(
        "manifest.toml",
        "labels = [\"negative\", \"positive\"]",
        "labels = [\"positive\", \"negative\"]",
    );
    let deep = copy.repository().join("sentiment-deep");
    copy_folder(&shipped_models().join("sentiment-deep"), &deep);
    // Only the fast answer counts: what it calls its first label, the blend must call so too.
    let mut calibration = odd_calibration();
    let models = repository::open(copy.repository()).expect("both models");
    let fast = models
        .iter()
        .find(|model| model.manifest.tier.name() == "fast")
        .expect("the fast one");
    calibration.fast = calibrated(fast, fast.manifest.calibration.temperature);
    calibration.min_confidence = 1.0;
    calibration.blend = BlendWeights {
        fast: 1.0,
        deep: 0.0,
        bias: BTreeMap::new(),
    };
    std::fs::write(copy.repository().join("sentiment.cascade.toml"), calibration.to_toml()).expect("written");
    let server = TestServer::builder().models(copy.repository().to_owned()).start().await;
    let mut client = server.client().await;
    let texts = reviews::texts(20);
    let fast = ask(&mut client, by_route(pb::Route::Fast, &texts)).await;
    let both = ask(&mut client, by_route(pb::Route::Cascade, &texts)).await;
    for (fast, both) in fast.predictions.iter().zip(&both.predictions) {
        assert_eq!(both.label, fast.label);
        assert!((both.confidence - fast.confidence).abs() < 1e-5);
    }
    assert!(
        both.predictions
            .iter()
            .any(|text| text.decision() == pb::Decision::Escalated)
    );
}

#[tokio::test]
async fn a_calibration_of_other_models_is_not_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut calibration = odd_calibration();
    calibration.deep.fingerprint = "0123456789abcdef".into();
    let server = server_with(&calibration, folder.path(), TaskSettings::default()).await;
    let mut client = server.client().await;
    let status = client
        .predict(by_route(pb::Route::Cascade, &["좋다"]))
        .await
        .expect_err("not calibrated");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "CASCADE_NOT_CALIBRATED")
    );
    assert!(refusal.message.contains("tandem calibrate"), "{}", refusal.message);
    ask(&mut client, cascade(&["좋다"], 0.9)).await;
}

#[tokio::test]
async fn a_tasks_settings_give_threshold_and_default_route() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let task = TaskSettings {
        default_route: Some(RouteSetting::Cascade),
        cascade: CascadeSettings {
            min_confidence: Some(1.0),
            ..CascadeSettings::default()
        },
        ..TaskSettings::default()
    };
    let server = server_with(&odd_calibration(), folder.path(), task).await;
    let mut client = server.client().await;
    let unspecified = by_route(pb::Route::Unspecified, &["좋다", "정말 재미있게 봤어요"]);
    let answer = ask(&mut client, unspecified.clone()).await;
    let escalated = |text: &pb::Prediction| text.decision() == pb::Decision::Escalated;
    assert!(answer.predictions.iter().all(escalated), "{answer:?}");
    let own = pb::PredictRequest {
        min_confidence: Some(0.0),
        ..unspecified
    };
    let answer = ask(&mut client, own).await;
    assert!(!answer.predictions.iter().any(escalated), "{answer:?}");
}

#[tokio::test]
async fn drift_shows_in_the_metrics() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server_with(&odd_calibration(), folder.path(), TaskSettings::default()).await;
    let mut client = server.client().await;
    // Texts that the odd temperature leaves no doubt of: the share of escalated ones is nowhere near 0.3.
    let texts = reviews::texts(100);
    let fast = ask(&mut client, cascade(&texts, 0.0)).await;
    let sure = |at: &usize| fast.predictions[*at].confidence >= 0.75;
    let sure: Vec<&str> = (0..texts.len()).filter(sure).map(|at| texts[at]).collect();
    let mut asked = 0;
    while asked < 500 {
        let outside = server
            .http()
            .get("/metrics")
            .await
            .text()
            .contains("out_of_range{task=\"sentiment\"} 1");
        assert!(!outside, "few texts say nothing");
        ask(&mut client, by_route(pb::Route::Cascade, &sure)).await;
        asked += sure.len();
    }
    ask(&mut client, cascade(&texts[..10], 1.0)).await;
    let metrics = server.http().get("/metrics").await;
    for line in [
        "tandem_cascade_out_of_range{task=\"sentiment\"} 1",
        "tandem_cascade_escalated_share{task=\"sentiment\"} 0.0",
        "tandem_cascade_expected_share{task=\"sentiment\",bound=\"low\"} 0.2",
        "tandem_cascade_texts_total{task=\"sentiment\",route=\"cascade\",decision=\"escalated\"} 10",
        "tandem_cascade_agreement_total{task=\"sentiment\",agree=\"yes\"}",
        "tandem_cascade_confidence_bucket{le=\"0.95\",task=\"sentiment\",tier=\"fast\"}",
        "tandem_cascade_confidence_count{task=\"sentiment\",tier=\"deep\"} 10",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
}

#[tokio::test]
async fn a_task_with_one_tier_refuses_the_cascade() {
    let server = TestServer::builder().fast_only().start().await;
    let mut client = server.client().await;
    let status = client.predict(cascade(&["좋다"], 0.5)).await.expect_err("one tier");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "TIER_NOT_CONFIGURED")
    );
    assert!(refusal.message.contains("no deep model"), "{}", refusal.message);
}

/// A rule by which an answer gains the more, the shorter its text is: `score` is the score at 40 bytes.
fn by_length(min_score: f32) -> GainRule {
    let still = Term {
        weight: 0.0,
        mean: 0.0,
        scale: 1.0,
    };
    let mut terms = [still; COUNT];
    terms[3] = Term {
        weight: -0.2,
        mean: 41.0_f64.ln(),
        scale: 1.0,
    };
    GainRule::of(&Gain { intercept: 0.0, terms }, min_score)
}

#[tokio::test]
async fn a_forecast_of_the_gain_decides_unless_the_request_names_a_confidence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let calibration = Calibration {
        gain: Some(by_length(0.5)),
        ..odd_calibration()
    };
    let server = server_with(&calibration, folder.path(), TaskSettings::default()).await;
    let mut client = server.client().await;
    let texts = reviews::texts(48);
    let request = pb::PredictRequest {
        min_confidence: None,
        ..cascade(&texts, 0.0)
    };
    let answer = ask(&mut client, request).await;
    let mut tiers = [0, 0];
    for (text, found) in texts.iter().zip(&answer.predictions) {
        let deep = text.len() < 40;
        assert_eq!(found.tier() == pb::Tier::Deep, deep, "{text}: {found:?}");
        tiers[usize::from(deep)] += 1;
    }
    assert!(tiers[0] > 0 && tiers[1] > 0, "{tiers:?}");
    // A confidence that every answer has.
    let own = ask(&mut client, cascade(&texts, 0.0)).await;
    assert!(own.predictions.iter().all(|found| found.tier() == pb::Tier::Fast));
}

#[tokio::test]
async fn what_a_calibration_says_of_answers_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut calibration = odd_calibration();
    calibration.data.measured_at = Some("2026-11-29T17:08:29Z".into());
    calibration.certificates.push(CertifiedShare {
        of: "precision".into(),
        label: Some("negative".into()),
        at_least: 0.98,
        confidence: 0.95,
        min_confidence: 0.75,
        answers_from: Some(0.625),
        by_gain: false,
        texts: 900,
        errors: 9,
    });
    calibration.abstain = Some(AbstainRule { min_confidence: 0.625 });
    calibration.answered.push(AnsweredPoint {
        min_confidence: 0.625,
        coverage: 0.9,
        precision: 0.99,
        precision_low: 0.98,
    });
    let server = server_with(&calibration, folder.path(), TaskSettings::default()).await;
    let mut client = pb::model_service_client::ModelServiceClient::new(server.channel().await);
    let answer = client
        .list_models(pb::ListModelsRequest::default())
        .await
        .expect("an answer");
    let cascade = answer.get_ref().tasks[0].cascade.clone().expect("both tiers");
    assert_eq!(
        (cascade.answers_from, cascade.measured_at.as_str()),
        (Some(0.625), "2026-11-29T17:08:29Z")
    );
    let certified = &cascade.certificates[0];
    assert_eq!(
        (certified.measure.as_str(), certified.label.as_str()),
        ("precision", "negative")
    );
    assert_eq!((certified.answers_from, certified.error_count), (Some(0.625), 9));
    let [point] = cascade.answered[..] else {
        panic!("one point: {:?}", cascade.answered)
    };
    assert_eq!(
        (point.answers_from, point.coverage, point.precision_low),
        (0.625, 0.9, 0.98)
    );
}

#[test]
fn a_broken_calibration_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("a.cascade.toml");
    let start = |text: &str| {
        std::fs::write(&file, text).expect("written");
        open(&file).expect_err("refused")
    };
    let whole = odd_calibration();
    assert!(start("task = 1").contains("a.cascade.toml"));
    let no_share = Calibration {
        min_confidence: 1.5,
        ..whole.clone()
    };
    assert!(start(&no_share.to_toml()).ends_with("min_confidence must be from 0 to 1"));
    let odd = Calibration {
        abstain: Some(AbstainRule { min_confidence: -0.1 }),
        ..whole.clone()
    };
    assert!(start(&odd.to_toml()).ends_with("abstain.min_confidence must be from 0 to 1"));
    let mut rule = by_length(0.5);
    rule.terms.pop();
    let partial = Calibration {
        gain: Some(rule),
        ..whole.clone()
    };
    assert!(
        start(&partial.to_toml()).contains("gain must hold an intercept and one of gain.terms for each of log_odds")
    );
    let later = Calibration {
        schema_version: 9,
        ..whole.clone()
    };
    assert!(start(&later.to_toml()).contains("schema_version is 9"));
    std::fs::write(&file, whole.to_toml()).expect("written");
    open(&file).expect("it is whole");
    std::fs::remove_file(&file).expect("removed");
    assert!(open(&file).expect_err("named and missing").contains("a.cascade.toml"));
}

/// Opens the shipped models with a calibration.
fn open(file: &Path) -> Result<(), String> {
    let cascade = CascadeSettings {
        calibration: Some(PathBuf::from(file)),
        ..CascadeSettings::default()
    };
    let settings = tandem::config::Settings {
        models: shipped_models(),
        tasks: BTreeMap::from([(
            "sentiment".into(),
            TaskSettings {
                cascade,
                ..TaskSettings::default()
            },
        )]),
        ..tandem::config::Settings::default()
    };
    let opened = tandem::service::lifecycle::start::open_catalog(&settings);
    opened.map(drop).map_err(|error| error.to_string())
}

/// Of many texts in several batches, by both tiers: what is said to have passed did not take longer than all of it.
#[tokio::test]
async fn the_parts_of_a_timing_are_at_most_the_total() {
    let mut client = TestServer::shared().await.client().await;
    let texts = reviews::texts(64);
    for _ in 0..3 {
        let timing = ask(&mut client, cascade(&texts, 1.0)).await.timing.expect("it is told");
        let duration = |part: Option<prost_types::Duration>| {
            let part = std::time::Duration::try_from(part.expect("it is told"));
            part.expect("a duration of at least 0")
        };
        let tiers: std::time::Duration = timing
            .tiers
            .iter()
            .map(|tier| duration(tier.queue_duration) + duration(tier.inference_duration))
            .sum();
        let parts = duration(timing.queue_duration) + duration(timing.inference_duration);
        assert_eq!((timing.tiers.len(), tiers), (2, parts));
        let together = parts + duration(timing.preprocess_duration);
        let total = duration(timing.total_duration);
        assert!(together <= total, "{together:?} of {total:?}");
    }
}
