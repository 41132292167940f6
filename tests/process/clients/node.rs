//! The client for Node.js: its own tests against the program under test, its types, its generated code.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{answers, assert_equal, by_v1_predict};
use crate::security::write_certificates;
use crate::support::command::{clean, finish, finish_within};
use crate::support::reviews::reviews;
use crate::support::tools::{npm_packages, tool};
use crate::support::{LIMIT, RunningServer, root};

/// A copy of the package, as it would be published, with its tests and what they need.
struct Package {
    folder: TempDir,
    modules: PathBuf,
}

impl Package {
    fn copy() -> Self {
        let package = Self {
            folder: tempfile::tempdir().expect("a folder"),
            modules: npm_packages("clients/node"),
        };
        let source = root().join("clients/node");
        let manifest = fs::read(source.join("package.json")).expect("package.json");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let published = manifest["files"].as_array().expect("what is published");
        let published = published.iter().map(|file| file.as_str().expect("a name"));
        fs::create_dir_all(package.path()).expect("a folder");
        for name in published.chain(["package.json", "tsconfig.json", "test", "tools"]) {
            let mut copy = Command::new("cp");
            finish(copy.arg("-R").arg(source.join(name)).arg(package.path()), b"").success();
        }
        symlink(&package.modules, package.path().join("node_modules")).expect("a link");
        symlink(root().join("proto"), package.folder.path().join("proto")).expect("a link");
        package
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("clients/node")
    }

    /// A program in the package's folder, with the pinned Node.js first.
    fn run(&self, program: &Path) -> Command {
        let mut command = clean(program.to_str().expect("UTF-8"));
        let path = std::env::var("PATH").expect("a path");
        command
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}", tool("node")));
        command
    }
}

#[test]
fn the_client_for_node_passes_its_own_tests_against_this_server() {
    let package = Package::copy();
    write_certificates(package.folder.path(), &[]);
    let server = RunningServer::start(&[]);
    let mut node = package.run(Path::new("node"));
    node.env("TANDEM", env!("CARGO_BIN_EXE_tandem"))
        .env("TANDEM_ROOT", root());
    node.env("TANDEM_CERTIFICATES", package.folder.path())
        .env("TANDEM_ADDRESS", server.grpc.to_string());
    // A test that hangs says so itself.
    node.args(["--test", "--test-reporter=tap", "--test-timeout=60000"]);
    let files = fs::read_dir(package.path().join("test")).expect("tests");
    let names = files.map(|file| file.expect("a file").path());
    node.args(names.filter(|path| path.to_string_lossy().ends_with(".test.js")));
    let told = finish_within(5 * LIMIT, &mut node, b"");
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    let passed = told.stdout.lines().find_map(|line| line.strip_prefix("# pass "));
    let passed: usize = passed.and_then(|count| count.parse().ok()).expect("a count");
    assert!(passed >= 22, "{}", told.stdout);
}

#[test]
fn the_client_for_node_has_the_types_that_it_says_and_the_code_of_the_protocol_files() {
    let package = Package::copy();
    let mut types = package.run(&package.modules.join(".bin/tsc"));
    let told = finish(types.args(["-p", "tsconfig.json"]), b"");
    assert_eq!(told.code, Some(0), "{}", told.stdout);

    let again = package.folder.path().join("messages.js");
    let mut generate = package.run(Path::new("tools/generate.sh"));
    finish(generate.arg(&again), b"").success();
    let kept = fs::read_to_string(package.path().join("src/generated/messages.js")).expect("the generated code");
    let same = fs::read_to_string(again).expect("what is generated") == kept;
    assert!(
        same,
        "the protocol files have changed: in clients/node, npm ci && npm run generate"
    );
}

/// Reads texts and a route, and writes what the package answers.
const CLASSIFY: &str = r#"
const { Client } = require("./index.js");
const { texts, route } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const client = new Client(process.argv[1], { timeoutMs: 60_000 });
const streamed = async () => {
  const found = [];
  for await (const { prediction } of client.predictStream(texts, { route })) found.push(prediction);
  return found;
};
Promise.all([client.predict(texts, { route }), streamed()]).then((both) => {
  process.stdout.write(JSON.stringify(both));
  client.close();
});
"#;

#[test]
fn two_hundred_reviews_get_the_answers_of_the_http_door_by_calls_and_by_a_stream() {
    let server = RunningServer::start(&[]);
    let package = Package::copy();
    let texts = reviews(200);
    for (route, name) in [
        ("ROUTE_FAST", "fast"),
        ("ROUTE_DEEP", "deep"),
        ("ROUTE_CASCADE", "cascade"),
    ] {
        let expected = by_v1_predict(&server, route, &texts);
        let mut node = package.run(Path::new("node"));
        node.args(["--eval", CLASSIFY, "--", &server.grpc.to_string()]);
        let asked = json!({"texts": texts, "route": name}).to_string();
        let both = finish(&mut node, asked.as_bytes()).json();
        for (how, found) in ["predict", "predictStream"].iter().zip(both.as_array().expect("both")) {
            let found = answers(found.as_array().expect("a list"));
            assert_equal(&format!("Node's {how}, {name}"), &found, &expected);
        }
    }
}
