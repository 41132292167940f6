//! `tandem evaluate`: figures of models and routes on labelled texts, here and by a server.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};
use crate::support::{RunningServer, root};

/// A folder for the files of a test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).expect("written");
        self.path(name)
    }

    /// The first labelled reviews, with their header.
    fn reviews(&self, count: usize) -> String {
        let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
        let lines: Vec<&str> = all.lines().take(count + 1).collect();
        self.file("reviews.tsv", &(lines.join("\n") + "\n"))
    }
}

/// `tandem evaluate` in this process, with the models of the repository.
fn evaluate(args: &[&str]) -> Finished {
    let mut command = tandem();
    command.arg("evaluate").arg("--models").arg(root().join("models"));
    finish(command.args(args), b"")
}

/// The same by a server.
fn evaluate_by(server: &RunningServer, args: &[&str]) -> Finished {
    let mut command = tandem();
    command.args(["evaluate", "--addr", &server.grpc.to_string()]);
    finish(command.args(args), b"")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

fn model(name: &str) -> String {
    root().join(name).display().to_string()
}

#[test]
fn figures_are_those_of_the_answers_that_predict_gives() {
    let place = Place::new();
    let reviews = place.reviews(500);
    let found = evaluate(&[&reviews, "--route", "fast", "--json", "-"]).json();
    let mut predict = tandem();
    predict.arg("predict").arg("--models").arg(root().join("models"));
    let answers = finish(predict.args(["--route", "fast", "--file", &reviews]), b"").success();
    let labels: Vec<String> = fs::read_to_string(&reviews)
        .expect("the reviews")
        .lines()
        .skip(1)
        .map(|line| ["negative", "positive"][usize::from(line.split('\t').nth(1) == Some("1"))].to_owned())
        .collect();
    // By the right label and the one that was given.
    let mut counts: BTreeMap<(String, String), f64> = BTreeMap::new();
    for (line, label) in answers.lines().zip(&labels) {
        let answer: Value = serde_json::from_str(line).expect("an object a line");
        let given = answer["label"].as_str().expect("a label").to_owned();
        *counts.entry((label.clone(), given)).or_default() += 1.0;
    }
    let count = |truth: &str, given: &str| {
        counts
            .get(&(truth.to_owned(), given.to_owned()))
            .copied()
            .unwrap_or(0.0)
    };
    let fast = &found["contenders"][0];
    let right = count("negative", "negative") + count("positive", "positive");
    let near = |found: &Value, expected: f64| assert!((number(found) - expected).abs() < 1e-9, "{found} {expected}");
    near(&fast["accuracy"]["value"], right / 500.0);
    assert!(number(&fast["accuracy"]["value"]) > 0.8, "{fast}");
    let negative = &fast["classes"][0];
    assert_eq!(negative["label"], "negative");
    let (hit, missed, false_alarm) = (
        count("negative", "negative"),
        count("negative", "positive"),
        count("positive", "negative"),
    );
    near(&negative["recall"]["value"], hit / (hit + missed));
    near(&negative["precision"]["value"], hit / (hit + false_alarm));
    assert_eq!(found["texts"], 500);
    assert_eq!(fast["models"], serde_json::json!(["sentiment-fast@1"]));
    assert_eq!(fast["reliability"].as_array().map(Vec::len), Some(15));
    assert!(number(&fast["micros_a_text"]) > 0.0);
    assert!(number(&fast["coverages"][0]["covered"]) > 0.3, "{fast}");
}

#[test]
fn two_routes_stand_side_by_side_here_and_by_a_server() {
    let place = Place::new();
    let reviews = place.reviews(120);
    let server = RunningServer::start(&[]);
    let (differences, doubts) = (place.path("differences.csv"), place.path("doubts.csv"));
    let (json, report) = (place.path("figures.json"), place.path("report.html"));
    let args = [
        &reviews,
        "--route",
        "fast",
        "--route",
        "cascade",
        "--differences",
        &differences,
        "--doubts",
        &doubts,
        "--json",
        &json,
        "--report",
        &report,
        "--token=secret-token",
    ];
    let here = evaluate(&args).success();
    for part in [
        "accuracy",
        "macro-F1",
        "escalated",
        "µs a text",
        "cascade minus fast",
        "covered, fast",
        "recall 2",
    ] {
        assert!(here.contains(part), "{part} in {here}");
    }
    assert!(here.lines().all(|line| line.chars().count() <= 80), "{here}");
    let figures =
        |path: &str| -> Value { serde_json::from_str(&fs::read_to_string(path).expect("figures")).expect("JSON") };
    let here = figures(&json);
    let listed = fs::read_to_string(&differences).expect("the differences");
    let mut lines = listed.lines();
    assert_eq!(
        lines.next(),
        Some("line,text,truth,fast,fast confidence,cascade,cascade confidence")
    );
    assert_eq!(Some(lines.count() as u64), here["difference"]["differing"].as_u64());
    let doubted = fs::read_to_string(&doubts).expect("the doubts");
    assert!(
        doubted.starts_with("line,text,label,answer,confidence,probability of the label\n"),
        "{doubted}"
    );
    assert!((2..=51).contains(&doubted.lines().count()), "{doubted}");
    assert!(number(&here["contenders"][1]["escalated"]) > 0.1, "{here}");
    let page = fs::read_to_string(&report).expect("the report");
    for part in [
        "cascade: Class by class",
        "fast: Can its confidence be believed?",
        "Probably wrong labels",
        "second minus first",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(
        page.contains("tandem evaluate") && !page.contains("secret-token"),
        "{page}"
    );

    let there = evaluate_by(
        &server,
        &[&reviews, "--route", "fast", "--route", "cascade", "--json", "-"],
    )
    .json();
    for at in [0, 1] {
        let accuracy = |found: &Value| found["contenders"][at]["accuracy"].clone();
        assert_eq!(accuracy(&here), accuracy(&there));
    }
    assert_eq!(here["difference"]["differing"], there["difference"]["differing"]);
    assert_eq!(there["by_server"], true);
    let model = evaluate_by(&server, &[&reviews, "--model", "sentiment-fast@1", "--json", "-"]).json();
    assert_eq!(model["contenders"][0]["accuracy"], here["contenders"][0]["accuracy"]);
}

#[test]
fn a_model_is_named_by_its_folder_or_in_the_repository() {
    let place = Place::new();
    let reviews = place.reviews(100);
    let found = evaluate(&[
        &reviews,
        "--model",
        &model("models/sentiment-fast/1"),
        "--model",
        "sentiment-fast@1",
        "--json",
        "-",
    ])
    .json();
    assert_eq!(found["difference"]["differing"], 0);
    assert_eq!(
        found["contenders"][1]["models"],
        serde_json::json!(["sentiment-fast@1"])
    );
    let finding = found["findings"][0].as_str().expect("a finding");
    assert!(finding.ends_with("give the same labels"), "{finding}");
    // One that has no manifest, beside a route.
    let folder = model("tests/data/scikit-learn/logistic-tensor");
    let told = evaluate(&[&reviews, "--model", &folder, "--route", "fast"]).success();
    assert!(told.contains("fast (sentiment-fast@1) beside "), "{told}");
}

#[test]
fn a_multi_label_model_is_measured_by_each_label() {
    let place = Place::new();
    let folder = model("tests/data/hugging_face/distilbert");
    let expected = fs::read_to_string(PathBuf::from(&folder).join("expected.jsonl")).expect("texts");
    let texts = expected.lines().filter_map(|line| {
        let row: Value = serde_json::from_str(line).ok()?;
        row["text"]
            .as_str()
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    });
    let labels = [vec!["toxic"], vec!["insult", "spam"], vec![]];
    let rows: Vec<String> = (texts.enumerate())
        .map(|(at, text)| serde_json::json!({"text": text, "label": labels[at % 3]}).to_string())
        .collect();
    let file = place.file("several.jsonl", &(rows.join("\n") + "\n"));
    let found = evaluate(&[&file, "--model", &folder, "--multi-label", "--json", "-"]).json();
    let model = &found["contenders"][0];
    let classes: Vec<&str> = (model["classes"].as_array().expect("a list").iter())
        .filter_map(|class| class["label"].as_str())
        .collect();
    assert_eq!(classes, ["toxic", "insult", "threat", "spam"]);
    assert_eq!(model["classes"][2]["recall"], Value::Null);
    assert!((0.0..=1.0).contains(&number(&model["micro_f1"]["value"])), "{model}");
    let told = evaluate(&[&file, "--model", &folder, "--multi-label"]).success();
    assert!(told.contains("exact match") && told.contains("micro-F1"), "{told}");
    // The model says so itself.
    let same = evaluate(&[&file, "--model", &folder, "--json", "-"]).json();
    assert_eq!(same["contenders"][0]["micro_f1"], model["micro_f1"]);
    // A server does not say it.
    let folders = ["--deep", &folder];
    let server = RunningServer::start_with(&folders);
    let single = place.file("single.csv", "text,label\na text,toxic\nanother,spam\n");
    let refused = evaluate_by(&server, &[&single, "--route", "deep"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("say --multi-label"), "{refused:?}");
}

#[test]
fn a_figure_below_its_least_ends_with_1_and_says_by_how_much() {
    let place = Place::new();
    let reviews = place.reviews(100);
    let with = |floors: &[&str]| {
        let mut args = vec![reviews.as_str(), "--route", "fast"];
        args.extend(floors.iter().flat_map(|floor| ["--min", *floor]));
        evaluate(&args)
    };
    assert_eq!(with(&["accuracy=0.6", "recall:positive>=50%"]).code, Some(0));
    let below = with(&["accuracy=0.6", "macro-f1=0.999", "precision:negative=1"]);
    assert_eq!(below.code, Some(1));
    let complaints: Vec<&str> = below.stderr.lines().filter(|line| line.contains("--min")).collect();
    assert_eq!(complaints.len(), 2, "{below:?}");
    assert!(
        complaints[0].contains("macro-f1 of fast is 0.") && complaints[0].contains(" below 0.999, on 100 texts"),
        "{below:?}"
    );
    // A label that no text has is no error, unless something is asked of it.
    let rows: String = (0..12).map(|at| format!("좋은 영화 {at},positive\n")).collect();
    let one = place.file("one.csv", &format!("text,label\n{rows}"));
    evaluate(&[&one, "--route", "fast"]).success();
    let unknown = evaluate(&[&one, "--route", "fast", "--min", "recall:negative=0.5"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no text has the label negative"), "{unknown:?}");
}

#[test]
fn a_dry_run_says_what_the_texts_are_like_and_stops() {
    let place = Place::new();
    let reviews = place.reviews(100);
    let json = place.path("figures.json");
    let told = evaluate(&[&reviews, "--route", "fast", "--dry-run", "--json", &json]).success();
    for part in ["100 rows, 100 of them used", "labels: negative ", "time: about "] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("accuracy") && !PathBuf::from(json).exists(), "{told}");
}

#[test]
fn what_can_not_be_evaluated_is_refused_in_one_line() {
    let place = Place::new();
    let reviews = place.reviews(20);
    let odd = place.file("odd.csv", "text,label\n좋다,good\n싫다,negative\n");
    let nowhere = place.path("no/such/a.json");
    let fast = ["--route", "fast"];
    for (args, tells) in [
        (vec!["/nowhere.tsv", fast[0], fast[1]], "/nowhere.tsv"),
        (
            vec![&odd, fast[0], fast[1]],
            "`good` (line 2) is none of the labels negative, positive",
        ),
        (
            vec![
                &reviews,
                "--route",
                "fast",
                "--route",
                "deep",
                "--model",
                "sentiment-fast",
            ],
            "at most 2 stand side by side",
        ),
        (
            vec![&reviews, "--model", "nothing"],
            "--model nothing: neither a folder nor a model",
        ),
        (
            vec![&reviews, "--model", "sentiment-fast@9"],
            "--model sentiment-fast@9: no such version",
        ),
        (
            vec![&reviews, "--min", "recall:good=0.5", fast[0], fast[1]],
            "recall:good: no such label; there are: negative, positive",
        ),
        (vec![&reviews, "--json", &nowhere, fast[0], fast[1]], "no such folder"),
        (
            vec![&reviews, "--differences", "d.csv", fast[0], fast[1]],
            "name two contenders",
        ),
    ] {
        let finished = evaluate(&args);
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert!(finished.complaint().contains(tells), "{args:?}: {finished:?}");
    }
    let mut command = tandem();
    let by_folder = ["evaluate", &reviews, "--addr", "127.0.0.1:1", "--model", "./a folder"];
    let finished = finish(command.args(by_folder), b"");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished.complaint().contains("with --addr write NAME or NAME@VERSION"),
        "{finished:?}"
    );
}
