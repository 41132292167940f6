//! `tandem distill` and `tandem calibrate` for deep models that give each label by itself: several labels a text, and a
//! single one that is given or not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};
use crate::support::reviews::reviews;
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

    fn models(&self) -> PathBuf {
        self.0.path().join("models")
    }

    fn run(&self, args: &[&str]) -> Finished {
        finish(tandem().args(args).current_dir(self.0.path()), b"")
    }

    /// A deep model in the repository: one that was trained, in the other tier.
    fn deep(&self, labelled: &str, task: &str, more: &[&str]) {
        let out = format!("models/{task}-deep/1");
        let args = [
            "train",
            labelled,
            "--out",
            &out,
            "--task",
            task,
            "--multi-label",
            "--budget",
            "0s",
        ];
        self.run(&[&args[..], more].concat()).success();
        let path = self.0.path().join(out).join("manifest.toml");
        let manifest = fs::read_to_string(&path).expect("a manifest");
        assert!(manifest.contains("tier = \"fast\""), "{manifest}");
        fs::write(&path, manifest.replace("tier = \"fast\"", "tier = \"deep\"")).expect("written");
    }

    fn predict(&self, route: &str, texts: &[String]) -> Vec<Value> {
        let texts = self.file("ask.txt", &(texts.join("\n") + "\n"));
        let args = [
            "predict", "--models", "models", "--route", route, "--scores", "--format", "jsonl", "--file", &texts,
        ];
        let told = self.run(&args).success();
        let rows = told.lines().map(|line| serde_json::from_str(line).expect("an answer"));
        rows.collect()
    }

    fn cascade(&self, task: &str) -> toml::Table {
        let path = self.models().join(format!("{task}.cascade.toml"));
        toml::from_str(&fs::read_to_string(path).expect("the cascade")).expect("TOML")
    }
}

const WORDS: [&str; 12] = [
    "window", "river", "lamp", "paper", "morning", "garden", "letter", "bridge", "winter", "kitchen", "road", "music",
];

/// A made-up text, and the labels that it has: its words say so, now and then with a word that says little.
fn made_up(at: usize) -> (String, Vec<&'static str>) {
    let mut random = fastrand::Rng::with_seed(at as u64);
    let mut words: Vec<&str> = (0..6).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
    let mut labels = Vec::new();
    for (label, signs) in [
        ("money", ["euro", "invoice", "payment"]),
        ("card", ["card", "plastic", "chip"]),
        ("travel", ["train", "ticket", "hotel"]),
    ] {
        if random.f64() < 0.35 {
            labels.push(label);
            words.insert(random.usize(..words.len()), signs[random.usize(..signs.len())]);
        }
    }
    (format!("{} {at}", words.join(" ")), labels)
}

fn texts(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|at| made_up(at).0).collect()
}

/// Labelled rows, with the labels by `told`.
fn rows(from: usize, count: usize, told: impl Fn(&[&str]) -> String) -> String {
    let line = |at| {
        let (text, labels) = made_up(at);
        format!("{text}\t{}\n", told(&labels))
    };
    let rows: String = (from..from + count).map(line).collect();
    format!("text\tlabel\n{rows}")
}

fn labels(answer: &Value) -> Vec<&str> {
    let labels = answer["labels"].as_array().expect("labels").iter();
    let mut labels: Vec<&str> = labels.filter_map(Value::as_str).collect();
    labels.sort_unstable();
    labels
}

/// The cascade agrees with the deep model where it says so, and what it escalates is the deep model's own answer.
fn assert_cascades(place: &Workplace, asked: &[String], least: f64) {
    let (deep, cascade) = (place.predict("deep", asked), place.predict("cascade", asked));
    let mut same = 0;
    for (deep, cascade) in deep.iter().zip(&cascade) {
        same += usize::from(labels(deep) == labels(cascade));
        if cascade["decision"] == "escalated" {
            assert_eq!(
                (&cascade["labels"], &cascade["tier"]),
                (&deep["labels"], &"deep".into())
            );
            let sure = |answer: &Value| answer["confidence"].as_f64().expect("a number");
            assert!((sure(deep) - sure(cascade)).abs() < 1e-4);
        }
    }
    let share = same as f64 / asked.len() as f64;
    assert!(share >= least, "{share}");
    let escalated = cascade
        .iter()
        .filter(|answer| answer["decision"] == "escalated")
        .count();
    assert!(escalated < asked.len(), "some answers stand");
}

#[test]
fn a_model_of_several_labels_has_a_cascade_without_a_label_and_with_labels() {
    let place = Workplace::new();
    let join = |labels: &[&str]| labels.join("|");
    let labelled = place.file("labelled.tsv", &rows(0, 800, join));
    place.deep(&labelled, "desk", &["--metric", "macro-f1"]);
    let manifest =
        |name: &str| fs::read_to_string(place.models().join(name).join("1/manifest.toml")).expect("a manifest");
    let thresholds = |name: &str| {
        let manifest: toml::Table = toml::from_str(&manifest(name)).expect("TOML");
        manifest["calibration"]["thresholds"].clone()
    };
    assert_eq!(thresholds("desk-deep").as_array().map(Vec::len), Some(3));

    let logs = place.file("logs.txt", &(texts(10_000, 2_000).join("\n") + "\n"));
    let gold = place.file("gold.tsv", &rows(50_000, 300, join));
    let distill = [
        "distill",
        "--deep",
        "desk-deep",
        "--texts",
        &logs,
        "--out",
        "models/desk-fast/1",
        "--budget",
        "0s",
    ];
    let more = ["--target", "agreement>=0.9", "--labelled", &gold, "--rounds", "2"];
    let told = place.run(&[&distill[..], &more].concat()).success();
    for part in [
        "certified: it agrees with the deep model on at least 90% of texts like these",
        "a text is as sure as its least sure label",
        "by the 300 labels of gold.tsv: fast alone",
        r#"{"route":"ROUTE_CASCADE","task":"desk","texts":["#,
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(
        thresholds("desk-fast"),
        thresholds("desk-deep"),
        "the student gives a label where its teacher does"
    );
    let file = place.cascade("desk");
    assert_eq!(file["each_label"].as_bool(), Some(true));
    assert_eq!(file["blend"]["deep"].as_float(), Some(1.0));
    assert_eq!(file["blend"]["fast"].as_float(), Some(0.0));
    assert_cascades(&place, &texts(90_000, 200), 0.85);

    // With labels, the figure is the exact match.
    let others = place.file("others.tsv", &rows(20_000, 400, join));
    let calibrate = ["calibrate", "--models", "models", &others];
    let told = place
        .run(&[&calibrate[..], &["--target", "accuracy>=deep-1pt"]].concat())
        .success();
    assert!(told.contains("chosen: exact match"), "{told}");
    assert!(told.contains("certified: it is right on at least"), "{told}");
    let page = fs::read_to_string(place.models().join("desk.cascade.html")).expect("the report");
    assert!(page.contains("right with all labels"), "{page}");
    let report = fs::read_to_string(place.models().join("desk.cascade.json")).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let alone = report["deep_alone"]["accuracy"]["value"].as_f64().expect("a number");
    let evaluate = [
        "evaluate",
        &others,
        "--models",
        "models",
        "--route",
        "deep",
        "--multi-label",
        "--json",
        "-",
    ];
    let found: Value = serde_json::from_str(&place.run(&evaluate).success()).expect("JSON");
    let whole = found["contenders"][0]["accuracy"]["value"].as_f64().expect("a number");
    assert!(
        (alone - whole).abs() < 0.1,
        "half of the texts and all of them: {alone}, {whole}"
    );
    let told = place
        .run(&[&calibrate[..], &["--target", "recall:card>=0.5", "--dry-run"]].concat())
        .success();
    assert!(told.contains("card"), "{told}");
    assert_cascades(&place, &texts(95_000, 100), 0.8);
}

#[test]
fn a_single_label_that_is_given_or_not_has_a_cascade() {
    let place = Workplace::new();
    let yes_or_no = |labels: &[&str]| if labels.contains(&"card") { "yes" } else { "no" }.to_owned();
    let labelled = place.file("labelled.tsv", &rows(0, 600, yes_or_no));
    let meaning = ["--map", "yes=card", "--map", "no="];
    place.deep(&labelled, "card", &meaning);
    let logs = place.file("logs.txt", &(texts(10_000, 2_000).join("\n") + "\n"));
    let gold = place.file("gold.tsv", &rows(50_000, 300, yes_or_no));
    let distill = [
        "distill",
        "--deep",
        "card-deep",
        "--texts",
        &logs,
        "--out",
        "models/card-fast/1",
        "--budget",
        "0s",
    ];
    let unknown = place.run(&[&distill[..], &["--labelled", &gold]].concat());
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(
        unknown.stderr.contains("`no`") && unknown.stderr.contains("nothing after the = means no label"),
        "{unknown:?}"
    );
    let more = ["--target", "agreement>=0.95", "--labelled", &gold];
    let told = place.run(&[&distill[..], &more, &meaning].concat()).success();
    assert!(
        told.contains("certified: it agrees with the deep model on at least 95%"),
        "{told}"
    );
    assert!(told.contains("by the 300 labels of gold.tsv"), "{told}");
    assert_cascades(&place, &texts(90_000, 200), 0.93);
    let calibrate = [
        "calibrate",
        "--models",
        "models",
        &gold,
        "--target-accuracy",
        "deep-5pt",
    ];
    let told = place.run(&[&calibrate[..], &meaning].concat()).success();
    assert!(told.contains("exact match"), "{told}");
    let evaluate = [
        "evaluate",
        &gold,
        "--models",
        "models",
        "--route",
        "cascade",
        "--route",
        "deep",
        "--multi-label",
    ];
    let told = place.run(&[&evaluate[..], &meaning].concat()).success();
    assert!(told.contains("exact match"), "{told}");
    // The manifest says that the label is given or not, so the file is read that way without being told.
    let evaluate = ["evaluate", &gold, "--models", "models", "--route", "deep"];
    let told = place.run(&[&evaluate[..], &meaning].concat()).success();
    assert!(told.contains("exact match"), "{told}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the model") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

#[test]
fn a_folder_without_a_manifest_gets_one_and_another_models_folder_is_no_copy_of_it() {
    let place = Workplace::new();
    let exported = place.0.path().join("my-export");
    copy(&root().join("tests/data/hugging_face/distilbert"), &exported);
    let logs = place.file("logs.txt", &(reviews(1_200).join("\n") + "\n"));
    let distill = [
        "distill",
        "--deep",
        "my-export",
        "--texts",
        &logs,
        "--budget",
        "0s",
        "--out",
        "models/toxic-fast/1",
    ];
    // A graph of random weights: what n-grams can't learn of it, the deep model answers.
    let more = ["--target", "cost<=0.9", "--force"];
    let told = place.run(&[&distill[..], &more].concat());
    assert!(
        told.stderr.contains("copied") && told.stderr.contains("with a manifest"),
        "{}",
        told.stderr
    );
    let told = told.success();
    assert!(told.contains(r#""route":"ROUTE_CASCADE","task":"toxic""#), "{told}");
    let copied = place.models().join("toxic-deep/1");
    let manifest = fs::read_to_string(copied.join("manifest.toml")).expect("a manifest");
    assert!(
        manifest.contains("task = \"toxic\"") && manifest.contains("tier = \"deep\""),
        "{manifest}"
    );
    assert_cascades(&place, &reviews(1_400)[1_200..], 0.0);
    // The same folder again is the copy that is there.
    let again = place.run(&[&distill[..], &more].concat());
    assert!(!again.stderr.contains("copied"), "{}", again.stderr);
    again.success();

    copy(&root().join("tests/data/hugging_face/bert"), &exported);
    let other = place.run(&[&distill[..], &more].concat());
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.stderr.contains("where another model is"), "{other:?}");
    assert_eq!(
        fs::read_to_string(copied.join("manifest.toml")).expect("a manifest"),
        manifest
    );
}
