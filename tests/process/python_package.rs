//! `clients/python`: it builds, its types hold, and its own tests pass against the real program.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::security::write_certificates;
use crate::support::command::{clean, curl, finish, finish_within};
use crate::support::reviews::reviews;
use crate::support::tools::{scratch, tool};
use crate::support::{RunningServer, root};

/// Its tests start some servers, of a build without optimizations.
const LIMIT: Duration = Duration::from_mins(10);

fn package() -> PathBuf {
    root().join("clients/python")
}

/// `python3` with the package installed from its source distribution.
fn python() -> Command {
    static PATH: OnceLock<String> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let (grpcio, others) = (tool("grpc"), tool("python-client"));
        let folder = scratch().join("tandem-text");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let build = "import sys; from flit_core import buildapi; print(buildapi.build_sdist(sys.argv[1]))";
        let mut builder = clean("python3");
        builder.current_dir(package()).env("PYTHONPATH", &others);
        let archive = finish(builder.args(["-c", build]).arg(&folder), b"").success();
        let installed = folder.join("installed");
        let mut installer = clean("python3");
        installer.current_dir(&folder).env("PYTHONPATH", &others);
        installer.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        installer.args(["--no-deps", "--no-build-isolation", "--no-index", "--target"]);
        finish(installer.arg(&installed).arg(archive.trim_end()), b"").success();
        format!("{}:{grpcio}:{others}", installed.display())
    });
    let mut command = clean("python3");
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_python_package_passes_its_own_tests() {
    let certificates = tempfile::tempdir().expect("a folder");
    write_certificates(certificates.path(), &[]);
    let mut tests = python();
    tests.current_dir(package().join("tests"));
    tests.env("TANDEM", env!("CARGO_BIN_EXE_tandem"));
    tests.env("TANDEM_CERTIFICATES", certificates.path());
    tests.args(["-W", "error::SyntaxWarning", "-m", "unittest", "discover"]);
    let finished = finish_within(LIMIT, &mut tests, b"");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(!finished.stderr.contains("skipped"), "{}", finished.stderr);
}

/// Classifies what is on standard input: in one call, and by a stream.
const CLASSIFY: &str = "
import json, sys, tandem_text
asked = json.load(sys.stdin)
with tandem_text.Client(asked['address']) as client:
    called = client.predict(asked['texts'], route='cascade')
    streamed = client.predict_stream(asked['texts'], route='cascade')
    answers = [[[one.label, one.tier, one.confidence] for one in some] for some in (called, streamed)]
json.dump(answers, sys.stdout)
";

#[test]
fn two_hundred_reviews_get_the_answers_of_the_http_door() {
    let server = RunningServer::start(&[]);
    let texts = reviews(200);
    let ask = |texts: &[String]| {
        let asked = json!({"texts": texts, "route": "ROUTE_CASCADE"}).to_string();
        let (status, answer) = curl(server.http(), "/v1/predict", &[], asked.as_bytes());
        assert_eq!(status, 200, "{answer}");
        answer["predictions"].as_array().expect("a list").clone()
    };
    let expected: Vec<Value> = texts.chunks(100).flat_map(ask).collect();
    let asked = json!({"address": server.grpc.to_string(), "texts": texts}).to_string();
    let answers = finish(python().args(["-c", CLASSIFY]), asked.as_bytes()).json();
    for found in answers.as_array().expect("two lists") {
        let found = found.as_array().expect("a list");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found[0], expected["label"]);
            assert_eq!(
                format!("TIER_{}", found[1]).to_uppercase().replace('"', ""),
                expected["tier"]
            );
            let numbers = [&found[2], &expected["confidence"]].map(|number| number.as_f64().expect("a number"));
            // A text's batch moves the last digits of a float.
            assert!((numbers[0] - numbers[1]).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn the_types_of_the_python_package_hold() {
    for (folder, file) in [
        (package(), "src/tandem_text"),
        (package().join("tests"), "typed_use.py"),
    ] {
        let mut mypy = python();
        mypy.current_dir(folder)
            .args(["-m", "mypy", "--strict", "--config-file"]);
        mypy.arg(package().join("pyproject.toml"));
        mypy.arg("--cache-dir").arg(scratch().join("mypy-cache")).arg(file);
        let finished = finish(&mut mypy, b"");
        assert_eq!(finished.code, Some(0), "{}", finished.stdout);
    }
}
