//! Connect at the HTTP port: the same answers as over gRPC, in JSON and in Protobuf, and failures in Connect's form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{Method, StatusCode};
use prost::Message;
use serde_json::{Value, json};
use tandem::api::pb;
use tonic_types::pb::{BadRequest, ErrorInfo};

use crate::support::http::{Answer, gzip};
use crate::support::{TestServer, reviews};

const PREDICT: &str = "/tandem.v1.PredictionService/Predict";
const PROTO: [(&str, &str); 2] = [("content-type", "application/proto"), ("connect-protocol-version", "1")];

fn request(texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        route: pb::Route::Fast.into(),
        ..pb::PredictRequest::default()
    }
}

/// The code of a failure, and the message of one of its details.
fn failure<T: Message + Default>(answer: &Answer, kind: &str) -> (String, T) {
    let failure = answer.json();
    let details = failure["details"].as_array().expect("details").clone();
    let detail = details.iter().find(|detail| detail["type"] == kind).expect(kind);
    let bytes = STANDARD_NO_PAD.decode(detail["value"].as_str().expect("base64"));
    let message = T::decode(&*bytes.expect("base64 without padding")).expect(kind);
    (failure["code"].as_str().expect("a code").to_owned(), message)
}

fn reason(answer: &Answer) -> (String, String) {
    let (code, info) = failure::<ErrorInfo>(answer, "google.rpc.ErrorInfo");
    (code, info.reason)
}

#[tokio::test]
async fn json_and_protobuf_get_what_grpc_gets() {
    let server = TestServer::shared().await;
    let texts = reviews::texts(20);
    let expected = server.client().await.predict(request(&texts)).await;
    let expected = expected.expect("an answer").into_inner().predictions;
    let http = server.http();
    let message = request(&texts);
    let packed = gzip(&message.encode_to_vec());
    let mut headers = PROTO.to_vec();
    let plain = http
        .send(Method::POST, PREDICT, &headers, message.encode_to_vec())
        .await;
    headers.push(("content-encoding", "gzip"));
    let unpacked = http.send(Method::POST, PREDICT, &headers, packed).await;
    for answer in [plain, unpacked] {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "application/proto")
        );
        let found = pb::PredictResponse::decode(answer.body).expect("a message");
        assert_eq!(found.predictions, expected);
    }
    let answer = http
        .post(PREDICT, json!({"texts": texts, "route": "ROUTE_FAST"}).to_string())
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, "application/json")
    );
    let labels: Vec<Value> = answer.json()["predictions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| found["label"].clone())
        .collect();
    let expected: Vec<&str> = expected.iter().map(|found| found.label.as_str()).collect();
    assert_eq!(labels, expected);
}

#[tokio::test]
async fn the_other_methods_answer_too() {
    let http = TestServer::shared().await.http();
    for (path, message, key) in [
        ("/tandem.v1.PredictionService/Health", json!({}), "models"),
        (
            "/tandem.v1.PredictionService/Explain",
            json!({"texts": ["좋아요"]}),
            "explanations",
        ),
        ("/tandem.v1.ModelService/ListModels", json!({"pageSize": 1}), "models"),
        (
            "/tandem.v1.ModelService/GetModel",
            json!({"name": "sentiment-fast"}),
            "model",
        ),
    ] {
        let answer = http.post(path, message.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert!(answer.json().get(key).is_some(), "{path}: {}", answer.text());
    }
    let unknown = http
        .post("/tandem.v1.ModelService/GetModel", json!({"name": "none"}).to_string())
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(reason(&unknown), ("not_found".into(), "MODEL_NOT_FOUND".into()));
}

#[tokio::test]
async fn a_fault_in_a_message_is_named_with_its_limit_in_either_format() {
    let server = TestServer::shared().await;
    let http = server.http();
    let most = server.service.limits().max_texts;
    let texts = vec!["a"; most + 1];
    let in_proto = http
        .send(Method::POST, PREDICT, &PROTO, request(&texts).encode_to_vec())
        .await;
    let in_json = http.post(PREDICT, json!({"texts": texts}).to_string()).await;
    for answer in [in_proto, in_json] {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let (code, bad) = failure::<BadRequest>(&answer, "google.rpc.BadRequest");
        assert_eq!(code, "invalid_argument");
        assert_eq!(bad.field_violations[0].field, "texts");
        assert!(
            bad.field_violations[0].description.contains(&most.to_string()),
            "{bad:?}"
        );
    }
    let broken = http.send(Method::POST, PREDICT, &PROTO, vec![0x0a, 0xff]).await;
    assert_eq!(reason(&broken), ("invalid_argument".into(), "MALFORMED_MESSAGE".into()));
    let no_utf8 = http.send(Method::POST, PREDICT, &PROTO, vec![0x0a, 0x01, 0xff]).await;
    assert_eq!(reason(&no_utf8), ("invalid_argument".into(), "INVALID_UTF8".into()));
    let large = vec![0; server.max_message_bytes() + 1];
    let large = http.send(Method::POST, PREDICT, &PROTO, large).await;
    assert_eq!(
        reason(&large),
        ("resource_exhausted".into(), "MESSAGE_TOO_LARGE".into())
    );
    let long = json!({"name": "a".repeat(6 * 4096)}).to_string();
    let small = http.post("/tandem.v1.ModelService/GetModel", long).await;
    assert_eq!(
        reason(&small),
        ("resource_exhausted".into(), "MESSAGE_TOO_LARGE".into())
    );
    let small = http
        .send(Method::POST, "/tandem.v1.ModelService/GetModel", &PROTO, vec![0; 4097])
        .await;
    assert_eq!(
        reason(&small),
        ("resource_exhausted".into(), "MESSAGE_TOO_LARGE".into())
    );
}

#[tokio::test]
async fn what_is_not_connects_form_is_refused_by_its_header() {
    let http = TestServer::shared().await.http();
    let body = json!({"texts": ["a"]}).to_string();
    for (header, value, status, said) in [
        ("content-type", "application/connect+json", 415, "application/proto"),
        ("content-type", "text/plain", 415, "application/proto"),
        ("connect-protocol-version", "2", 400, "connect-protocol-version"),
        ("connect-timeout-ms", "soon", 400, "connect-timeout-ms"),
    ] {
        let mut headers = vec![(header, value)];
        if header != "content-type" {
            headers.push(("content-type", "application/json"));
        }
        let answer = http.send(Method::POST, PREDICT, &headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{header}: {value}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains(said), "{header}: {value}: {message}");
    }
    let late = http.post_with(PREDICT, &[("connect-timeout-ms", "0")], body).await;
    assert_eq!(reason(&late), ("deadline_exceeded".into(), "DEADLINE_EXCEEDED".into()));
    let got = http.get(PREDICT).await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn a_key_is_wanted_and_the_switch_turns_it_off() {
    let body = json!({"texts": ["a"]}).to_string();
    let keyed = TestServer::builder()
        .fast_only()
        .tokens("one:0123456789abcdef")
        .start()
        .await;
    let refused = keyed.http().post(PREDICT, body.clone()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reason(&refused), ("unauthenticated".into(), "UNAUTHENTICATED".into()));
    let headers = [("authorization", "Bearer 0123456789abcdef")];
    assert_eq!(
        keyed.http().post_with(PREDICT, &headers, body.clone()).await.status,
        StatusCode::OK
    );

    let off = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_connect = true)
        .start()
        .await;
    let answer = off.http().post(PREDICT, body).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
}
