//! Predict over gRPC: what is asked of the answer is in the answer.

use std::time::Duration;

use tandem::api::pb;
use tandem::model::repository;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::support::{Refusal, TestServer, by_route, deep, fast, reviews, shipped_models};

const ROUTES: [pb::Route; 2] = [pb::Route::Fast, pb::Route::Deep];

async fn ask(request: pb::PredictRequest) -> pb::PredictResponse {
    let mut client = TestServer::shared().await.client().await;
    client.predict(request).await.expect("an answer").into_inner()
}

async fn refused(request: pb::PredictRequest) -> Refusal {
    let mut client = TestServer::shared().await.client().await;
    Refusal::of(&client.predict(request).await.expect_err("refused"))
}

#[tokio::test]
async fn both_doors_give_equal_answers() {
    let server = TestServer::shared().await;
    let texts = reviews::texts(40);
    for route in ROUTES {
        let request = pb::PredictRequest {
            top_k: 2,
            ..by_route(route, &texts)
        };
        let over_http = server
            .http()
            .post("/v1/predict", tandem::api::json::encode(&request))
            .await
            .json();
        let over_grpc = ask(request).await;
        for (at, prediction) in over_grpc.predictions.iter().enumerate() {
            let other = &over_http["predictions"][at];
            assert_eq!(other["label"], prediction.label.as_str());
            let confidence = other["confidence"].as_f64().expect("a number");
            assert!((confidence - f64::from(prediction.confidence)).abs() < 1e-4);
            assert_eq!(other["tokenCount"], prediction.token_count);
        }
    }
}

#[tokio::test]
async fn a_text_gets_the_same_answer_alone_as_in_a_batch_in_the_order_of_the_texts() {
    let texts = reviews::texts(24);
    let models = repository::open(&shipped_models()).expect("the shipped models");
    for route in ROUTES {
        let logits = |texts: &[&str]| pb::PredictRequest {
            score_kind: pb::ScoreKind::Logit.into(),
            top_k: 2,
            ..by_route(route, texts)
        };
        let together = ask(logits(&texts)).await;
        assert_eq!(together.predictions.len(), texts.len());
        let serving = &together.models[0];
        let manifest = &models
            .iter()
            .find(|model| model.manifest.name == serving.name)
            .expect("it is in the repository")
            .manifest;
        let tolerance = if manifest.onnx.batch_invariant {
            1e-4
        } else {
            manifest
                .golden
                .as_ref()
                .expect("golden examples")
                .batched_logit_tolerance
        };
        for (text, in_batch) in texts.iter().zip(&together.predictions) {
            let alone = ask(logits(&[text])).await;
            let alone = &alone.predictions[0];
            assert_eq!(alone.token_count, in_batch.token_count);
            assert_eq!(alone.label, in_batch.label);
            assert!((alone.scores[0].score - in_batch.scores[0].score).abs() <= tolerance);
        }
    }
}

#[tokio::test]
async fn top_k_lists_the_best_labels_and_no_more_than_there_are() {
    for (top_k, listed) in [(0, 0), (1, 1), (2, 2), (i32::MAX, 2)] {
        for route in ROUTES {
            let answer = ask(pb::PredictRequest {
                top_k,
                ..by_route(route, &["괜찮은 영화"])
            })
            .await;
            let prediction = &answer.predictions[0];
            assert_eq!(prediction.scores.len(), listed, "top_k {top_k}");
            assert!(prediction.scores.is_sorted_by(|a, b| a.score >= b.score));
            for (at, score) in prediction.scores.iter().enumerate() {
                assert_eq!(score.selected, at == 0);
                assert_eq!(score.label == prediction.label, at == 0);
            }
        }
    }
}

#[tokio::test]
async fn probabilities_follow_from_logits_by_the_manifests_temperature() {
    let models = repository::open(&shipped_models()).expect("the shipped models");
    for route in ROUTES {
        let scored = |kind: pb::ScoreKind| pb::PredictRequest {
            top_k: 2,
            score_kind: kind.into(),
            ..by_route(route, &["재미는 있지만 너무 길다"])
        };
        let probabilities = ask(scored(pb::ScoreKind::Probability)).await;
        let unspecified = ask(scored(pb::ScoreKind::Unspecified)).await;
        let logits = ask(scored(pb::ScoreKind::Logit)).await;
        let name = &logits.models[0].name;
        let model = models
            .iter()
            .find(|model| &model.manifest.name == name)
            .expect("it is there");
        let (likely, raw) = (&probabilities.predictions[0], &logits.predictions[0]);
        let spread = (raw.scores[0].score - raw.scores[1].score) / model.manifest.calibration.temperature;
        let expected = 1.0 / (1.0 + (-spread).exp());
        assert!((likely.scores[0].score - expected).abs() < 1e-4);
        assert!((likely.confidence - likely.scores[0].score).abs() < 1e-6);
        assert!(
            (raw.confidence - likely.confidence).abs() < 1e-6,
            "confidence is a probability always"
        );
        assert_eq!(unspecified.predictions[0].scores, likely.scores);
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_at_the_asked_end_or_refused() {
    let long = format!("최고의 영화 {} 최악의 영화", "그리고 그래서 ".repeat(300));
    for route in ROUTES {
        let cut = |truncation: pb::Truncation| pb::PredictRequest {
            truncation: truncation.into(),
            ..by_route(route, &["짧다", &long])
        };
        let end = ask(cut(pb::Truncation::End)).await;
        let start = ask(cut(pb::Truncation::Start)).await;
        let own = ask(cut(pb::Truncation::Unspecified)).await;
        for answer in [&end, &start, &own] {
            assert!(!answer.predictions[0].truncated);
            assert!(answer.predictions[1].truncated);
        }
        assert_eq!(own.predictions[1].confidence, end.predictions[1].confidence);
        assert_ne!(end.predictions[1].confidence, start.predictions[1].confidence);
        let refusal = refused(cut(pb::Truncation::Reject)).await;
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert_eq!(refusal.fields, ["texts[1]"]);
        assert!(refusal.message.contains("limit"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn the_default_route_is_deep() {
    let answer = ask(by_route(pb::Route::Unspecified, &["좋다"])).await;
    assert_eq!(answer.predictions[0].tier(), pb::Tier::Deep);
    assert_eq!(answer.predictions[0].decision(), pb::Decision::Requested);
}

#[tokio::test]
async fn a_model_is_asked_by_name_and_by_name_and_version() {
    let by_model = |model: &str| pb::PredictRequest {
        model: model.into(),
        ..by_route(pb::Route::Unspecified, &["좋다"])
    };
    for name in ["sentiment-fast", "sentiment-deep"] {
        let answer = ask(by_model(name)).await;
        let model = &answer.models[0];
        assert_eq!(model.name, name);
        assert_eq!(model.fingerprint.len(), 16);
        let pinned = ask(by_model(&format!("{name}@{}", model.version))).await;
        assert_eq!(&pinned.models[0], model);
        let refusal = refused(by_model(&format!("{name}@no-such"))).await;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::NotFound, "MODEL_NOT_FOUND")
        );
    }
}

#[tokio::test]
async fn token_counts_and_times_are_told() {
    for route in ROUTES {
        let answer = ask(by_route(route, &["좋다", "정말 정말 좋은 영화였다"])).await;
        assert!(answer.predictions[0].token_count > 0);
        assert!(answer.predictions[1].token_count > answer.predictions[0].token_count);
        let timing = answer.timing.expect("times");
        assert!(timing.total_duration.is_some() && timing.preprocess_duration.is_some());
        assert!(timing.queue_duration.is_some() && timing.inference_duration.is_some());
        assert_eq!(timing.tiers.len(), 1);
        assert_eq!(timing.tiers[0].tier(), answer.predictions[0].tier());
        assert!(timing.tiers[0].batch_text_count >= 1);
    }
}

#[tokio::test]
async fn every_priority_is_accepted() {
    for priority in [
        pb::Priority::Unspecified,
        pb::Priority::Interactive,
        pb::Priority::Normal,
        pb::Priority::Bulk,
    ] {
        let answer = ask(pb::PredictRequest {
            priority: priority.into(),
            ..fast(&["좋다"])
        })
        .await;
        assert_eq!(answer.predictions.len(), 1);
    }
}

#[tokio::test]
async fn odd_but_valid_texts_are_classified_alone_and_in_a_batch() {
    let odd = [
        "",
        " \t\n",
        "\0",
        "a\0b",
        "\u{1C}",
        "\u{1}\u{2}\u{7f}\u{9f}",
        "\u{feff}",
        "\u{10ffff}",
        "👨‍👩‍👧",
        "ㅋㅋㅋ",
    ];
    for route in ROUTES {
        let together = ask(by_route(route, &odd)).await;
        assert_eq!(together.predictions.len(), odd.len());
        for (text, in_batch) in odd.iter().zip(&together.predictions) {
            let alone = ask(by_route(route, &[text])).await;
            assert_eq!(alone.predictions[0].label, in_batch.label, "{text:?}");
            assert!(in_batch.confidence >= 0.5, "{text:?}");
        }
    }
}

#[tokio::test]
async fn packed_requests_are_read() {
    let server = TestServer::shared().await;
    let mut client = server.client().await.send_compressed(CompressionEncoding::Gzip);
    let answer = client.predict(fast(&reviews::texts(30))).await.expect("an answer");
    assert_eq!(answer.into_inner().predictions.len(), 30);
}

#[tokio::test]
async fn a_request_id_is_kept_or_made_and_told_in_errors() {
    let server = TestServer::shared().await;
    let mut client = server.client().await;
    let mut request = tonic::Request::new(fast(&["좋다"]));
    request
        .metadata_mut()
        .insert("x-request-id", "call-7".parse().expect("an id"));
    let answer = client.predict(request).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-request-id").expect("an id"), "call-7");

    let made = client.predict(fast(&["좋다"])).await.expect("an answer");
    assert_eq!(made.metadata().get("x-request-id").expect("an id").len(), 36);

    let mut request = tonic::Request::new(fast(&[]));
    request
        .metadata_mut()
        .insert("x-request-id", "call-8".parse().expect("an id"));
    let status = client.predict(request).await.expect_err("refused");
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert_eq!(details.request_info().expect("the request").request_id, "call-8");
}

#[tokio::test]
async fn a_trace_parent_is_accepted() {
    let mut client = TestServer::shared().await.client().await;
    for value in ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "not a trace"] {
        let mut request = tonic::Request::new(fast(&["좋다"]));
        request
            .metadata_mut()
            .insert("traceparent", value.parse().expect("a value"));
        client.predict(request).await.expect("an answer");
    }
}

#[tokio::test]
async fn an_expired_deadline_is_deadline_exceeded() {
    let server = TestServer::shared().await;
    let message = prost::Message::encode_to_vec(&deep(&["좋다"]));
    let call = crate::support::frames::RawCall::predict(&message).header("grpc-timeout", "0m");
    let refusal = Refusal::of(&call.send(server.grpc_addr()).await.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
}

#[tokio::test]
async fn a_deadline_beyond_the_longest_is_cut_to_it() {
    let server = TestServer::builder()
        .fast_only()
        .max_timeout(Duration::from_nanos(1))
        .start()
        .await;
    let mut client = server.client().await;
    let mut request = tonic::Request::new(fast(&["좋다"]));
    request.set_timeout(Duration::from_hours(1));
    let status = client.predict(request).await.expect_err("cut");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_servers_own_health_tells_models_and_limits() {
    let mut client = TestServer::shared().await.client().await;
    let health = client
        .health(pb::HealthRequest {})
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(health.state(), pb::ServingState::Serving);
    assert_eq!((health.max_text_count, health.max_text_size_bytes), (128, 16 * 1024));
    let names: Vec<&str> = health
        .models
        .iter()
        .map(|model| model.model.as_ref().expect("a name").name.as_str())
        .collect();
    assert_eq!(names, ["sentiment-deep", "sentiment-fast"]);
    for model in &health.models {
        assert!(model.verified);
        assert_eq!(model.state(), pb::ServingState::Serving);
        assert_eq!(model.labels, ["negative", "positive"]);
        assert_eq!(model.tasks, ["sentiment"]);
    }
}
