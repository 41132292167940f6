//! `KServe` v1's predict call.

use http::StatusCode;
use serde_json::{Value, json};
use tandem::api::pb;
use tandem::config::Settings;

use crate::support::{TestServer, by_route, reviews, root};

#[tokio::test]
async fn instances_are_answered_in_their_order_by_any_name() {
    let server = TestServer::shared().await;
    let texts = reviews::texts(5);
    for (name, route) in [
        ("sentiment", pb::Route::Deep),
        ("sentiment:fast", pb::Route::Fast),
        ("sentiment-fast", pb::Route::Fast),
        ("sentiment-fast@1", pb::Route::Fast),
    ] {
        let mut client = server.client().await;
        let expected = client
            .predict(by_route(route, &texts))
            .await
            .expect("an answer")
            .into_inner()
            .predictions;
        let objects: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
        for body in [
            json!({ "instances": texts }),
            json!({"instances": objects, "signature_name": "serving_default"}),
        ] {
            let path = format!("/v1/models/{name}:predict");
            let answer = server.http().post(&path, body.to_string()).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let predictions = answer.json()["predictions"].as_array().expect("a list").clone();
            assert_eq!(predictions.len(), texts.len());
            for (found, expected) in predictions.iter().zip(&expected) {
                assert_eq!(found["label"], expected.label);
                let score = found["score"].as_f64().expect("a number");
                assert!((score - f64::from(expected.confidence)).abs() < 1e-4);
                assert_eq!(found["probabilities"][&expected.label], found["score"]);
                assert_eq!(found["probabilities"].as_object().map(serde_json::Map::len), Some(2));
            }
        }
    }
}

#[tokio::test]
async fn an_instance_may_be_a_pair() {
    let folder = root().join("tests/data/hugging_face/xlm-roberta");
    let alone = |settings: &mut Settings| settings.deep = Some(folder);
    let server = TestServer::builder().with(alone).start().await;
    let body = json!({"instances": [{"text": "a", "text_pair": "b"}]});
    let answer = server
        .http()
        .post("/v1/models/xlm-roberta:predict", body.to_string())
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["predictions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn bad_input_is_refused_in_its_form_and_names_the_field() {
    let http = TestServer::shared().await.http();
    let many = vec!["a"; 129];
    let field = "INVALID_FIELD";
    let malformed = "MALFORMED_MESSAGE";
    for (body, reason, begins) in [
        (json!({"instances": []}), field, "instances: holds no text"),
        (
            json!({"instances": many}),
            field,
            "instances: holds more than 128 texts, the limit is 128",
        ),
        (json!({"instances": "a"}), malformed, "instances: invalid type"),
        (json!({"instances": [7]}), malformed, "instances[0]: invalid type"),
        (json!({"instances": [["a"]]}), malformed, "instances[0]: invalid type"),
        (
            json!({"instances": [{"b": "a"}]}),
            malformed,
            "instances[0].b: unknown field",
        ),
        (
            json!({"instances": [{"text": ["a"]}]}),
            malformed,
            "instances[0].text: invalid type",
        ),
        (json!({"instances": [{}]}), malformed, "instances[0]: missing field"),
        (
            json!({"instances": ["a", {"text": "a", "text_pair": "b"}]}),
            field,
            "instances: holds pairs and single",
        ),
        (
            json!({"instances": [{"text": "a", "text_pair": "b"}]}),
            field,
            "instances: the model `sentiment-fast` takes",
        ),
        (
            json!({"instances": ["a"], "signature_name": "other"}),
            field,
            "signature_name: must be absent or",
        ),
        (
            json!({"inputs": ["a"]}),
            malformed,
            "inputs: is no field here; there are instances, signature_name",
        ),
        (
            json!({"instances": ["b".repeat(16 * 1024 + 1)]}),
            field,
            "instances[0]: has 16385 bytes of UTF-8",
        ),
    ] {
        let answer = http.post("/v1/models/sentiment-fast:predict", body.to_string()).await;
        let told = answer.json();
        assert!(
            told["error"].as_str().unwrap_or_default().starts_with(begins),
            "{begins}: {told}"
        );
        assert_eq!(
            (answer.status.as_u16(), told["reason"].as_str()),
            (400, Some(reason)),
            "{begins}"
        );
    }
    let body = json!({"instances": ["a"]}).to_string();
    let nobody = http.post("/v1/models/nobody:predict", body.clone()).await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.json()["reason"].as_str()),
        (404, Some("MODEL_NOT_FOUND"))
    );
    for (path, status) in [("/v1/models/:predict", 400), ("/v1/models/:fast:predict", 404)] {
        let nameless = http.post(path, body.clone()).await;
        assert_eq!(nameless.status.as_u16(), status, "{path}: {}", nameless.text());
    }
    for path in ["/v1/models/sentiment-fast", "/v1/models/sentiment-fast:explain"] {
        let refused = http.post(path, body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.reason().as_str()),
            (405, "METHOD_NOT_ALLOWED"),
            "{path}"
        );
        assert_eq!(refused.header("allow"), "GET,HEAD", "{path}");
    }
    let counted = TestServer::shared().await.service.metrics().text();
    let refused = "method=\"/v1/models/{name}\",code=\"UNIMPLEMENTED\",reason=\"METHOD_NOT_ALLOWED\"";
    assert!(counted.contains(refused), "{counted}");
    // An escaped colon is one.
    let escaped = http.post("/v1/models/sentiment-fast%3Apredict", "{}").await;
    assert_eq!(escaped.status, StatusCode::BAD_REQUEST);
    assert!(escaped.json()["error"].is_string(), "{}", escaped.text());
    for path in ["/v1/models/a:predict", "/v1/models/a%3Apredict"] {
        let refused = http.send(http::Method::DELETE, path, &[], "").await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("allow")),
            (405, "POST"),
            "{path}"
        );
        assert_eq!(refused.json()["reason"], "METHOD_NOT_ALLOWED", "{path}");
    }
    // The path of one model is still Tandem's own.
    let model = http.get("/v1/models/sentiment-fast").await.json();
    assert_eq!(model["model"]["model"]["name"], "sentiment-fast");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_kserve_v1 = true)
        .start()
        .await;
    let answer = server
        .http()
        .post("/v1/models/sentiment-fast:predict", r#"{"instances": ["a"]}"#)
        .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}
