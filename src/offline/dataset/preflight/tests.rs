//! What is told of datasets such as people have.

use std::collections::BTreeMap;

use super::*;
use crate::offline::dataset::{Labels, Unlabelled, read};
use crate::offline::reader::Options;

fn dataset(content: &[u8], columns: &DatasetColumns, known: Option<&[&str]>) -> Dataset {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, content).expect("written");
    let map = BTreeMap::new();
    let known: Option<Vec<String>> = known.map(|labels| labels.iter().map(|&label| label.to_owned()).collect());
    let labels = match &known {
        Some(labels) => Labels::Known { labels, map: &map },
        None => Labels::Found { map: &map },
    };
    read(&path, columns, &Options::default(), labels).expect("read")
}

fn label() -> DatasetColumns {
    DatasetColumns {
        label: Some("label".to_owned()),
        ..DatasetColumns::default()
    }
}

/// What is told of rows of a text and a label each.
fn told(rows: &[(&str, &str)], known: Option<&[&str]>) -> Result<Preflight, String> {
    let rows: String = rows
        .iter()
        .map(|(text, label)| format!("\"{text}\",\"{label}\"\n"))
        .collect();
    look(
        &dataset(format!("text,label\n{rows}").as_bytes(), &label(), known),
        &label(),
        &Work::default(),
    )
}

/// So many rows of different texts with this label.
fn rows<'a>(texts: &'a [String], label: &'a str, count: usize) -> Vec<(&'a str, &'a str)> {
    texts[..count].iter().map(|text| (text.as_str(), label)).collect()
}

fn texts(of: &str) -> Vec<String> {
    (0..100).map(|at| format!("{of} {at}")).collect()
}

#[test]
fn a_plain_dataset_is_told_in_three_lines() {
    let (a, b) = (texts("안녕"), texts("hello"));
    let told = told(&[rows(&a, "ko", 10), rows(&b, "en", 20)].concat(), None).expect("fine");
    assert_eq!(
        told.lines,
        [
            "a.csv: 30 rows, 30 of them used, labels in `label`",
            "labels: en 20, ko 10",
            "texts: half of them up to 7 characters, 99% up to 8, the longest 8; letters: Latin 83%, Hangul 17%",
        ]
    );
    assert_eq!(told.warnings, [""; 0]);
}

#[test]
fn labels_that_differ_only_by_spaces_or_case_are_told_with_the_remedy() {
    let (a, b, c, d) = (texts("a"), texts("b"), texts("c"), texts("d"));
    let all = [
        rows(&a, "Billing", 20),
        rows(&b, "Billing ", 12),
        rows(&c, "billing", 7),
        rows(&d, "Card  lost", 9),
    ]
    .concat();
    let all = [all, rows(&d[50..], "Card lost", 10)].concat();
    let told = told(&all, None).expect("fine");
    assert_eq!(
        told.warnings,
        [
            "'Billing ' (12 rows) differs only by a space from 'Billing' → --trim",
            "'billing' (7 rows) differs only by case or spaces from 'Billing' → --map billing=Billing",
            "'Card  lost' (9 rows) differs only by spaces from 'Card lost' → --map 'Card  lost=Card lost'",
        ]
    );
}

#[test]
fn labels_that_look_alike_are_told() {
    let (a, b, c, d) = (texts("a"), texts("b"), texts("c"), texts("d"));
    let all = [
        rows(&a, "\u{AE0D}\u{C815}", 20),
        rows(&b, "\u{1100}\u{1173}\u{11BC}\u{110C}\u{1165}\u{11BC}", 9),
        rows(&c, "b", 20),
        rows(&d, "b\u{200B}", 8),
    ];
    let told = told(&all.concat(), None).expect("fine").warnings;
    assert_eq!(told.len(), 2, "{told:?}");
    for (warning, rows) in told.iter().zip(["(8 rows)", "(9 rows)"]) {
        let what = "differs only by its Unicode form or a sign that is not seen from '";
        assert!(
            warning.contains(rows) && warning.contains(what) && warning.contains("--map"),
            "{warning}"
        );
    }
}

#[test]
fn labels_with_few_rows_are_told_with_their_lines() {
    let (a, b) = (texts("a"), texts("b"));
    let all = [
        rows(&a, "x", 50),
        rows(&b, "y", 1),
        rows(&b[10..], "z", 5),
        rows(&b[20..], "w", 6),
    ]
    .concat();
    let told = told(&all, Some(&["w", "x", "y", "z", "never"])).expect("fine");
    assert_eq!(
        told.warnings,
        [
            "no row has the label never: nothing can be said of it",
            "labels with one row: y: 1 row (line 52); it is kept, but it is on one side of a split only, so there are no figures of it",
            "labels with fewer than 6 rows: z: 5 rows (lines 53, 54, 55, 56, 57); they are kept, and their figures are unreliable",
        ]
    );
}

#[test]
fn one_label_is_an_error_where_no_model_says_that_there_are_others() {
    let a = texts("a");
    let problem = told(&rows(&a, "x", 50), None).expect_err("refused");
    assert_eq!(
        problem,
        "a.csv has one label only: all 50 rows from line 2 on are `x`; there must be at least two labels to tell apart"
    );
    let told = told(&rows(&a, "x", 50), Some(&["x", "y"])).expect("told");
    assert!(told.warnings[0].starts_with("no row has the label y"));
    assert!(told.warnings[1].starts_with("100.0% of the rows are `x`"), "{told:?}");
}

#[test]
fn repeated_texts_and_conflicts_are_told_with_their_lines() {
    let (a, b) = (texts("a"), texts("b"));
    let odd = [("A  0", "x"), ("a 1", "y"), ("a 1", "x")];
    let told = told(&[rows(&a, "x", 9), rows(&b, "y", 9), odd.to_vec()].concat(), None).expect("fine");
    assert!(
        told.lines[3].starts_with("repeated texts: 3 rows (lines 20, 21, 22); they are kept"),
        "{told:?}"
    );
    assert_eq!(
        told.warnings,
        [
            "equal texts with different labels: lines 3 (x), 21 (y), 22 (x); each row is kept and counts as it is labelled"
        ]
    );
}

#[test]
fn long_texts_and_rows_without_a_label_are_told() {
    let columns = DatasetColumns {
        unlabelled: Unlabelled::Keep,
        ..label()
    };
    let long = "가".repeat(33_334);
    let content = format!("\u{feff}text,label\na,x\nb,y\nc,x\nd,y\n{long},x\ne,\n,x\n");
    let read = dataset(content.as_bytes(), &columns, None);
    assert_eq!(
        read.notes,
        [
            "a byte order mark is left off",
            "left out: 1 row (line 8) with an empty text"
        ]
    );
    let told = look(&read, &columns, &Work::default()).expect("fine");
    assert!(
        told.warnings
            .iter()
            .any(|told| told.starts_with("1 row (line 6) with a text of more than 16384 bytes: they are kept")),
        "{told:?}"
    );
    assert_eq!(
        told.lines.last().expect("lines"),
        "rows without a label: 1; they are kept"
    );
    let (cp949, ..) = encoding_rs::EUC_KR.encode("text,label\n정말 재미있게 봤어요,좋다\n시간이 아까운 영화,나쁘다\n");
    assert_eq!(dataset(&cp949, &columns, None).notes, ["converted from cp949 (EUC-KR)"]);
}

#[test]
fn the_place_of_the_results_and_the_time_are_told() {
    let (a, b) = (texts("a"), texts("b"));
    let content: String = [rows(&a, "x", 9), rows(&b, "y", 9)]
        .concat()
        .iter()
        .map(|(a, b)| format!("{a},{b}\n"))
        .collect();
    let dataset = dataset(format!("text,label\n{content}").as_bytes(), &label(), None);
    let mut work = Work {
        out: Some(Path::new("models/x/1")),
        free: Some(30 << 20),
        needs: Some(4 << 20),
        estimate: Some(estimate(Duration::from_millis(500), 100, 15_000)),
    };
    let told = look(&dataset, &label(), &work).expect("room");
    assert_eq!(
        told.lines[3..],
        ["results: models/x/1, about 4.0 MiB (30.0 MiB free)", "time: about 75 s"]
    );
    work.free = Some(1 << 20);
    let problem = look(&dataset, &label(), &work).expect_err("no room");
    assert!(
        problem.contains("about 4.0 MiB, and 1.0 MiB are free in models/x/1"),
        "{problem}"
    );
    assert_eq!(about(Duration::from_mins(10)), "10 min");
    assert_eq!(about(Duration::MAX).split(' ').next_back(), Some("h"));
    assert_eq!(estimate(Duration::from_secs(1), 0, u64::MAX), Duration::MAX);
}
