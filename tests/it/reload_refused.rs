//! New versions that are not sound are refused, whatever is wrong; the old one serves on, and it is said why.

use std::fs;

use tandem::service::catalog::refusal::Stage;
use tandem::service::lifecycle::report::Verdict;

use crate::reload::{ask, of_fast, server_of};
use crate::support::models::{ModelCopy, copy_folder};
use crate::support::{TestServer, root};

const NAME: &str = "sentiment-fast";

/// Asserts that the newest version is refused at a stage with these words, once, and that nothing else changes.
async fn assert_refused(server: &TestServer, stage: Stage, words: &str) {
    let mut client = server.client().await;
    let before = ask(&mut client).await;
    let report = server.service.reload().await;
    let (version, Verdict::Refused(refusal)) = of_fast(&report) else {
        panic!("it was not refused: {report:?}");
    };
    assert_eq!(refusal.stage, stage, "{refusal}");
    assert!(refusal.problem.contains(words), "{words} in: {refusal}");
    assert!(!refusal.problem.contains("/tmp"), "no paths: {refusal}");
    assert_eq!(ask(&mut client).await, before, "the old version serves on");
    let reports = server.service.model_reports();
    let told = reports
        .iter()
        .find(|report| &*report.model.name == NAME)
        .expect("it is there");
    let expected = format!("version `{version}` was refused ({})", stage.name());
    assert!(told.message.contains(&expected), "{}", told.message);
    let metrics = server.http().get("/metrics").await;
    let counted = format!(
        "tandem_model_reloads_total{{model=\"{NAME}\",outcome=\"{}\"}}",
        stage.name()
    );
    assert!(metrics.text().contains(&counted), "{}", metrics.text());
    assert!(
        metrics
            .text()
            .contains("tandem_model_version_refused{model=\"sentiment-fast\"} 1\n")
    );
}

/// Asserts that the same files are not tried again.
async fn assert_not_tried_again(server: &TestServer) {
    let report = server.service.reload().await;
    assert!(matches!(of_fast(&report).1, Verdict::RefusedBefore(_)), "{report:?}");
}

#[tokio::test]
async fn broken_versions_of_every_kind_are_refused_until_their_files_change() {
    type Break = fn(&ModelCopy);
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(&first).await;
    let cases: [(&str, Stage, &str, Break); 9] = [
        ("a flipped bit", Stage::NotReady, "model.onnx: its SHA-256", |copy| {
            copy.flip_bit("model.onnx");
        }),
        ("half a copy", Stage::NotReady, "model.onnx", |copy| {
            copy.remove("model.onnx");
        }),
        ("an unknown key", Stage::NotReady, "manifest.toml", |copy| {
            copy.replace("manifest.toml", "tier = ", "teir = \"fast\"\ntier = ");
        }),
        ("another version's name", Stage::NotReady, "manifest.toml", |copy| {
            copy.replace("manifest.toml", "\nversion = ", "\nversion = \"x\" #");
        }),
        ("another tier", Stage::Mismatch, "deep", |copy| {
            copy.replace("manifest.toml", "\"fast\"", "\"deep\"");
        }),
        ("other labels", Stage::Mismatch, "neutral", |copy| {
            copy.replace("manifest.toml", "\"negative\"", "\"neutral\"");
        }),
        ("no graph", Stage::NotReady, "model.onnx", |copy| {
            fs::write(copy.folder().join("model.onnx"), "nothing").expect("written");
            copy.rehash("model.onnx");
        }),
        (
            "an output that is not there",
            Stage::Load,
            "no output `scores`",
            |copy| {
                copy.replace("manifest.toml", "output = \"logits\"", "output = \"scores\"");
            },
        ),
        (
            "preprocessing that is not training's",
            Stage::Load,
            "golden.jsonl: line",
            |copy| {
                copy.replace("manifest.toml", "max_n = 5", "max_n = 4");
            },
        ),
    ];
    let mut version = 1;
    for (what, stage, words, break_it) in cases {
        println!("{what}");
        version += 1;
        let copy = first.version(&version.to_string());
        break_it(&copy);
        assert_refused(&server, stage, words).await;
        assert_not_tried_again(&server).await;
    }
    // Put right, it is tried again; and nothing is refused any more.
    version += 1;
    let copy = first.version(&version.to_string());
    copy.flip_bit("model.onnx");
    assert_refused(&server, Stage::NotReady, "model.onnx").await;
    copy.flip_bit("model.onnx");
    let report = server.service.reload().await;
    assert!(matches!(of_fast(&report).1, Verdict::Exchanged { .. }), "{report:?}");
    assert!(server.service.refused_versions().is_empty());
    let metrics = server.http().get("/metrics").await;
    assert!(
        metrics
            .text()
            .contains("tandem_model_version_refused{model=\"sentiment-fast\"} 0\n")
    );
}

#[tokio::test]
async fn a_version_without_a_manifest_does_not_take_the_place_of_a_verified_one() {
    let source = root().join("tests/data/models/tutorial-nb/1");
    let first = ModelCopy::from(&source, "tutorial-nb", "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .start()
        .await;
    let second = first.version("2");
    let manifest = fs::read(second.folder().join("manifest.toml")).expect("the manifest");
    second.remove("manifest.toml");
    let report = server.service.reload().await;
    let Verdict::Refused(refusal) = &report.outcomes[0].verdict else {
        panic!("{report:?}");
    };
    assert_eq!(refusal.stage, Stage::NotReady, "{refusal}");
    fs::write(second.folder().join("manifest.toml"), manifest).expect("written");
    let report = server.service.reload().await;
    assert!(
        matches!(&report.outcomes[0].verdict, Verdict::Exchanged { .. }),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_version_whose_tokenizer_is_another_is_refused() {
    let first = ModelCopy::of("sentiment-deep", "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .one_deep_instance()
        .start()
        .await;
    let second = first.version("2");
    // Two tokens change places: every text that has one of them would be read as another text.
    let path = second.folder().join("tokenizer.json");
    let text = fs::read_to_string(&path).expect("the tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    swap_ids(&mut tokenizer["model"]["vocab"]);
    fs::write(&path, tokenizer.to_string()).expect("written");
    second.rehash("tokenizer.json");
    let report = server.service.reload().await;
    let Verdict::Refused(refusal) = &report.outcomes[0].verdict else {
        panic!("{report:?}");
    };
    assert_eq!(refusal.stage, Stage::Load);
    assert!(refusal.problem.starts_with("golden.jsonl: line"), "{refusal}");
    assert!(refusal.problem.contains("ids differ"), "{refusal}");
}

/// Turns the order of all ids but the first hundred, the special ones, around.
fn swap_ids(vocabulary: &mut serde_json::Value) {
    match vocabulary {
        serde_json::Value::Object(tokens) => {
            let size = tokens.len() as u64;
            for id in tokens.values_mut() {
                let old = id.as_u64().expect("an id");
                *id = if old < 100 { old } else { size + 99 - old }.into();
            }
        }
        serde_json::Value::Array(tokens) => tokens[100..].reverse(),
        other => panic!("a vocabulary: {other}"),
    }
}

#[tokio::test]
async fn what_would_not_fit_into_memory_is_refused_with_figures_before_it_is_loaded() {
    let first = ModelCopy::of(NAME, "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        // Room for one, and not for two in an exchange.
        .with(|settings| settings.max_model_memory = 24 << 20)
        .start()
        .await;
    first.version("2");
    assert_refused(&server, Stage::Memory, "MiB of max_model_memory's 24 MiB are in use").await;
}

#[tokio::test]
async fn a_version_that_does_worse_beside_the_old_one_is_refused() {
    let first = ModelCopy::of(NAME, "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .with(|settings| settings.shadow_texts = 30)
        .start()
        .await;
    let calls = tokio::spawn({
        let mut client = server.client().await;
        async move {
            loop {
                ask(&mut client).await;
            }
        }
    });
    // The same outputs by other names: sound in itself, and wrong about every text.
    let second = first.version("2");
    second.replace(
        "manifest.toml",
        "[\"negative\", \"positive\"]",
        "[\"positive\", \"negative\"]",
    );
    assert_refused(
        &server,
        Stage::Shadow,
        "it gave 30 of 30 texts another label than the stable version",
    )
    .await;
    assert_not_tried_again(&server).await;
    // The same answers pass.
    first.version("3");
    let report = server.service.reload().await;
    assert!(matches!(of_fast(&report).1, Verdict::Exchanged { .. }), "{report:?}");
    calls.abort();
}

#[tokio::test]
async fn a_version_whose_heads_serve_its_tasks_otherwise_is_refused() {
    let repository = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/heads"), repository.path());
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    let versions = repository.path().join("two-heads");
    let manifest = fs::read_to_string(versions.join("1/manifest.toml")).expect("the manifest");
    let newer = manifest.replace("\nversion = \"1\"", "\nversion = \"2\"");
    copy_folder(&versions.join("1"), &versions.join("2"));
    for (what, text, words) in [
        (
            "a head that is gone",
            newer.replace("task = \"toxicity\"", "task = \"tone\""),
            "it has no head for `toxicity`, version `1` has one",
        ),
        (
            "another label",
            newer.replace("\"unsure\"", "\"maybe\""),
            "its labels for `toxicity` are clean, toxic, maybe",
        ),
    ] {
        fs::write(versions.join("2/manifest.toml"), text).expect("written");
        let report = server.service.reload().await;
        let [outcome] = &report.outcomes[..] else {
            panic!("one model: {report:?}")
        };
        let Verdict::Refused(refusal) = &outcome.verdict else {
            panic!("{what}: {report:?}");
        };
        assert_eq!(refusal.stage, Stage::Mismatch, "{what}: {refusal}");
        assert!(refusal.problem.contains(words), "{what}: {refusal}");
    }
    fs::write(versions.join("2/manifest.toml"), newer).expect("written");
    let report = server.service.reload().await;
    assert!(
        matches!(&report.outcomes[0].verdict, Verdict::Exchanged { from: Some(from) } if from == "1"),
        "{report:?}"
    );
}
