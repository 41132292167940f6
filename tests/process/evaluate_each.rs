//! `tandem evaluate` and what `tandem calibrate` says of models that give each label by itself: the file is read so without
//! being told, an answer is as sure as a cascade holds it to be, and labels are joined as in the file.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};

/// The labels of the model, and from which probability on each is given.
const LABELS: [&str; 3] = ["card", "money", "travel"];
const THRESHOLDS: [f64; 3] = [0.1, 0.5, 0.3];

struct Workplace(TempDir);

impl Workplace {
    /// Rows with labels, and two models of them in a repository: one of each tier, with thresholds.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::write(place.0.path().join("rows.tsv"), rows()).expect("written");
        for tier in ["fast", "deep"] {
            let out = format!("models/things-{tier}/1");
            let reading = ["--multi-label", "--label-separator", ";", "--task", "things"];
            let train = ["train", "rows.tsv", "--budget", "0s", "--out", &out];
            place.run(&[&train[..], &reading].concat()).success();
            let thresholds = format!("[calibration]\nthresholds = {THRESHOLDS:?}\n");
            let tier = format!("tier = \"{tier}\"");
            let path = place.0.path().join(out).join("manifest.toml");
            let manifest = place.read(&path.display().to_string());
            let written = manifest
                .replace("[calibration]\n", &thresholds)
                .replace("tier = \"fast\"", &tier);
            assert!(written.contains(&thresholds) && written.contains(&tier), "{written}");
            fs::write(path, written).expect("written");
        }
        place
    }

    fn run(&self, args: &[&str]) -> Finished {
        finish(tandem().current_dir(&self.0).args(args), b"")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Texts with the labels that one of their words stands for; some have a second one, some have words of none, and some
/// are labelled wrongly.
fn rows() -> String {
    let line = |at: usize| {
        let word = ["plastic", "invoice", "hotel"][at % 3];
        let label = LABELS[(at + usize::from(at % 11 == 3)) % 3];
        match at % 5 {
            0 => format!("the weather is fine on day {at}\t\n"),
            1 if label != "travel" => format!("the ticket and the {word} number {at}\t{label};travel\n"),
            _ => format!("where is the {word} of day {at}\t{label}\n"),
        }
    };
    let rows: String = (0..240).map(line).collect();
    format!("text\tlabel\n{rows}")
}

/// How sure a cascade holds the least sure label to be: by its odds relative to those of its threshold.
fn sureness(answer: &Value) -> f64 {
    let of_label = |(label, threshold): (&str, f64)| {
        let mut scores = answer["scores"].as_array().expect("scores").iter();
        let score = scores.find(|score| score["label"] == label).expect("a score");
        let p = score["score"].as_f64().expect("a probability");
        let (is, is_not) = (p * (1.0 - threshold), (1.0 - p) * threshold);
        is.max(is_not) / (is + is_not)
    };
    LABELS.into_iter().zip(THRESHOLDS).map(of_label).fold(1.0, f64::min)
}

#[test]
fn an_answer_is_as_sure_as_a_cascade_holds_it_to_be_and_labels_are_joined_as_in_the_file() {
    let place = Workplace::new();
    let here = ["--models", "models"];
    let separated = ["--multi-label", "--label-separator", ";"];
    let lists = [
        "--doubts",
        "doubts.csv",
        "--most",
        "240",
        "--json",
        "found.json",
        "--report",
        "page.md",
    ];
    let evaluate = ["evaluate", "rows.tsv", "--route", "fast"];
    place
        .run(&[&evaluate[..], &here, &separated, &lists].concat())
        .success();
    let ask = [
        "predict", "--route", "fast", "--scores", "--format", "jsonl", "--file", "rows.tsv",
    ];
    let told = place.run(&[&ask[..], &here].concat()).success();
    let sure: Vec<f64> = (told.lines())
        .map(|line| sureness(&serde_json::from_str(line).expect("an answer")))
        .collect();
    let doubts = place.read("doubts.csv");
    let (mut compared, mut joined) = (0, 0);
    for row in doubts.lines().skip(1) {
        // Line, text, label, answer, confidence, probability of the label.
        let cells: Vec<&str> = row.split(',').collect();
        let line: usize = cells[0].parse().expect("a line");
        let confidence: f64 = cells[4].parse().expect("a number");
        assert!((confidence - sure[line - 2]).abs() < 1e-4, "{row}: {}", sure[line - 2]);
        compared += 1;
        joined += usize::from(cells[2].contains(';') || cells[3].contains(';'));
    }
    assert!(compared > 0 && joined > 0, "{doubts}");
    // The confidence from which answers are taken is one of these.
    let found: Value = serde_json::from_str(&place.read("found.json")).expect("JSON");
    let from = found["contenders"][0]["coverages"].as_array().expect("a list");
    let from: Vec<f64> = from.iter().filter_map(|one| one["min_confidence"].as_f64()).collect();
    assert!(
        !from.is_empty()
            && from
                .iter()
                .all(|from| sure.iter().any(|sure| (sure - from).abs() < 1e-6)),
        "{from:?}"
    );
    // What comes next is told of models with several labels, too.
    let page = place.read("page.md");
    assert!(
        page.contains("tandem calibrate rows.tsv --models models '--label-separator=;' --multi-label"),
        "{page}"
    );
}

#[test]
fn the_manifest_says_that_a_row_may_have_several_labels() {
    let place = Workplace::new();
    let rows = place.read("rows.tsv").replace(';', "|");
    fs::write(place.0.path().join("usual.tsv"), rows).expect("written");
    let evaluate = ["evaluate", "usual.tsv", "--models", "models", "--json", "-"];
    for of in [
        &["--route", "fast"][..],
        &["--model", "models/things-deep/1"],
        &["--model", "things-fast"],
    ] {
        let found = |more: &[&str]| place.run(&[&evaluate[..], of, more].concat()).json();
        let (by_itself, told) = (found(&[]), found(&["--multi-label"]));
        assert_eq!(by_itself["multi_label"], true);
        assert_eq!(
            by_itself["contenders"][0]["accuracy"],
            told["contenders"][0]["accuracy"]
        );
        assert_eq!(by_itself["texts"], 240, "no row is left out: an empty cell is no label");
        place.run(&[&evaluate[..], of, &["--dry-run"]].concat()).success();
    }
    // What a calibration says comes next works as it is told.
    let calibrate = [
        "calibrate",
        "usual.tsv",
        "--models",
        "models",
        "--min-confidence",
        "0.8",
    ];
    place.run(&[&calibrate[..], &["--report", "a.md"]].concat()).success();
    let page = place.read("a.md");
    let next = page
        .lines()
        .find(|line| line.contains("evaluate others.tsv"))
        .expect("the command");
    let next = next.replace("others.tsv", "usual.tsv");
    let words: Vec<&str> = next.split_whitespace().skip(1).collect();
    let told = place.run(&words).success();
    assert!(told.contains("exact match"), "{told}");
}
