//! Who comes to the wrong door, or with the wrong words, is told what would be right; and what is refused early is counted by its name.

use http::Method;
use serde_json::json;
use tandem::config::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::frames::{PREDICT, RawCall};
use crate::support::http::HttpClient;
use crate::support::{Refusal, TestServer, fast};

const KEY: &str = "a-key-of-32-characters-0123456789";

#[tokio::test]
async fn a_grpc_client_at_the_http_port_hears_in_grpc_where_grpc_is() {
    let server = TestServer::builder().fast_only().metrics_port().start().await;
    for address in [server.http_addr(), server.metrics_addr()] {
        let answer = RawCall::predict(b"").send(address).await;
        assert_eq!(
            (answer.http_status.as_u16(), answer.status.code()),
            (200, Code::Unimplemented)
        );
        let said = answer.status.message();
        let expected = format!("gRPC is at port {}", server.grpc_addr().port());
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }
}

#[tokio::test]
async fn a_client_of_http_1_at_the_grpc_port_hears_where_json_is() {
    let server = TestServer::builder().fast_only().admin_port().start().await;
    let client = HttpClient::new(server.grpc_addr());
    for answer in [
        client.get("/healthz").await,
        client.post("/v1/predict", r#"{"texts": ["a"]}"#).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("connection")), (400, "close"));
        let expected = format!("HTTP with JSON is at port {}\n", server.http_addr().port());
        assert!(answer.text().ends_with(&expected), "{}", answer.text());
    }
    // And whoever speaks gRPC is served.
    server.client().await.predict(fast(&["a"])).await.expect("an answer");
}

#[tokio::test]
async fn connect_and_grpc_web_hear_where_what_is_spoken_is_where_they_are_off_and_at_the_grpc_port() {
    let off = |settings: &mut Settings| {
        settings.no_connect = true;
        settings.no_grpc_web = true;
    };
    let server = TestServer::builder().fast_only().with(off).start().await;
    let json_at = format!("HTTP with JSON is at port {}", server.http_addr().port());
    for content_type in [
        "application/json",
        "application/proto",
        "application/connect+json",
        "application/connect+proto",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ] {
        let headers = [("content-type", content_type), ("connect-protocol-version", "1")];
        let http = server.http();
        let answer = http.send(Method::POST, PREDICT, &headers, r#"{"texts": ["a"]}"#).await;
        assert_eq!(answer.status.as_u16(), 404, "{content_type}");
        assert!(
            answer.text().contains("POST /v1/predict"),
            "{content_type}: {}",
            answer.text()
        );
        let mut call = RawCall::predict(b"");
        call.content_type = content_type.into();
        let answer = call.send(server.grpc_addr()).await;
        assert_eq!(answer.http_status.as_u16(), 415, "{content_type}");
        assert!(answer.status.message().ends_with(&json_at), "{:?}", answer.status);
    }
}

#[tokio::test]
async fn a_browsers_preflight_hears_which_setting_is_to_name_its_page_and_where_json_is() {
    let server = TestServer::builder().fast_only().start().await;
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    for path in ["/v1/predict", "/predict", "/v1/explain", "/v1/models"] {
        let answer = server.http().send(Method::OPTIONS, path, &headers, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (405, "METHOD_NOT_ALLOWED"),
            "{path}"
        );
        assert!(answer.text().contains("cors_origins"), "{}", answer.text());
        assert!(!answer.header("allow").is_empty(), "{path}");
    }
    let json_at = format!("HTTP with JSON is at port {}", server.http_addr().port());
    // By HTTP/1.1, as browsers ask without TLS, and by HTTP/2.
    let answer = HttpClient::new(server.grpc_addr())
        .send(Method::OPTIONS, PREDICT, &headers, "")
        .await;
    assert!(answer.text().contains(&json_at), "{}", answer.text());
    let mut call = headers
        .iter()
        .fold(RawCall::predict(b""), |call, (name, value)| call.header(name, value));
    call.method = Method::OPTIONS;
    let answer = call.send(server.grpc_addr()).await;
    assert_eq!(answer.http_status.as_u16(), 405);
    assert!(answer.status.message().ends_with(&json_at), "{:?}", answer.status);
}

#[tokio::test]
async fn a_path_that_is_none_names_those_that_are() {
    let server = TestServer::shared().await;
    for path in ["/nowhere", "/v3/predict"] {
        let answer = server.http().get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (404, "METHOD_NOT_FOUND")
        );
        for known in [
            "POST /v1/predict",
            "GET /v1/models/{name}",
            "GET /readyz",
            "GET /openapi.json",
        ] {
            assert!(answer.text().contains(known), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_value_that_is_none_of_a_few_and_an_unknown_field_are_named_with_those_that_are() {
    let server = TestServer::shared().await;
    let text = json!(["a"]);
    for (path, body, field, known) in [
        (
            "/v1/predict",
            json!({"texts": text, "route": "fast"}),
            "route",
            "ROUTE_FAST",
        ),
        (
            "/v1/predict",
            json!({"texts": text, "priority": "HIGH"}),
            "priority",
            "PRIORITY_BULK",
        ),
        ("/v1/predict", json!({"texts": text, "top": 1}), "top", "topK"),
        ("/v1/explain", json!({"texts": text, "rout": 1}), "rout", "texts"),
        ("/predict", json!({"text": text, "dofast": true}), "dofast", "do_fast"),
    ] {
        let answer = server.http().post(path, body.to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (400, "MALFORMED_MESSAGE"),
            "{body}"
        );
        assert_eq!(answer.fields(), [field], "{}", answer.text());
        assert!(answer.text().contains(known), "{}", answer.text());
    }
    // A name from the network is told in part, and as one line.
    let long = json!({ format!("a\n{}", "b".repeat(5000)): 1 });
    let answer = server.http().post("/v1/predict", long.to_string()).await;
    let [field] = &answer.fields()[..] else {
        panic!("one field")
    };
    assert!(field.len() <= 80 && !field.contains('\n'), "{field}");
}

#[tokio::test]
async fn what_is_refused_before_its_handler_is_counted_by_its_name() {
    let server = TestServer::builder()
        .fast_only()
        .tokens(&format!("me:{KEY}"))
        .start()
        .await;
    let http = server.http();
    let bearer = format!("Bearer {KEY}");
    let key = ("authorization", bearer.as_str());
    assert_eq!(http.post("/v1/predict", "{}").await.status.as_u16(), 401);
    assert_eq!(http.get("/v1/models/any").await.status.as_u16(), 401);
    assert_eq!(http.get("/any/path").await.status.as_u16(), 401);
    let refused = |call: RawCall| async { Refusal::of(&call.send(server.grpc_addr()).await.status).reason };
    assert_eq!(refused(RawCall::predict(b"")).await, "UNAUTHENTICATED");
    let mut other = RawCall::predict(b"").header(key.0, key.1);
    other.content_type = "application/json".into();
    assert_eq!(refused(other).await, "UNSUPPORTED_MEDIA_TYPE");
    let mut nowhere = RawCall::predict(b"").header(key.0, key.1);
    nowhere.path = format!("{PREDICT}Nowhere");
    assert_eq!(refused(nowhere).await, "METHOD_NOT_FOUND");
    let metrics = server.service.metrics().text();
    for (door, method, reason) in [
        ("http", "/v1/predict", "UNAUTHENTICATED"),
        ("http", "/v1/models/{name}", "UNAUTHENTICATED"),
        ("http", "unknown", "UNAUTHENTICATED"),
        ("grpc", "Predict", "UNAUTHENTICATED"),
        ("grpc", "Predict", "UNSUPPORTED_MEDIA_TYPE"),
        ("grpc", "unknown", "METHOD_NOT_FOUND"),
    ] {
        let labels = [
            format!("door=\"{door}\""),
            format!("method=\"{method}\""),
            format!("\"{reason}\""),
        ];
        let counted = metrics
            .lines()
            .any(|line| labels.iter().all(|label| line.contains(label)));
        assert!(counted, "{labels:?} in {metrics}");
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_asked_for() {
    let server = TestServer::builder().fast_only().start().await;
    let limit = server.max_json_bytes();
    for (bytes, expected) in [
        (limit + 1, "HTTP/1.1 413"),
        (limit, "HTTP/1.1 100"),
        (limit * 4, "HTTP/1.1 413"),
    ] {
        let mut connection = TcpStream::connect(server.http_addr()).await.expect("open");
        let head = format!(
            "POST /v1/predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\
             expect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.expect("sent");
        let mut first = vec![0; expected.len()];
        connection.read_exact(&mut first).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&first), expected, "{bytes}");
    }
}

#[tokio::test]
async fn a_list_in_the_place_of_an_object_is_refused_at_every_door() {
    let server = TestServer::shared().await;
    for path in [
        "/predict",
        "/v1/predict",
        "/",
        "/classify",
        "/v1/classify",
        "/v2/models/sentiment/infer",
        "/v1/models/sentiment:predict",
    ] {
        for body in [
            r#"["a"]"#,
            r#" ["a", true]"#,
            r#"[["a"]]"#,
            r#"["sentiment", ["a"]]"#,
            "[]",
        ] {
            refuses(server, path, body).await;
        }
    }
    let infer = "/v2/models/sentiment/infer";
    let texts = r#"{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}"#;
    for (path, body) in [
        ("/classify", r#"{"inputs": "a", "parameters": [1, "none"]}"#.to_owned()),
        ("/predict", r#"{"inputs": "a", "parameters": [1]}"#.to_owned()),
        (infer, format!(r#"["id", {{}}, [{texts}]]"#)),
        (infer, r#"{"inputs": [["text", "BYTES", [1], {}, ["a"]]]}"#.to_owned()),
        (infer, format!(r#"{{"inputs": [{texts}], "outputs": [["label"]]}}"#)),
        (infer, format!(r#"{{"inputs": [{texts}], "parameters": ["route"]}}"#)),
        ("/v2/repository/index", "[true]".to_owned()),
        ("/v1/models/sentiment:predict", r#"{"instances": [["a"]]}"#.to_owned()),
    ] {
        refuses(server, path, &body).await;
    }
}

/// Checks that a body is refused as one of another form.
async fn refuses(server: &TestServer, path: &str, body: &str) {
    let answer = server.http().post(path, body.to_owned()).await;
    let told = answer.text();
    assert!(
        !answer.status.is_success() && told.contains("MALFORMED_MESSAGE"),
        "{path} {body}: {told}"
    );
}

#[tokio::test]
async fn an_unknown_path_fails_in_the_form_of_the_protocol_that_it_is_most_like() {
    let server = TestServer::shared().await;
    for (path, is_its_form) in [
        (
            "/v2/modles",
            (|body| body["error"].is_string()) as fn(&serde_json::Value) -> bool,
        ),
        ("/v2/models/sentiment/stats", |body| body["error"].is_string()),
        ("/tandem.v1.PredictionService/PredictStream", |body| {
            body["code"] == "unimplemented"
        }),
        ("/embed", |body| body["error"]["reason"] == "METHOD_NOT_FOUND"),
        ("/v1/predcit", |body| body["error"]["reason"] == "METHOD_NOT_FOUND"),
    ] {
        let answer = server.http().post(path, "{}").await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        assert!(is_its_form(&answer.json()), "{path}: {}", answer.text());
    }
}
