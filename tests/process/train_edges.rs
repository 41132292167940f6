//! `tandem train` at its edges: what `--force` replaces, places without a folder above them, texts that are held out and
//! trained on, texts longer than what is read.

use std::fs;
use std::path::Path;

use crate::support::command::{Finished, finish, tandem};

/// Texts about two things, in so many rows.
fn rows(count: usize) -> String {
    let line = |at: usize| match at % 2 {
        0 => format!("the card number {at} has not come\tcard\n"),
        _ => format!("my money order {at} is late\tmoney\n"),
    };
    (0..count).fold("text\tlabel\n".to_owned(), |file, at| file + &line(at))
}

/// Trains without a search in a folder.
fn train(folder: &Path, file: &str, out: &str, args: &[&str]) -> Finished {
    let mut command = tandem();
    command
        .current_dir(folder)
        .args(["train", file, "--out", out, "--budget", "0s"]);
    finish(command.args(args), b"")
}

#[test]
fn force_replaces_a_version_of_a_model_and_nothing_else() {
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name);
    fs::write(at("rows.tsv"), rows(60)).expect("written");
    // Without a folder above the repository, too.
    train(place.path(), "rows.tsv", "cards-fast/1", &[]).success();
    train(place.path(), "rows.tsv", "cards-fast/1", &["--force"]).success();
    train(place.path(), "rows.tsv", "r/cards-fast/1", &[]).success();
    fs::create_dir_all(at("mine/docs")).expect("a folder");
    fs::write(at("mine/docs/thesis.txt"), "precious").expect("written");
    std::os::unix::fs::symlink(at("cards-fast/1"), at("cards-fast/link")).expect("a link");
    for (out, problem) in [
        ("mine/docs", "has no manifest.toml"),
        ("r/cards-fast", "holds folders"),
        ("cards-fast/link", "is no folder"),
    ] {
        let refused = train(place.path(), "rows.tsv", out, &["--force", "--task", "cards"]);
        assert_eq!(refused.code, Some(2), "{out}: {refused:?}");
        assert!(refused.complaint().contains(problem), "{out}: {refused:?}");
    }
    assert_eq!(
        fs::read_to_string(at("mine/docs/thesis.txt")).expect("it is there"),
        "precious"
    );
    assert!(at("cards-fast/1/model.onnx").is_file() && at("r/cards-fast/1/model.onnx").is_file());
}

#[test]
fn what_is_held_out_is_not_trained_on() {
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("rows.tsv"), rows(200)).expect("written");
    fs::write(place.path().join("held.tsv"), rows(60)).expect("written");
    let told = train(place.path(), "rows.tsv", "m/cards-fast/1", &["--held-out", "held.tsv"]);
    assert!(
        told.stderr
            .contains("--held-out has the same texts: 60 rows (lines 2, 3"),
        "{told:?}"
    );
    let manifest = fs::read_to_string(place.path().join("m/cards-fast/1/README.md")).expect("a card");
    assert!(manifest.contains("140 texts"), "{manifest}");
    let all = train(place.path(), "held.tsv", "m/cards-fast/2", &["--held-out", "rows.tsv"]);
    assert_eq!(all.code, Some(2), "{all:?}");
    assert!(all.complaint().contains("none is left to train on"), "{all:?}");
}

#[test]
fn long_texts_and_long_labels_are_told_before_the_work() {
    let place = tempfile::tempdir().expect("a folder");
    let long = "words and more words ".repeat(600);
    let line = |at: usize| format!("{at} {long}\t{}\n", ["card", "money"][at % 2]);
    let file = (0..40).fold("text\tlabel\n".to_owned(), |file, at| file + &line(at));
    fs::write(place.path().join("long.tsv"), file).expect("written");
    let told = train(place.path(), "long.tsv", "m/long-fast/1", &["--dry-run"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.stderr
            .contains("about 100% of the texts are longer than the 8192 characters"),
        "{told:?}"
    );
    let label = "x".repeat(300);
    let file = rows(40).replace("\tmoney", &format!("\t{label}"));
    fs::write(place.path().join("label.tsv"), file).expect("written");
    let refused = train(place.path(), "label.tsv", "m/label-fast/1", &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.complaint().contains("has 300 bytes, the most is 256"),
        "{refused:?}"
    );
}

#[test]
fn a_file_that_is_read_is_not_written_over() {
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name);
    fs::write(at("rows.html"), rows(60)).expect("written");
    let read = ["--input-format", "tsv", "--report", "./rows.html"];
    let refused = train(place.path(), "rows.html", "m/cards-fast/1", &read);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.complaint().contains("is what is read too"), "{refused:?}");
    assert_eq!(fs::read_to_string(at("rows.html")).expect("it is there"), rows(60));
    // A model that was being replaced when the run was killed does not stop the next one.
    fs::write(at("rows.tsv"), rows(60)).expect("written");
    train(place.path(), "rows.tsv", "m/cards-fast/1", &[]).success();
    fs::create_dir(at("m/cards-fast/.1.replaced")).expect("a folder");
    train(place.path(), "rows.tsv", "m/cards-fast/1", &["--force"]).success();
    let left = fs::read_dir(at("m/cards-fast")).expect("a folder").flatten();
    let hidden = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
    // The student is no version of the deep model.
    fs::write(at("texts.txt"), "a text\n".repeat(200)).expect("written");
    let mut command = tandem();
    command
        .current_dir(place.path())
        .args(["distill", "--deep", "m/cards-fast/1", "--texts", "texts.txt"]);
    let refused = finish(command.args(["--out", "m/cards-fast/1", "--force"]), b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.complaint().contains("the deep model's own name"), "{refused:?}");
    assert!(at("m/cards-fast/1/model.onnx").is_file());
}
