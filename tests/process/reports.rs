//! The reports of train, calibrate and evaluate: what answers cost, what they were made from, what to do next; and that no
//! text is in them where none may be.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::command::{Finished, finish, tandem};
use crate::support::root;

/// A word that is in every text of a test, and in no label.
const SECRET: &str = "xyzzy";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn run(folder: &TempDir, args: &[&str]) -> Finished {
    finish(tandem().current_dir(folder).args(args), b"")
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Texts about two things, of which each has the word.
fn rows(count: usize) -> String {
    let line = |at: usize| match at % 2 {
        0 => format!("the card {SECRET} number {at} has not come\tcard\n"),
        _ => format!("my money {SECRET} order {at} is late\tmoney\n"),
    };
    format!("text\tlabel\n{}", (0..count).map(line).collect::<String>())
}

/// Reviews, each with the word in it.
fn reviews(count: usize) -> String {
    let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
    let mut lines = all.lines();
    let mut some = lines.next().unwrap_or_default().to_owned() + "\n";
    for line in lines.take(count) {
        some.push_str(&format!("{line} {SECRET}\n"));
    }
    some
}

/// All files under a folder that hold the word.
fn with_secret(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(with_secret(&path));
        } else if String::from_utf8_lossy(&fs::read(&path).expect("a file")).contains(SECRET) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn assert_has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in: {page}");
    }
}

#[test]
fn a_report_tells_what_answers_cost_what_it_is_of_and_what_to_do_next() {
    let place = folder();
    fs::write(place.path().join("rows.tsv"), rows(300).replacen("label", "kind", 1)).expect("written");
    let train = [
        "train",
        "rows.tsv",
        "--label-column",
        "kind",
        "--budget",
        "0s",
        "--seed",
        "7",
    ];
    run(&place, &[&train[..], &["--out", "models/things-fast/1"]].concat()).success();
    let always = [
        "p99 of one text alone",
        "texts a second",
        "cores for a million texts an hour",
        "SHA-256",
    ];
    let page = read(&place, "models/things-fast/1.report.html");
    assert_has(&page, &always);
    assert_has(
        &page,
        &[
            "fingerprint of things-fast@1",
            "<dt>seed</dt><dd dir=\"auto\">7</dd>",
            "tandem train rows.tsv --label-column kind --budget 0s --seed 7 --out models/things-fast/1",
            "tandem serve --models models",
            "tandem evaluate OTHERS.tsv --model models/things-fast/1 --label-column=kind",
        ],
    );
    let evaluate = [
        "evaluate",
        "rows.tsv",
        "--label-column",
        "kind",
        "--model",
        "models/things-fast/1",
    ];
    run(&place, &[&evaluate[..], &["--report", "evaluated.md"]].concat()).success();
    let page = read(&place, "evaluated.md");
    assert_has(&page, &always);
    assert_has(
        &page,
        &[
            "fingerprint of things-fast\\@1",
            "## What to do next",
            "tandem evaluate rows.tsv --label-column kind --model models/things-fast/1 --report evaluated.md --min accuracy=",
        ],
    );
}

#[test]
fn the_next_command_of_a_calibration_reads_a_file_as_this_one_was_read() {
    let place = folder();
    let named = reviews(120)
        .replacen("label", "kind", 1)
        .replacen("text", "the text", 1);
    fs::write(place.path().join("reviews.tsv"), named).expect("written");
    let models = root().join("models").display().to_string();
    let reading = "--text-column,the text,--label-column,kind,--map,0=negative,--map,1=positive";
    let reading: Vec<&str> = reading.split(',').collect();
    let calibrate = ["calibrate", "reviews.tsv", "--models", &models, "--out", "a.toml"];
    let more = ["--min-confidence", "0.8", "--report", "a.md"];
    run(&place, &[&calibrate[..], &more, &reading].concat()).success();
    let page = read(&place, "a.md");
    let reading = "'--text-column=the text' --label-column=kind --map=0=negative --map=1=positive";
    assert_has(&page, &[&format!("--route cascade --route deep {reading}")]);
}

#[test]
fn no_text_is_in_what_is_written_where_none_may_be() {
    let place = folder();
    fs::write(place.path().join("reviews.tsv"), reviews(120)).expect("written");
    let models = root().join("models").display().to_string();
    let common = [
        "reviews.tsv",
        "--models",
        &models,
        "--map",
        "0=negative",
        "--map",
        "1=positive",
    ];
    let calibrate = [
        &["calibrate"],
        &common[..],
        &["--min-confidence", "0.8", "--out", "out/a.cascade.toml"],
    ]
    .concat();
    let lists = [
        "--report",
        "out/a.html",
        "--differences",
        "out/b.csv",
        "--doubts",
        "out/c.csv",
    ];
    let evaluate = [
        &["evaluate"],
        &common[..],
        &["--route", "fast", "--route", "deep"],
        &lists,
    ]
    .concat();
    fs::write(place.path().join("rows.tsv"), rows(200)).expect("written");
    let train = ["train", "rows.tsv", "--budget", "0s", "--out", "out/things-fast/1"];
    for command in [&calibrate[..], &evaluate, &train] {
        fs::create_dir_all(place.path().join("out")).expect("a folder");
        run(&place, &[command, &["--without-texts"]].concat()).success();
        assert_eq!(with_secret(&place.path().join("out")), Vec::<String>::new());
        fs::remove_dir_all(place.path().join("out")).expect("removed");
        fs::create_dir_all(place.path().join("out")).expect("a folder");
        run(&place, command).success();
        assert_ne!(with_secret(&place.path().join("out")), Vec::<String>::new());
        fs::remove_dir_all(place.path().join("out")).expect("removed");
    }
}

#[test]
fn a_place_for_a_report_that_can_not_be_written_is_told_before_the_work() {
    let place = folder();
    fs::write(place.path().join("rows.tsv"), rows(40)).expect("written");
    fs::write(place.path().join("texts.txt"), "a text\n".repeat(300)).expect("written");
    fs::create_dir(place.path().join("folder.html")).expect("a folder");
    let models = root().join("models").display().to_string();
    let deep = root().join("models/sentiment-deep/1").display().to_string();
    let commands: [&[&str]; 4] = [
        &["train", "rows.tsv", "--out", "m/a/1"],
        &["distill", "--deep", &deep, "--texts", "texts.txt", "--out", "m/a/1"],
        &["calibrate", "rows.tsv", "--models", &models, "--out", "a.toml"],
        &["evaluate", "rows.tsv", "--models", &models],
    ];
    for command in commands {
        for (report, said) in [("no/such/a.html", "no such folder"), ("folder.html", "is a folder")] {
            let told = run(&place, &[command, &["--report", report]].concat());
            assert_eq!(told.code, Some(2), "{command:?}: {told:?}");
            assert!(told.complaint().contains(said), "{command:?}: {told:?}");
            assert_eq!(told.stdout, "", "nothing was read yet");
            assert!(!place.path().join("m").exists());
        }
    }
}

#[test]
fn a_dry_run_of_an_evaluation_loads_nothing() {
    let place = folder();
    fs::write(place.path().join("reviews.tsv"), reviews(60)).expect("written");
    let models = root().join("models").display().to_string();
    let common = ["evaluate", "reviews.tsv", "--models", &models, "--map", "0=negative"];
    for named in [
        &["--route", "fast", "--route", "deep"][..],
        &["--model", "sentiment-deep"],
        &[],
    ] {
        let mut command = tandem();
        command
            .current_dir(&place)
            .args(common)
            .args(["--map", "1=positive", "--dry-run"])
            .args(named);
        // There is no such library.
        let told = finish(command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"), b"").success();
        assert!(told.contains("60 rows, 60 of them used"), "{told}");
        assert!(told.contains("time: about ") && !told.contains("accuracy"), "{told}");
    }
    // Labels are checked all the same.
    let told = run(&place, &[&common[..], &["--dry-run"]].concat());
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(
        told.complaint().contains("none of the labels negative, positive"),
        "{told:?}"
    );
}
