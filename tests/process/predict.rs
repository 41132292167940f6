//! `tandem predict`: texts from everywhere, answers in every form, here and by a server.

use std::fs;

use serde_json::Value;

use crate::support::command::{Finished, finish, tandem};
use crate::support::{RunningServer, curl, root};

const GOOD: &str = "정말 재미있게 봤어요";
const BAD: &str = "시간이 아까운 영화, \"돈\"도";

/// `tandem predict` in this process, with the models of the repository.
fn predict_here(args: &[&str], stdin: &[u8]) -> Finished {
    let mut command = tandem();
    command.arg("predict").arg("--models").arg(root().join("models"));
    finish(command.args(args), stdin)
}

/// The same by a server: a machine without models will do.
fn predict_by(server: &RunningServer, args: &[&str], stdin: &[u8]) -> Finished {
    let mut command = tandem();
    command.args(["predict", "--addr", &server.grpc.to_string()]);
    finish(command.args(args), stdin)
}

fn json_lines(output: &str) -> Vec<Value> {
    let lines = output.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("an object a line")
}

/// The text and the label of each answer, after a look at the rest.
fn checked(rows: &[Value], tier: &str) -> Vec<(String, String)> {
    let checked = rows.iter().map(|row| {
        assert_eq!(row["tier"], tier);
        assert_eq!(row["truncated"], false);
        assert!(row["token_count"].as_i64().is_some_and(|count| count > 0), "{row}");
        let confidence = row["confidence"].as_f64().expect("a number");
        assert!((0.5..=1.0).contains(&confidence), "{row}");
        let string = |key: &str| row[key].as_str().expect("a string").to_owned();
        (string("text"), string("label"))
    });
    checked.collect()
}

fn both() -> [(String, String); 2] {
    [(GOOD, "positive"), (BAD, "negative")].map(|(text, label)| (text.to_owned(), label.to_owned()))
}

#[test]
fn texts_become_json_lines_here_and_by_a_server_alike() {
    let server = RunningServer::start(&[]);
    for (route, tier) in [(None, "deep"), (Some("fast"), "fast"), (Some("deep"), "deep")] {
        let mut args = vec!["--format", "jsonl"];
        args.extend(route.iter().flat_map(|route| ["--route", *route]));
        args.extend([GOOD, BAD]);
        let here = json_lines(&predict_here(&args, b"").success());
        assert_eq!(checked(&here, tier), both(), "{route:?}");
        let there = json_lines(&predict_by(&server, &args, b"").success());
        assert_eq!(checked(&there, tier), both(), "{route:?}");
        for (here, there) in here.iter().zip(&there) {
            let confidence = |row: &Value| row["confidence"].as_f64().expect("a number");
            assert!((confidence(here) - confidence(there)).abs() <= 1e-4, "{here} {there}");
        }
    }
}

#[test]
fn texts_become_a_table_where_no_format_is_asked_for() {
    let server = RunningServer::start(&[]);
    let args = ["--route", "fast", GOOD, "two\nlines\u{1b}[31m", &"길다".repeat(100)];
    for output in [predict_here(&args, b""), predict_by(&server, &args, b"")] {
        let table = output.success();
        let row = |part: &str| {
            table
                .lines()
                .find(|line| line.contains(part))
                .unwrap_or_else(|| panic!("{table}"))
        };
        for column in ["confidence", "tier", "text"] {
            assert!(row("label").contains(column), "{table}");
        }
        for part in ["positive", "fast", "0."] {
            assert!(row(GOOD).contains(part), "{table}");
        }
        // What would move the cursor is shown, and long texts are cut.
        assert!(row("two lines").contains("two lines\\u001b[31m"), "{table}");
        assert!(!table.contains('\u{1b}') && row("길다").contains('…'), "{table}");
    }
}

#[test]
fn texts_become_csv_with_one_header() {
    let server = RunningServer::start(&[]);
    let args = ["--format", "csv", "--route", "fast", GOOD, BAD];
    for output in [predict_here(&args, b""), predict_by(&server, &args, b"")] {
        let output = output.success();
        let mut reader = csv::Reader::from_reader(output.as_bytes());
        let header = reader.headers().expect("a header").clone();
        let columns = [
            "text",
            "label",
            "confidence",
            "tier",
            "decision",
            "token_count",
            "truncated",
        ];
        assert_eq!(header.iter().collect::<Vec<_>>(), columns);
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
        let found: Vec<_> = rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
        assert_eq!(found, both());
    }
}

#[test]
fn a_file_and_standard_input_are_read_line_by_line_in_as_many_requests_as_it_takes() {
    let server = RunningServer::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("reviews.txt");
    // More than one request holds, without a line break at the end.
    let lines = [GOOD, BAD].repeat(100).join("\n");
    fs::write(&file, &lines).expect("write");
    let file = file.to_string_lossy();
    let from_file = ["--route", "fast", "--file", &*file];
    let from_input = ["--route", "fast", "-"];
    let outputs = [
        predict_here(&from_file, b""),
        predict_by(&server, &from_file, b""),
        predict_here(&from_input, lines.as_bytes()),
        predict_by(&server, &from_input, lines.as_bytes()),
    ];
    for output in outputs {
        assert_eq!(output.stderr, "", "no progress bar off a terminal");
        let rows = json_lines(&output.success());
        assert_eq!(checked(&rows, "fast"), vec![both(); 100].concat());
    }
}

#[test]
fn csv_of_many_requests_has_one_header() {
    let lines = [GOOD, BAD].repeat(100).join("\n");
    let output = predict_here(&["--route", "fast", "--format", "csv", "-"], lines.as_bytes()).success();
    assert_eq!(output.lines().count(), 201);
    assert_eq!(output.lines().filter(|line| line.starts_with("text,")).count(), 1);
}

#[test]
fn no_lines_are_no_answers() {
    let output = predict_here(&["--route", "fast", "-"], b"");
    assert_eq!((output.code, &*output.stdout), (Some(0), ""), "{output:?}");
}

#[test]
fn a_refusal_exits_1_with_one_line_here_and_by_a_server() {
    let server = RunningServer::start(&[]);
    let args = ["--task", "weather", GOOD];
    for output in [predict_here(&args, b""), predict_by(&server, &args, b"")] {
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{output:?}");
        assert!(output.complaint().contains("task"), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    }
}

#[test]
fn a_file_or_a_server_out_of_reach_exits_1_and_is_named() {
    let missing = predict_here(&["--file", "/nowhere/reviews.txt"], b"");
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing.complaint().starts_with("tandem: /nowhere/reviews.txt: "),
        "{missing:?}"
    );
    // Port 0 is nobody's.
    let silent = finish(tandem().args(["predict", "--addr", "127.0.0.1:0", GOOD]), b"");
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.complaint().starts_with("tandem: 127.0.0.1:0: "), "{silent:?}");
}

/// A file in a folder of its own.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    let path = path.display().to_string();
    (folder, path)
}

fn texts_of(output: Finished) -> Vec<String> {
    let rows = json_lines(&output.success());
    rows.iter()
        .map(|row| row["text"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn files_with_columns_are_read_by_them_in_their_own_encoding() {
    let korean = |text: &str| encoding_rs::EUC_KR.encode(text).0.into_owned();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let quoted = BAD.replace('"', "\"\"");
    let csv = format!("\u{feff}id,text,label\r\n1,{GOOD},1\r\n2,\"{quoted}\",0\r\n");
    let pandas = format!("text\tlabel\n{GOOD}\t1\n\"{quoted}\"\t0\n");
    let json = format!(
        "{}\n{}\n",
        serde_json::json!({ "text": GOOD }),
        serde_json::json!({ "document": BAD })
    );
    for (name, content, said) in [
        ("a.csv", csv.clone().into_bytes(), ""),
        (
            "a.csv",
            korean(csv.trim_start_matches('\u{feff}')),
            "converted from cp949",
        ),
        ("a.tsv", pandas.into_bytes(), "--quoted no"),
        ("a.jsonl", utf16(&json), "converted from UTF-16LE"),
        ("a.txt", format!("\u{feff}{GOOD}\r\n{BAD}\r\n").into_bytes(), ""),
    ] {
        let (_folder, path) = file(name, &content);
        let output = predict_here(&["--route", "fast", "--file", &path], b"");
        assert!(
            output.stderr.contains(said) && output.stderr.is_empty() == said.is_empty(),
            "{output:?}"
        );
        assert_eq!(texts_of(output), [GOOD, BAD], "{name}");
    }
    let stream = predict_here(&["--route", "fast", "--input-format", "csv", "-"], csv.as_bytes());
    assert_eq!(texts_of(stream), [GOOD, BAD]);
    let (_folder, path) = file("a.csv", b"review,star\na,1\n");
    let refused = predict_here(&["--file", &path], b"");
    assert!(refused.complaint().contains("there are: review, star"), "{refused:?}");
    assert_eq!(
        texts_of(predict_here(
            &["--route", "fast", "--text-column", "review", "--file", &path],
            b""
        )),
        ["a"]
    );
}

#[test]
fn a_bad_row_has_its_line_and_the_others_their_answers_here_and_by_a_server() {
    let server = RunningServer::start(&[]);
    let mut content = format!("{GOOD}\n").repeat(150).into_bytes();
    content.extend(b"no \xff\n");
    content.extend("가".repeat(6000).as_bytes());
    content.extend(format!("\n{BAD}\n").as_bytes());
    let (_folder, path) = file("a.txt", &content);
    let args = ["--route", "fast", "--file", &path];
    for output in [predict_here(&args, b""), predict_by(&server, &args, b"")] {
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        let complaint = output.complaint();
        assert!(
            complaint.contains("2 of 153 texts have no answer; the first, line 151: byte 4"),
            "{complaint}"
        );
        let rows = json_lines(&output.stdout);
        assert_eq!(rows.len(), 153);
        assert_eq!((&rows[150]["line"], &rows[151]["line"]), (&151.into(), &152.into()));
        let error = rows[151]["error"].as_str().expect("an error");
        assert!(error.contains("18000 bytes") && !error.contains("texts["), "{error}");
        assert_eq!(rows[152]["label"], "negative");
    }
    // In a table each has one line, and the remedy is told once.
    let output = predict_here(&[&args[..], &["--format", "table"]].concat(), b"");
    let told = output.complaint();
    assert!(told.contains("; say the encoding with --encoding"), "{told}");
    let rows: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("error")).collect();
    assert!(rows[0].ends_with("line 151: byte 4 is no UTF-8"), "{rows:?}");
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[test]
fn every_score_a_model_by_name_and_all_labels_are_shown_in_each_form() {
    let args = ["--model", "sentiment-fast", "--scores", GOOD, BAD];
    let rows = json_lines(&predict_here(&[&args[..], &["--json"]].concat(), b"").success());
    for row in &rows {
        let scores = row["scores"].as_array().expect("scores");
        assert_eq!(scores.len(), 2);
        assert_eq!((&scores[0]["label"], &row["labels"][0]), (&row["label"], &row["label"]));
        assert_eq!(row["tier"], "fast");
    }
    let table = predict_here(&args, b"").success();
    assert!(table.contains("positive") && table.lines().count() == 7, "{table}");
    assert!(table.lines().all(|line| !line.contains('─')), "no rules: {table}");
    let csv = predict_here(&[&args[..], &["--format", "csv"]].concat(), b"").success();
    assert!(
        csv.starts_with("text,label,confidence,tier,decision,token_count,truncated,score:negative,score:positive\n"),
        "{csv}"
    );
    let unknown = predict_here(&["--model", "nobody", GOOD], b"");
    assert!(
        unknown.code == Some(1) && unknown.complaint().contains("nobody"),
        "{unknown:?}"
    );
}

#[test]
fn an_explanation_shows_the_text_once_with_what_spoke_for_and_against() {
    let plain = predict_here(&["--route", "fast", "--explain", GOOD], b"").success();
    assert!(plain.lines().nth(1).is_some_and(|line| line.contains('[')), "{plain}");
    assert!(!plain.contains("negative"), "no other label's mirror: {plain}");
    assert!(plain.lines().count() < 20, "{plain}");
    let colours = predict_here(&["--route", "fast", "--explain", "--color", "always", GOOD], b"").success();
    assert!(
        colours.contains("\u{1b}[30;42m") && colours.contains("\u{1b}[30;41m"),
        "{colours}"
    );
}

#[test]
fn explanations_are_written_in_each_form_and_a_text_without_one_has_its_line() {
    let (_folder, path) = file("texts.txt", format!("{GOOD}\n{}\n", "a".repeat(20_000)).as_bytes());
    let explained = |format: &str| {
        let told = predict_here(
            &["--route", "fast", "--explain", "--format", format, "--file", &path],
            b"",
        );
        assert_eq!(told.code, Some(1), "one text has no answer: {told:?}");
        assert!(
            told.complaint().contains("line 2: the text has 20000 bytes"),
            "{told:?}"
        );
        told.stdout
    };
    let csv = explained("csv");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("text,label,contribution,ngram,start_byte,end_byte"));
    for line in lines {
        let [text, label, contribution, ngram, start, end] = &line.split(',').collect::<Vec<_>>()[..] else {
            panic!("six columns: {line}");
        };
        assert!(*text == GOOD && ["negative", "positive"].contains(label), "{line}");
        assert!(contribution.parse::<f32>().is_ok_and(f32::is_finite), "{line}");
        let part = |at: &str| at.parse::<usize>().expect("a place");
        assert_eq!(&&GOOD[part(start)..part(end)], ngram);
    }
    let rows = json_lines(&explained("jsonl"));
    assert_eq!(rows[0]["label"], "positive");
    assert_eq!((&rows[1]["line"], &rows[1]["label"]), (&Value::from(2), &Value::Null));
    let table = explained("table");
    assert!(table.contains("error: line 2: the text has 20000 bytes"), "{table}");
}

#[test]
fn a_value_and_several_labels_are_shown_as_what_they_are() {
    let export = |name: &str| root().join("tests/data/scikit-learn").join(name).display().to_string();
    let ask = |name: &str, args: &[&str]| {
        let mut command = tandem();
        command
            .args(["predict", "--fast", &export(name), "great film"])
            .args(args);
        finish(&mut command, b"").success()
    };
    let row = &json_lines(&ask("regression", &["--json"]))[0];
    assert!(row["value"].is_number() && row.get("label").is_none(), "{row}");
    assert!(ask("regression", &[]).trim_start().starts_with("value"));
    assert!(ask("regression", &["--format", "csv"]).starts_with("text,value,tier"));
    let row = &json_lines(&ask("each-label-tensor", &["--json", "--scores"]))[0];
    let selected = |score: &&Value| score["selected"] == true;
    let scores = row["scores"].as_array().expect("scores");
    assert_eq!(
        scores.iter().filter(selected).count(),
        row["labels"].as_array().expect("labels").len(),
        "{row}"
    );
}

/// Pairs with the labels that transformers gives them.
#[derive(serde::Deserialize)]
struct Pair {
    text: String,
    text_pair: String,
    label: String,
    scores: std::collections::BTreeMap<String, f64>,
}

#[test]
fn pairs_are_read_from_files_and_answered_as_transformers_does_here_and_by_a_server() {
    let model = root().join("tests/data/hugging_face/xlm-roberta");
    let expected = fs::read_to_string(model.join("expected.jsonl")).expect("the pairs");
    let expected: Vec<Pair> = expected
        .lines()
        .map(|line| serde_json::from_str(line).expect("a pair"))
        // A line without anything in it is no row.
        .filter(|pair: &Pair| !pair.text.trim().is_empty())
        .collect();
    assert!(expected.len() > 10);
    let model = model.display().to_string();
    let json: String = expected
        .iter()
        .map(|pair| serde_json::json!({"premise": pair.text, "hypothesis": pair.text_pair}).to_string() + "\n")
        .collect();
    let mut separated = [(b',', "a.csv"), (b'\t', "a.tsv")].map(|(delimiter, name)| {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["id", "hypothesis", "premise"]).expect("memory");
        for pair in &expected {
            writer.write_record(["1", &pair.text_pair, &pair.text]).expect("memory");
        }
        (name, writer.into_inner().expect("memory"))
    });
    separated.reverse();
    let server = RunningServer::start_with(&["--deep", &model]);
    for (name, content) in separated.into_iter().chain([("a.jsonl", json.into_bytes())]) {
        let (_folder, path) = file(name, &content);
        let columns = [
            "--text-column",
            "premise",
            "--pair-column",
            "hypothesis",
            "--json",
            "--scores",
        ];
        let args = [&columns[..], &["--file", &path]].concat();
        let here = finish(tandem().args(["predict", "--deep", &model]).args(&args), b"");
        for output in [here, predict_by(&server, &args, b"")] {
            let rows = json_lines(&output.success());
            assert_eq!(rows.len(), expected.len(), "{name}");
            for (row, pair) in rows.iter().zip(&expected) {
                assert_eq!(
                    (&row["text"], &row["text_pair"], &row["label"]),
                    (
                        &pair.text.as_str().into(),
                        &pair.text_pair.as_str().into(),
                        &pair.label.as_str().into()
                    ),
                    "{name}"
                );
                for score in row["scores"].as_array().expect("scores") {
                    let right = pair.scores[score["label"].as_str().expect("a label")];
                    let found = score["score"].as_f64().expect("a number");
                    assert!((found - right).abs() < 1e-4, "{name}: {row} {:?}", pair.scores);
                }
            }
        }
    }
    // A row without its second text is one bad row, and its line is told.
    let (_folder, path) = file("a.jsonl", b"{\"text\": \"a\", \"b\": \"c\"}\n{\"text\": \"a\"}\n");
    let args = [
        "predict",
        "--deep",
        &model,
        "--pair-column",
        "b",
        "--json",
        "--file",
        &path,
    ];
    let output = finish(tandem().args(args), b"");
    assert_eq!(output.code, Some(1), "{output:?}");
    let rows = json_lines(&output.stdout);
    assert_eq!((&rows[0]["text_pair"], &rows[1]["line"]), (&"c".into(), &2.into()));
    assert_eq!(rows[1]["error"], "there is no key `b`");
}

#[test]
fn a_body_with_a_byte_order_mark_is_read_without_it() {
    let server = RunningServer::start(&[]);
    for (path, body) in [
        (
            "/v1/predict",
            "\u{feff}{\"texts\": [\"좋다\"], \"route\": \"ROUTE_FAST\"}",
        ),
        ("/predict", "\u{feff}{\"text\": \"좋다\"}"),
    ] {
        let (status, answer) = curl(server.http(), path, &[], body.as_bytes());
        assert_eq!(status, 200, "{path}: {answer}");
    }
}
