//! Files that are pipes or have no end: what a shell's `<(…)` makes is read, and nothing waits or grows for ever.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::RunningServer;
use crate::support::command::{Finished, clean, finish, signal, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::root;
use crate::support::server::free_ports;

use super::security::write_certificates;

/// Runs a line of bash, in which `$0` is the program under test and `$1` its models.
fn bash(line: &str) -> Finished {
    finish(&mut shell(line), b"")
}

fn shell(line: &str) -> Command {
    let mut shell = clean("bash");
    shell.current_dir(env!("CARGO_TARGET_TMPDIR"));
    shell
        .args(["-c", line, env!("CARGO_BIN_EXE_tandem")])
        .arg(root().join("models"));
    shell
}

#[test]
fn pipes_of_a_shell_are_files_as_others() {
    let config = bash("\"$0\" serve --print-config --config <(echo max_texts = 7)").success();
    assert!(config.contains("max_texts = 7"), "{config}");
    let stdin = bash("echo max_texts = 8 | \"$0\" serve --print-config --config /dev/stdin").success();
    assert!(stdin.contains("max_texts = 8"), "{stdin}");
    for texts in ["--file <(echo 좋다)", "--file /dev/stdin <<< 좋다", "- <<< 좋다"] {
        let answer = bash(&format!("\"$0\" predict --models \"$1\" --route fast {texts}")).success();
        assert!(answer.contains("positive"), "{texts}: {answer}");
    }
    let labelled =
        bash("\"$0\" calibrate --models \"$1\" --dry-run --input-format csv <(printf 'text,label\\n좋다,positive\\n')");
    assert!(labelled.complaint().contains("too few labelled texts"), "{labelled:?}");
}

#[test]
fn files_without_an_end_are_refused_at_a_bound() {
    let zero = "/dev/zero";
    for args in [
        vec!["serve", "--config", zero],
        vec!["serve", "--tokens-file", zero],
        vec!["serve", "--admin-addr", "127.0.0.1:0", "--admin-tokens-file", zero],
        vec!["serve", "--tls-cert", zero, "--tls-key", zero],
        vec!["check", "models", "--config", zero],
        vec!["healthcheck", "--config", zero],
        vec!["models", "list", "--config", zero],
        vec!["models", "list", "--addr", "127.0.0.1:1", "--tls-ca", zero],
    ] {
        let finished = finish(tandem().args(&args), b"");
        let complaint = finished.complaint();
        assert!(
            complaint.contains("/dev/zero: is larger than 8 MiB"),
            "{args:?}: {complaint}"
        );
    }
    for args in [
        vec!["calibrate", zero],
        vec!["predict", "--file", zero],
        vec!["bench", "--texts", zero],
    ] {
        let finished = finish(tandem().args(&args).arg("--models").arg(root().join("models")), b"");
        assert!(
            finished.complaint().contains("/dev/zero: is no text"),
            "{args:?}: {finished:?}"
        );
    }
}

#[test]
fn keys_and_certificates_by_pipes_stay_and_the_other_files_are_looked_at_again() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[]);
    let models = FastModelCopy::new();
    // The program takes the shell's place, so that what is done to the child is done to it.
    let line = "exec \"$0\" \"${@:2}\" --tokens-file <(echo first:0123456789abcdef) --tls-key <(cat key.pem)";
    let mut command = shell(line);
    command
        .current_dir(folder.path())
        .arg0("bash")
        .arg("serve")
        .args(free_ports());
    command.arg("--models").arg(models.repository()).args(FAST_ONLY);
    command.args(["--tls-cert", "cert.pem", "--reload-interval", "1h"]);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let address = format!("localhost:{}", server.grpc.port());
    let ask = |token: &str| {
        let mut command = tandem();
        command
            .current_dir(folder.path())
            .args(["predict", "--route", "fast", "좋다"]);
        command
            .args(["--addr", &address, "--tls-ca", "ca.pem"])
            .env("TANDEM_TOKEN", token);
        finish(&mut command, b"")
    };
    assert!(ask("0123456789abcdef").success().contains("positive"));
    // Another chain for the same key: a certificate more.
    let more = format!(
        "{0}{0}",
        std::fs::read_to_string(folder.path().join("cert.pem")).expect("PEM")
    );
    std::fs::write(folder.path().join("cert.pem"), more).expect("written");
    server.signal("HUP");
    server.logged("new certificates are in use");
    assert!(
        ask("0123456789abcdef").success().contains("positive"),
        "the key of the pipe stays"
    );
    assert!(ask("another-0123456789").complaint().contains("Unauthenticated"));
    signal("TERM", server.pid());
    let (code, lines) = server.wait_exit();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("can't be used")), "{lines:#?}");
}
