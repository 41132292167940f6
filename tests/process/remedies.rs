//! What is printed to be done is done, by the program itself: afterwards it does what it was asked for, and nothing is said any more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::{Finished, clean, finish, tandem};
use crate::support::root;

/// A folder to work in, with the shipped fast model in a repository.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a temporary folder"));
        desk.copy(&root().join("models/sentiment-fast/1"), "models/sentiment-fast/1");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn copy(&self, from: &Path, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(&to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    /// The program in the folder, by a line of words.
    fn run(&self, line: &str) -> Finished {
        let mut command = tandem();
        command.current_dir(self.0.path()).args(words(line));
        finish(&mut command, b"")
    }

    /// A command that was printed, by a shell.
    fn shell(&self, line: &str) {
        let mut command: Command = clean("sh");
        finish(command.current_dir(self.0.path()).args(["-c", line]), b"").success();
    }
}

/// The words of a line, as a shell parts them; quotation marks are simple ones.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// What was asked for, what is said of it, and what is asked then.
struct Case {
    before: fn(&Desk),
    asked: &'static str,
    told: &'static str,
    then: fn(&Desk),
    again: &'static str,
}

fn nothing(_: &Desk) {}

fn labelled(desk: &Desk) {
    let all = fs::read_to_string(root().join("tests/data/reviews.tsv")).expect("the reviews");
    let rows = all
        .lines()
        .skip(1)
        .take(60)
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let odd: String = rows
        .map(|row| {
            format!(
                "{}\t{}\n",
                row[2].replace('"', ""),
                if row[1] == "positive" { "good one" } else { "bad" }
            )
        })
        .collect();
    desk.copy(&root().join("models/sentiment-deep/1"), "models/sentiment-deep/1");
    desk.write("odd.tsv", format!("text\tlabel\n{odd}"));
    desk.write(
        "gaps.tsv",
        format!(
            "text\tlabel\n{}no label\t\n",
            odd.replace("good one", "positive").replace("\tbad", "\tnegative")
        ),
    );
}

/// A second model for the same task and tier.
fn two_of_a_tier(desk: &Desk) {
    desk.copy(&root().join("models/sentiment-fast/1"), "models/other/1");
    let path = desk.path("models/other/1/manifest.toml");
    let manifest = fs::read_to_string(&path).expect("the manifest");
    fs::write(path, manifest.replace("name = \"sentiment-fast\"", "name = \"other\"")).expect("written");
}

const fn case(
    before: fn(&Desk),
    asked: &'static str,
    told: &'static str,
    then: fn(&Desk),
    again: &'static str,
) -> Case {
    Case {
        before,
        asked,
        told,
        then,
        again,
    }
}

fn all_help(cases: &[Case]) {
    for case in cases {
        let desk = Desk::new();
        (case.before)(&desk);
        let first = desk.run(case.asked);
        let told = |finished: &Finished| format!("{}{}", finished.stderr, finished.stdout).replace("\\\"", "\"");
        assert!(
            told(&first).contains(case.told),
            "{}: {} in {first:#?}",
            case.asked,
            case.told
        );
        (case.then)(&desk);
        let second = desk.run(case.again);
        assert_eq!(second.code, Some(0), "{}: {second:#?}", case.again);
        assert!(!told(&second).contains(case.told), "{}: {second:#?}", case.again);
    }
}

/// Files of texts that are read otherwise than they were meant.
#[test]
fn what_is_said_of_files_helps() {
    all_help(&[
        case(
            |desk| desk.write("a.txt", b"d\xe9j\xe0 vu\n"),
            "predict --models models --route fast --file a.txt",
            "say the encoding with --encoding (cp949, shift_jis, gb18030, windows-1252, …)",
            nothing,
            "predict --models models --route fast --file a.txt --encoding windows-1252",
        ),
        case(
            |desk| desk.write("a.txt", b"d\xe9j\xe0 vu\n"),
            "predict --models models --route fast --file a.txt",
            "or convert the file: iconv -f ENCODING -t utf-8 FILE > NEW",
            |desk| desk.shell("iconv -f windows-1252 -t utf-8 a.txt > b.txt"),
            "predict --models models --route fast --file b.txt",
        ),
        case(
            |desk| desk.write("a.csv", "review,stars\ngood,5\n"),
            "predict --models models --route fast --file a.csv",
            "there are: review, stars; name one with --text-column",
            nothing,
            "predict --models models --route fast --file a.csv --text-column review",
        ),
        case(
            |desk| desk.write("a.jsonl", "{\"review\": \"good\"}\n"),
            "predict --models models --route fast --file a.jsonl",
            "name one with --text-column",
            nothing,
            "predict --models models --route fast --file a.jsonl --text-column review",
        ),
        case(
            |desk| desk.write("a.data", "review,stars\ngood,5\n"),
            "predict --models models --route fast --file a.data --text-column review",
            "without columns; --input-format tsv, csv or jsonl reads them",
            nothing,
            "predict --models models --route fast --file a.data --text-column review --input-format csv",
        ),
        case(
            |desk| desk.write("a.tsv", "text\n\"good\"\n\"bad\"\n"),
            "predict --models models --route fast --file a.tsv",
            "read without them (--quoted no keeps them)",
            nothing,
            "predict --models models --route fast --file a.tsv --quoted no",
        ),
    ]);
}

/// Labels that are none of the model, rows without one, a cascade without a threshold.
#[test]
fn what_calibrate_says_helps() {
    all_help(&[
        case(
            labelled,
            "calibrate odd.tsv --models models --min-confidence 0.9 --dry-run",
            "--map bad=LABEL",
            nothing,
            "calibrate odd.tsv --models models --min-confidence 0.9 --dry-run --map bad=negative --map 'good one=positive'",
        ),
        case(
            labelled,
            "calibrate gaps.tsv --models models --min-confidence 0.9 --dry-run",
            "1 row (line 62) without a label; --skip-unlabelled leaves them out",
            nothing,
            "calibrate gaps.tsv --models models --min-confidence 0.9 --dry-run --skip-unlabelled",
        ),
        case(
            labelled,
            "predict --models models --route cascade good",
            "run `tandem calibrate`, or set min_confidence",
            |desk| {
                desk.run("calibrate gaps.tsv --models models --min-confidence 0.9 --skip-unlabelled")
                    .success();
            },
            "predict --models models --route cascade good",
        ),
    ]);
}

/// A short measurement of the models here against the bare model.
const BENCH: &str = "bench --spawn --models models --reference onnx --reference-batch 1 --fast-instances 1 --rounds 1 \
                     --duration 50ms --warm-up 0s --concurrency 1";

#[test]
fn what_bench_says_of_several_models_helps() {
    let desk = Desk::new();
    two_of_a_tier(&desk);
    desk.write("tandem.toml", "[tasks.sentiment]\nfast = \"other\"\n");
    let told = desk.run(&format!("{BENCH} --route fast"));
    assert!(
        told.stderr.contains("several models fit: name one with --model"),
        "{told:?}"
    );
    for name in ["other", "sentiment-fast@1"] {
        let report = desk.run(&format!("{BENCH} --model {name} --json -")).json();
        let model = report["comparison"]["description"]["model"].as_str().expect("a model");
        assert!(model.starts_with(name), "{report:#}");
    }
}

#[test]
fn what_is_said_of_a_missing_onnx_runtime_helps() {
    let library = env!("TANDEM_ORT_BUILD_PATH");
    let library = match library {
        "" => std::env::var("ORT_DYLIB_PATH").expect("whoever builds with a library of their own names it"),
        built => built.to_owned(),
    };
    let desk = Desk::new();
    let ask = |library: &str| {
        let mut command = tandem();
        command.current_dir(desk.0.path()).env("ORT_DYLIB_PATH", library);
        finish(command.args(words("predict --models models --route fast good")), b"")
    };
    let told = ask("missing.so");
    assert!(
        told.complaint().contains("set ORT_DYLIB_PATH to libonnxruntime"),
        "{told:?}"
    );
    assert!(ask(&library).success().contains("positive"));
}

/// Labels that an export does not name.
#[test]
fn a_manifest_gives_an_export_the_labels_that_it_does_not_name() {
    let desk = Desk::new();
    desk.copy(&root().join("tests/data/scikit-learn/each-label-tensor"), "export");
    let told = desk.run("check export").success();
    assert!(
        told.contains("it names no classes: they are numbered from 0 to 2")
            && told.contains("write a manifest.toml (docs/models-sklearn.md)"),
        "{told}"
    );
    desk.run("check export --write-manifest").success();
    let path = desk.path("export/manifest.toml");
    let manifest = fs::read_to_string(&path).expect("the manifest");
    // As docs/models-sklearn.md says.
    let (before, labels) = manifest.split_once("labels = ").expect("the labels");
    let (_, after) = labels.split_once(']').expect("the end of the list");
    fs::write(
        &path,
        format!("{before}labels = [\"acting\", \"plot\", \"music\"]{after}"),
    )
    .expect("written");
    let told = desk.run("check export").success();
    assert!(
        told.contains("acting, plot, music") && !told.contains("names no classes"),
        "{told}"
    );
    let row = desk.run("predict --fast export --json --scores good").json();
    let mut labels: Vec<&str> = row["scores"]
        .as_array()
        .expect("scores")
        .iter()
        .map(|score| score["label"].as_str().expect("a label"))
        .collect();
    labels.sort_unstable();
    assert_eq!(labels, ["acting", "music", "plot"]);
}

/// Folders and settings.
#[test]
fn what_is_said_of_folders_and_settings_helps() {
    all_help(&[
        case(
            nothing,
            "check models/sentiment-fast/1/model.onnx",
            "is a file; name the folder that it is in",
            nothing,
            "check models/sentiment-fast/1",
        ),
        case(
            |desk| desk.copy(&root().join("tests/data/scikit-learn/logistic-tensor"), "export"),
            "serve --check --fast export",
            "not verified: nobody compared its answers with those of its training framework; see `tandem check`",
            |desk| {
                let told = desk.run("check export").success();
                assert!(
                    told.contains("--write-manifest writes manifest.toml with checksums and examples"),
                    "{told}"
                );
                desk.run("check export --write-manifest").success();
            },
            "check export",
        ),
        case(
            |desk| {
                desk.copy(&root().join("tests/data/scikit-learn/logistic-tensor"), "export");
                desk.run("check export --write-manifest").success();
            },
            "check export --write-manifest",
            "is there already; --force overwrites it",
            nothing,
            "check export --write-manifest --force",
        ),
        case(
            two_of_a_tier,
            "serve --check --models models --default-route fast",
            "are both fast; say in [tasks.sentiment] which serves it",
            |desk| desk.write("tandem.toml", "[tasks.sentiment]\nfast = \"other\"\n"),
            "serve --check --models models --default-route fast",
        ),
        case(
            |desk| desk.write("tandem.toml", "[tasks.weather]\ndefault_route = \"fast\"\n"),
            "serve --check --models models --default-route fast",
            "it names none; set fast, deep or both",
            |desk| desk.write("tandem.toml", "[tasks.weather]\nfast = \"sentiment-fast\"\n"),
            "serve --check --models models --default-route fast",
        ),
        case(
            nothing,
            "serve --check --models models --default-route fast --grpc-addr 0.0.0.0:0",
            "set tls_cert and tls_key, or allow_plaintext",
            nothing,
            "serve --check --models models --default-route fast --grpc-addr 0.0.0.0:0 --allow-plaintext",
        ),
        case(
            nothing,
            "serve --check --models models --default-route fast --profile hardened",
            "the profile hardened wants to know callers: set tokens_file, TANDEM_TOKENS or tls_client_ca",
            |desk| desk.write("tokens", format!("ours:{}\n", "k".repeat(40))),
            "serve --check --models models --default-route fast --profile hardened --tokens-file tokens",
        ),
        case(
            |desk| desk.write("tokens", format!("ours:{}\n", "k".repeat(40))),
            "serve --check --models models --default-route fast --tokens-file tokens --admin-addr 127.0.0.1:0",
            "set admin_tokens_file or TANDEM_ADMIN_TOKENS",
            |desk| desk.write("admins", format!("us:{}\n", "a".repeat(40))),
            "serve --check --models models --default-route fast --tokens-file tokens --admin-addr 127.0.0.1:0 --admin-tokens-file admins",
        ),
        case(
            nothing,
            "serve --check --models models --default-route fast --grpc-addr 127.0.0.1",
            "write 127.0.0.1:PORT",
            nothing,
            "serve --check --models models --default-route fast --grpc-addr 127.0.0.1:0",
        ),
        case(
            nothing,
            "serve --check --models models --default-route fast --grpc-addr ::1",
            "write [::1]:PORT",
            nothing,
            "serve --check --models models --default-route fast --grpc-addr [::1]:0",
        ),
        case(
            nothing,
            "serve --check --models models --default-route fast --grpc-addr unix://a.sock",
            "write unix:PATH or unix:///PATH",
            nothing,
            "serve --check --models models --default-route fast --grpc-addr unix:/tmp/a.sock",
        ),
        case(
            |desk| fs::rename(desk.path("models/sentiment-fast"), desk.path("models/Fast.Model")).expect("renamed"),
            "serve --check --models models --default-route fast",
            "; rename it: mv '",
            |desk| {
                let told = desk.run("serve --check --models models --default-route fast");
                let command = told
                    .complaint()
                    .split_once("rename it: ")
                    .expect("a command")
                    .1
                    .to_owned();
                desk.shell(&command);
                // Its manifest names it as before.
                let manifest = desk.path("models/fast-model/1/manifest.toml");
                let text = fs::read_to_string(&manifest).expect("the manifest");
                fs::write(
                    manifest,
                    text.replace("name = \"sentiment-fast\"", "name = \"fast-model\""),
                )
                .expect("written");
            },
            "serve --check --models models --default-route fast",
        ),
    ]);
}
