//! `tandem calibrate`: from labelled texts to a cascade that the next start uses.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};
use crate::support::root;

/// A repository of the shipped models without their calibration, and labelled texts beside them.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["sentiment-fast", "sentiment-deep"] {
            let (from, to) = (
                root().join("models").join(name).join("1"),
                folder.path().join(name).join("1"),
            );
            fs::create_dir_all(&to).expect("a folder");
            for entry in fs::read_dir(from).expect("the model") {
                let path = entry.expect("an entry").path();
                fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
        Self(folder)
    }

    /// Writes the first labelled reviews, with their header.
    fn reviews(&self, count: usize) -> String {
        let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
        let lines: Vec<&str> = all.lines().take(count + 1).collect();
        self.file("reviews.tsv", &(lines.join("\n") + "\n"))
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("written");
        path.display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).expect(name)
    }

    fn tandem(&self, args: &[&str]) -> Finished {
        finish(tandem().args(args).arg("--models").arg(self.path()), b"")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[test]
fn what_it_writes_is_what_the_next_start_uses() {
    let place = Workplace::new();
    let cascade = [
        "predict",
        "--route",
        "cascade",
        "--format",
        "jsonl",
        "정말 재미있게 봤어요",
        "그냥 그래요",
    ];
    let before = place.tandem(&cascade);
    assert_eq!(before.code, Some(1));
    assert!(before.complaint().contains("tandem calibrate"), "{before:?}");

    let reviews = place.reviews(400);
    let finished = place.tandem(&["calibrate", "--task", "sentiment", &reviews, "--target-cost", "0.5"]);
    assert!(finished.stderr.contains("few texts to measure on"), "{finished:?}");
    let table = finished.success();
    for part in [
        "fast alone",
        "all escalated",
        "deep alone",
        "chosen",
        "temperatures",
        "the middle of 5 rounds",
        "recall of",
        "sentiment.cascade.toml",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let report: Value = serde_json::from_str(&place.read("sentiment.cascade.json")).expect("JSON");
    assert_eq!(
        report["fitted_on"]
            .as_u64()
            .zip(report["measured_on"].as_u64())
            .map(|(a, b)| a + b),
        Some(400)
    );
    assert!(report["curve"].as_array().expect("a curve").len() > 10);
    let accuracy = &report["chosen"]["accuracy"];
    assert!(accuracy["low"].as_f64() <= accuracy["value"].as_f64());
    let cost = &report["chosen"]["cost"];
    let (low, value, high) = (cost["low"].as_f64(), cost["value"].as_f64(), cost["high"].as_f64());
    assert!(Some(0.0) < low && low <= value && value <= high, "{cost}");
    let texts = report["texts_of_labels"].as_array().expect("a list");
    assert_eq!(
        texts.iter().map(|count| count.as_u64().expect("a count")).sum::<u64>(),
        report["measured_on"].as_u64().expect("a count")
    );
    for label in [0, 1] {
        let recall = &report["chosen"]["recall"][label];
        assert!(recall["low"].as_f64() <= recall["value"].as_f64(), "{recall}");
    }
    let written: toml::Table = toml::from_str(&place.read("sentiment.cascade.toml")).expect("TOML");
    let point = written["curve"][3].as_table().expect("a point");
    let figure = |name: &str| point[name].as_float().expect(name);
    assert!(figure("cost_low") <= figure("cost") && figure("cost") <= figure("cost_high"));
    let plot = place.read("sentiment.cascade.svg");
    assert!(plot.starts_with("<svg") && plot.contains("fast alone") && plot.contains("deep alone"));
    let page = place.read("sentiment.cascade.html");
    for part in [
        "<!DOCTYPE html>",
        "fast alone",
        "Reliability of the cascade",
        "sentiment-fast@1",
        "grpcurl",
        "./sentiment.cascade-disagreements.csv",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let wrong = place.read("sentiment.cascade-disagreements.csv");
    assert!(wrong.starts_with("line,text,labelled,said,confidence\n"), "{wrong}");

    let after = place.tandem(&cascade).success();
    let rows: Vec<Value> = after
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows[0]["decision"], "confident", "{rows:?}");
    // The same seed, the same curve: only what was timed differs.
    let blend = |text: &str| toml::from_str::<toml::Table>(text).expect("TOML")["blend"].clone();
    let first = blend(&place.read("sentiment.cascade.toml"));
    place
        .tandem(&["calibrate", &reviews, "--min-confidence", "0.9"])
        .success();
    assert_eq!(blend(&place.read("sentiment.cascade.toml")), first);
    assert!(
        place
            .read("sentiment.cascade.toml")
            .contains("\nmin_confidence = 0.9\n")
    );
}

#[test]
fn agreement_with_the_deep_model_is_certified_on_texts_that_took_no_part() {
    let place = Workplace::new();
    let reviews = place.reviews(400);
    let finished = place.tandem(&[
        "calibrate",
        &reviews,
        "--target",
        "agreement>=0.95",
        "--confidence",
        "0.9",
    ]);
    let told = finished.success().replace('\n', " ");
    for part in [
        "certified: it agrees with the deep model on at least 95% of texts like these, at a confidence of 90%",
        "certified: it is right on at least",
        "not certified: the next threshold",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let written: toml::Table = toml::from_str(&place.read("sentiment.cascade.toml")).expect("TOML");
    let agreement = &written["certificates"][0];
    assert_eq!(agreement["of"].as_str(), Some("agreement"));
    assert_eq!(agreement["at_least"].as_float(), Some(0.95));
    assert_eq!(agreement["min_confidence"], written["min_confidence"]);
    assert_eq!(agreement["texts"], written["data"]["measured_on"]);
    assert_eq!(written["certificates"][1]["of"].as_str(), Some("accuracy"));
    // Escalated texts get the deep model's answer, and nothing else.
    assert_eq!(
        (written["blend"]["fast"].as_float(), written["blend"]["deep"].as_float()),
        (Some(0.0), Some(1.0))
    );
    let answered = place.tandem(&["predict", "--route", "cascade", "그냥 그래요"]);
    answered.success();

    // A share that so few texts can't vouch for.
    let refused = place.tandem(&["calibrate", &reviews, "--target", "agreement>=0.999"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.complaint().contains("about 3000 different texts"),
        "{refused:?}"
    );
}

#[test]
fn a_precision_is_certified_by_withholding_answers_and_everything_says_so() {
    let place = Workplace::new();
    let reviews = place.reviews(1000);
    let args = [
        "calibrate",
        &reviews,
        "--target",
        "precision>=0.9",
        "--target",
        "precision:positive>=0.85",
        "--confidence",
        "0.9",
    ];
    let set = ("SOURCE_DATE_EPOCH", "1796000909");
    let finished = finish(
        tandem().args(args).arg("--models").arg(place.path()).env(set.0, set.1),
        b"",
    );
    let told = finished.success().replace('\n', " ");
    for part in [
        "certified: at least 90% of the answers are right if only those that are at least",
        "certified: at least 85% of the answers `positive` are right",
        "what is certified of answers is so of all of them at once",
        "sure are withheld",
        "in force",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let written: toml::Table = toml::from_str(&place.read("sentiment.cascade.toml")).expect("TOML");
    assert_eq!(written["data"]["measured_at"].as_str(), Some("2026-11-30T01:08:29Z"));
    let from = &written["abstain"]["min_confidence"];
    let certificates = written["certificates"].as_array().expect("a list");
    let of = |at: usize| {
        let one = &certificates[at];
        (one["of"].as_str(), one.get("label").and_then(toml::Value::as_str))
    };
    assert_eq!(
        [of(2), of(3)],
        [(Some("precision"), None), (Some("precision"), Some("positive"))]
    );
    assert_eq!(
        (&certificates[2]["answers_from"], &certificates[3]["answers_from"]),
        (from, from)
    );
    let answered = written["answered"].as_array().expect("a list");
    let in_force = answered
        .iter()
        .find(|point| &point["min_confidence"] == from)
        .expect("it is there");
    assert!(in_force["precision_low"].as_float() >= Some(0.9), "{in_force}");
    assert_eq!(answered[0]["coverage"].as_float(), Some(1.0));
    let page = place.read("sentiment.cascade.html");
    assert!(page.contains("Answered and withheld") && page.contains("2026-11-30T01:08:29Z"));
    place
        .tandem(&["predict", "--route", "cascade", "그냥 그래요"])
        .success();

    let few = place.reviews(200);
    let refused = place.tandem(&["calibrate", &few, "--target", "precision>=0.9999"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let why = "no confidence can be certified from which on at least 99.99%";
    assert!(refused.stderr.contains(why), "{refused:?}");
    let risk = place.tandem(&["calibrate", &few, "--target", "risk<=0.3", "--dry-run"]);
    let told = risk.success().replace('\n', " ");
    assert!(
        told.contains("certified: it is right on at least 70% of texts like these"),
        "{told}"
    );
}

#[test]
fn a_forecast_of_the_gain_can_be_asked_for_and_is_served() {
    let place = Workplace::new();
    let reviews = place.reviews(500);
    let args = ["calibrate", &reviews, "--target-cost", "0.5", "--deferral", "gain"];
    let told = place.tandem(&args).success().replace('\n', " ");
    assert!(told.contains("texts are escalated by a forecast of the gain"), "{told}");
    let text = place.read("sentiment.cascade.toml");
    let written: toml::Table = toml::from_str(&text).expect("TOML");
    let terms = written["gain"]["terms"].as_array().expect("a list");
    assert_eq!(terms.len(), 5);
    assert_eq!(written["certificates"][0]["by_gain"].as_bool(), Some(true));
    assert_eq!(
        written["certificates"][0]["min_confidence"],
        written["gain"]["min_score"]
    );
    // What a caller may name is a confidence still.
    assert!(written["curve"][5]["min_confidence"].as_float() > Some(0.5));
    assert!(
        place
            .read("sentiment.cascade.html")
            .contains("By what texts are escalated")
    );
    place
        .tandem(&["predict", "--route", "cascade", "그냥 그래요"])
        .success();
    let auto = place.tandem(&["calibrate", &reviews, "--deferral", "auto", "--dry-run"]);
    assert!(auto.success().replace('\n', " ").contains("texts are escalated by"));
}

#[test]
fn what_can_not_be_calibrated_is_refused_in_one_line() {
    let place = Workplace::new();
    let reviews = place.reviews(100);
    let few = place.file("few.csv", "text,label\n좋다,positive\n싫다,negative\n");
    let spaced = place.file("spaced.csv", "text,label\n좋다,positive \n싫다,Negative\n");
    let odd = place.file("odd.csv", "text,label\n좋다,good\n싫다,negative\n");
    for (args, code, tells) in [
        (vec!["calibrate", "/nowhere.tsv"], 2, "/nowhere.tsv"),
        (
            vec!["calibrate", &odd],
            2,
            "`good` (line 2) is none of the labels negative, positive; say what it means: --map good=LABEL",
        ),
        (
            vec!["calibrate", &spaced],
            2,
            "`positive ` (line 2), `Negative` (line 3) are none of the labels negative, positive; say what each means: \
             --trim --map Negative=negative",
        ),
        (
            vec!["calibrate", &few, "--multi-label"],
            2,
            "gives a text one label of all",
        ),
        (vec!["calibrate", &few], 2, "too few labelled texts"),
        (
            vec!["calibrate", &reviews, "--text-column", "review"],
            2,
            "there are: id, label, text",
        ),
        (vec!["calibrate", &reviews, "--task", "weather"], 2, "sentiment"),
        (
            vec!["calibrate", &reviews, "--min-confidence", "1.5"],
            2,
            "--min-confidence must be from 0 to 1",
        ),
        (
            vec!["calibrate", &reviews, "--target", "recall:good>=0.5"],
            2,
            "recall:good: no such label; there are: negative, positive",
        ),
        (
            vec!["calibrate", &reviews, "--target-accuracy", "99.9%"],
            1,
            "no point reaches accuracy 0.9990 on the texts that were fitted on: the best has",
        ),
    ] {
        let finished = place.tandem(&args);
        assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
        assert!(finished.complaint().contains(tells), "{args:?}: {finished:?}");
    }
    assert!(!place.path().join("sentiment.cascade.toml").exists());
    let targets = ["--target", "recall:positive>=0.5", "--target", "macro-f1>=deep-20pt"];
    let dry = place.tandem(&[&["calibrate", &reviews, "--dry-run"], &targets[..]].concat());
    dry.success();
    assert!(!place.path().join("sentiment.cascade.toml").exists());
    assert!(!place.path().join("sentiment.cascade.html").exists());
}

#[test]
fn a_place_that_can_not_be_written_is_told_before_anything_is_read() {
    let place = Workplace::new();
    let nowhere = place.path().join("no/such/a.toml").display().to_string();
    // The file is not there either: the place is looked at first.
    let finished = place.tandem(&["calibrate", "/nowhere.tsv", "--out", &nowhere]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let complaint = finished.complaint();
    assert!(
        complaint.contains("no such folder") && complaint.contains("--out"),
        "{complaint}"
    );
}

#[test]
fn a_class_that_is_absent_and_rows_without_a_label_are_told_and_the_rest_is_measured() {
    let place = Workplace::new();
    let rows: String = (0..100).map(|at| format!("좋은 영화 {at},positive\n")).collect();
    let long = "정말 좋아요 ".repeat(6000);
    let odd = format!("이건 뭐지,\n ,positive\n{long},positive\n좋은  영화 7,positive\n");
    let one_class = place.file("one.csv", &format!("\u{feff}text,label\n{rows}{odd}"));
    let refused = place.tandem(&["calibrate", &one_class, "--min-confidence", "0.8", "--dry-run"]);
    assert!(
        refused
            .complaint()
            .contains("1 row (line 102) without a label; --skip-unlabelled"),
        "{refused:?}"
    );
    let finished = place.tandem(&[
        "calibrate",
        &one_class,
        "--min-confidence",
        "0.8",
        "--dry-run",
        "--skip-unlabelled",
    ]);
    for told in [
        "left out: 1 row (line 102) without a label",
        "left out: 1 row (line 103) with an empty text",
        "a byte order mark is left off",
        "warning: no row has the label negative",
        "warning: 1 row (line 104) with a text of more than 16384 bytes",
        "has none of negative",
    ] {
        assert!(finished.stderr.contains(told), "{told}: {finished:?}");
    }
    let report = finished.success();
    assert!(report.contains("labels: negative 0, positive 102"), "{report}");
    assert!(report.contains("repeated texts: 1 row (line 105)"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
}

#[test]
fn a_fast_model_that_beats_the_deep_one_is_said_by_calibrate_and_by_evaluate() {
    let place = Workplace::new();
    let reviews = place.reviews(400);
    // Labels that the fast model gives itself: it is always right.
    let predict = [
        "predict",
        "--file",
        &reviews,
        "--input-format",
        "tsv",
        "--route",
        "fast",
        "--format",
        "jsonl",
    ];
    let answers = place.tandem(&predict).success();
    let labelled = place.file("own.jsonl", &answers);
    let calibrated = place.tandem(&["calibrate", &labelled, "--dry-run"]).success();
    assert!(
        calibrated.contains("your fast model beats the deep one"),
        "{calibrated}"
    );
    let routes = ["--route", "deep", "--route", "fast"];
    let evaluated = place
        .tandem(&[&["evaluate", &labelled], &routes[..]].concat())
        .success();
    assert!(evaluated.contains("your fast model beats the deep one"), "{evaluated}");
}

#[test]
fn the_report_is_written_where_it_is_asked_for_in_the_form_of_its_ending() {
    let place = Workplace::new();
    let reviews = place.reviews(120);
    let path = |name: &str| place.path().join(name).display().to_string();
    let calibrate =
        |report: &str| place.tandem(&["calibrate", &reviews, "--min-confidence", "0.8", "--report", report]);
    let refused = calibrate(&path("a.pdf"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let complaint = refused.complaint();
    assert!(
        complaint.contains("a report's name ends in .html or .md"),
        "{complaint}"
    );
    let nowhere = calibrate(&path("no/such/a.html"));
    assert!(nowhere.complaint().contains("no such folder"), "{nowhere:?}");
    let written = calibrate(&path("a report.md")).success();
    assert!(written.contains("a report.md"), "{written}");
    let page = place.read("a report.md");
    assert!(
        page.contains("![sentiment: accuracy over cost](./a%20report.svg)"),
        "{page}"
    );
    assert!(place.read("a report.svg").starts_with("<svg"));
    let usual = place.path().join("sentiment.cascade.html");
    assert!(!usual.exists(), "it was asked for elsewhere");
}
