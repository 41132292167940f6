//! What the reader makes of Parquet files as pyarrow writes them, and of damaged ones.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::offline::reader::{Columns, Fields, Format, Options, Row, Rows};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/parquet")
        .join(name)
}

fn rows_of(path: &Path, columns: Columns) -> Result<Vec<Row>, String> {
    let rows = Rows::open(path, &Options::default(), columns)?;
    rows.collect::<io::Result<_>>().map_err(|error| error.to_string())
}

fn columns(text: &str, others: &[&str]) -> Columns {
    Columns {
        text: Some(text.to_owned()),
        pair: None,
        others: others.iter().map(|&name| name.to_owned()).collect(),
        keep: false,
    }
}

#[test]
fn every_kind_of_column_is_read_in_every_usual_compression() {
    let others = ["label", "stars", "GOOD", "p", "tags", "scores"];
    for name in ["none", "snappy", "gzip", "zstd"] {
        let path = fixture(&format!("{name}.parquet"));
        for text in ["text", "large", "bytes"] {
            let rows = rows_of(&path, columns(text, &others)).expect(name);
            assert_eq!(rows.len(), 10);
            let scores = json!({"no": 0.25, "yes": 0.75});
            let expected = Fields {
                text: "좋다, \"정말\"".to_owned(),
                pair: None,
                others: vec![
                    json!("positive"),
                    json!(5),
                    json!(true),
                    json!(0.9_f32),
                    json!(["a", "b"]),
                    scores,
                ],
            };
            assert_eq!(rows[0].fields, Ok(expected), "{name}, {text}");
            assert_eq!(
                rows.iter().map(|row| row.line).collect::<Vec<_>>(),
                (1..=10).collect::<Vec<_>>()
            );
            assert!(
                rows[3]
                    .fields
                    .as_ref()
                    .is_err_and(|problem| problem.ends_with("is not a string"))
            );
            let labels: Vec<String> = rows
                .iter()
                .map(|row| {
                    row.fields
                        .as_ref()
                        .map_or_else(Clone::clone, |fields| fields.others[0].to_string())
                })
                .collect();
            assert_eq!(labels[..3], ["\"positive\"", "\"negative\"", "null"]);
            assert_eq!(labels[5..8], labels[..3]);
            let tags: Vec<_> = rows
                .iter()
                .filter_map(|row| row.fields.as_ref().ok())
                .map(|fields| &fields.others[4])
                .collect();
            let expected = [json!(["a", "b"]), json!([]), json!(null), json!(["b"])];
            assert_eq!(tags[..4], expected.iter().collect::<Vec<_>>());
            assert_eq!(tags[4..], tags[..4]);
        }
    }
    let rows = rows_of(&fixture("v2.parquet"), Columns::default()).expect("read");
    assert_eq!(rows[2].fields.as_ref().expect("a row").text, "two\nlines");
}

#[test]
fn what_can_not_be_read_is_told_in_one_line() {
    let problem = rows_of(&fixture("lz4.parquet"), Columns::default()).expect_err("refused");
    assert!(
        problem.contains("LZ4") && problem.contains("snappy, gzip and zstd"),
        "{problem}"
    );
    let problem = rows_of(&fixture("none.parquet"), columns("review", &[])).expect_err("refused");
    assert_eq!(
        problem,
        "there is no column `review`; there are: id, Text, large, label, stars, good, p, tags, scores, bytes"
    );
    let parquet = Options {
        format: Some(Format::Parquet),
        ..Options::default()
    };
    let stream = Rows::stream(io::Cursor::new(b"PAR1".to_vec()), &parquet, Columns::default());
    assert!(stream.err().expect("refused").contains("name a file"));
    for (name, content) in [("empty.parquet", &b""[..]), ("text.parquet", b"text\tlabel\na\tb\n")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        let problem = rows_of(&path, Columns::default()).expect_err("refused");
        assert!(problem.starts_with("the Parquet file can't be read: "), "{problem}");
    }
}

#[test]
fn damaged_files_are_errors_of_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.parquet");
    let mut random = fastrand::Rng::with_seed(1);
    let (mut refused, mut read) = (0, 0);
    let tries = std::env::var("FUZZ_TRIES").map_or(300, |tries| tries.parse().expect("a number"));
    for name in ["none", "snappy", "gzip", "zstd", "v2"] {
        let whole = std::fs::read(fixture(&format!("{name}.parquet"))).expect("the file");
        for at in 0..tries {
            let mut content = whole.clone();
            if at % 4 == 0 {
                content.truncate(random.usize(..whole.len()));
            } else {
                for _ in 0..random.usize(1..4) {
                    let place = random.usize(..content.len());
                    content[place] = random.u8(..);
                }
            }
            std::fs::write(&path, &content).expect("written");
            let others: &[&str] = if name == "v2" {
                &["label"]
            } else {
                &["label", "stars", "p", "tags", "scores"]
            };
            match rows_of(&path, columns("text", others)) {
                Ok(rows) => {
                    assert!(rows.len() < 1_000_000);
                    read += 1;
                }
                Err(problem) => {
                    assert!(!problem.contains('\n') && problem.len() < 1000, "{problem}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0 && read > 0, "{refused} refused, {read} read");
}
