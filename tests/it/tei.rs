//! The API of text-embeddings-inference: its shapes, its errors, and that it answers what Tandem's own API answers.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tandem::api::pb;
use tandem::api::tei::pb as tei;
use tandem::config::Settings;
use tei::info_client::InfoClient;
use tei::predict_client::PredictClient;
use tokio_stream::iter;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::http::Answer;
use crate::support::{Refusal, TestServer, deep, reviews, root};

const LABELS: [&str; 2] = ["negative", "positive"];

/// The scores of a list as an answer has it, which must be sorted.
fn scores(list: &Value) -> BTreeMap<String, f64> {
    let list = list.as_array().expect("a list");
    let number = |one: &Value| one["score"].as_f64().expect("a score");
    assert!(list.is_sorted_by(|a, b| number(a) >= number(b)), "{list:?}");
    list.iter()
        .map(|one| (one["label"].as_str().expect("a label").to_owned(), number(one)))
        .collect()
}

/// What Tandem's own API answers by its default route, which is the deep one.
async fn own(texts: &[&str], kind: pb::ScoreKind) -> Vec<BTreeMap<String, f64>> {
    let request = pb::PredictRequest {
        top_k: 10,
        score_kind: kind.into(),
        ..deep(texts)
    };
    let mut client = TestServer::shared().await.client().await;
    let answer = client.predict(request).await.expect("an answer").into_inner();
    let scores = answer.predictions.into_iter().map(|prediction| {
        let scores = prediction.scores.into_iter();
        scores.map(|score| (score.label, f64::from(score.score))).collect()
    });
    scores.collect()
}

fn assert_close(found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) {
    assert!(found.keys().eq(expected.keys()), "{found:?} {expected:?}");
    for (label, score) in found {
        assert!(
            (score - expected[label]).abs() < 1e-4,
            "{label}: {found:?} {expected:?}"
        );
    }
}

async fn predict(body: Value) -> Answer {
    TestServer::shared()
        .await
        .http()
        .post("/predict", body.to_string())
        .await
}

#[tokio::test]
async fn one_text_is_a_list_of_scores_and_a_batch_is_a_list_of_lists() {
    let texts = reviews::texts(2);
    let expected = own(&texts, pb::ScoreKind::Probability).await;
    for single in [json!(texts[0]), json!([texts[0]])] {
        let answer = predict(json!({ "inputs": single })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_close(&scores(&answer.json()), &expected[0]);
    }
    let answer = predict(json!({"inputs": [[texts[0]], [texts[1]]]})).await;
    let lists = answer.json();
    let lists = lists.as_array().expect("a list of lists");
    assert_eq!(lists.len(), 2);
    for (list, expected) in lists.iter().zip(&expected) {
        assert_close(&scores(list), expected);
    }
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    assert_eq!(answer.header("x-compute-characters"), characters.to_string());
    assert_ne!(answer.header("x-compute-tokens"), "0");
    // A batch of one stays a list of lists.
    let answer = predict(json!({"inputs": [[texts[0]]]})).await.json();
    assert_close(&scores(&answer[0]), &expected[0]);
    // The root takes the same bodies, for clients that know an address only.
    let http = TestServer::shared().await.http();
    let answer = http.post("/", json!({"inputs": texts[0]}).to_string()).await;
    assert_close(&scores(&answer.json()), &expected[0]);
}

#[tokio::test]
async fn options_have_their_effect() {
    let text = reviews::texts(1)[0];
    let raw = own(&[text], pb::ScoreKind::Logit).await;
    for options in [
        json!({"raw_scores": true}),
        json!({"parameters": {"function_to_apply": "none"}}),
    ] {
        let mut body = json!({"inputs": text, "truncate": null, "raw_scores": null, "parameters": null});
        for (name, value) in options.as_object().expect("an object") {
            body[name] = value.clone();
        }
        assert_close(&scores(&predict(body).await.json()), &raw[0]);
    }
    let best = predict(json!({"inputs": text, "parameters": {"top_k": 1}}))
        .await
        .json();
    assert_eq!(best.as_array().expect("a list").len(), 1);
    let long = "영화 ".repeat(2000);
    let cut = async |body: Value| scores(&predict(body).await.json());
    let end = cut(json!({"inputs": format!("{text} {long}"), "truncate": true})).await;
    let right = json!({"inputs": format!("{text} {long}"), "truncate": true, "truncation_direction": "Right"});
    assert_close(&cut(right).await, &end);
    let left = json!({"inputs": format!("{text} {long}"), "truncate": true, "truncation_direction": "left"});
    let only_the_end = own(&[&long], pb::ScoreKind::Probability).await;
    let left = cut(left).await;
    assert!(
        (left["positive"] - only_the_end[0]["positive"]).abs() < 0.05,
        "{left:?} {only_the_end:?}"
    );
    let refused = predict(json!({"inputs": long, "truncate": false})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let error = refused.json()["error"].as_str().expect("a sentence").to_owned();
    assert!(error.starts_with("inputs[0]: "), "{error}");
}

#[tokio::test]
async fn bad_input_is_refused_in_its_form_and_names_the_field() {
    let server = TestServer::shared().await;
    let many: Vec<[&str; 1]> = vec![["a"]; 129];
    for (body, begins) in [
        (json!({"inputs": []}), "inputs: holds no text"),
        (
            json!({"inputs": ["a", "b", "c"]}),
            "inputs: a list of texts is one text",
        ),
        (json!({"inputs": [["a"], "b"]}), "inputs: a list of texts is one text"),
        (json!({"inputs": [[]]}), "inputs: a list within the list must hold"),
        (
            json!({"inputs": [["a", "b", "c"]]}),
            "inputs: a list within the list must hold",
        ),
        (
            json!({"inputs": [["a"], ["b", "c"]]}),
            "inputs: holds pairs and single texts",
        ),
        (
            json!({"inputs": ["a", "b"]}),
            "inputs: the model `sentiment-deep` takes single texts",
        ),
        (
            json!({"inputs": many}),
            "inputs: holds more than 128 texts, the limit is 128",
        ),
        (json!({"inputs": [vec!["a"; 9]]}), "inputs[0]: holds more than 8 values"),
        (json!({"inputs": [[["a"]]]}), "inputs[0][0]: invalid type"),
        (json!({"inputs": [["a", 7]]}), "inputs[0][1]: invalid type"),
        (json!({"inputs": {"a": "b"}}), "inputs: invalid type"),
        (json!({"inputs": 7}), "inputs: invalid type"),
        (json!({"inputs": null}), "inputs: holds no text"),
        (
            json!({"inputs": "b".repeat(16 * 1024 + 1)}),
            "inputs[0]: has 16385 bytes of UTF-8",
        ),
        (
            json!({"inputs": "a", "truncation_direction": "up"}),
            "truncation_direction: must be Left or Right",
        ),
        (json!({"inputs": "a", "truncate": "yes"}), "truncate: invalid type"),
        (
            json!({"inputs": "a", "normalize": true}),
            "normalize: is no field here; there are inputs, truncate",
        ),
        (json!({"inputs": "a", "text": "b"}), "text: is no field here"),
        (
            json!({"inputs": "a", "parameters": {"top_k": -1}}),
            "parameters.top_k: is -1, it must be at least 0",
        ),
        (
            json!({"inputs": "a", "parameters": {"function_to_apply": "softmax"}}),
            "parameters.function_to_apply: must",
        ),
        (
            json!({"inputs": "a", "parameters": {"batch": 1}}),
            "parameters.batch: unknown field",
        ),
    ] {
        for path in ["/predict", "/"] {
            let answer = server.http().post(path, body.to_string()).await;
            let told = answer.json();
            let sentence = told["error"].as_str().unwrap_or_default();
            assert!(sentence.starts_with(begins), "{path} {begins}: {}", answer.text());
            assert_eq!(
                (answer.status, told["error_type"].as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, Some("Validation")),
                "{begins}"
            );
            assert!(["INVALID_FIELD", "MALFORMED_MESSAGE"].contains(&told["reason"].as_str().expect("a reason")));
            assert_eq!(answer.header("content-type"), "application/json");
        }
    }
    // Broken JSON, once its form is known; at the root it is always known.
    for (path, body) in [("/predict", r#"{"inputs": "a""#), ("/", "{")] {
        let answer = server.http().post(path, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.json()["reason"], "MALFORMED_MESSAGE");
    }
    let answer = server
        .http()
        .send(Method::POST, "/", &[("content-type", "text/plain")], "a")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["reason"].as_str()),
        (415, Some("UNSUPPORTED_MEDIA_TYPE"))
    );
}

#[tokio::test]
async fn the_tutorials_body_keeps_its_answers_and_errors() {
    let http = TestServer::shared().await.http();
    let answer = http.post("/predict", r#"{"text": "a", "inputs": "b"}"#).await;
    assert_eq!(
        (answer.status, answer.fields()),
        (StatusCode::BAD_REQUEST, vec!["inputs".to_owned()])
    );
    let answer = predict(json!({"text": "최고의 영화", "do_fast": true})).await;
    assert_eq!(answer.json()["0"]["label"], "positive");
}

#[tokio::test]
async fn the_server_tells_what_it_is() {
    let server = TestServer::shared().await;
    let info = server.http().get("/info").await.json();
    assert_eq!(info["model_id"], "sentiment-deep");
    assert_eq!(info["served_model_name"], "sentiment");
    assert_eq!(
        info["model_type"]["classifier"]["id2label"],
        json!({"0": LABELS[0], "1": LABELS[1]})
    );
    assert_eq!(
        info["model_type"]["classifier"]["label2id"],
        json!({LABELS[0]: 0, LABELS[1]: 1})
    );
    assert_eq!(info["max_client_batch_size"], 128);
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    let mut client = InfoClient::new(server.channel().await);
    let same = client.info(tei::InfoRequest {}).await.expect("an answer").into_inner();
    assert_eq!(same.model_type(), tei::ModelType::Classifier);
    assert_eq!(same.model_id, "sentiment-deep");
    for (told, here) in [
        ("max_input_length", same.max_input_length),
        ("max_batch_tokens", same.max_batch_tokens),
        ("max_client_batch_size", same.max_client_batch_size),
        ("tokenization_workers", same.tokenization_workers),
        ("max_concurrent_requests", same.max_concurrent_requests),
    ] {
        assert_eq!(info[told], here, "{told}");
        assert!(here > 0, "{told}");
    }
    let mut health = HealthClient::new(server.channel().await);
    for service in ["tei.v1.Predict", "tei.v1.Info"] {
        let service = service.to_owned();
        let status = health.check(HealthCheckRequest { service }).await.expect("it is known");
        assert_eq!(status.get_ref().status(), ServingStatus::Serving);
    }
    let health = server.http().get("/health").await;
    assert_eq!((health.status, health.body.len()), (StatusCode::OK, 0));
    let loading = TestServer::builder().without_loading().start().await;
    let health = loading.http().get("/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        health.json(),
        json!({"error": "unhealthy", "error_type": "Unhealthy", "reason": "MODEL_LOADING"})
    );
}

fn asked(text: &str) -> tei::PredictRequest {
    tei::PredictRequest {
        inputs: text.to_owned(),
        ..tei::PredictRequest::default()
    }
}

fn told(response: &tei::PredictResponse) -> BTreeMap<String, f64> {
    assert!(response.predictions.is_sorted_by(|a, b| a.score >= b.score));
    let predictions = response.predictions.iter();
    predictions
        .map(|one| (one.label.clone(), f64::from(one.score)))
        .collect()
}

#[tokio::test]
async fn grpc_answers_one_text_or_many_in_their_order() {
    let mut client = PredictClient::new(TestServer::shared().await.channel().await);
    let texts = reviews::texts(70);
    let expected = own(&texts, pb::ScoreKind::Probability).await;
    let raw = own(&texts[..1], pb::ScoreKind::Logit).await;
    let answer = client.predict(asked(texts[0])).await.expect("an answer").into_inner();
    assert_close(&told(&answer), &expected[0]);
    let metadata = answer.metadata.expect("what it took");
    assert_eq!(usize::try_from(metadata.compute_chars), Ok(texts[0].chars().count()));
    assert!(metadata.compute_tokens > 0 && metadata.total_time_ns >= metadata.inference_time_ns);
    let request = tei::PredictRequest {
        raw_scores: true,
        ..asked(texts[0])
    };
    assert_close(
        &told(client.predict(request).await.expect("an answer").get_ref()),
        &raw[0],
    );
    // More than may be open at a time.
    let requests: Vec<_> = texts.iter().map(|text| asked(text)).collect();
    let mut answers = client
        .predict_stream(iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    for expected in &expected {
        let answer = answers
            .message()
            .await
            .expect("no failure")
            .expect("an answer for each");
        assert_close(&told(&answer), expected);
    }
    assert!(answers.message().await.expect("a good end").is_none());
}

#[tokio::test]
async fn grpc_names_the_field_at_fault_and_a_stream_ends_with_the_first_failure() {
    let mut client = PredictClient::new(TestServer::shared().await.channel().await);
    let pair = |inputs: &[&str]| tei::PredictPairRequest {
        inputs: inputs.iter().map(|&text| text.to_owned()).collect(),
        ..tei::PredictPairRequest::default()
    };
    for inputs in [&[][..], &["a"], &["a", "b", "c"], &["a"; 500], &["a", "b"]] {
        let refusal = Refusal::of(&client.predict_pair(pair(inputs)).await.expect_err("no pair"));
        assert_eq!(
            (refusal.code, refusal.fields.concat().as_str()),
            (Code::InvalidArgument, "inputs")
        );
    }
    let long = "b".repeat(16 * 1024 + 1);
    let direction = tei::PredictRequest {
        truncation_direction: 7,
        ..asked("a")
    };
    let uncut = asked(&"영화 ".repeat(2000));
    for (request, field) in [
        (asked(&long), "inputs[0]"),
        (direction, "truncation_direction"),
        (uncut, "inputs[0]"),
    ] {
        let refusal = Refusal::of(&client.predict(request).await.expect_err("bad input"));
        assert_eq!(
            (refusal.code, refusal.fields.concat().as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let requests = [asked("a"), asked("b"), asked(&long), asked("c")];
    let mut answers = client
        .predict_stream(iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    for _ in 0..2 {
        answers.message().await.expect("good so far").expect("an answer");
    }
    let refusal = Refusal::of(&answers.message().await.expect_err("the third"));
    assert_eq!(
        (refusal.code, refusal.fields.concat().as_str()),
        (Code::InvalidArgument, "inputs[0]")
    );
    let requests = iter([pair(&["a"])]);
    let mut answers = client
        .predict_pair_stream(requests)
        .await
        .expect("a stream")
        .into_inner();
    assert_eq!(
        Refusal::of(&answers.message().await.expect_err("no pair")).fields,
        ["inputs"]
    );
}

#[tokio::test]
async fn a_model_of_pairs_takes_pairs_in_every_way() {
    let folder = root().join("tests/data/hugging_face/xlm-roberta");
    let lines = std::fs::read_to_string(folder.join("expected.jsonl")).expect("what transformers says");
    let expected: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let pairs: Vec<[&str; 2]> = expected
        .iter()
        .map(|one| ["text", "text_pair"].map(|name| one[name].as_str().expect("a text")))
        .collect();
    let best: Vec<&str> = expected
        .iter()
        .map(|one| one["label"].as_str().expect("a label"))
        .collect();
    let alone = |settings: &mut Settings| settings.deep = Some(folder.clone());
    let server = TestServer::builder().with(alone).start().await;
    let batch = server
        .http()
        .post("/predict", json!({ "inputs": pairs }).to_string())
        .await
        .json();
    let first = |list: &Value| list[0]["label"].as_str().expect("a label").to_owned();
    let labels: Vec<String> = batch.as_array().expect("lists").iter().map(first).collect();
    assert_eq!(labels, best);
    let one = server
        .http()
        .post("/predict", json!({"inputs": pairs[0]}).to_string())
        .await
        .json();
    assert_eq!(first(&one), best[0]);
    let mut client = PredictClient::new(server.channel().await);
    let requests: Vec<_> = pairs
        .iter()
        .map(|pair| tei::PredictPairRequest {
            inputs: pair.map(str::to_owned).into(),
            truncate: true,
            ..tei::PredictPairRequest::default()
        })
        .collect();
    let one = client
        .predict_pair(requests[0].clone())
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(one.predictions[0].label, best[0]);
    let mut answers = client
        .predict_pair_stream(iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    for best in best {
        let answer = answers
            .message()
            .await
            .expect("no failure")
            .expect("an answer for each");
        assert_eq!(answer.predictions[0].label, best);
    }
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_tei = true)
        .start()
        .await;
    for path in ["/info", "/health"] {
        assert_eq!(server.http().get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = server.http().post("/predict", r#"{"inputs": "a"}"#).await;
    assert_eq!(
        (answer.status, answer.fields()),
        (StatusCode::BAD_REQUEST, vec!["inputs".to_owned()])
    );
    let mut client = PredictClient::new(server.channel().await);
    let refusal = Refusal::of(&client.predict(asked("a")).await.expect_err("it is off"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Unimplemented, "METHOD_NOT_FOUND")
    );
    let answer = server.http().post("/predict", r#"{"text": "a"}"#).await;
    assert_eq!(answer.reason(), "TIER_NOT_CONFIGURED", "the tutorial's path stays");
}
