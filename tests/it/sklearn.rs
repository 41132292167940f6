//! Exports of scikit-learn pipelines, as skl2onnx writes them: each answers as scikit-learn does, and the known traps are
//! named.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tandem::api::pb;
use tandem::model::Manifest;
use tandem::model::device_memory::DeviceMemory;
use tandem::model::discover::{self, Examined, Hints, NoteKind};
use tandem::model::limited::CallOff;
use tandem::model::onnx::{OnnxBytes, OnnxRunner, Providers, RunLimit, Runtime, SessionSettings, Source};
use tempfile::TempDir;

use crate::support::{Client, TestServer, root};

/// What scikit-learn says of a text.
#[derive(Deserialize)]
pub(super) struct Expected {
    pub text: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub probabilities: HashMap<String, f32>,
    /// Where each label stands for itself: those that are right.
    pub selected: Option<Vec<String>>,
    /// Of a regression.
    pub value: Option<f32>,
}

fn folder(name: &str) -> PathBuf {
    root().join("tests/data/scikit-learn").join(name)
}

/// The exports that are meant to serve.
fn exports() -> Vec<String> {
    let entries = fs::read_dir(folder("")).expect("the exports");
    let folders = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir());
    let names = folders.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with("trap-")).collect()
}

fn expected(name: &str) -> Vec<Expected> {
    let text = fs::read_to_string(folder(&format!("{name}.jsonl"))).expect("the expectations");
    let rows: Vec<Expected> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert!(rows.len() > 40, "{name}: {} texts", rows.len());
    rows
}

/// A repository with a copy of each export, as version 1 of its name.
fn repository(names: &[String]) -> TempDir {
    let repository = tempfile::tempdir().expect("a temporary folder");
    for name in names {
        let version = repository.path().join(name).join("1");
        fs::create_dir_all(&version).expect("a folder");
        fs::copy(folder(name).join("model.onnx"), version.join("model.onnx")).expect("a copy");
    }
    repository
}

fn examine(name: &str) -> Examined {
    discover::examine(&folder(name), &Hints::of_folder(&folder(name)))
}

fn manifest(name: &str) -> Manifest {
    examine(name).manifest.expect("it can serve")
}

/// Asks for all labels of some texts, by the model of that name.
pub(super) async fn ask(client: &mut Client, name: &str, rows: &[Expected]) -> Vec<pb::Prediction> {
    let request = pb::PredictRequest {
        texts: rows.iter().map(|row| row.text.clone()).collect(),
        task: name.to_owned(),
        route: pb::Route::Fast.into(),
        // Every label, where each stands for itself.
        top_k: rows[0]
            .selected
            .as_ref()
            .map_or(rows[0].probabilities.len().max(1), |_| 8) as i32,
        ..pb::PredictRequest::default()
    };
    let answer = client.predict(request).await.expect("an answer").into_inner();
    answer.predictions
}

fn assert_equal(name: &str, row: &Expected, answer: &pb::Prediction) {
    let text = &row.text;
    if let Some(value) = row.value {
        let found = answer.value.expect("a regression");
        assert!((found - value).abs() < 1e-4, "{name}: {text:?}: {found} not {value}");
        return;
    }
    assert_eq!(answer.label, row.label, "{name}: {text:?}");
    let selected = |score: &pb::LabelScore| match &row.selected {
        Some(selected) => selected.contains(&score.label),
        None => score.label == row.label,
    };
    assert_eq!(answer.scores.len(), row.probabilities.len(), "{name}: {text:?}");
    for score in &answer.scores {
        let expected = row.probabilities[&score.label];
        let away = (score.score - expected).abs();
        assert_eq!(score.selected, selected(score), "{name}: {text:?}: {}", score.label);
        assert!(
            away < 1e-4,
            "{name}: {text:?}: {}: {} not {expected}",
            score.label,
            score.score
        );
    }
}

#[tokio::test]
async fn every_export_dropped_in_answers_as_scikit_learn_does() {
    let names = exports();
    assert!(names.len() >= 22, "{names:?}");
    let repository = repository(&names);
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    let mut client = server.client().await;
    for name in &names {
        let rows = expected(name);
        for together in rows.chunks(16) {
            let answers = ask(&mut client, name, together).await;
            together
                .iter()
                .zip(&answers)
                .for_each(|(row, answer)| assert_equal(name, row, answer));
        }
        for alone in rows.chunks(1).take(12) {
            let answers = ask(&mut client, name, alone).await;
            assert_equal(name, &alone[0], &answers[0]);
        }
    }
}

#[tokio::test]
async fn a_nul_is_one_more_unknown_character() {
    let names = ["characters".to_owned()];
    let repository = repository(&names);
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    let mut client = server.client().await;
    let mut scores = async |text: &str| {
        let row = Expected {
            text: text.to_owned(),
            label: String::new(),
            probabilities: HashMap::new(),
            selected: Some(Vec::new()),
            value: None,
        };
        ask(&mut client, "characters", &[row]).await.remove(0).scores
    };
    // A space is a character that the vocabulary knows.
    let (nul, unknown, space) = (
        scores("영화\0별로").await,
        scores("영화\u{e000}별로").await,
        scores("영화 별로").await,
    );
    assert_eq!(nul, unknown);
    assert_ne!(nul, space);
}

/// Asserts that one note of that kind, with its remedy, holds every one of `words`, and that all are single lines.
fn assert_noted(name: &str, kind: NoteKind, words: &[&str]) {
    let Examined { notes, .. } = examine(name);
    let line = |note: &discover::Note| format!("{}; {}", note.text, note.remedy.as_deref().unwrap_or_default());
    let named = |note: &&discover::Note| note.kind == kind && words.iter().all(|word| line(note).contains(word));
    assert_eq!(notes.iter().filter(named).count(), 1, "{name}: {words:?} in {notes:#?}");
    assert!(
        notes.iter().all(|note| !line(note).contains('\n')),
        "{name}: {notes:#?}"
    );
}

#[test]
fn nothing_is_held_against_a_good_export() {
    for name in [
        "logistic-zipmap",
        "logistic-columns",
        "naive-bayes",
        "characters",
        "bigrams",
    ] {
        let Examined { manifest, notes } = examine(name);
        assert!(manifest.is_some(), "{name}");
        let found = notes.iter().all(|note| note.kind == NoteKind::Found);
        assert!(found, "{name}: {notes:#?}");
    }
}

#[test]
fn a_token_pattern_that_drops_the_words_it_was_trained_on_is_refused() {
    let words = ["[a-zA-Z0-9_]+", "outside ASCII", "tokenexp"];
    assert_noted("trap-ascii-tokens", NoteKind::Wrong, &words);
    assert!(examine("trap-ascii-tokens").manifest.is_none());
}

#[test]
fn a_model_of_english_alone_is_told_to_be_one() {
    assert_noted("trap-english", NoteKind::Assumed, &["ASCII", "tokenexp"]);
    assert!(examine("trap-english").manifest.is_some());
}

#[test]
fn a_locale_that_folds_ascii_alone_is_named() {
    assert_noted("trap-ascii-case", NoteKind::Doubtful, &["case", "`C`", "C.UTF-8"]);
}

#[test]
fn a_locale_that_the_machine_lacks_is_refused_with_the_remedy() {
    assert_noted("trap-locale", NoteKind::Wrong, &["xx_XX.UTF-8", "C.UTF-8"]);
    assert!(examine("trap-locale").manifest.is_none());
}

#[test]
fn counts_that_skl2onnx_exports_otherwise_than_scikit_learn_are_named() {
    assert_noted(
        "trap-sublinear",
        NoteKind::Doubtful,
        &["sublinear_tf", "log(1 + count)"],
    );
}

#[test]
fn a_graph_for_one_text_a_run_is_never_given_two() {
    assert_noted(
        "one-text-a-run",
        NoteKind::Assumed,
        &["one text at a time", "StringTensorType([None, 1])"],
    );
    assert_eq!(manifest("one-text-a-run").limits.most_texts(), 1);
}

#[test]
fn scores_are_said_to_be_no_probabilities() {
    for name in ["linear-svc", "linear-svc-binary", "sgd-hinge", "logistic-raw-scores"] {
        assert_noted(name, NoteKind::Doubtful, &["scores", "not calibrated"]);
    }
}

#[test]
fn integer_classes_are_labels_by_their_decimal_form() {
    assert_eq!(manifest("logistic-integers-zipmap").labels, ["0", "1", "7"]);
    assert_eq!(manifest("logistic-integers-tensor").labels, ["0", "1"]);
    assert_eq!(manifest("logistic-columns").labels, ["negative", "neutral", "positive"]);
}

#[test]
fn integer_classes_get_names_in_the_manifest() {
    let path = folder("logistic-integers-zipmap").join("model.onnx");
    let mut manifest = manifest("logistic-integers-zipmap");
    manifest.labels = ["zero", "one", "seven"].map(String::from).to_vec();
    assert!(open(&path, &manifest).is_ok());
    manifest.onnx.keys.clear();
    let problem = open(&path, &manifest).err();
    assert!(
        problem.is_some_and(|problem| problem.contains("onnx.keys")),
        "which class is `zero`?"
    );
}

pub(super) fn open(path: &Path, manifest: &Manifest) -> Result<OnnxRunner, String> {
    let folder = path.parent().expect("a folder");
    let bytes = OnnxBytes::read(folder, manifest).map_err(|error| error.to_string())?;
    let source = Source {
        bytes: &bytes,
        manifest,
        pad_id: 0,
        weights: None,
        providers: &Providers::default(),
        memory: &DeviceMemory::default(),
        limit: &RunLimit::new(Duration::from_mins(1), CallOff::default()),
    };
    let runtime = Runtime::get().expect("the library");
    OnnxRunner::load(runtime, source, SessionSettings::beside_others(1))
}

#[test]
fn several_classes_with_the_same_probability_are_named() {
    assert_noted(
        "sgd-modified-huber",
        NoteKind::Doubtful,
        &["modified_huber", "log_loss"],
    );
}
