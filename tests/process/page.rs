//! The page in a real browser: a headless Chromium that comes as a package, so that it runs on a bare machine too. And
//! the calls that the page offers to copy, each run by its own program.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::{clean, finish};
use crate::support::tools::{npm_packages, scratch, tool};
use crate::support::{RunningServer, curl, root};

const KEY: &str = "0123456789abcdef";

/// The label and the confidence of the first answer.
fn first(answer: &Value) -> (String, f64) {
    let prediction = &answer["predictions"][0];
    let label = prediction["label"].as_str().expect("a label");
    (label.to_owned(), prediction["confidence"].as_f64().expect("a number"))
}

/// What Python and TypeScript print of it: label, confidence, tier.
fn printed(line: &str) -> (String, f64) {
    let mut words = line.split_whitespace();
    let label = words.next().expect("a label").to_owned();
    let confidence = words.next().expect("a confidence").parse().expect("a number");
    assert_eq!(words.collect::<Vec<_>>(), ["TIER_FAST"], "{line}");
    (label, confidence)
}

/// `node` with the browser and what drives it.
fn browser(script: &str) -> Command {
    // Node.js looks for packages beside the script.
    let folder = scratch().join("browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    let packages = npm_packages("tests/process/browser");
    let link = folder.join("node_modules");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(packages, link).expect("a link");
    let copy = folder.join(script);
    std::fs::copy(root().join("tests/process/browser").join(script), &copy).expect("copied");
    let mut node = clean(&format!("{}/node", tool("node")));
    // The browser unpacks itself into the folder of temporary files, once.
    node.env("TMPDIR", &folder).env("HOME", &folder).arg(copy);
    node
}

#[test]
fn the_page_works_in_a_browser_and_the_calls_that_it_offers_work_as_they_are() {
    let open = RunningServer::start(&[]);
    let tokens = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(tokens.path(), format!("somebody:{KEY}\n")).expect("written");
    let keyed = RunningServer::start(&["--tokens-file", tokens.path().to_str().expect("UTF-8")]);
    let mut node = browser("page.mjs");
    node.args([open.http(), keyed.http()].map(|address| format!("http://{address}/")))
        .arg(KEY);
    let told = finish(&mut node, b"");
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    if told.stdout.starts_with("left out") {
        println!("{}", told.stdout);
        return;
    }
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let question = json!({ "texts": [told["text"]], "route": "ROUTE_FAST" }).to_string();
    let (status, answer) = curl(open.http(), "/v1/predict", &[], question.as_bytes());
    assert_eq!(status, 200, "{answer}");
    let expected = first(&answer);
    let call = |name: &str| told["calls"][name].as_str().expect("a call").to_owned();
    // As a person would, in a shell.
    let shell = |script: String| {
        let mut shell = clean("sh");
        let grpcurl = tool("grpcurl");
        let folder = std::path::Path::new(&grpcurl).parent().expect("a folder");
        let path = std::env::var("PATH").expect("a path");
        shell.env("PATH", format!("{}:{path}", folder.display()));
        finish(shell.args(["-c", &script]), b"").json()
    };
    assert_eq!(first(&shell(call("curl"))), expected);
    assert_eq!(first(&shell(call("grpcurl"))), expected);
    let python = finish(clean("python3").args(["-c", &call("python")]), b"").success();
    assert_eq!(printed(&python), expected);
    let script = tempfile::Builder::new().suffix(".mts").tempfile().expect("a file");
    std::fs::write(script.path(), call("typescript")).expect("written");
    let mut node = clean(&format!("{}/node", tool("node")));
    let typescript = finish(node.arg(script.path()), b"").success();
    assert_eq!(printed(&typescript), expected);
}
