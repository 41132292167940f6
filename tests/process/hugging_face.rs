//! Hugging Face's client and requests against the doors of others: each gives the labels that Tandem's own door gives.

use serde_json::{Value, json};

use crate::support::command::finish;
use crate::support::reviews::reviews;
use crate::support::tools::python_with_hugging_face;
use crate::support::{RunningServer, curl};

#[test]
fn every_door_gives_the_labels_of_our_own() {
    let server = RunningServer::start(&["--default-route", "cascade"]);
    let http = server.http.expect("the gateway is on");
    let texts = reviews(200);
    let mut client = python_with_hugging_face("huggingface_client.py");
    let found = finish(
        client.arg(http.to_string()),
        json!({ "texts": texts }).to_string().as_bytes(),
    )
    .success();
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let own = own_labels(&server, &texts);
    for (door, count) in [
        ("classify", 200),
        ("predict", 200),
        ("vllm", 200),
        ("kserve", 200),
        ("root", 20),
    ] {
        assert_eq!(found[door], json!(own[..count]), "{door}");
    }
}

/// By `POST /v1/predict`.
fn own_labels(server: &RunningServer, texts: &[String]) -> Vec<String> {
    let label = |one: &Value| one["label"].as_str().expect("a label").to_owned();
    let mut labels = Vec::new();
    for batch in texts.chunks(128) {
        let body = json!({ "texts": batch }).to_string();
        let http = server.http.expect("the gateway is on");
        let (status, answer) = curl(http, "/v1/predict", &[], body.as_bytes());
        assert_eq!(status, 200, "{answer}");
        labels.extend(answer["predictions"].as_array().expect("predictions").iter().map(label));
    }
    labels
}
