//! `tandem train`: from a file of labelled texts to a model that the server serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, clean, finish, signal, tandem};
use crate::support::root;

/// An empty repository, and files beside it.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("written");
        path.display().to_string()
    }

    fn model(&self, name: &str) -> PathBuf {
        self.0.path().join("models").join(name).join("1")
    }

    fn train(&self, file: &str, name: &str, args: &[&str]) -> Finished {
        let out = self.model(name);
        finish(tandem().arg("train").arg(file).arg("--out").arg(out).args(args), b"")
    }

    fn predict(&self, texts: &[&str]) -> Vec<Value> {
        let models = self.0.path().join("models");
        let mut command = tandem();
        command
            .args(["predict", "--format", "jsonl", "--models"])
            .arg(models)
            .args(texts);
        let told = finish(&mut command, b"").success();
        told.lines()
            .map(|line| serde_json::from_str(line).expect("an answer"))
            .collect()
    }
}

fn banking(name: &str) -> String {
    root().join("examples/banking77").join(name).display().to_string()
}

/// Texts about two things, in so many rows.
fn rows(count: usize) -> String {
    let line = |at: usize| {
        if at.is_multiple_of(2) {
            format!("the card number {at} has not come\tcard\n")
        } else {
            format!("my money order {at} is late\tmoney\n")
        }
    };
    let rows: String = (0..count).map(line).collect();
    format!("text\tlabel\n{rows}")
}

#[test]
fn what_it_writes_is_served_and_right_on_other_texts() {
    let place = Workplace::new();
    let told = place.train(
        &banking("train.csv"),
        "banking-fast",
        &["--label-column", "category", "--budget", "0s"],
    );
    let told = told.success();
    assert!(
        told.contains("trained banking-fast 1 for the task banking: 16 labels, 800 texts"),
        "{told}"
    );
    assert!(told.contains("tandem serve --models"), "{told}");
    assert!(told.contains(r#"{"task":"banking","texts":["#), "{told}");
    for file in ["model.onnx", "manifest.toml", "golden.jsonl", "README.md"] {
        assert!(place.model("banking-fast").join(file).is_file(), "{file}");
    }
    assert!(place.model("banking-fast").with_file_name("1.report.html").is_file());
    finish(tandem().arg("check").arg(place.model("banking-fast")), b"").success();

    let test = fs::read_to_string(banking("test.csv")).expect("the other texts");
    let mut reader = csv::Reader::from_reader(test.as_bytes());
    let rows: Vec<(String, String)> = reader.deserialize().map(|row| row.expect("a row")).collect();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let answers = place.predict(&texts);
    let right = answers
        .iter()
        .zip(&rows)
        .filter(|(answer, (_, label))| answer["label"] == label.as_str())
        .count();
    assert!(right * 100 >= 85 * rows.len(), "{right} of {}", rows.len());
}

#[test]
fn the_example_in_english_runs() {
    let models = tempfile::tempdir().expect("a temporary folder");
    let mut script = clean("sh");
    script
        .arg(root().join("examples/banking77/run.sh"))
        .env("TANDEM", env!("CARGO_BIN_EXE_tandem"));
    let told = finish(script.env("MODELS", models.path()).env("BUDGET", "0s"), b"").success();
    assert!(told.contains("golden       63 examples, ids identical"), "{told}");
    assert!(told.contains("lost_or_stolen_card"), "{told}");
    assert!(told.ends_with("ok: 1 model loaded and verified\n"), "{told}");
}

#[test]
fn the_same_seed_gives_the_same_model_and_its_recipe_gives_it_again() {
    let place = Workplace::new();
    let file = place.file("rows.tsv", &rows(400));
    let graph = |name: &str| fs::read(place.model(name).join("model.onnx")).expect("a graph");
    place
        .train(&file, "first", &["--task", "first", "--budget", "1s"])
        .success();
    place
        .train(&file, "again", &["--task", "again", "--budget", "1s", "--threads", "1"])
        .success();
    assert_eq!(graph("first"), graph("again"));
    let like = place.model("first").display().to_string();
    place
        .train(&file, "like", &["--task", "like", "--like", &like])
        .success();
    assert_eq!(graph("first"), graph("like"));
    place
        .train(&file, "other", &["--task", "other", "--budget", "0s", "--seed", "2"])
        .success();
    assert_ne!(graph("first"), graph("other"));
}

#[test]
fn soft_targets_weights_and_several_labels_are_learnt() {
    let place = Workplace::new();
    let mut soft = String::from("text\tcard\tmoney\tweight\n");
    for at in 0..300 {
        // Rows with a weight of 0 say the opposite.
        let (card, weight) = if at % 3 == 0 { (0.1, 0) } else { (0.9, 1) };
        soft.push_str(&format!(
            "the card number {at} has not come\t{card}\t{}\t{weight}\n",
            1.0 - card
        ));
        soft.push_str(&format!(
            "my money order {at} is late\t{}\t{card}\t{weight}\n",
            1.0 - card
        ));
    }
    let file = place.file("soft.tsv", &soft);
    let columns = [
        "--soft-column",
        "card=card",
        "--soft-column",
        "money=money",
        "--weight-column",
        "weight",
    ];
    place
        .train(&file, "soft", &[&columns[..], &["--budget", "0s"]].concat())
        .success();
    let answer = &place.predict(&["the card number 7 has not come"])[0];
    assert_eq!(answer["label"], "card");
    let sure = answer["confidence"].as_f64().expect("a number");
    assert!((0.8..0.97).contains(&sure), "{sure}");

    let many = Workplace::new();
    let mut rows = String::from("text\tlabel\n");
    for at in 0..200 {
        rows.push_str(&format!("the card {at} is lost\tcard\nmy money {at} is late\tmoney\n"));
        rows.push_str(&format!(
            "card {at} and money are gone\tcard|money\nnothing {at} to say\t\n"
        ));
    }
    let file = many.file("many.tsv", &rows);
    many.train(&file, "many", &["--multi-label", "--budget", "0s"])
        .success();
    let answers = many.predict(&["card 3 and money are gone", "nothing 5 to say"]);
    // The likeliest comes first.
    let mut labels: Vec<&str> = answers[0]["labels"]
        .as_array()
        .expect("labels")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, ["card", "money"]);
    assert_eq!(answers[1]["labels"], serde_json::json!([]));
}

#[test]
fn very_few_rows_make_a_model_and_are_said_to_be_few() {
    let place = Workplace::new();
    for (count, more) in [
        (2, &[][..]),
        (3, &[]),
        (4, &["--metric", "macro-f1"]),
        (5, &[]),
        (6, &["--multi-label"]),
        (1, &["--multi-label"]),
    ] {
        for seed in ["1", "2", "3"] {
            let file = place.file("few.tsv", &rows(count));
            let few = ["--budget", "0s", "--force", "--seed", seed];
            let told = place.train(&file, "few", &[&few[..], more].concat());
            assert!(told.stderr.contains("warning: labels with"), "{count}: {told:?}");
            let told = told.success();
            assert!(
                told.contains(&format!("held out (cross-validation, {count} texts)")),
                "{count}: {told}"
            );
            assert!(place.model("few").join("model.onnx").is_file());
        }
    }
}

#[test]
fn a_held_out_file_may_have_columns_of_its_own() {
    let place = Workplace::new();
    let soft = rows(200).replacen("text\tlabel\n", "", 1);
    let soft = soft
        .replace("\tcard\n", "\t0.9\t0.1\n")
        .replace("\tmoney\n", "\t0.2\t0.8\n");
    let file = place.file("soft.tsv", &format!("text\tcard\tmoney\n{soft}"));
    let held_out = place.file("held.tsv", &rows(60).replacen("text\tlabel", "question\tkind", 1));
    let columns = ["--soft-column", "card=card", "--soft-column", "money=money"];
    let with = ["--budget", "0s", "--held-out", &held_out];
    let own = ["--held-out-text-column", "question", "--held-out-label-column", "kind"];
    let refused = place.train(&file, "held", &[&columns[..], &with].concat());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.complaint().contains("held.tsv"), "{refused:?}");
    let told = place.train(&file, "held", &[&columns[..], &with, &own].concat());
    assert!(told.success().contains("held out (held.tsv, 60 texts)"));
    let manifest = fs::read_to_string(place.model("held").join("manifest.toml")).expect("a manifest");
    for line in ["learning_rate = 0.7\n", "l2 = 0.0002\n", "dropout = 0.3\n"] {
        assert!(manifest.contains(line), "{manifest}");
    }
    let alone = place.train(&file, "alone", &[&columns[..], &own[..2]].concat());
    assert_eq!(alone.code, Some(2), "{alone:?}");
}

#[test]
fn what_can_not_be_learnt_is_told_in_a_line() {
    let place = Workplace::new();
    let file = place.file("rows.tsv", &rows(40));
    let one = place.file("one.tsv", "text\tlabel\na\tcard\nb\tcard\n");
    for (file, out, args, expected) in [
        (
            &one,
            "one",
            &[][..],
            "has one label only: all 2 rows from line 2 on are `card`",
        ),
        (&file, "Bad Name", &[], "can't be a model's name"),
        (&file, "task", &["--task", "A B"], "--task"),
        (
            &file,
            "report",
            &["--report", "report.pdf"],
            "a report's name ends in .html or .md",
        ),
        (&file, "like", &["--like", "nowhere"], "--like: nowhere/manifest.toml"),
    ] {
        let told = place.train(file, out, args);
        assert_eq!(told.code, Some(2), "{expected}");
        assert!(told.complaint().contains(expected), "{}", told.complaint());
        assert!(!place.model(out).exists(), "{out}");
    }
    place.train(&file, "twice", &["--budget", "0s"]).success();
    let told = place.train(&file, "twice", &["--budget", "0s"]);
    assert!(
        told.complaint().contains("is there already; --force replaces it"),
        "{}",
        told.complaint()
    );
    place.train(&file, "twice", &["--budget", "0s", "--force"]).success();
}

#[test]
fn a_search_that_is_stopped_leaves_the_best_so_far_and_goes_on() {
    let place = Workplace::new();
    let file = place.file("rows.tsv", &rows(3000));
    let out = place.model("stopped");
    let command = ["train", &file, "--budget", "10m", "--out"];
    let mut running = clean(env!("CARGO_BIN_EXE_tandem"));
    running
        .args(command)
        .arg(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = running.spawn().expect("started");
    let checkpoint = out.with_file_name(".1.training.json");
    until(|| checkpoint.is_file());
    signal("INT", running.id());
    let told = running.wait_with_output().expect("it ends");
    assert!(told.status.success(), "{told:?}");
    assert!(
        String::from_utf8_lossy(&told.stderr).contains("stopped: this is the best so far"),
        "{told:?}"
    );
    assert!(out.join("manifest.toml").is_file() && checkpoint.is_file());
    // Another training does not go on from there, and replaces nothing: other texts, read or held out otherwise, or for
    // another end.
    let others = place.file("others.tsv", &rows(3002));
    let held_out = place.file("held.tsv", &rows(60).replace("late", "early"));
    let kept = fs::read(out.join("manifest.toml")).expect("a manifest");
    for (file, other) in [
        (&others, &[][..]),
        (&file, &["--seed", "2"]),
        (&file, &["--held-out", &held_out]),
        (&file, &["--map", "card=cards"]),
        (&file, &["--quoted", "no"]),
        (&file, &["--encoding", "windows-1252"]),
        (&file, &["--text-column", "label", "--label-column", "label"]),
        (&file, &["--metric", "macro-f1"]),
    ] {
        let refused = place.train(file, "stopped", &[&["--budget", "1s"][..], other].concat());
        assert_eq!(refused.code, Some(2), "{other:?}: {refused:?}");
        assert!(refused.stderr.contains("--force replaces it"), "{other:?}: {refused:?}");
    }
    assert_eq!(fs::read(out.join("manifest.toml")).expect("a manifest"), kept);
    let again = finish(
        tandem().args(["train", &file, "--budget", "1s", "--out"]).arg(&out),
        b"",
    );
    assert!(again.stderr.contains("goes on from"), "{}", again.stderr);
    again.success();
    assert!(!checkpoint.exists());
}

#[test]
fn a_model_that_can_not_be_written_leaves_nothing() {
    let place = Workplace::new();
    let file = place.file("rows.tsv", &rows(40));
    // A file where the folder of the name should be.
    fs::create_dir(place.0.path().join("models")).expect("a folder");
    fs::write(place.0.path().join("models/taken"), "").expect("a file");
    let told = place.train(&file, "taken", &["--budget", "0s"]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
    assert!(is_empty_but(&place.0.path().join("models"), "taken"));
}

fn is_empty_but(folder: &Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").file_name())
        .all(|found| found == name)
}

/// Waits for something that happens soon; each look is a moment apart.
fn until(happened: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if happened() {
            return;
        }
        std::thread::yield_now();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not happen");
}
