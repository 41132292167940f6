//! The worked examples of clients, `examples/clients/`: each prints the labels, and says which field of a refusal is wrong.
//!
//! One that can't run here says so in a line that begins with its path and "skipped:".

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::support::command::{clean, finish, finish_within};
use crate::support::tools::{scratch, tool};
use crate::support::{LIMIT, RunningServer, root, wait};

/// With what is built for these tests anyway: as a package of its own it takes minutes.
#[allow(dead_code, reason = "its `main` is for users")]
#[path = "../../examples/clients/rust/src/main.rs"]
mod rust;

const TEXTS: [&str; 2] = ["정말 재미있게 봤어요", "시간이 아까운 영화"];
/// What a script ends with that lacks something which no registry of README's prerequisites has.
const SKIPPED: i32 = 77;

fn example(name: &str) -> PathBuf {
    root().join("examples/clients").join(name)
}

/// Runs a client that takes an address and texts, on two texts and on none.
fn prints_labels_and_the_field_of_a_refusal(client: impl Fn() -> Command) {
    let server = RunningServer::start(&[]);
    let address = server.grpc.to_string();
    let told = finish_within(2 * LIMIT, client().arg(&address).args(TEXTS), b"");
    if told.code == Some(SKIPPED) {
        let reason = told.stderr.lines().find(|line| line.starts_with("skipped: "));
        // Past the harness, which would keep it: whoever reads the run should know.
        let line = format!("{} {}\n", client().get_program().display(), reason.expect("a reason"));
        std::io::stderr().write_all(line.as_bytes()).expect("written");
        return;
    }
    let printed = told.success();
    let expected = format!("positive\t0.991\t{}\nnegative\t0.999\t{}\n", TEXTS[0], TEXTS[1]);
    assert_eq!(printed, expected);

    let refused = finish(client().arg(&address), b"");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in [
        "reason: INVALID_FIELD\n",
        "field texts: holds no text, it must hold from 1 to 128\n",
    ] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

/// A script that keeps what it builds in a folder of the tests.
fn script(path: &str, variable: &str) -> Command {
    let mut command = clean(example(path).to_str().expect("UTF-8"));
    command.env(variable, scratch().join(variable.to_lowercase()));
    command
}

#[test]
fn the_client_in_go() {
    prints_labels_and_the_field_of_a_refusal(|| script("go/run.sh", "TANDEM_GO_BUILD"));
}

#[test]
fn the_client_in_java() {
    prints_labels_and_the_field_of_a_refusal(|| script("java/run.sh", "TANDEM_JAVA_BUILD"));
}

#[test]
fn the_client_in_rust() {
    let server = RunningServer::start(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let channel = wait(&runtime, rust::connect(&server.grpc.to_string())).expect("a channel");
    let ask = |texts: &[&str]| {
        let request = rust::pb::PredictRequest {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            route: rust::pb::Route::Fast.into(),
            ..rust::pb::PredictRequest::default()
        };
        wait(&runtime, rust::predict(&channel, &request))
    };
    let answer = ask(&TEXTS).expect("an answer");
    let labels: Vec<&str> = answer.predictions.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["positive", "negative"]);
    let refused = rust::explain(&ask(&[]).expect_err("a refusal"));
    let lines: Vec<&str> = refused.lines().skip(1).collect();
    let field = "field texts: holds no text, it must hold from 1 to 128";
    assert_eq!(lines, ["reason: INVALID_FIELD", field]);
}

#[test]
fn the_client_of_curl() {
    let server = RunningServer::start(&[]);
    let url = format!("http://{}", server.http());
    let ask = |texts: &[&str]| {
        finish(
            clean(example("shell/classify.sh").to_str().expect("UTF-8"))
                .arg(&url)
                .args(texts),
            b"",
        )
    };
    let odd = "\"따옴표\" \\ 백슬래시\t\u{1}\n둘째 줄 👍";
    let answer = ask(&[TEXTS[0], TEXTS[1], odd]).json();
    let labels: Vec<_> = (0..2).map(|at| &answer["predictions"][at]["label"]).collect();
    assert_eq!(labels, ["positive", "negative"], "{answer}");
    let direct = crate::support::curl(
        server.http(),
        "/v1/predict",
        &[],
        serde_json::json!({"texts": [odd], "route": "ROUTE_FAST"})
            .to_string()
            .as_bytes(),
    );
    assert_eq!(
        answer["predictions"][2], direct.1["predictions"][0],
        "the text came as it is"
    );

    let refused = ask(&[]);
    assert_eq!(refused.code, Some(22), "{refused:?}");
    assert!(refused.stdout.contains(r#""field":"texts""#), "{refused:?}");
}

/// grpcurl's package has a program for x86-64 alone.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_client_of_grpcurl() {
    let server = RunningServer::start(&[]);
    let ask = |request: &str| {
        let mut command = clean(example("shell/classify-grpc.sh").to_str().expect("UTF-8"));
        command.env("GRPCURL", tool("grpcurl"));
        finish(command.arg(server.grpc.to_string()).arg(request), b"")
    };
    let request = serde_json::json!({"texts": TEXTS, "route": "ROUTE_FAST"}).to_string();
    let answer = ask(&request).json();
    assert_eq!(answer["predictions"][1]["label"], "negative", "{answer}");
    let refused = ask(r#"{"texts": []}"#);
    assert_eq!(refused.code, Some(64 + 3), "{refused:?}");
    assert!(refused.stderr.contains(r#""field":"texts""#), "{refused:?}");
}
