//! Hugging Face folders as exporters leave them: served without a manifest, with the answers that transformers gives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tandem::api::pb;
use tandem::config::Settings;
use tonic::Code;

use crate::support::models::copy_folder;
use crate::support::{Refusal, TestServer, root};

const FAMILIES: [&str; 7] = [
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "deberta",
    "xlm-roberta",
    "minilm",
];

/// What transformers says of one text.
#[derive(Deserialize)]
struct Expected {
    text: String,
    text_pair: Option<String>,
    tokens: i32,
    #[serde(default)]
    label: String,
    #[serde(default)]
    scores: BTreeMap<String, f32>,
    value: Option<f32>,
}

fn folder(family: &str) -> PathBuf {
    root().join("tests/data/hugging_face").join(family)
}

fn expected(family: &str) -> Vec<Expected> {
    let lines = std::fs::read_to_string(folder(family).join("expected.jsonl")).expect("what transformers says");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("an expectation"))
        .collect()
}

async fn serving(family: &str) -> TestServer {
    let family = folder(family);
    let alone = |settings: &mut Settings| settings.deep = Some(family);
    TestServer::builder().with(alone).start().await
}

fn all_labels(texts: &[Expected]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|expected| expected.text.clone()).collect(),
        text_pairs: texts.iter().filter_map(|expected| expected.text_pair.clone()).collect(),
        top_k: 100,
        ..pb::PredictRequest::default()
    }
}

fn assert_close(found: f32, expected: f32, of: &str) {
    assert!((found - expected).abs() < 1e-4, "{of}: {found} here, {expected} there");
}

#[tokio::test]
async fn every_family_answers_as_transformers_does() {
    for family in FAMILIES {
        let expected = expected(family);
        let server = serving(family).await;
        let mut client = server.client().await;
        let answer = client
            .predict(all_labels(&expected))
            .await
            .expect("answers")
            .into_inner();
        assert_eq!(answer.predictions.len(), expected.len());
        for (at, (prediction, expected)) in answer.predictions.iter().zip(&expected).enumerate() {
            let of = format!("{family}, text {at}");
            assert_eq!(prediction.token_count, expected.tokens, "{of}");
            assert_eq!(prediction.value.is_some(), expected.value.is_some(), "{of}");
            if let (Some(found), Some(expected)) = (prediction.value, expected.value) {
                assert_close(found, expected, &of);
                continue;
            }
            assert_eq!(prediction.label, expected.label, "{of}");
            assert_eq!(prediction.scores.len(), expected.scores.len(), "{of}");
            for score in &prediction.scores {
                assert_close(score.score, expected.scores[&score.label], &of);
            }
        }
    }
}

#[tokio::test]
async fn a_folder_without_a_manifest_serves_and_is_said_not_to_be_verified() {
    let server = serving("bert").await;
    let health = server.client().await.health(pb::HealthRequest {}).await;
    let health = health.expect("health").into_inner();
    let model = &health.models[0];
    assert!(!model.verified);
    assert!(model.message.starts_with("not verified"), "{}", model.message);
    assert_eq!(model.labels, ["bad", "fair", "good"]);
    let named = model.model.as_ref().expect("a name");
    assert_eq!((named.name.as_str(), named.version.as_str()), ("bert", "1"));
    let metrics = server.http().get("/metrics").await;
    let metrics = metrics.text();
    let line = "tandem_model_verified{model=\"bert\",version=\"1\"} 0";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[tokio::test]
async fn each_label_of_a_multi_label_model_is_selected_by_itself() {
    let expected = expected("distilbert");
    let server = serving("distilbert").await;
    let answer = server.client().await.predict(all_labels(&expected)).await;
    let predictions = answer.expect("answers").into_inner().predictions;
    let mut counts = Vec::new();
    for prediction in &predictions {
        let selected: Vec<bool> = prediction.scores.iter().map(|score| score.selected).collect();
        let over: Vec<bool> = prediction.scores.iter().map(|score| score.score >= 0.5).collect();
        assert_eq!(selected, over);
        let count = selected.iter().filter(|selected| **selected).count();
        assert_eq!(prediction.label.is_empty(), count == 0);
        counts.push(count);
    }
    assert!(
        counts.iter().any(|&count| count > 1) && counts.contains(&1),
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_model_of_single_texts_refuses_pairs_by_the_fields_name() {
    let server = TestServer::shared().await;
    let request = pb::PredictRequest {
        texts: vec!["a".into()],
        text_pairs: vec!["b".into()],
        ..pb::PredictRequest::default()
    };
    let mut client = server.client().await;
    let refused = client.predict(request.clone()).await.expect_err("no pairs");
    let refusal = Refusal::of(&refused);
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["text_pairs".to_owned()])
    );
    let uneven = pb::PredictRequest {
        texts: vec!["a".into(), "b".into()],
        ..request
    };
    let server = serving("xlm-roberta").await;
    let refused = server.client().await.predict(uneven).await.expect_err("one for two");
    assert_eq!(Refusal::of(&refused).fields, ["text_pairs"]);
}

#[tokio::test]
async fn a_pair_that_is_too_long_is_refused_where_none_may_be_cut() {
    let server = serving("xlm-roberta").await;
    let request = pb::PredictRequest {
        texts: vec!["a good day ".repeat(40)],
        text_pairs: vec!["a bad day ".repeat(40)],
        ..pb::PredictRequest::default()
    };
    let mut client = server.client().await;
    let answer = client.predict(request.clone()).await.expect("cut").into_inner();
    assert!(answer.predictions[0].truncated);
    assert_eq!(answer.predictions[0].token_count, 24);
    let whole = pb::PredictRequest {
        truncation: pb::Truncation::Reject.into(),
        ..request
    };
    let refused = client.predict(whole).await.expect_err("too long");
    assert_eq!(Refusal::of(&refused).code, Code::InvalidArgument);
}

#[tokio::test]
async fn the_cache_tells_pairs_with_the_same_first_text_apart() {
    let family = folder("xlm-roberta");
    let builder = TestServer::builder().cache_bytes(1 << 20);
    let server = builder.with(|settings| settings.deep = Some(family)).start().await;
    let mut client = server.client().await;
    let mut confidences = Vec::new();
    for pair in ["a bad film", "좋아요", "a bad film"] {
        let request = pb::PredictRequest {
            texts: vec!["The story was good.".into()],
            text_pairs: vec![pair.into()],
            ..pb::PredictRequest::default()
        };
        let answer = client.predict(request).await.expect("answers").into_inner();
        confidences.push(answer.predictions[0].confidence);
    }
    assert_eq!(confidences[0], confidences[2]);
    assert!((confidences[0] - confidences[1]).abs() > 1e-4, "{confidences:?}");
}

#[tokio::test]
async fn two_folders_share_a_task_and_the_cascade_asks_for_a_threshold() {
    // The same labels in both tiers: one export plays both parts.
    let copy = tempfile::tempdir().expect("a folder");
    let fast = copy.path().join("small-bert");
    copy_folder(&folder("bert"), &fast);
    let deep = folder("bert");
    let both = |settings: &mut Settings| (settings.deep, settings.fast) = (Some(deep), Some(fast));
    let server = TestServer::builder().with(both).start().await;
    let mut client = server.client().await;
    let ask = |route: pb::Route, min_confidence| pb::PredictRequest {
        texts: vec!["The story was good.".into()],
        route: route.into(),
        min_confidence,
        ..pb::PredictRequest::default()
    };
    for (route, tier) in [(pb::Route::Fast, pb::Tier::Fast), (pb::Route::Deep, pb::Tier::Deep)] {
        let answer = client.predict(ask(route, None)).await.expect("answers").into_inner();
        assert_eq!(answer.predictions[0].tier(), tier);
    }
    let refused = client
        .predict(ask(pb::Route::Cascade, None))
        .await
        .expect_err("not calibrated");
    assert_eq!(Refusal::of(&refused).reason, "CASCADE_NOT_CALIBRATED");
    let answer = client
        .predict(ask(pb::Route::Cascade, Some(1.0)))
        .await
        .expect("answers")
        .into_inner();
    assert_eq!(answer.predictions[0].decision(), pb::Decision::Escalated);
}

#[tokio::test]
async fn a_repository_of_folders_serves_several_tasks_by_name_and_version() {
    let repository = tempfile::tempdir().expect("a folder");
    for (family, name) in [("bert", "reviews"), ("xlm-roberta", "entailment"), ("electra", "stars")] {
        copy_folder(&folder(family), &repository.path().join(name).join("3"));
    }
    let builder = TestServer::builder().with(|settings| settings.models = repository.path().to_owned());
    let server = builder.start().await;
    let mut client = server.client().await;
    let ask = |task: &str, model: &str| pb::PredictRequest {
        texts: vec!["The story was good.".into()],
        task: task.into(),
        model: model.into(),
        ..pb::PredictRequest::default()
    };
    for (task, model) in [
        ("reviews", ""),
        ("entailment", ""),
        ("stars", ""),
        ("", "stars"),
        ("", "reviews@3"),
    ] {
        let answer = client.predict(ask(task, model)).await.expect("answers").into_inner();
        let expected = if task.is_empty() {
            model.split('@').next().expect("a name")
        } else {
            task
        };
        assert_eq!(answer.models[0].name, expected);
        assert_eq!(answer.models[0].version, "3");
    }
    let refused = client.predict(ask("", "")).await.expect_err("which task");
    assert_eq!(Refusal::of(&refused).fields, ["task"]);
    let refused = client.predict(ask("", "reviews@2")).await.expect_err("no such version");
    assert_eq!(Refusal::of(&refused).reason, "MODEL_NOT_FOUND");
}
