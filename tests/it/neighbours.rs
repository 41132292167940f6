//! An answer does not depend on the texts that share its batch: models whose graphs would have it so run rows alone, or with
//! rows of their length.

use std::path::Path;

use tandem::api::pb;
use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::config::Settings;
use tandem::model::discover::Hints;
use tandem::model::loading::{FastPath, InstanceSettings, initialize};
use tandem::model::manifest::{Batch, Manifest};
use tandem::model::neighbours::Neighbours;
use tandem::model::repository;

use crate::support::models::copy_folder;
use crate::support::{TestServer, root};

const TEXTS: [&str; 9] = [
    "a [SEP] that a caller [SEP] wrote",
    "good",
    "This is a plain sentence.",
    "It was not bad, but not good either; I would not see it again.",
    "재미있게 봤어요.",
    "bad",
    "A long text goes on and on, sentence after sentence, so that it is much longer than the others are.",
    "!",
    "what a film",
];

/// A folder with a graph of tests/data/neighbours.
fn folder(graph: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/hugging_face/minilm"), folder.path());
    let graph = root().join("tests/data/neighbours").join(format!("{graph}.onnx"));
    let model = folder.path().join("model.onnx");
    std::fs::copy(graph, model).expect("copied");
    folder
}

fn measured(folder: &Path, told: Option<Batch>) -> (Neighbours, Manifest) {
    let mut verified = repository::read(folder, &Hints::of_folder(folder)).expect("a model");
    verified.manifest.limits.batch = told;
    let instances = InstanceSettings {
        count: 1,
        intra_threads: 1,
        idle_threads: 1,
        max_cells: 256,
        fast_path: FastPath::default(),
    };
    let loaded = initialize(&verified, instances).expect("it loads");
    (loaded.model.neighbours, loaded.model.manifest.clone())
}

#[test]
fn a_model_whose_rows_are_exact_among_others_runs_them_together() {
    let (found, manifest) = measured(folder("exact").path(), None);
    assert_eq!(found.batch, Batch::Any, "{found:?}");
    assert!(!found.beyond && found.mixed < 1e-5, "{found:?}");
    assert_eq!(manifest.limits.most_texts(), 32);
}

#[test]
fn a_graph_that_quantises_as_it_runs_gets_one_row_at_a_time() {
    let (found, manifest) = measured(folder("dynamic-int8").path(), None);
    assert_eq!(found.batch, Batch::Alone, "{found:?}");
    assert!(found.same_length > 1e-3, "{found:?}");
    assert_eq!(manifest.limits.most_texts(), 1);
}

#[test]
fn a_graph_that_reads_padding_gets_rows_of_one_length() {
    let (found, manifest) = measured(folder("reads-padding").path(), None);
    assert_eq!(found.batch, Batch::SameLength, "{found:?}");
    assert!(found.mixed > 1e-3 && found.same_length < 1e-5, "{found:?}");
    assert_eq!(manifest.limits.most_texts(), 32);
}

#[test]
fn a_head_that_looks_for_the_end_token_loads_and_gets_one_row_at_a_time() {
    // One text that spells the end token out would fail the batch, or move the others' answers.
    let (found, manifest) = measured(folder("reads-end").path(), None);
    assert_eq!(found.batch, Batch::Alone, "{found:?}");
    assert!(found.same_length.is_infinite(), "{found:?}");
    assert_eq!(manifest.limits.most_texts(), 1);
}

#[test]
fn the_end_token_may_stand_before_others_that_every_text_ends_with() {
    // As mBART's, which puts the language behind it.
    let folder = folder("reads-end");
    let path = folder.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).expect("the tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let single = &mut tokenizer["post_processor"]["single"];
    let start = single.as_array_mut().expect("a template").remove(0);
    single.as_array_mut().expect("a template").push(start);
    std::fs::write(&path, tokenizer.to_string()).expect("written");
    let config = r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), config).expect("written");
    let (found, _) = measured(folder.path(), None);
    assert_eq!(found.batch, Batch::Alone, "{found:?}");
    assert!(found.same_length.is_infinite(), "{found:?}");
}

#[test]
fn the_manifest_overrules_what_is_measured_and_that_is_told() {
    let (found, manifest) = measured(folder("dynamic-int8").path(), Some(Batch::Any));
    assert_eq!((found.batch, found.told, found.beyond), (Batch::Any, true, true));
    assert_eq!(manifest.limits.most_texts(), 32);
}

#[tokio::test]
async fn what_is_in_force_is_told_with_its_figures() {
    for (graph, rows, message) in [
        ("dynamic-int8", 1, "each text runs alone: outputs move by up to"),
        (
            "reads-padding",
            32,
            "texts of as many tokens alone share a batch: outputs move",
        ),
        ("exact", 32, "not verified: nobody compared"),
    ] {
        let folder = folder(graph);
        let path = folder.path().to_owned();
        let alone = move |settings: &mut Settings| settings.deep = Some(path);
        let server = TestServer::builder().with(alone).start().await;
        let mut client = server.client().await;
        let health = client.health(pb::HealthRequest::default()).await.expect("an answer");
        let health = health.into_inner().models.remove(0);
        assert!(health.message.contains(message), "{graph}: {}", health.message);
        assert_eq!(health.message.contains("outputs move"), graph != "exact");
        let mut models = ModelServiceClient::new(server.channel().await);
        let name = health.model.expect("named").name;
        let model = models.get_model(pb::GetModelRequest { name }).await.expect("an answer");
        let model = model.into_inner().model.expect("the model");
        assert_eq!(model.limits.expect("limits").max_batch_size, rows, "{graph}");
        assert_eq!(model.message, health.message);
    }
}

#[tokio::test]
async fn texts_asked_together_are_answered_as_when_asked_alone() {
    for graph in ["exact", "dynamic-int8", "reads-padding", "reads-end"] {
        let folder = folder(graph);
        let path = folder.path().to_owned();
        let alone = move |settings: &mut Settings| {
            settings.deep = Some(path);
        };
        let server = TestServer::builder().with(alone).start().await;
        let mut client = server.client().await;
        let request = |texts: &[&str]| pb::PredictRequest {
            texts: texts.iter().map(ToString::to_string).collect(),
            top_k: 100,
            ..pb::PredictRequest::default()
        };
        let together = client
            .predict(request(&TEXTS))
            .await
            .expect("answers")
            .into_inner()
            .predictions;
        for (text, together) in TEXTS.iter().zip(together) {
            let single = client.predict(request(&[text])).await.expect("an answer").into_inner();
            for (one, other) in single.predictions[0].scores.iter().zip(&together.scores) {
                let moved = (one.score - other.score).abs();
                assert!(moved < 1e-6, "{graph}: {text}: {moved}");
            }
        }
    }
}
