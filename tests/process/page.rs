//! The page in a real browser: a headless Chromium that comes as a package, so that it runs on a bare machine too. And
//! the calls that the page offers to copy, each run by its own program.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::command::{clean, finish, tandem};
use crate::support::tools::{browser, tool};
use crate::support::{RunningServer, curl, root};

const KEY: &str = "0123456789abcdef";

/// The label and the confidence of the first answer.
fn first(answer: &Value) -> (String, f64) {
    let prediction = &answer["predictions"][0];
    let label = prediction["label"].as_str().expect("a label");
    (label.to_owned(), prediction["confidence"].as_f64().expect("a number"))
}

/// What Python and TypeScript print of it: label, confidence, tier.
fn printed(line: &str, tier: &str) -> (String, f64) {
    let mut words = line.split_whitespace();
    let label = words.next().expect("a label").to_owned();
    let confidence = words.next().expect("a confidence").parse().expect("a number");
    assert_eq!(words.collect::<Vec<_>>(), [tier], "{line}");
    (label, confidence)
}

/// What a call in a shell prints, as a person would run it.
fn by_shell(script: &str) -> Value {
    let mut shell = clean("sh");
    let grpcurl = tool("grpcurl");
    let folder = std::path::Path::new(&grpcurl).parent().expect("a folder");
    let path = std::env::var("PATH").expect("a path");
    shell.env("PATH", format!("{}:{path}", folder.display()));
    finish(shell.args(["-c", script]), b"").json()
}

/// What a call in Python prints, with the package of this repository.
fn by_python(script: &str, key: &str) -> String {
    let package = root().join("clients/python/src");
    let mut python = clean("python3");
    python.env("PYTHONPATH", format!("{}:{}", package.display(), tool("grpc")));
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("TANDEM_KEY", key);
    finish(python.args(["-c", script]), b"").success()
}

#[test]
fn the_page_works_in_a_browser_and_the_calls_that_it_offers_work_as_they_are() {
    let open = RunningServer::start(&[]);
    let tokens = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(tokens.path(), format!("somebody:{KEY}\n")).expect("written");
    let keyed = RunningServer::start(&["--tokens-file", tokens.path().to_str().expect("UTF-8")]);
    let mut node = browser(&["page.mjs"]);
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
    assert_eq!(first(&by_shell(&call("curl"))), expected);
    assert_eq!(first(&by_shell(&call("grpcurl"))), expected);
    assert!(call("python").contains("tandem_text"), "{}", call("python"));
    let (label, confidence) = printed(&by_python(&call("python"), ""), "fast");
    assert!(
        label == expected.0 && (confidence - expected.1).abs() < 1e-6,
        "{label} {confidence}"
    );
    let script = tempfile::Builder::new().suffix(".mts").tempfile().expect("a file");
    std::fs::write(script.path(), call("typescript")).expect("written");
    let mut node = clean(&format!("{}/node", tool("node")));
    let typescript = finish(node.arg(script.path()), b"").success();
    assert_eq!(printed(&typescript, "TIER_FAST"), expected);
}

/// Makes the calls that the page offers, as its script does, without a browser.
const CALLS: &str = r"
const { snippets } = await import(process.argv[1]);
console.log(JSON.stringify(snippets(...JSON.parse(process.argv[2]))));
";

/// The calls for a server, where its page is at `http` and says that gRPC is at this port.
fn calls(http: SocketAddr, port: &Value, keyed: bool) -> Value {
    let form = json!({"texts": ["정말 'great'\\\n"], "task": "sentiment", "route": "fast"});
    let mut place = json!({"url": format!("http://{http}/"), "secure": false, "keyed": keyed});
    if let Some(port) = port.as_u64() {
        place["grpc"] = json!(format!("{}:{port}", http.ip()));
    }
    let script = root().join("src/api/http/page/web/snippets.js");
    let mut node = clean(&format!("{}/node", tool("node")));
    node.args(["--input-type=module", "-e", CALLS]).arg(script);
    finish(node.arg(json!([form, place]).to_string()), b"").json()
}

#[test]
fn the_calls_reach_a_server_with_several_addresses_one_with_one_port_and_one_whose_grpc_has_no_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = |name: &str| format!("unix:{}", folder.path().join(name).display());
    let several = format!("{},127.0.0.1:0", socket("a"));
    let alone = socket("b");
    for (addresses, has_port) in [
        (&["--grpc-addr", &several, "--http-addr", "127.0.0.1:0"][..], true),
        (&["--shared-addr", "127.0.0.1:0"], true),
        (&["--grpc-addr", &alone, "--http-addr", "127.0.0.1:0"], false),
    ] {
        let mut command = tandem();
        command
            .args(["serve", "--log-format", "json", "--models"])
            .arg(root().join("models"));
        command.args(addresses).env("TANDEM_TOKENS", format!("somebody:{KEY}"));
        let server = RunningServer::spawn(command);
        server.wait_ready();
        let facts = format!("http://{}/page/server.json", server.http());
        let facts = finish(clean("curl").args(["--silent", &facts]), b"").json();
        assert_eq!(facts["grpcPort"].is_u64(), has_port, "{addresses:?}: {facts}");
        let calls = calls(server.http(), &facts["grpcPort"], true);
        let call = |name: &str| format!("TANDEM_KEY={KEY}\n{}", calls[name].as_str().expect("a call"));
        let expected = first(&by_shell(&call("curl")));
        if has_port {
            assert_eq!(first(&by_shell(&call("grpcurl"))), expected, "{addresses:?}");
        }
        let tier = if has_port { "fast" } else { "TIER_FAST" };
        let python = by_python(calls["python"].as_str().expect("a call"), KEY);
        let (label, confidence) = printed(&python, tier);
        let same = label == expected.0 && (confidence - expected.1).abs() < 1e-6;
        assert!(same, "{addresses:?}: {python}");
    }
}
