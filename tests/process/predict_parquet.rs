//! `tandem predict --out` from and to Parquet and Arrow: every column keeps its type, and a run that is killed makes the same files.

use std::fs::{self, File};
use std::process::Stdio;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, TimestampMicrosecondArray};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[path = "../../fuzz/src/columns.rs"]
mod columns;
#[path = "../../fuzz/src/inputs.rs"]
mod inputs;

use crate::predict_bulk::{Folder, many_rows, objects, wait_for};
use crate::support::command::finish;

/// Rows whose columns are of many types; the third has no text.
fn rows() -> RecordBatch {
    let texts: DictionaryArray<arrow_array::types::Int32Type> =
        [Some("정말 재미있게 봤어요"), Some("시간이 아까운 영화"), None]
            .into_iter()
            .collect();
    let tags = [Some(vec![Some(1)]), None, Some(vec![None, Some(3)])];
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1 << 60, 2, 3]))),
        ("text", Arc::new(texts)),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(5)]).with_timezone("Asia/Seoul")),
        ),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(tags)),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of a length")
}

fn write_parquet(folder: &Folder, name: &str) {
    let file = File::create(folder.at(name)).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows().schema(), None).expect("a writer");
    writer.write(&rows()).expect("written");
    writer.close().expect("closed");
}

fn parquet(folder: &Folder, name: &str) -> RecordBatch {
    let file = File::open(folder.at(name)).expect("a file");
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("Parquet")
        .build()
        .expect("a reader");
    batches.next().expect("a batch").expect("read")
}

/// Holds what was written against the rows: the same columns, and after them the answers.
fn check(written: &RecordBatch) {
    let (rows, schema) = (rows(), written.schema());
    for (at, field) in rows.schema().fields().iter().enumerate() {
        assert_eq!(schema.field(at).data_type(), field.data_type());
        assert_eq!(written.column(at), rows.column(at), "{}", field.name());
    }
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .skip(4)
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["label", "confidence", "tier", "decision", "model", "error"]);
    let label = written["label"].as_string::<i32>();
    assert_eq!((label.value(0), label.value(1)), ("positive", "negative"));
    assert!(written["confidence"].as_primitive::<Float32Type>().value(0) > 0.5);
    assert_eq!(written["error"].as_string::<i32>().value(2), "line 3: `text` is null");
    assert_eq!(written["label"].null_count(), 1);
}

#[test]
fn columns_keep_their_types_from_parquet_and_arrow_to_both() {
    let folder = Folder::new(&[]);
    write_parquet(&folder, "in.parquet");
    let mut file =
        FileWriter::try_new(File::create(folder.at("in.arrow")).expect("a file"), &rows().schema()).expect("a writer");
    file.write(&rows()).and_then(|()| file.finish()).expect("written");
    let mut stream = StreamWriter::try_new(Vec::new(), &rows().schema()).expect("a writer");
    stream.write(&rows()).and_then(|()| stream.finish()).expect("written");
    let stream = stream.into_inner().expect("bytes");
    fs::write(folder.at("stream.arrow"), &stream).expect("written");
    for input in ["in.parquet", "in.arrow", "stream.arrow"] {
        let run = folder.run(&["--file", input, "--out", &format!("of-{input}.parquet")]);
        assert_eq!(run.code, Some(3), "{run:?}");
        check(&parquet(&folder, &format!("of-{input}.parquet/part-00000.parquet")));
    }
    let piped = finish(
        &mut folder.command(&["-", "--input-format", "arrow", "--out", "out.arrow"]),
        &stream,
    );
    assert_eq!(piped.code, Some(3), "{piped:?}");
    let file = File::open(folder.at("out.arrow/part-00000.arrow")).expect("a file");
    let mut batches = FileReader::try_new(file, None).expect("Arrow");
    check(&batches.next().expect("a batch").expect("read"));
    let entries: Vec<_> = fs::read_dir(folder.at("out.arrow")).expect("a folder").collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
}

#[test]
fn parquet_becomes_text_and_text_becomes_parquet() {
    let folder = Folder::new(&[("a.jsonl", "{\"text\": \"좋다\", \"n\": 7}\n{\"text\": \"나쁘다\"}\n")]);
    write_parquet(&folder, "in.parquet");
    folder.run(&["--file", "in.parquet", "--out", "out.jsonl"]);
    let found = objects(&folder.read("out.jsonl"));
    assert_eq!(
        (&found[0]["id"], &found[0]["label"]),
        (&(1_i64 << 60).into(), &"positive".into())
    );
    assert!(
        found[0]["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("1970-01-01T00:00:00")),
        "{}",
        found[0]
    );
    assert_eq!(found[2]["tags"], serde_json::json!([null, 3]));
    folder.run(&["--file", "in.parquet", "--out", "out.csv"]);
    assert!(
        folder.read("out.csv").starts_with("id,text,at,tags,label,"),
        "{}",
        folder.read("out.csv")
    );
    folder.run(&["--file", "a.jsonl", "--out", "out.parquet"]).success();
    let written = parquet(&folder, "out.parquet/part-00000.parquet");
    assert_eq!(written["n"].data_type(), &DataType::Utf8);
    let n = written["n"].as_string::<i32>();
    assert_eq!((n.value(0), n.null_count()), ("7", 1));
    let damaged = &fs::read(folder.at("in.parquet")).expect("a file")[10..];
    fs::write(folder.at("bad.parquet"), damaged).expect("written");
    let refused = folder.run(&["--file", "bad.parquet", "--out", "bad.jsonl"]);
    assert!(
        refused.code == Some(1) && refused.complaint().contains("bad.parquet: "),
        "{refused:?}"
    );
    let taken = folder.run(&["--file", "in.parquet", "--out", "-", "--format", "parquet"]);
    assert!(
        taken.code == Some(2) && taken.complaint().contains("takes text"),
        "{taken:?}"
    );
}

#[test]
fn files_of_a_run_that_was_killed_are_those_of_an_unbroken_one() {
    let folder = Folder::new(&[]);
    many_rows(&folder, 12_000);
    let args = |out: &'static str| ["--file", "in-*.csv", "--out", out, "--part-rows", "2000", "--resume"];
    folder.run(&args("whole.parquet")).success();
    for part in ["part-00001.parquet", "part-00003.parquet"] {
        let mut child = folder
            .command(&args("out.parquet"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        // The file before it is whole; it is itself being written.
        if !wait_for(&mut child, &folder.at(".out.parquet.partial").join(part), 0) {
            child.kill().expect("killed");
            child.wait().expect("its end");
        }
    }
    folder.run(&args("out.parquet")).success();
    let parts = |out: &str| {
        let mut parts: Vec<_> = fs::read_dir(folder.at(out))
            .expect("a folder")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                (
                    path.file_name().expect("a name").to_owned(),
                    fs::read(&path).expect("read"),
                )
            })
            .collect();
        parts.sort();
        parts
    };
    assert_eq!(parts("whole.parquet").len(), 5);
    assert!(parts("out.parquet") == parts("whole.parquet"), "the same files");
}

/// As `tests/it/corpus.rs` does for the other readers.
#[test]
fn what_fuzzing_kept_breaks_no_promise() {
    inputs::replay(env!("CARGO_MANIFEST_DIR").as_ref(), columns::ALL);
}
