//! The other commands: `check`, `healthcheck`, `completions`, `--version`, and no command.

use std::path::Path;

use crate::security::write_certificates;
use crate::support::command::{Finished, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::server::free_ports;
use crate::support::{RunningServer, root};

fn check(model: &Path) -> Finished {
    finish(tandem().arg("check").arg(model), b"")
}

#[test]
fn check_tells_what_it_verified_of_a_good_model() {
    let report = check(&root().join("models/sentiment-fast/1")).success();
    for part in [
        "sentiment-fast@1",
        "fingerprint",
        "negative, positive",
        "SHA-256",
        "golden",
        "ok",
    ] {
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn check_finds_a_model_by_its_name() {
    let mut command = tandem();
    command
        .args(["check", "sentiment-fast", "--models"])
        .arg(root().join("models"));
    assert!(finish(&mut command, b"").success().contains("sentiment-fast@1"));
}

#[test]
fn check_of_a_model_that_is_not_there_exits_2_and_says_where_it_looked() {
    let models = root().join("models");
    let finished = finish(tandem().args(["check", "weather", "--models"]).arg(&models), b"");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let complaint = finished.complaint();
    assert!(complaint.starts_with("tandem: weather: "), "{complaint}");
    assert!(complaint.contains(&models.display().to_string()), "{complaint}");
}

#[test]
fn check_of_a_corrupt_model_exits_2_and_names_the_file() {
    let models = FastModelCopy::new();
    models.flip_a_bit("model.onnx");
    let finished = check(&models.model());
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let file = models.file("model.onnx").display().to_string();
    assert!(
        finished.complaint().starts_with(&format!("tandem: {file}: ")),
        "{finished:?}"
    );
}

#[test]
fn check_of_a_model_that_computes_otherwise_exits_1_and_names_the_file() {
    let models = FastModelCopy::new();
    models.falsify_golden_example();
    let finished = check(&models.model());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let file = models.file("golden.jsonl").display().to_string();
    assert!(
        finished.complaint().starts_with(&format!("tandem: {file}: ")),
        "{finished:?}"
    );
}

fn healthcheck(args: &[&str]) -> Finished {
    finish(tandem().arg("healthcheck").args(args), b"")
}

#[test]
fn healthcheck_exits_0_where_the_server_serves_and_1_where_it_does_not_know_the_name() {
    let server = RunningServer::start(&[]);
    let address = server.grpc.to_string();
    // Bounds for a busy machine.
    let asked = ["--addr", &address, "--timeout-ms", "60000"];
    for service in ["", "tandem.v1.PredictionService", "sentiment-fast", "sentiment-deep"] {
        let finished = healthcheck(&[&asked[..], &["--service", service]].concat());
        assert_eq!(
            (finished.code, &*finished.stdout),
            (Some(0), "SERVING\n"),
            "{service:?} {finished:?}"
        );
    }
    let unknown = healthcheck(&[&asked[..], &["--service", "weather"]].concat());
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.complaint().contains("NotFound"), "{unknown:?}");
}

#[test]
fn healthcheck_takes_the_address_of_the_servers_own_variable() {
    let server = RunningServer::start(&[]);
    let mut command = tandem();
    command.args(["healthcheck", "--timeout-ms", "60000"]);
    command.env("TANDEM_GRPC_ADDR", server.grpc.to_string());
    assert_eq!(finish(&mut command, b"").success(), "SERVING\n");
}

#[test]
fn healthcheck_exits_1_where_nobody_listens_or_nobody_answers() {
    // Port 0 is nobody's.
    let nobody = healthcheck(&["--addr", "127.0.0.1:0"]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.complaint().starts_with("tandem: 127.0.0.1:0: "), "{nobody:?}");
    // The system accepts the connection, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("an address").to_string();
    let silent = healthcheck(&["--addr", &address, "--timeout-ms", "50"]);
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.complaint().contains("no answer within 50ms"), "{silent:?}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = finish(tandem().args(["completions", shell]), b"").success();
        for word in ["tandem", "serve", "predict", "healthcheck", "grpc-addr"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn version_names_tandem_and_onnx_runtime_and_where_that_was_found() {
    for flag in ["--version", "-V"] {
        let printed = finish(tandem().arg(flag), b"").success();
        let lines: Vec<&str> = printed.lines().collect();
        let [own, runtime] = lines[..] else { panic!("{printed}") };
        assert_eq!(own, concat!("tandem ", env!("CARGO_PKG_VERSION")));
        assert!(runtime.starts_with("ONNX Runtime 1."), "{printed}");
        let library = runtime.split(['(', ')']).nth(1).expect("a path");
        assert!(Path::new(library).is_file(), "{printed}");
    }
}

#[test]
fn no_command_shows_the_help() {
    let finished = finish(&mut tandem(), b"");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let help = finish(tandem().arg("--help"), b"").success();
    assert_eq!(format!("{}{}", finished.stdout, finished.stderr), help);
}

#[test]
fn healthcheck_reads_what_the_server_reads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certified = rcgen::generate_simple_self_signed(["somewhere.example".to_owned()]).expect("a certificate");
    for (name, content) in [
        ("cert.pem", certified.cert.pem()),
        ("key.pem", certified.signing_key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let pair = [("TANDEM_TLS_CERT", "cert.pem"), ("TANDEM_TLS_KEY", "key.pem")];
    for by_tls in [false, true] {
        let here = |mut command: std::process::Command| {
            command.current_dir(folder.path());
            if by_tls {
                command.envs(pair);
            }
            command
        };
        let _ = std::fs::remove_file(folder.path().join("tandem.toml"));
        let mut serve = here(tandem());
        serve
            .arg("serve")
            .args(free_ports())
            .arg("--models")
            .arg(root().join("models"));
        let server = RunningServer::spawn(serve);
        server.wait_ready();
        std::fs::write(
            folder.path().join("tandem.toml"),
            format!("grpc_addr = \"{}\"\n", server.grpc),
        )
        .expect("written");
        let mut ask = here(tandem());
        ask.args(["healthcheck", "--timeout-ms", "60000"]);
        assert_eq!(finish(&mut ask, b"").success(), "SERVING\n", "TLS: {by_tls}");
    }
}

#[test]
fn healthcheck_finds_what_a_server_was_told_by_flags() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_certificates(folder.path(), &[]);
    let models = FastModelCopy::new();
    let mut serve = tandem();
    serve.current_dir(folder.path()).arg("serve").args(FAST_ONLY);
    serve.args(["--grpc-addr", "unix:own.sock", "--no-http", "--log-format", "json"]);
    serve.args([
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--tls-client-ca",
        "ca.pem",
    ]);
    let server = RunningServer::spawn({
        serve.arg("--models").arg(models.repository());
        serve
    });
    server.wait_ready();
    let ask = |pid: u32| {
        let mut ask = tandem();
        ask.current_dir(folder.path()).env("TANDEM_GRPC_ADDR", "127.0.0.1:0");
        ask.args(["healthcheck", "--timeout-ms", "60000", "--pid", &pid.to_string()]);
        finish(&mut ask, b"")
    };
    assert_eq!(ask(server.pid()).success(), "SERVING\n");
    let other = ask(std::process::id());
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.complaint().starts_with("tandem: 127.0.0.1:0: "), "{other:?}");
}

#[test]
fn check_says_first_what_a_model_is_and_all_of_it_as_json() {
    let export = root().join("tests/data/hugging_face/deberta");
    let report = check(&export).success();
    let place = |words: &str| report.find(words).unwrap_or_else(|| panic!("{words} in {report}"));
    assert!(
        place("model ") < place("assumed ") && place("assumed ") < place("found "),
        "{report}"
    );
    // In a terminal lines are broken; what may be copied is not.
    let narrow = finish(tandem().env("COLUMNS", "80").arg("check").arg(&export), b"").success();
    let whole = |line: &&str| line.trim_start().starts_with("remedy") || line.chars().count() <= 80;
    assert!(narrow.lines().all(|line| whole(&line)), "{narrow}");
    assert_eq!(
        report
            .lines()
            .filter(|line| line.starts_with(' ') && !line.contains("remedy") && !line.contains("moved"))
            .count(),
        0,
        "{report}"
    );
    let json = finish(tandem().args(["check", "--json"]).arg(&export), b"").json();
    assert_eq!(
        (&json["model"]["name"], &json["model"]["tier"]),
        (&"deberta".into(), &"deep".into()),
        "{json}"
    );
    assert!(
        json["notes"]
            .as_array()
            .is_some_and(|notes| notes.iter().any(|note| note["kind"] == "assumed")),
        "{json}"
    );
}

#[test]
fn check_ends_with_3_under_strict_where_something_is_doubtful() {
    let doubtful = root().join("tests/data/scikit-learn/trap-sublinear");
    let loose = finish(tandem().args(["check", "--json"]).arg(&doubtful), b"").json();
    assert_eq!(loose["outcome"], "doubtful", "{loose}");
    let strict = finish(tandem().args(["check", "--strict"]).arg(&doubtful), b"");
    assert_eq!(strict.code, Some(3), "{strict:?}");
    let good = finish(
        tandem()
            .args(["check", "--strict"])
            .arg(root().join("models/sentiment-fast/1")),
        b"",
    );
    assert_eq!(good.code, Some(0), "{good:?}");
}

#[test]
fn check_names_the_tokens_that_the_graph_does_not_know() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = |from: &str, to: &str| {
        std::fs::copy(root().join("tests/data").join(from), folder.path().join(to)).expect("a copy");
    };
    copy("hugging_face/bert/config.json", "config.json");
    copy("hugging_face/bert/tokenizer.json", "tokenizer.json");
    copy("as_they_come/plain.onnx", "model.onnx");
    let more: serde_json::Map<String, serde_json::Value> =
        (320..327).map(|id| (format!("<more-{id}>"), id.into())).collect();
    let more = serde_json::to_string(&more).expect("JSON");
    std::fs::write(folder.path().join("added_tokens.json"), more).expect("written");
    let strict = finish(tandem().args(["check", "--strict", "--json"]).arg(folder.path()), b"");
    assert_eq!(strict.code, Some(3), "{strict:?}");
    let report: serde_json::Value = serde_json::from_str(&strict.stdout).expect("JSON");
    let told = report["notes"].to_string();
    for words in ["7 tokens", "320 rows", "`<more-320>`", " and 2 more", "read as `[UNK]`"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn check_names_what_was_asked_for_where_there_is_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = tandem();
    let finished = finish(
        command.current_dir(folder.path()).args(["check", "no-such-folder"]),
        b"",
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished
            .complaint()
            .starts_with("tandem: no-such-folder: neither a folder nor a model"),
        "{finished:?}"
    );
}
