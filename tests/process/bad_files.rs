//! Files that are wrong, and disks that are full, for the commands that read labelled texts: one line says what was wrong,
//! and nothing is left half-written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::command::{Finished, clean, finish, tandem};
use crate::support::root;

/// A folder with a file of reviews.
fn place(reviews: usize) -> TempDir {
    let place = tempfile::tempdir().expect("a temporary folder");
    let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
    let some: Vec<&str> = all.lines().take(reviews + 1).collect();
    fs::write(place.path().join("fine.tsv"), some.join("\n") + "\n").expect("written");
    place
}

/// The four commands on a file, without what says where they write.
fn commands(file: &str) -> [Vec<String>; 4] {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let models = root().join("models").display().to_string();
    let deep = root().join("models/sentiment-deep/1").display().to_string();
    let map = ["--map", "0=negative", "--map", "1=positive"];
    let train = ["train", file, "--budget", "0s", "--out", "models/things-fast/1"];
    let distill = [
        "distill",
        "--deep",
        &deep,
        "--texts",
        file,
        "--out",
        "models/sentiment-fast/1",
        "--budget",
        "0s",
    ];
    let calibrate = [
        &["calibrate", file, "--models", &models, "--out", "a.cascade.toml"],
        &map[..],
    ]
    .concat();
    let evaluate = [
        &[
            "evaluate", file, "--models", &models, "--route", "fast", "--report", "a.html",
        ],
        &map[..],
    ]
    .concat();
    [words(&train), words(&distill), words(&calibrate), words(&evaluate)]
}

/// Everything under a folder, by its path in it.
fn all_in(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let inside = path.strip_prefix(folder).expect("it is in it");
            found.insert(inside.display().to_string());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[test]
fn a_file_that_is_no_file_of_labelled_texts_is_told_in_a_line() {
    let place = place(4);
    fs::create_dir(place.path().join("folder.tsv")).expect("a folder");
    let long = format!("text\tlabel\n{}\t0\n", "card\0\0".repeat(200));
    for (name, content, tells) in [
        ("empty.tsv", &b""[..], "is empty; its first line must be a header"),
        ("head.tsv", b"text\tlabel\n", "has no rows with a text"),
        ("blank.tsv", b"text\tlabel\n \t0\n\t1\n", "has no rows with a text"),
        ("zeros.tsv", long.as_bytes(), "is no text: it holds many zero bytes"),
        ("bytes.tsv", b"\xff\xfb\x90text\tlabel\n", "line 1: byte 1 is no UTF-8"),
        ("cut.parquet", b"PAR1\x15\x00\x15", "cut.parquet"),
        ("folder.tsv", b"", "is a folder"),
        ("nowhere.tsv", b"", "No such file"),
    ] {
        if !["folder.tsv", "nowhere.tsv"].contains(&name) {
            fs::write(place.path().join(name), content).expect("written");
        }
        let before = all_in(place.path());
        for command in commands(name) {
            let told = finish(tandem().current_dir(&place).args(&command), b"");
            assert_eq!(told.code, Some(2), "{command:?}: {told:?}");
            let last = told.stderr.lines().last().unwrap_or_default();
            assert!(last.contains(name) && last.contains(tells), "{command:?}: {told:?}");
            assert_eq!(told.stdout, "", "{command:?}");
            let mut left = all_in(place.path());
            // The deep model is looked for, and copied, before its labels are known.
            left.retain(|path| !path.starts_with("models"));
            assert_eq!(left, before.clone(), "{command:?}");
        }
        let _ = fs::remove_dir_all(place.path().join("models"));
    }
}

/// Runs a command that may write files of so many kilobytes at most.
fn with_small_files(place: &TempDir, kilobytes: usize, command: &[String]) -> Finished {
    let mut shell = clean("bash");
    let script = format!("ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
    shell
        .current_dir(place)
        .args(["-c", &script, env!("CARGO_BIN_EXE_tandem")]);
    finish(shell.args(command), b"")
}

#[test]
fn a_disk_that_takes_no_more_is_told_in_a_line_and_nothing_is_left() {
    let place = place(300);
    let [train, _, calibrate, evaluate] = commands("fine.tsv");
    let before = all_in(place.path());
    for (command, kilobytes) in [(train, 100), (calibrate, 4), (evaluate, 4)] {
        let told = with_small_files(&place, kilobytes, &command);
        assert_eq!(told.code, Some(1), "{command:?}: {told:?}");
        let last = told.stderr.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("tandem: ") && last.contains("too large"),
            "{command:?}: {told:?}"
        );
        let mut left = all_in(place.path());
        left.remove("models");
        left.remove("models/things-fast");
        assert_eq!(left, before, "{command:?}");
    }
}
