//! Folders that would hang, swell, deceive or bring down whoever loads them: each is refused in one line that names the file, what
//! serves goes on, and the next load begins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tandem::config::Settings;
use tandem::config::duration::HumanDuration;
use tandem::model::ModelError;
use tandem::model::discover::Hints;
use tandem::model::limited::CallOff;
use tandem::model::loading::{Around, FastPath, Initialized, InstanceSettings, LoadOptions, initialize_in};
use tandem::model::onnx::{OnnxBytes, Probe, RunLimit, Runtime, Seen};
use tandem::model::repository::{self, VerifiedModel};
use tandem::service::catalog::refusal::Stage;
use tandem::service::lifecycle::report::Verdict;
use tandem::service::lifecycle::start::open_catalog;
use tempfile::TempDir;

use crate::support::models::{ModelCopy, copy_folder};
use crate::support::{Refusal, TestServer, fast, root};

const ONE: InstanceSettings = InstanceSettings {
    count: 1,
    intra_threads: 1,
    idle_threads: 1,
    max_cells: 256,
    fast_path: FastPath::Native,
};

fn tutorial() -> PathBuf {
    root().join("tests/data/models/tutorial-nb/1")
}

/// The tutorial's model, without golden examples, with another graph.
fn poisoned(graph: &str) -> ModelCopy {
    let copy = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
    poison(&copy, graph);
    copy
}

fn poison(copy: &ModelCopy, graph: &str) {
    let path = copy.folder().join("manifest.toml");
    let manifest = fs::read_to_string(&path).expect("the manifest");
    let (before, rest) = manifest.split_once("[golden]").expect("golden examples");
    let (_, after) = rest.split_once("[limits]").expect("limits");
    fs::write(&path, format!("{before}[limits]{after}")).expect("written");
    let graph = root().join("tests/data/poisoned").join(format!("{graph}.onnx"));
    fs::copy(graph, copy.folder().join("model.onnx")).expect("a copy");
    copy.rehash("model.onnx");
}

fn load(verified: &VerifiedModel, run: Duration, off: &CallOff) -> Result<Initialized, ModelError> {
    let off = off.clone();
    initialize_in(
        verified,
        ONE,
        Around::Quiet,
        &LoadOptions {
            run,
            off,
            ..LoadOptions::default()
        },
    )
}

fn refusal(copy: &ModelCopy) -> String {
    let verified = repository::open(copy.repository());
    let loaded = verified.and_then(|verified| load(&verified[0], Duration::from_secs(1), &CallOff::default()));
    let refused = loaded.err().expect("it is refused").to_string();
    assert_eq!(refused.lines().count(), 1, "{refused}");
    refused
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(made.success());
}

#[test]
fn graphs_that_never_end_or_want_too_much_are_refused() {
    for (graph, words) in [
        ("endless", "the run was ended"),
        ("endless-folded", "the run was ended"),
        ("huge-constant", "model.onnx"),
        ("huge-declared", "model.onnx"),
    ] {
        let refused = refusal(&poisoned(graph));
        assert!(refused.contains(words), "{graph}: {refused}");
        assert!(refused.contains("model.onnx"), "{graph}: {refused}");
    }
}

#[test]
fn values_in_other_files_are_refused_wherever_they_are_named() {
    for place in ["attribute", "function", "default", "branch", "training"] {
        let copy = poisoned(&format!("external-{place}"));
        // That the manifest lists the file changes nothing.
        fs::write(copy.folder().join("hidden.bin"), [0; 4]).expect("written");
        let path = copy.folder().join("manifest.toml");
        let manifest = fs::read_to_string(&path).expect("the manifest");
        fs::write(&path, format!("{manifest}\"hidden.bin\" = \"{}\"\n", "0".repeat(64))).expect("written");
        copy.rehash("hidden.bin");
        let refused = refusal(&copy);
        assert!(refused.contains("has values in `hidden.bin`"), "{place}: {refused}");
    }
}

#[test]
fn a_load_ends_when_it_is_called_off() {
    let copy = poisoned("endless");
    let verified = repository::open(copy.repository()).expect("its files are sound");
    let off = CallOff::default();
    let flag = off.clone();
    let loading = std::thread::spawn(move || load(&verified[0], Duration::from_hours(1), &off).err());
    flag.call_off();
    loading.join().expect("no panic").expect("it is refused");
}

#[tokio::test]
async fn an_endless_version_is_refused_and_the_next_one_is_loaded() {
    let first = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .with(|settings| {
            settings.max_timeout = HumanDuration(Duration::from_secs(5));
            settings.default_timeout = settings.max_timeout;
        })
        .start()
        .await;
    let second = first.version("2");
    poison(&second, "endless");
    let report = server.service.reload().await;
    let [outcome] = &report.outcomes[..] else {
        panic!("{report:?}")
    };
    let Verdict::Refused(refusal) = &outcome.verdict else {
        panic!("{outcome:?}")
    };
    assert_eq!(refusal.stage, Stage::Load, "{refusal}");
    assert!(refusal.problem.contains("the run was ended"), "{refusal}");
    let _third = first.version("3");
    let report = server.service.reload().await;
    assert!(
        matches!(report.outcomes[0].verdict, Verdict::Exchanged { .. }),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_text_that_makes_a_run_endless_fails_alone_and_others_are_answered() {
    let copy = poisoned("endless-word");
    let server = TestServer::builder()
        .models(copy.repository().to_owned())
        .with(|settings| settings.fast_instances = 1)
        .start()
        .await;
    let mut client = server.client().await;
    let refused = client.predict(fast(&["endless"])).await.expect_err("it never ends");
    assert_eq!(Refusal::of(&refused).reason, "INFERENCE_FAILED");
    let answer = client.predict(fast(&["yes"])).await.expect("an answer").into_inner();
    assert_eq!(answer.predictions[0].label, "positive");
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    for file in ["model.onnx", "golden.jsonl"] {
        let copy = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
        pipe(&copy.folder().join(file));
        let refused = refusal(&copy);
        assert!(
            refused.contains(file) && refused.contains("is not a regular file"),
            "{refused}"
        );
    }
    let copy = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
    let settings = Settings {
        models: copy.repository().to_owned(),
        ..Settings::default()
    };
    pipe(&copy.repository().join("labels.toml"));
    let refused = open_catalog(&settings).err().expect("refused").to_string();
    assert!(refused.contains("labels.toml: is not a regular file"), "{refused}");
}

/// A copy of an export, with one of its JSON files changed; how it is refused.
fn export_refused(file: &str, change: impl FnOnce(&mut Value)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("moods/1");
    copy_folder(&root().join("tests/data/hugging_face/bert"), &place);
    let path = place.join(file);
    let mut content = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    change(&mut content);
    fs::write(&path, content.to_string()).expect("written");
    let verified = repository::open(folder.path());
    let loaded = verified.and_then(|verified| load(&verified[0], Duration::from_mins(1), &CallOff::default()));
    loaded.err().expect("it is refused").to_string()
}

#[test]
fn numbers_of_labels_are_bounded_before_anything_is_made_of_them() {
    let labels = |labels: Value| move |config: &mut Value| config["id2label"] = labels;
    let many = || (0..10_001).map(|at| (at.to_string(), json!(format!("label {at}"))));
    let refused = export_refused("config.json", labels(Value::Object(many().collect())));
    assert!(refused.contains("id2label names 10001 labels"), "{refused}");
    let refused = export_refused("config.json", |config| {
        config["id2label"] = Value::Null;
        config["label2id"] = Value::Null;
        config["num_labels"] = json!(1_000_000_000);
    });
    assert!(refused.contains("num_labels is 1000000000"), "{refused}");
    let refused = export_refused("config.json", labels(json!({"0": "a", "1": "b".repeat(257), "2": "c"})));
    assert!(refused.contains("one of 257 bytes"), "{refused}");

    for (graph, words) in [
        ("wide", "has 1000000000000 columns, the most is 10000"),
        ("many-classes", "has 10001 classes, the most is 10000"),
        ("two-names", "the output `label` does not name one class a row"),
    ] {
        let folder = alone(graph);
        let read = repository::read(folder.path(), &Hints::of_folder(folder.path()));
        let refused = read.expect_err("refused").to_string();
        assert!(refused.contains(words), "{graph}: {refused}");
    }
}

/// A folder with this graph and no manifest.
fn alone(graph: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let graph = root().join("tests/data/poisoned").join(format!("{graph}.onnx"));
    fs::copy(graph, folder.path().join("model.onnx")).expect("a copy");
    folder
}

#[test]
fn a_look_inside_a_graph_is_of_the_bytes_that_were_hashed_and_has_a_limit() {
    let copy = poisoned("endless-word");
    let manifest = repository::open(copy.repository()).expect("sound").remove(0).manifest;
    let bytes = OnnxBytes::read(copy.folder(), &manifest).expect("the file that was hashed");
    fs::remove_file(copy.folder().join("model.onnx")).expect("removed");
    let limit = RunLimit::new(Duration::from_secs(1), CallOff::default());
    let runtime = Runtime::get().expect("the library");
    let mut probe = Probe::open(runtime, &bytes, &["yes"], &limit).expect("the bytes are enough");
    assert_eq!(probe.see("yes").expect("it ends"), [Seen::Numbers(vec![1.0])]);
    let ended = probe.see("endless").expect_err("it never ends by itself");
    assert!(ended.0.contains("the run was ended"), "{ended}");
    let next = probe
        .see("no")
        .expect_err("the first run that takes too long is the last one of a load");
    assert!(next.0.contains("the run was ended"), "{next}");
    limit.serve(Duration::from_secs(1));
    assert_eq!(probe.see("no").expect("it ends"), [Seen::Numbers(vec![0.0])]);
}

#[test]
fn tokenizers_that_swell_or_panic_are_refused_by_name() {
    let doubling = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let steps = json!({"type": "Sequence", "normalizers": vec![doubling; 20]});
    let refused = export_refused("tokenizer.json", |tokenizer| tokenizer["normalizer"] = steps);
    assert!(
        refused.contains("tokenizer.json: its normalizers can make a text"),
        "{refused}"
    );
    for charsmap in ["", "AAAA", "////", "AQAAAA=="] {
        let broken = json!({"type": "Precompiled", "precompiled_charsmap": charsmap});
        let refused = export_refused("tokenizer.json", |tokenizer| tokenizer["normalizer"] = broken);
        assert!(refused.contains("tokenizer.json"), "{charsmap}: {refused}");
    }
    let refused = export_refused("tokenizer.json", |tokenizer| {
        let mut deep = json!({"type": "Lowercase"});
        for _ in 0..300 {
            deep = json!({"type": "Sequence", "normalizers": [deep]});
        }
        tokenizer["normalizer"] = deep;
    });
    assert!(refused.contains("tokenizer.json"), "{refused}");
}

#[test]
fn what_was_hashed_is_what_is_loaded_and_opened_again() {
    for file in ["model.onnx", "golden.jsonl"] {
        let copy = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
        let verified = repository::open(copy.repository()).expect("sound");
        copy.flip_bit(file);
        let refused = load(&verified[0], Duration::from_mins(1), &CallOff::default());
        let refused = refused.err().expect("it is another file").to_string();
        assert!(
            refused.contains(file) && refused.contains("not the file any more"),
            "{refused}"
        );
    }
    let copy = ModelCopy::from(&tutorial(), "tutorial-nb", "1");
    let loaded = copy.load().expect("sound");
    assert!(loaded.runners[0].reopen().is_ok());
    copy.flip_bit("model.onnx");
    let refused = loaded.runners[0].reopen().err().expect("it is another file");
    assert!(refused.0.contains("not the file any more"), "{refused}");
}
