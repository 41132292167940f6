//! Models that are not what their manifest says are refused, with one line that names the file.

use crate::support::models::ModelCopy;
use crate::support::{TestServer, fast, reviews, root};

fn fast_copy() -> ModelCopy {
    ModelCopy::of("sentiment-fast", "1")
}

/// Asserts that a copy is refused in one line that holds every one of `words`.
fn assert_refused(copy: &ModelCopy, words: &[&str]) {
    let line = copy.refusal();
    assert!(!line.contains('\n'), "one line: {line}");
    for word in words {
        assert!(line.contains(word), "{word} in: {line}");
    }
}

#[test]
fn an_untouched_copy_loads() {
    assert!(fast_copy().load().is_ok());
}

#[test]
fn a_flipped_bit_in_the_model_is_found() {
    let copy = fast_copy();
    copy.flip_bit("model.onnx");
    assert_refused(&copy, &["model.onnx", "SHA-256"]);
}

#[test]
fn a_flipped_bit_in_the_tokenizer_is_found() {
    let deep = tandem::model::repository::open(&root().join("models")).expect("the shipped models");
    let version = &deep
        .iter()
        .find(|model| model.manifest.name == "sentiment-deep")
        .expect("it ships")
        .manifest
        .version;
    let copy = ModelCopy::of("sentiment-deep", version);
    copy.flip_bit("tokenizer.json");
    assert_refused(&copy, &["tokenizer.json", "SHA-256"]);
}

#[test]
fn a_missing_file_is_named() {
    for file in ["model.onnx", "golden.jsonl"] {
        let copy = fast_copy();
        copy.remove(file);
        assert_refused(&copy, &[file]);
    }
}

#[test]
fn an_unknown_key_of_the_manifest_is_named() {
    let copy = fast_copy();
    copy.replace("manifest.toml", "tier = ", "teir = \"fast\"\ntier = ");
    assert_refused(&copy, &["manifest.toml", "teir"]);
}

#[test]
fn a_label_more_than_the_model_has_outputs_is_refused() {
    let copy = fast_copy();
    copy.replace("manifest.toml", "[\"negative\", ", "[\"neutral\", \"negative\", ");
    assert_refused(&copy, &["sentiment-fast", "3", "2"]);
}

#[test]
fn another_temperature_than_trainings_is_refused() {
    let copy = fast_copy();
    copy.replace("manifest.toml", "temperature = ", "temperature = 9");
    assert_refused(&copy, &["golden.jsonl", "line 1", "temperature"]);
}

#[test]
fn a_changed_golden_example_is_refused_by_its_line() {
    let copy = fast_copy();
    copy.replace("golden.jsonl", "\"logits\":[", "\"logits\":[1");
    assert_refused(&copy, &["golden.jsonl", "SHA-256"]);
    copy.rehash("golden.jsonl");
    assert_refused(&copy, &["golden.jsonl", "line 1", "logit"]);
}

#[test]
fn golden_ids_that_are_not_ours_are_refused() {
    let copy = fast_copy();
    copy.replace("golden.jsonl", "\"ids\":[", "\"ids\":[0,");
    copy.rehash("golden.jsonl");
    assert_refused(&copy, &["golden.jsonl", "line 1", "ids differ"]);
}

#[test]
fn a_folder_with_another_name_than_the_manifests_is_refused() {
    let copy = ModelCopy::from(&root().join("models/sentiment-fast/1"), "sentiment-quick", "1");
    assert_refused(&copy, &["manifest.toml", "sentiment-fast", "sentiment-quick"]);
}

#[test]
fn the_tutorials_model_passes_its_golden_examples() {
    let copy = ModelCopy::from(&root().join("tests/data/models/tutorial-nb/1"), "tutorial-nb", "1");
    let loaded = copy.load().expect("it loads");
    assert!(loaded.golden.examples > 100);
}

#[tokio::test]
async fn the_tutorials_model_with_its_own_preprocessing_serves() {
    let server = TestServer::builder()
        .models(root().join("tests/data/models"))
        .start()
        .await;
    let mut client = server.client().await;
    let texts = reviews::texts(100);
    let answer = client.predict(fast(&texts)).await.expect("an answer").into_inner();
    let pairs = answer.predictions.iter().zip(reviews::reviews(100));
    let right = pairs.filter(|(found, review)| found.label == review.label).count();
    assert!(right > 60, "{right} of 100");
    let odd = ["", "\0", "a\0b", " "];
    let answer = client.predict(fast(&odd)).await.expect("an answer").into_inner();
    assert_eq!(answer.predictions.len(), odd.len());
}
