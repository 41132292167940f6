//! Exports of both libraries beside models with a manifest: which task each decides, and what is told of those that nobody
//! verified.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tandem::api::pb;
use tandem::config::settings::RouteSetting;
use tandem::config::{Settings, TaskSettings};
use tandem::service::lifecycle::start::open_catalog;

use crate::support::models::copy_folder;
use crate::support::{Refusal, TestServer, by_route, root, shipped_models};

/// A text, and what scikit-learn says of it.
#[derive(Deserialize)]
struct Expected {
    text: String,
    label: String,
}

fn sklearn(name: &str) -> PathBuf {
    root().join("tests/data/scikit-learn").join(name)
}

fn transformer(name: &str) -> PathBuf {
    root().join("tests/data/hugging_face").join(name)
}

fn folders(fast: Option<&Path>, deep: Option<&Path>) -> Settings {
    Settings {
        fast: fast.map(Path::to_owned),
        deep: deep.map(Path::to_owned),
        ..Settings::default()
    }
}

/// Copies folders into a repository; the first of each pair is the place.
fn repository(models: &[(&str, PathBuf)]) -> tempfile::TempDir {
    let repository = tempfile::tempdir().expect("a temporary folder");
    for (place, source) in models {
        copy_folder(source, &repository.path().join(place));
    }
    repository
}

async fn predict(server: &TestServer, request: pb::PredictRequest) -> Result<pb::PredictResponse, Refusal> {
    let answer = server.client().await.predict(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Refusal::of(&status))
}

fn of_task(task: &str) -> pb::PredictRequest {
    pb::PredictRequest {
        task: task.into(),
        ..by_route(pb::Route::Unspecified, &["great film"])
    }
}

#[tokio::test]
async fn a_fast_folder_alone_needs_no_route() {
    let folder = sklearn("logistic-zipmap");
    let alone = |settings: &mut Settings| settings.fast = Some(folder);
    let server = TestServer::builder().with(alone).start().await;
    let answers =
        fs::read_to_string(root().join("tests/data/scikit-learn/logistic-zipmap.jsonl")).expect("the answers");
    for row in answers.lines() {
        let row: Expected = serde_json::from_str(row).expect("a row");
        let answer = predict(&server, by_route(pb::Route::Unspecified, &[&row.text]))
            .await
            .expect("an answer");
        assert_eq!(answer.predictions[0].label, row.label, "{:?}", row.text);
        assert_eq!(answer.models[0].tier(), pb::Tier::Fast);
    }
    let refused = predict(&server, by_route(pb::Route::Deep, &["a"])).await;
    assert_eq!(refused.expect_err("one tier").reason, "TIER_NOT_CONFIGURED");
}

#[test]
fn two_folders_must_agree() {
    let problem = |fast: &Path, deep: &Path| match open_catalog(&folders(Some(fast), Some(deep))) {
        Ok(_) => panic!("they were taken"),
        Err(error) => error.to_string(),
    };
    let (words, moods) = (sklearn("logistic-columns"), transformer("bert"));
    assert!(problem(&words, &moods).contains("are not the same set"));
    let deep = shipped_models().join("sentiment-deep/1");
    assert!(problem(&deep, &moods).contains("the model is deep, it was given as fast"));
    assert!(problem(&sklearn("none"), &moods).contains("is not a folder"));
    // Two folders that only their parents tell apart get two names.
    let versions = repository(&[("a/words", words.clone()), ("b/words", words)]);
    let (fast, deep) = (versions.path().join("a/words"), versions.path().join("b/words"));
    let both = open_catalog(&folders(Some(&fast), Some(&deep))).expect("two models");
    let names: Vec<&str> = both.catalog.versions().map(|version| version.name()).collect();
    assert_eq!(names, ["words", "words-fast"]);
}

#[tokio::test]
async fn a_repository_holds_exports_beside_models_with_a_manifest_a_task_each() {
    let repository = repository(&[
        ("sentiment-fast", shipped_models().join("sentiment-fast")),
        ("topics/1", sklearn("logistic-zipmap")),
        ("topics/2", sklearn("naive-bayes")),
        ("moods/7", transformer("roberta")),
    ]);
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    for (task, model, version) in [
        ("sentiment", "sentiment-fast", "1"),
        ("topics", "topics", "2"),
        ("moods", "moods", "7"),
    ] {
        let answer = predict(&server, of_task(task)).await.expect(task);
        let found = &answer.models[0];
        assert_eq!(
            (found.name.as_str(), found.version.as_str()),
            (model, version),
            "{task}"
        );
    }
    let refused = predict(&server, of_task("")).await.expect_err("several tasks");
    assert_eq!(refused.fields, ["task"]);

    let health = server
        .client()
        .await
        .health(pb::HealthRequest {})
        .await
        .expect("health");
    let told = health.into_inner().models.into_iter();
    let told: Vec<(String, bool)> = told
        .map(|health| (health.model.expect("a name").name, health.verified))
        .collect();
    let told: Vec<(&str, bool)> = told.iter().map(|(name, verified)| (name.as_str(), *verified)).collect();
    assert_eq!(told, [("moods", false), ("sentiment-fast", true), ("topics", false)]);
    let mut models = pb::model_service_client::ModelServiceClient::new(server.channel().await);
    let listed = models
        .list_models(pb::ListModelsRequest::default())
        .await
        .expect("models");
    let verified: Vec<bool> = listed.into_inner().models.iter().map(|model| model.verified).collect();
    assert_eq!(verified, [false, true, false]);
    let metrics = server.service.metrics().text();
    for line in [
        "tandem_model_verified{model=\"moods\",version=\"7\"} 0",
        "tandem_model_verified{model=\"sentiment-fast\",version=\"1\"} 1",
        "tandem_model_verified{model=\"topics\",version=\"2\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_task_of_the_configuration_takes_an_export_and_its_guessed_task_is_gone() {
    let repository = repository(&[
        ("words/1", sklearn("logistic-zipmap")),
        ("moods/1", transformer("roberta")),
    ]);
    let task = |fast: Option<&str>, deep: Option<&str>| TaskSettings {
        fast: fast.map(str::to_owned),
        deep: deep.map(str::to_owned),
        default_route: fast.map(|_| RouteSetting::Fast),
        ..TaskSettings::default()
    };
    let server = TestServer::builder()
        .models(repository.path().to_owned())
        .task("topic", task(Some("words"), None))
        .task("mood", task(None, Some("moods")))
        .start()
        .await;
    let catalog = server.service.catalog();
    assert_eq!(catalog.task_names().collect::<Vec<_>>(), ["mood", "topic"]);
    let answer = predict(&server, of_task("mood")).await.expect("an answer");
    assert_eq!(answer.models[0].name, "moods");
}
