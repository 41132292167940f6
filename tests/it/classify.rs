//! `/classify`: vLLM's form and that of Hugging Face's inference API.

use http::StatusCode;
use serde_json::{Value, json};
use tandem::api::pb;

use crate::support::{TestServer, by_route, reviews};

async fn own(route: pb::Route, texts: &[&str]) -> Vec<pb::Prediction> {
    let request = pb::PredictRequest {
        top_k: 10,
        ..by_route(route, texts)
    };
    let mut client = TestServer::shared().await.client().await;
    client
        .predict(request)
        .await
        .expect("an answer")
        .into_inner()
        .predictions
}

fn positive(prediction: &pb::Prediction) -> f64 {
    let score = prediction.scores.iter().find(|score| score.label == "positive");
    f64::from(score.expect("the label").score)
}

fn assert_close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

#[tokio::test]
async fn models_and_tasks_answer_by_their_names() {
    let http = TestServer::shared().await.http();
    let texts = reviews::texts(3);
    for (model, route, name) in [
        (json!("sentiment:fast"), pb::Route::Fast, "sentiment:fast"),
        (json!("sentiment:deep"), pb::Route::Deep, "sentiment:deep"),
        (json!("sentiment:cascade"), pb::Route::Cascade, "sentiment:cascade"),
        (json!("sentiment:default"), pb::Route::Deep, "sentiment:default"),
        (json!("sentiment"), pb::Route::Deep, "sentiment"),
        (json!("sentiment-fast"), pb::Route::Fast, "sentiment-fast"),
        (json!("sentiment-deep@1"), pb::Route::Deep, "sentiment-deep@1"),
        (json!(null), pb::Route::Deep, "sentiment"),
        (json!(""), pb::Route::Deep, "sentiment"),
    ] {
        let expected = own(route, &texts).await;
        for path in ["/classify", "/v1/classify"] {
            let answer = http
                .post(path, json!({"model": model, "input": texts}).to_string())
                .await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let answer = answer.json();
            assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(name)));
            let tokens: i32 = expected.iter().map(|prediction| prediction.token_count).sum();
            let usage = json!({
                "prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": null
            });
            assert_eq!(answer["usage"], usage, "{model}");
            let data = answer["data"].as_array().expect("data");
            assert_eq!(data.len(), texts.len());
            for (at, (class, expected)) in data.iter().zip(&expected).enumerate() {
                assert_eq!((&class["index"], &class["num_classes"]), (&json!(at), &json!(2)));
                assert_eq!(class["label"], expected.label);
                // In the order of the deep model's labels, or of the named model's: negative, positive.
                assert_close(&class["probs"][0], 1.0 - positive(expected));
                assert_close(&class["probs"][1], positive(expected));
            }
        }
    }
}

#[tokio::test]
async fn one_text_and_its_options() {
    let http = TestServer::shared().await.http();
    let headers = [("x-request-id", "mine")];
    let body = json!({"input": "최고의 영화", "user": "u", "truncate_prompt_tokens": -1, "use_activation": false});
    let answer = http.post_with("/classify", &headers, body.to_string()).await.json();
    assert_eq!(answer["id"], "classify-mine");
    assert!(answer["created"].as_u64().expect("a time") > 1_700_000_000);
    let logits = answer["data"][0]["probs"].as_array().expect("numbers");
    let sum: f64 = logits.iter().filter_map(Value::as_f64).sum();
    assert!((sum - 1.0).abs() > 1e-3, "no probabilities: {logits:?}");
    assert_eq!(answer["data"][0]["label"], "positive");
}

#[tokio::test]
async fn inputs_give_every_labels_score() {
    let http = TestServer::shared().await.http();
    let texts = reviews::texts(2);
    let expected = own(pb::Route::Fast, &texts).await;
    let body = json!({"model": "sentiment:fast", "inputs": texts, "parameters": {}});
    let lists = http.post("/classify", body.to_string()).await.json();
    for (list, expected) in lists.as_array().expect("lists").iter().zip(&expected) {
        assert_eq!(list[0]["label"], expected.label, "the best first");
        let all = list.as_array().expect("a list");
        assert_eq!(all.len(), 2);
        let found = all
            .iter()
            .find(|score| score["label"] == "positive")
            .expect("the label");
        assert_close(&found["score"], positive(expected));
    }
    // One text is a list in a list too, as clients of the inference API expect.
    let body = json!({"inputs": texts[0], "model": "sentiment:fast", "parameters": {"top_k": 1}});
    let answer = http.post("/v1/classify", body.to_string()).await.json();
    assert_eq!(answer.as_array().map(Vec::len), Some(1));
    assert_eq!(answer[0].as_array().map(Vec::len), Some(1));
    assert_eq!(answer[0][0]["label"], expected[0].label);
}

#[tokio::test]
async fn bad_input_is_refused_as_openai_does_and_names_the_field() {
    let http = TestServer::shared().await.http();
    let many = vec!["a"; 129];
    for (body, status, param, begins) in [
        (json!({"input": []}), 400, json!("input"), "input: holds no text"),
        (
            json!({"input": many}),
            400,
            json!("input"),
            "input: holds more than 128 texts",
        ),
        (json!({"input": 7}), 400, json!("input"), "input: invalid type"),
        (
            json!({"input": [1, 2]}),
            400,
            json!("input[0]"),
            "input[0]: invalid type",
        ),
        (
            json!({"input": [["a"]]}),
            400,
            json!("input[0]"),
            "input[0]: invalid type",
        ),
        (
            json!({"input": "b".repeat(16 * 1024 + 1)}),
            400,
            json!("input[0]"),
            "input[0]: has 16385 bytes",
        ),
        (
            json!({"messages": "a"}),
            400,
            json!("messages"),
            "messages: is no field here; there are model, input",
        ),
        (
            json!({"input": "a", "inputs": "b"}),
            400,
            json!("inputs"),
            "inputs: is no field here",
        ),
        (
            json!({"model": "sentiment"}),
            400,
            json!("input"),
            "input: holds no text",
        ),
        (
            json!({"input": "a", "truncate_prompt_tokens": 5}),
            400,
            json!("truncate_prompt_tokens"),
            "truncate_prompt",
        ),
        (
            json!({"input": "a", "model": "nobody"}),
            404,
            json!("model"),
            "model: there is no model or task `nobody`",
        ),
        (
            json!({"input": "a", "model": "sentiment:slow"}),
            404,
            json!("model"),
            "model: there is no model or task",
        ),
        (
            json!({"input": "a", "model": "sentiment-fast:fast"}),
            404,
            json!("model"),
            "model: there is no model",
        ),
        (
            json!({"input": "a", "model": "sentiment-fast@9"}),
            404,
            json!("model"),
            "model: there is no model",
        ),
        (
            json!({"input": "a", "model": 7}),
            400,
            json!("model"),
            "model: invalid type",
        ),
        (json!({"inputs": []}), 400, json!("inputs"), "inputs: holds no text"),
        (
            json!({"inputs": "a", "parameters": {"top_k": -1}}),
            400,
            json!("parameters.top_k"),
            "parameters.top_k: is -1",
        ),
        (
            json!({"inputs": "a", "parameters": {"padding": 1}}),
            400,
            json!("parameters.padding"),
            "parameters.padding: unknown field",
        ),
    ] {
        let answer = http.post("/v1/classify", body.to_string()).await;
        let error = answer.json()["error"].clone();
        assert!(
            error["message"].as_str().unwrap_or_default().starts_with(begins),
            "{begins}: {error}"
        );
        assert_eq!(
            (answer.status.as_u16(), &error["code"], &error["param"]),
            (status, &json!(status), &param),
            "{error}"
        );
        let kind = if status == 404 {
            "NotFoundError"
        } else {
            "BadRequestError"
        };
        assert_eq!(error["type"], kind);
    }
    let answer = http
        .post("/classify", json!({"input": "a", "model": "x"}).to_string())
        .await;
    let told = answer.json()["error"]["message"]
        .as_str()
        .expect("a sentence")
        .to_owned();
    assert!(
        told.ends_with("sentiment-deep, sentiment-fast, sentiment, sentiment:fast, sentiment:deep, sentiment:cascade"),
        "{told}"
    );
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_classify = true)
        .start()
        .await;
    let answer = server.http().post("/classify", r#"{"input": "a"}"#).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
