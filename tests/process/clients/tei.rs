//! text-embeddings-inference over gRPC by grpcio, with stubs of its protocol: what its methods answer is what our own door answers.

use std::fs;

use serde_json::{Value, json};

use super::{Answer, TOLERANCE, by_v1_predict};
use crate::support::command::finish;
use crate::support::reviews::reviews;
use crate::support::tools::python;
use crate::support::{RunningServer, curl, root};

/// What the client got by each method, which must be the same as what is expected.
fn assert_answers(server: &RunningServer, work: &str, asked: &Value, methods: [&str; 2], expected: &[Answer]) {
    let mut client = python("tei_client.py");
    client.args([work, &server.grpc.to_string()]);
    let found = finish(&mut client, asked.to_string().as_bytes()).json();
    for method in methods {
        let answers = found[method].as_array().expect("a list for each method");
        assert_eq!(answers.len(), expected.len(), "{method}");
        for (at, (answer, (label, confidence))) in answers.iter().zip(expected).enumerate() {
            assert_eq!(answer[0], *label, "{method}, text {at}");
            let score = answer[1].as_f64().expect("a number");
            assert!((score - confidence).abs() <= TOLERANCE, "{method}, text {at}");
        }
    }
}

#[test]
fn two_hundred_reviews_get_equal_answers_by_calls_and_by_a_stream_of_tei() {
    // Its requests name no route.
    for route in ["fast", "deep"] {
        let server = RunningServer::start(&["--default-route", route]);
        let texts = reviews(200);
        let expected = by_v1_predict(&server, &format!("ROUTE_{}", route.to_uppercase()), &texts);
        let asked = json!({ "texts": texts });
        assert_answers(&server, "classify", &asked, ["Predict", "PredictStream"], &expected);
    }
}

#[test]
fn two_hundred_pairs_get_equal_answers_by_calls_and_by_a_stream_of_tei() {
    let model = root().join("tests/data/hugging_face/xlm-roberta");
    let server = RunningServer::start(&["--deep", model.to_str().expect("UTF-8")]);
    let known = fs::read_to_string(model.join("expected.jsonl")).expect("pairs");
    let known: Vec<Value> = known
        .lines()
        .map(|line| serde_json::from_str(line).expect("a pair"))
        .collect();
    let all = |name: &str| -> Vec<Value> { known.iter().map(|one| one[name].clone()).cycle().take(200).collect() };
    let (texts, pairs) = (all("text"), all("text_pair"));
    let expected: Vec<Answer> = texts
        .chunks(100)
        .zip(pairs.chunks(100))
        .flat_map(|(texts, pairs)| {
            let asked = json!({"texts": texts, "textPairs": pairs, "truncation": "TRUNCATION_END"}).to_string();
            let (status, answer) = curl(server.http(), "/v1/predict", &[], asked.as_bytes());
            assert_eq!(status, 200, "{answer}");
            super::answers(answer["predictions"].as_array().expect("a list"))
        })
        .collect();
    let asked = json!({"texts": texts, "pairs": pairs});
    assert_answers(
        &server,
        "pairs",
        &asked,
        ["PredictPair", "PredictPairStream"],
        &expected,
    );
}

#[test]
fn a_client_of_tei_finds_facts_options_and_refusals() {
    let server = RunningServer::start(&[]);
    let mut client = python("tei_client.py");
    finish(client.args(["manners", &server.grpc.to_string()]), b"").success();
}
