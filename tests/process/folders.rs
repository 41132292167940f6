//! `tandem serve --deep FOLDER` and `--fast FOLDER`: exports as they are, with nothing else, and what refuses to start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::command::{Finished, clean, curl_get, finish, tandem};
use crate::support::models::FastModelCopy;
use crate::support::server::free_ports;
use crate::support::{RunningServer, curl, root};

fn export(name: &str) -> String {
    root().join("tests/data").join(name).display().to_string()
}

fn refused(args: &[&str]) -> Finished {
    finish(tandem().arg("serve").args(free_ports()).args(args), b"")
}

#[test]
fn an_export_serves_with_nothing_else_and_is_said_not_to_be_verified() {
    for (flag, tier, folder, name) in [
        ("--deep", "TIER_DEEP", "hugging_face/bert", "bert"),
        ("--fast", "TIER_FAST", "scikit-learn/logistic-zipmap", "logistic-zipmap"),
    ] {
        let server = RunningServer::start_with(&[flag, &export(folder)]);
        let warning = server.logged(
            "not verified: nobody compared its answers with those of its training framework; see `tandem check`",
        );
        assert_eq!(
            (&warning["level"], &warning["model"]),
            (&json!("WARN"), &json!(name)),
            "{warning}"
        );
        let (status, answer) = curl(server.http(), "/v1/predict", &[], br#"{"texts": ["great film"]}"#);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["predictions"][0]["tier"], tier, "{answer}");
        assert_eq!(answer["models"][0]["name"], name, "{answer}");
        let model: Value = serde_json::from_str(&curl_get(server.http(), &format!("/v1/models/{name}"))).expect("JSON");
        assert_eq!(model["model"]["verified"], false, "{model}");
        let line = format!("tandem_model_verified{{model=\"{name}\",version=\"1\"}} 0");
        let metrics = curl_get(server.http(), "/metrics");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[test]
fn folders_that_do_not_fit_exit_2_with_one_line_before_any_port_is_opened() {
    let (bert, words) = (export("hugging_face/bert"), export("scikit-learn/logistic-columns"));
    let shipped = root().join("models/sentiment-deep/1").display().to_string();
    let nowhere = export("no-such");
    for (args, said) in [
        (vec!["--deep", &bert, "--fast", &words], "are not the same set"),
        (vec!["--fast", &shipped], "the model is deep, it was given as fast"),
        (vec!["--deep", &nowhere], "is not a folder"),
    ] {
        let finished = refused(&args);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.complaint().contains(said), "{finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    }
}

#[test]
fn weights_that_lead_out_of_the_folder_are_refused_before_they_are_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let export = folder.path().join("export");
    std::fs::create_dir(&export).expect("a folder");
    for entry in std::fs::read_dir(root().join("tests/data/hugging_face/bert")).expect("the export") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, export.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let model = export.join("model.onnx");
    let outside = folder.path().join("model.onnx");
    std::fs::rename(&model, &outside).expect("moved");
    std::os::unix::fs::symlink("../model.onnx", &model).expect("a link");
    let export = export.display().to_string();
    let finished = refused(&["--deep", &export]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.complaint().contains("a link out of"), "{finished:?}");
}

#[test]
fn a_folder_of_the_file_system_that_can_not_be_read_stops_no_start() {
    let repository = tempfile::tempdir().expect("a temporary folder");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(repository.path(), open).expect("changed");
    let model = repository.path().join("words/1");
    std::fs::create_dir_all(&model).expect("folders");
    let export = root().join("tests/data/scikit-learn/logistic-zipmap/model.onnx");
    std::fs::copy(export, model.join("model.onnx")).expect("a copy");
    let closed = std::fs::Permissions::from_mode(0o000);
    for name in ["lost+found", "Private", "words/lost+found"] {
        let folder = repository.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::set_permissions(&folder, closed.clone()).expect("changed");
    }
    let start = || {
        finish(
            as_nobody()
                .args(["serve", "--check", "--models"])
                .arg(repository.path()),
            b"",
        )
    };
    let finished = start();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let told = |name: &str| {
        finished
            .stderr
            .lines()
            .any(|line| line.contains("passed over") && line.contains(name))
    };
    assert!(told("Private") && !told("lost+found"), "{finished:?}");
    // A name that a model can have is one that is broken, and its remedy helps.
    let named = repository.path().join("topics");
    std::fs::create_dir(&named).expect("a folder");
    std::fs::set_permissions(&named, closed).expect("changed");
    let finished = start();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    do_what_is_told(&finished.complaint());
    assert_eq!(start().code, Some(0));
}

/// The program, started by somebody to whom what is closed is closed.
fn as_nobody() -> std::process::Command {
    let mut command = tandem();
    if rustix::process::geteuid().is_root() {
        let program = command.get_program().to_owned();
        command = clean("setpriv");
        command
            .args(["--reuid=65532", "--regid=65532", "--clear-groups"])
            .arg(program);
    }
    command.current_dir("/");
    command
}

/// Runs the command that opens what is closed.
fn do_what_is_told(complaint: &str) {
    let (_, command) = complaint.split_once("let the server read it: ").expect("a remedy");
    finish(clean("sh").args(["-c", command]), b"").success();
}

#[test]
fn what_the_server_may_not_read_is_told_with_a_command_that_opens_it() {
    let mode = |path: &Path, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).expect("changed");
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    mode(folder.path(), 0o755);
    let export = folder.path().join("It's mine");
    std::fs::create_dir(&export).expect("a folder");
    let file = export.join("model.onnx");
    std::fs::copy(root().join("tests/data/scikit-learn/logistic-tensor/model.onnx"), &file).expect("a copy");
    let of_export = ["--fast", &export.display().to_string()].map(str::to_owned);
    let models = FastModelCopy::new();
    mode(models.repository(), 0o755);
    let of_models = [
        "--default-route",
        "fast",
        "--models",
        &models.repository().display().to_string(),
    ];
    let of_models = of_models.map(str::to_owned);
    // What is closed, how, and what is started then.
    for (closed, how, args) in [
        (&file, 0o600, &of_export[..]),
        (&export, 0o744, &of_export),
        (&export, 0o700, &of_export),
        (&folder.path().to_owned(), 0o700, &of_export),
        (&models.file("manifest.toml"), 0o600, &of_models),
        (&models.file("model.onnx"), 0o600, &of_models),
        (&models.file("golden.jsonl"), 0o600, &of_models),
        (&models.model(), 0o744, &of_models),
        (&models.model(), 0o700, &of_models),
        (&models.repository().to_owned(), 0o700, &of_models),
    ] {
        mode(closed, how);
        let start = || finish(as_nobody().args(["serve", "--check"]).args(args), b"");
        let refused = start();
        assert_eq!(refused.code, Some(2), "{closed:?}: {refused:?}");
        do_what_is_told(&refused.complaint());
        let started = start();
        assert_eq!(started.code, Some(0), "{closed:?}: {refused:?} {started:?}");
    }
}

/// A transformer that could read 1,024 tokens.
fn long_export() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |from: &str, to: &str| {
        std::fs::copy(root().join("tests/data").join(from), folder.path().join(to)).expect("copied");
    };
    place("long/attention.onnx", "model.onnx");
    place("hugging_face/minilm/tokenizer.json", "tokenizer.json");
    let config = std::fs::read_to_string(root().join("tests/data/hugging_face/minilm/config.json")).expect("a config");
    let config = config
        .replace("\"max_position_embeddings\": 24", "\"max_position_embeddings\": 1024")
        .replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 12");
    std::fs::write(folder.path().join("config.json"), config).expect("written");
    folder
}

#[test]
fn what_check_says_of_long_texts_can_be_done() {
    let folder = long_export();
    let path = folder.path().display().to_string();
    let check = |more: &[&str]| {
        let finished = finish(tandem().arg("check").arg(&path).args(more), b"");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = check(&[]);
    assert!(said.contains("it reads 512 tokens of the 1024 that it could"), "{said}");
    assert!(
        said.contains("--max-tokens 1024, or max_tokens = 1024 in tandem.toml"),
        "{said}"
    );
    assert!(check(&["--max-tokens", "1024"]).contains("it reads up to 1024 tokens (max_tokens)"));
    let file = folder.path().join("tandem.toml");
    std::fs::write(&file, "max_tokens = 1024").expect("written");
    let said = check(&["--config", &file.display().to_string()]);
    assert!(said.contains("it reads up to 1024 tokens (max_tokens)"), "{said}");
}

#[test]
fn a_model_that_needs_more_than_there_is_says_what_in_one_line() {
    let folder = long_export();
    let path = folder.path().display().to_string();
    let limits = [
        "--max-model-memory",
        "67108864",
        "--idle-threads",
        "1",
        "--deep-instances",
        "1",
    ];
    let mut command = tandem();
    command
        .env("TANDEM_MAX_TOKENS", "1024")
        .args(["serve", "--deep", &path])
        .args(limits);
    let finished = finish(command.args(free_ports()), b"");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let complaint = finished.complaint();
    let (said, remedy) = complaint.split_once("; it fits with ").expect("a remedy");
    assert!(
        said.contains("MiB of max_model_memory's 64 MiB are in use"),
        "{complaint}"
    );
    let tokens = remedy
        .trim()
        .strip_prefix("max_tokens = ")
        .expect("a number of tokens")
        .to_owned();
    let mut more = vec!["--deep", &path, "--max-tokens", &tokens];
    more.extend(limits);
    drop(RunningServer::start_with(&more));
}
