//! The clients of grpc-web and of Connect, unmodified, on a page of another origin in a real browser: two hundred reviews
//! get the labels of the door of our own.

use serde_json::{Value, json};

use crate::support::RunningServer;
use crate::support::command::{curl, finish};
use crate::support::reviews::reviews;
use crate::support::tools::browser;

/// Where the page is; nothing listens there.
const ORIGIN: &str = "http://localhost:9";
const CLIENTS: [&str; 6] = [
    "grpc-web, binary",
    "grpc-web, text",
    "connect-web, JSON",
    "connect-web, binary",
    "connect-web, GET",
    "connect-web by gRPC-Web",
];

/// The labels by the gateway.
fn expected(server: &RunningServer, texts: &[String], route: &str) -> Vec<Value> {
    let ask = |texts: &[String]| {
        let asked = json!({"texts": texts, "route": route}).to_string();
        let (status, answer) = curl(server.http(), "/v1/predict", &[], asked.as_bytes());
        assert_eq!(status, 200, "{answer}");
        let predictions = answer["predictions"].as_array().expect("a list").clone();
        predictions.into_iter().map(|prediction| prediction["label"].clone())
    };
    texts.chunks(100).flat_map(ask).collect()
}

#[test]
fn two_hundred_reviews_get_our_labels_by_the_clients_of_browsers() {
    let server = RunningServer::start(&["--cors-origins", ORIGIN]);
    let texts = reviews(200);
    let contract = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(contract.path(), tandem::api::DESCRIPTOR_SET).expect("written");
    let mut node = browser(&["clients.mjs", "clients.js"]);
    node.args([&format!("http://{}", server.http()), ORIGIN])
        .arg(contract.path());
    let told = finish(&mut node, json!(texts).to_string().as_bytes());
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    if told.stdout.starts_with("left out") {
        println!("{}", told.stdout);
        return;
    }
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let [fast, deep] = ["ROUTE_FAST", "ROUTE_DEEP"].map(|route| Value::from(expected(&server, &texts, route)));
    for client in CLIENTS {
        let found = &told[client];
        assert!(found["fast"] == fast && found["deep"] == deep, "{client}: {found}");
        let refused = found["refused"].as_str().expect("a refusal");
        // The code of INVALID_ARGUMENT, and our sentence.
        assert!(refused.starts_with("3: texts: holds no text"), "{client}: {refused}");
    }
}
