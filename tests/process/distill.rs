//! `tandem distill`: a deep model and texts without labels become a cascade that the server serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Finished, clean, finish, signal, tandem};
use crate::support::reviews::reviews;
use crate::support::root;

/// A repository with a deep model alone, and texts beside it.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&deep(), &folder.path().join("models/sentiment-deep/1"));
        Self(folder)
    }

    fn texts(&self, texts: &[String]) -> String {
        let path = self.0.path().join("texts.txt");
        fs::write(&path, texts.join("\n") + "\n").expect("written");
        path.display().to_string()
    }

    fn models(&self) -> PathBuf {
        self.0.path().join("models")
    }

    fn distill(&self, texts: &str, args: &[&str]) -> Finished {
        let out = self.models().join("sentiment-fast/1");
        finish(
            tandem()
                .args(["distill", "--texts", texts, "--out"])
                .arg(out)
                .args(args),
            b"",
        )
    }
}

fn deep() -> PathBuf {
    root().join("models/sentiment-deep/1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the model") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

const QUICK: [&str; 4] = ["--budget", "0s", "--target", "agreement>=0.9"];

#[test]
fn a_cascade_without_a_label_is_certified_and_served() {
    let place = Workplace::new();
    let texts = place.texts(&reviews(2_000));
    let labelled = root().join("tests/data/reviews.tsv").display().to_string();
    let labels = ["--labelled", &labelled, "--map", "0=negative", "--map", "1=positive"];
    let told = place
        .distill(&texts, &[&["--deep", "sentiment-deep"], &QUICK[..]].concat())
        .success();
    assert!(
        told.contains("certified: it agrees with the deep model on at least 90% of texts like these"),
        "{told}"
    );
    assert!(told.contains("serve it:  tandem serve --models"), "{told}");
    assert!(!place.models().join("sentiment-fast/.1.deep-answers").exists());
    let page = fs::read_to_string(place.models().join("sentiment-fast/1.report.html")).expect("the report");
    for part in [
        "cores for a million texts an hour",
        "fingerprint of sentiment-fast@1",
        "fingerprint of sentiment-deep@1",
        "SHA-256 of texts.txt",
        "tandem evaluate LABELLED.tsv --route cascade --route deep --models",
        "tandem calibrate LABELLED.tsv",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let file = fs::read_to_string(place.models().join("sentiment.cascade.toml")).expect("the cascade");
    assert!(
        file.contains("[[certificates]]") && file.contains("against_deep = true"),
        "{file}"
    );

    let mut predict = tandem();
    predict.args([
        "predict",
        "--route",
        "cascade",
        "--format",
        "jsonl",
        "정말 재미있어요",
        "최악의 영화",
    ]);
    let told = finish(predict.arg("--models").arg(place.models()), b"").success();
    let answers: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("an answer"))
        .collect();
    assert_eq!(
        (&answers[0]["label"], &answers[1]["label"]),
        (&"positive".into(), &"negative".into()),
        "{told}"
    );

    // Once more, with rounds, and with labels: none of the labelled texts is then trained on.
    let more = [
        &["--deep", "sentiment-deep@1", "--force", "--rounds", "2"],
        &QUICK[..],
        &labels[..],
    ]
    .concat();
    let others: Vec<String> = reviews(2_000).iter().map(|text| format!("{text} 그리고")).collect();
    let told = place.distill(&place.texts(&others), &more).success();
    assert!(told.contains("round 2: agrees alone on"), "{told}");
    assert!(told.contains("by the 2000 labels of reviews.tsv: fast alone"), "{told}");
}

#[test]
fn a_folder_from_elsewhere_is_copied_and_what_can_not_be_had_is_told_in_a_line() {
    let place = Workplace(tempfile::tempdir().expect("a temporary folder"));
    let texts = place.texts(&reviews(400));
    let few = place.0.path().join("few.txt");
    fs::write(&few, "a\nb\n").expect("written");
    let elsewhere = place.0.path().join("elsewhere/sentiment-deep/1");
    copy(&deep(), &elsewhere);
    let elsewhere = elsewhere.display().to_string();
    for (texts, args, expected) in [
        (
            texts.as_str(),
            &["--deep", "nowhere"][..],
            "--deep: nowhere: it is neither a folder nor a model of",
        ),
        (&texts, &["--deep", &elsewhere, "--target", "much"], "--target"),
        (
            &texts,
            &["--deep", &elsewhere, "--target", "recall:none>=0.5"],
            "--target",
        ),
        (
            &texts,
            &["--deep", &elsewhere, "--task", "other"],
            "serves the task `sentiment`, not `other`",
        ),
        (
            &few.display().to_string(),
            &["--deep", &elsewhere],
            "has 2 texts; at least 200 are needed",
        ),
    ] {
        let told = place.distill(texts, args);
        assert_eq!(told.code, Some(2), "{told:?}");
        let last = told.stderr.lines().last().expect("a line");
        assert!(last.contains(expected), "{last}");
        assert!(!place.models().join("sentiment-fast/1").exists());
    }
    assert!(place.models().join("sentiment-deep/1/model.onnx").is_file());
    let told = place.distill(
        &texts,
        &["--deep", &elsewhere, "--budget", "0s", "--target", "agreement>=0.9999"],
    );
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("no threshold can be certified"), "{}", told.stderr);
    assert!(!place.models().join("sentiment.cascade.toml").exists());
}

#[test]
fn what_is_so_is_said_where_there_is_no_cascade_too() {
    let place = Workplace::new();
    let deep = ["--deep", "sentiment-deep", "--budget", "0s", "--force"];
    // It is sure of all of them.
    let good: Vec<String> = (0..300)
        .map(|at| format!("정말 재미있고 감동적인 최고의 영화 {at}번 봤어요"))
        .collect();
    let told = place.distill(&place.texts(&good), &deep);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr
            .contains("the deep model never says `negative` on 300 texts"),
        "{told:?}"
    );
    // Syllables by chance, without a meaning.
    let syllables: Vec<char> = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노도로모보소오조초"
        .chars()
        .collect();
    let mut state = 3_u64;
    let mut drawn = |many: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % many
    };
    let mut word = || -> String {
        let letters = 2 + drawn(3);
        (0..letters)
            .map(|_| syllables[drawn(syllables.len() as u64) as usize])
            .collect()
    };
    let nonsense: Vec<String> = (0..500)
        .map(|_| (0..6).map(|_| word()).collect::<Vec<_>>().join(" "))
        .collect();
    let told = place.distill(&place.texts(&nonsense), &deep);
    assert!(
        told.stderr.contains("texts to learn from: more may teach it more") && told.stderr.contains(" in all"),
        "{told:?}"
    );
    let report = place.models().join("sentiment-fast/1.report.html");
    let report = fs::read_to_string(report).expect("a report of the student");
    assert!(
        report.contains("no cascade for sentiment") && report.contains("can be certified"),
        "{report}"
    );
    // Nothing is left to learn from if all of them are labelled.
    let gold = root().join("tests/data/reviews.tsv").display().to_string();
    let labelled = ["--labelled", &gold, "--map", "0=negative", "--map", "1=positive"];
    let told = place.distill(&place.texts(&reviews(300)), &[&deep[..], &labelled].concat());
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.stderr.contains("0 of 300 texts are left to learn from"),
        "{told:?}"
    );
}

#[test]
fn a_run_that_is_stopped_goes_on_with_what_the_deep_model_said() {
    let place = Workplace::new();
    let many = (0..5).flat_map(|round| reviews(2_000).into_iter().map(move |text| format!("{text} {round}")));
    let texts = place.texts(&many.collect::<Vec<_>>());
    let out = place.models().join("sentiment-fast/1");
    let mut running = clean(env!("CARGO_BIN_EXE_tandem"));
    let args = ["distill", "--deep", "sentiment-deep", "--texts", &texts, "--out"];
    running
        .args(args)
        .arg(&out)
        .args(QUICK)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = running.spawn().expect("started");
    let answers = out.with_file_name(".1.deep-answers");
    // The first line is there, and some rows.
    let some = || fs::metadata(&answers).is_ok_and(|about| about.len() > 8 * 2_048);
    for _ in 0..12_000 {
        if some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(some(), "the deep model answers");
    signal("INT", running.id());
    let told = running.wait_with_output().expect("it ends");
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(
        String::from_utf8_lossy(&told.stderr).contains("the same command goes on from there"),
        "{told:?}"
    );
    assert!(!out.exists());
    let kept = fs::metadata(&answers).expect("kept").len();
    assert!(kept < 8 * 10_000, "{kept}");
    place
        .distill(&texts, &[&["--deep", "sentiment-deep"], &QUICK[..]].concat())
        .success();
    assert!(out.join("manifest.toml").is_file() && !answers.exists());
}
