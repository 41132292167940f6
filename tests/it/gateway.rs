//! The HTTP gateway: the tutorial's call, proto3 JSON, and what probes and dashboards ask.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::http::gzip;
use crate::support::{TestServer, reviews};

const PREDICT: &str = "/v1/predict";

#[tokio::test]
async fn the_tutorials_call_takes_one_text() {
    let http = TestServer::shared().await.http();
    let answer = http
        .post("/predict", json!({"text": "최고의 영화", "do_fast": true}).to_string())
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = answer.json();
    assert_eq!(answer["0"]["text"], "최고의 영화");
    assert_eq!(answer["0"]["label"], "positive");
    assert!(answer["0"]["confidence"].as_f64().expect("a number") > 0.5);
    assert_eq!(answer.as_object().expect("an object").len(), 1);
}

#[tokio::test]
async fn the_tutorials_answers_stand_in_numeric_order() {
    let http = TestServer::shared().await.http();
    let texts = reviews::texts(11);
    let answer = http
        .post("/predict", json!({"text": texts, "do_fast": true}).to_string())
        .await;
    let raw = answer.text();
    let places: Vec<usize> = (0..11)
        .map(|at| raw.find(&format!("\"{at}\":{{")).expect("each text has its key"))
        .collect();
    assert!(places.is_sorted(), "{raw}");
    let answers = answer.json();
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(answers[at.to_string()]["text"], *text);
    }
}

#[tokio::test]
async fn the_tutorials_call_is_deep_unless_it_says_fast() {
    let http = TestServer::shared().await.http();
    let text = "재미는 있지만 너무 길다";
    let confidence = async |body: Value| {
        let answer = http.post("/predict", body.to_string()).await.json();
        answer["0"]["confidence"].as_f64().expect("a number")
    };
    let absent = confidence(json!({"text": text})).await;
    let deep = confidence(json!({"text": text, "do_fast": false})).await;
    let fast = confidence(json!({"text": text, "do_fast": true})).await;
    assert!((absent - deep).abs() < 1e-6);
    assert!((absent - fast).abs() > 1e-6);
}

#[tokio::test]
async fn the_tutorials_errors_name_its_own_field() {
    let http = TestServer::shared().await.http();
    for (body, fields) in [
        (json!({"text": []}), vec!["text"]),
        (json!({"text": ["a", "b".repeat(16 * 1024 + 1)]}), vec!["text[1]"]),
        (json!({"text": 7}), vec!["text"]),
    ] {
        let answer = http.post("/predict", body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.fields(), fields);
    }
    for (body, reason) in [
        (json!({}), "INVALID_FIELD"),
        (json!({"text": "a", "do_slow": true}), "MALFORMED_MESSAGE"),
    ] {
        let answer = http.post("/predict", body.to_string()).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (StatusCode::BAD_REQUEST, reason)
        );
    }
}

#[tokio::test]
async fn proto3_json_is_read_in_both_spellings() {
    let http = TestServer::shared().await.http();
    let snake = json!({"texts": ["좋다"], "route": "ROUTE_FAST", "top_k": 2, "score_kind": "SCORE_KIND_LOGIT"});
    let camel = json!({"texts": ["좋다"], "route": 1, "topK": 2, "scoreKind": "SCORE_KIND_LOGIT"});
    let snake = http.post(PREDICT, snake.to_string()).await.json();
    let camel = http.post(PREDICT, camel.to_string()).await.json();
    assert_eq!(snake["predictions"], camel["predictions"]);
    assert_eq!(snake["predictions"][0]["scores"].as_array().expect("a list").len(), 2);
}

#[tokio::test]
async fn fields_with_default_values_are_written() {
    let http = TestServer::shared().await.http();
    let answer = http
        .post(PREDICT, json!({"texts": ["좋다"], "route": "ROUTE_FAST"}).to_string())
        .await;
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = answer.json();
    let prediction = &answer["predictions"][0];
    assert_eq!(prediction["truncated"], json!(false));
    assert_eq!(prediction["scores"], json!([]));
    assert_eq!(prediction["tier"], "TIER_FAST");
    assert_eq!(prediction["decision"], "DECISION_REQUESTED");
    assert!(prediction["tokenCount"].is_number());
    assert!(
        answer["timing"]["totalDuration"]
            .as_str()
            .expect("a duration")
            .ends_with('s')
    );
}

#[tokio::test]
async fn json_that_is_not_the_messages_is_refused() {
    let http = TestServer::shared().await.http();
    for (case, body) in [
        ("unknown field", r#"{"texts": ["a"], "txets": 1}"#),
        ("a field twice", r#"{"texts": ["a"], "texts": ["b"]}"#),
        ("a field in two spellings", r#"{"texts": ["a"], "topK": 1, "top_k": 2}"#),
        ("a word for a number", r#"{"texts": ["a"], "topK": "many"}"#),
        ("broken JSON", r#"{"texts": ["a"]"#),
        ("more after it", r#"{"texts": ["a"]} {}"#),
        ("a number for a text", r#"{"texts": [1]}"#),
        ("null in a list", r#"{"texts": [null]}"#),
        ("a lone surrogate", r#"{"texts": ["\ud800"]}"#),
        ("no object", r#"["a"]"#),
        ("nothing", ""),
    ] {
        let answer = http.post(PREDICT, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{case}");
        assert_eq!(answer.reason(), "MALFORMED_MESSAGE", "{case}");
    }
    let bytes = http.post(PREDICT, &b"{\"texts\": [\"\xff\"]}"[..]).await;
    assert_eq!(
        (bytes.status, bytes.reason().as_str()),
        (StatusCode::BAD_REQUEST, "INVALID_UTF8")
    );
}

#[tokio::test]
async fn nan_is_no_confidence() {
    let http = TestServer::shared().await.http();
    let answer = http.post(PREDICT, r#"{"texts": ["a"], "minConfidence": "NaN"}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let bare = http.post(PREDICT, r#"{"texts": ["a"], "minConfidence": NaN}"#).await;
    assert_eq!(
        (bare.status, bare.reason().as_str()),
        (StatusCode::BAD_REQUEST, "MALFORMED_MESSAGE")
    );
}

#[tokio::test]
async fn an_error_never_quotes_the_text() {
    let http = TestServer::shared().await.http();
    let secret = "비밀스러운말";
    for body in [
        json!({"texts": [secret], "topK": secret}),
        json!({"texts": secret}),
        json!({"texts": [secret.repeat(3000)]}),
    ] {
        let answer = http.post(PREDICT, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
}

#[tokio::test]
async fn compression_works_both_ways() {
    let http = TestServer::shared().await.http();
    let body = json!({"texts": reviews::texts(40), "route": "ROUTE_FAST"}).to_string();
    let headers = [("content-encoding", "gzip"), ("accept-encoding", "gzip")];
    let answer = http.post_with(PREDICT, &headers, gzip(body.as_bytes())).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut unpacked).expect("gzip");
    let unpacked: Value = serde_json::from_str(&unpacked).expect("JSON");
    assert_eq!(unpacked["predictions"].as_array().expect("a list").len(), 40);
}

#[tokio::test]
async fn a_request_id_is_kept_or_made_and_told_in_errors() {
    let http = TestServer::shared().await.http();
    let given = http
        .post_with(PREDICT, &[("x-request-id", "call-9")], r#"{"texts": []}"#)
        .await;
    assert_eq!(given.header("x-request-id"), "call-9");
    assert_eq!(given.json()["error"]["requestId"], "call-9");
    let made = http.get("/healthz").await;
    assert_eq!(made.header("x-request-id").len(), 36);
    let unfit = http
        .post_with(PREDICT, &[("x-request-id", "not fit")], r#"{"texts": []}"#)
        .await;
    assert_ne!(unfit.header("x-request-id"), "not fit");
}

#[tokio::test]
async fn the_timeout_header_is_kept_and_checked() {
    let http = TestServer::shared().await.http();
    let body = r#"{"texts": ["a"]}"#;
    let expired = http.post_with(PREDICT, &[("x-request-timeout-ms", "0")], body).await;
    assert_eq!(
        (expired.status, expired.reason().as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED")
    );
    let unread = http.post_with(PREDICT, &[("x-request-timeout-ms", "soon")], body).await;
    assert_eq!(
        (unread.status, unread.fields()),
        (StatusCode::BAD_REQUEST, vec!["x-request-timeout-ms".to_owned()])
    );
    let huge = u64::MAX.to_string();
    let long = http.post_with(PREDICT, &[("x-request-timeout-ms", &huge)], body).await;
    assert_eq!(long.status, StatusCode::OK, "a long one is cut to the longest");
}

#[tokio::test]
async fn probes_are_answered_on_the_gateway_and_on_the_port_for_operators() {
    let server = TestServer::builder().fast_only().metrics_port().start().await;
    for address in [server.http_addr(), server.metrics_addr()] {
        let http = crate::support::HttpClient::new(address);
        let alive = http.get("/healthz").await;
        assert_eq!((alive.status, alive.text()), (StatusCode::OK, "ok\n"));
        let ready = http.get("/readyz").await;
        assert_eq!(ready.status, StatusCode::OK);
        assert_eq!(
            ready.json(),
            json!({"state": "serving", "models": {"sentiment-fast": "serving"}})
        );
    }
    let operators = crate::support::HttpClient::new(server.metrics_addr());
    assert_eq!(operators.post("/predict", "{}").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn metrics_name_calls_and_models_and_hold_no_request_text() {
    let server = TestServer::builder().fast_only().start().await;
    let http = server.http();
    let text = "드러나면안되는말";
    http.post("/predict", json!({"text": text, "do_fast": true}).to_string())
        .await;
    http.post(&format!("/{text}").replace(text, "no-such-path"), "{}").await;
    let metrics = http.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let body = metrics.text();
    for expected in [
        "tandem_",
        "model=\"sentiment-fast\"",
        "method=\"/predict\"",
        "process_",
        "# EOF",
    ] {
        assert!(body.contains(expected), "{expected} in:\n{body}");
    }
    assert!(!body.contains(text) && !body.contains("no-such-path"));
}

#[tokio::test]
async fn every_path_of_the_openapi_document_is_there() {
    let http = TestServer::shared().await.http();
    let document = http.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().expect("a version").starts_with("3."));
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 15, "{}", paths.len());
    // What is there to say where else it is.
    let elsewhere = [
        "/v2/repository/models/{name}/load",
        "/v2/repository/models/{name}/unload",
    ];
    for (path, methods) in paths.iter().filter(|(path, _)| !elsewhere.contains(&path.as_str())) {
        let path = if path.starts_with("/v2/") {
            path.replace("{name}", "sentiment-fast").replace("{version}", "1")
        } else {
            path.replace("{file}", "main.js")
        };
        for method in methods.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let answer = http.send(method.clone(), &path, &[], "").await;
            assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
    assert_eq!(
        document["servers"][0]["url"], "/",
        "whoever reads it knows where it comes from"
    );
    let reasons = document.to_string();
    // Generators take a field with a default for one that is always there.
    assert!(!reasons.contains("\"default\":"));
    // Operators have no HTTP door, nor have streams of load reports.
    let not_over_http = ["VERSION_REFUSED", "ROLLOUT_CONFLICT", "TEXTS_NOT_KEPT", "STREAMS_FULL"];
    let all = tandem::error::Reason::ALL.into_iter();
    for reason in all.filter(|reason| !not_over_http.contains(&reason.name())) {
        assert!(reasons.contains(reason.name()), "{}", reason.name());
    }
}
