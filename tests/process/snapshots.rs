//! What users see, word for word: help, errors. Committed under snapshots/; UPDATE_SNAPSHOTS=1 writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::support::command::{finish, tandem};
use crate::support::models::FastModelCopy;
use crate::support::{RunningServer, curl, root};

fn folder() -> PathBuf {
    root().join("tests/process/snapshots")
}

/// Help, and errors of the command line: the name of the snapshot, and the arguments.
const COMMANDS: [(&str, &[&str]); 24] = [
    ("help", &["--help"]),
    ("help-serve", &["serve", "--help"]),
    ("help-predict", &["predict", "--help"]),
    ("help-calibrate", &["calibrate", "--help"]),
    ("help-evaluate", &["evaluate", "--help"]),
    ("help-check", &["check", "--help"]),
    ("help-bench", &["bench", "--help"]),
    ("help-healthcheck", &["healthcheck", "--help"]),
    ("help-models", &["models", "--help"]),
    ("help-models-canary", &["models", "canary", "--help"]),
    ("help-audit-export", &["audit", "export", "--help"]),
    ("error-bad-version", &["models", "load", "sentiment-fast"]),
    ("help-completions", &["completions", "--help"]),
    ("no-command", &[]),
    ("error-unknown-command", &["serv"]),
    ("error-unknown-flag", &["serve", "--grcp-addr", "127.0.0.1:1"]),
    ("error-bad-address", &["serve", "--grpc-addr", "localhost"]),
    ("error-bad-duration", &["serve", "--drain-grace", "soon"]),
    ("error-bad-route", &["predict", "--route", "both", "a"]),
    ("error-value-out-of-range", &["serve", "--max-texts", "0"]),
    ("error-values-that-do-not-fit", &["serve", "--max-queue-texts", "1"]),
    ("error-bad-log-filter", &["serve", "--log-filter", "tandem=loud"]),
    ("error-no-models", &["serve", "--models", "/nowhere"]),
    ("error-predict-without-texts", &["predict"]),
];

/// Each snapshot's name, and what it should hold.
fn taken() -> Vec<(&'static str, String)> {
    let mut taken = Vec::new();
    for (name, arguments) in COMMANDS {
        let mut command = tandem();
        // Faults as on a terminal. Help shows the values of variables.
        if !arguments.contains(&"--help") {
            command.env("TANDEM_LOG_FORMAT", "pretty");
        }
        let finished = finish(command.args(arguments), b"");
        let code = finished.code.expect("an exit code");
        let command = ["tandem"]
            .iter()
            .chain(arguments)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        let written = format!("{}{}", finished.stdout, finished.stderr);
        taken.push((name, format!("$ {command}\n{written}exit code {code}\n")));
    }
    taken.extend(error_bodies());
    taken
}

/// The JSON of refusals over HTTP.
fn error_bodies() -> Vec<(&'static str, String)> {
    let models = FastModelCopy::new();
    let repository = models.repository().to_string_lossy();
    let server = RunningServer::start_with(&["--models", &repository, "--default-route", "fast"]);
    let cases = [
        ("http-error-fields", "/v1/predict", r#"{"texts": [], "topK": -1}"#),
        ("http-error-unknown-key", "/v1/predict", r#"{"txts": []}"#),
        ("http-error-wrong-type", "/predict", r#"{"text": 1}"#),
        ("http-error-no-tier", "/predict", r#"{"text": "a"}"#),
        (
            "http-error-unknown-model",
            "/v1/predict",
            r#"{"texts": ["a"], "model": "b"}"#,
        ),
        ("http-error-path", "/v2/predict", "{}"),
    ];
    let bodies = cases.map(|(name, path, body)| {
        let (status, answer) = curl(server.http(), path, &["x-request-id: snapshot"], body.as_bytes());
        let answer = serde_json::to_string_pretty(&answer).expect("JSON");
        (name, format!("POST {path} {body}\n{status}\n{answer}\n"))
    });
    bodies.to_vec()
}

#[test]
fn help_and_errors_are_the_committed_ones_and_no_snapshot_is_unused() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let taken = taken();
    let mut different = Vec::new();
    for (name, found) in &taken {
        let file = folder().join(format!("{name}.txt"));
        if update {
            fs::write(&file, found).expect("write");
        } else if fs::read_to_string(&file).ok().as_ref() != Some(found) {
            different.push(format!("--- {name}\n{found}"));
        }
    }
    assert!(
        different.is_empty(),
        "other than committed; if that is meant, run again with UPDATE_SNAPSHOTS=1:\n{}",
        different.join("\n")
    );
    let used: BTreeSet<String> = taken.iter().map(|(name, _)| format!("{name}.txt")).collect();
    let files = fs::read_dir(folder()).expect("the folder of the snapshots");
    let there: BTreeSet<String> = files
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, used, "the files of snapshots, and those that are used");
}
