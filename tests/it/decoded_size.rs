//! What a message becomes: a few bytes that would be millions of texts are refused at the first text over the limit, at every
//! door, and what is decoded counts as what it takes.

use prost::Message;
use tandem::api::body_budget::HeldBody;
use tandem::api::pb;
use tandem::api::pb::predict_stream_response::Outcome;
use tandem::service::messages::Weight;
use tonic::Code;

use crate::support::frames::{RawCall, frame};
use crate::support::http::gzip;
use crate::support::{Refusal, TestServer, by_route, fast};

const MANY: usize = 200_000;
const TOO_MANY: &str = "holds more than 128 texts";

fn refused_for(refusal: &Refusal, field: &str) {
    assert_eq!(
        (refusal.code, refusal.reason.as_str(), &refusal.fields[..]),
        (Code::InvalidArgument, "INVALID_FIELD", &[field.to_owned()][..]),
        "{refusal:?}"
    );
    assert!(refusal.message.contains(TOO_MANY), "{refusal:?}");
}

/// A document with a list of very many empty texts.
fn document(field: &str) -> String {
    format!(r#"{{"{field}": [{}""]}}"#, r#""","#.repeat(MANY))
}

#[tokio::test]
async fn very_many_empty_texts_are_refused_over_http_at_the_first_that_is_too_many() {
    let http = TestServer::shared().await.http();
    let packed = [("content-encoding", "gzip")];
    for (path, field, named) in [
        ("/predict", "text", "text"),
        ("/v1/predict", "texts", "texts"),
        ("/v1/predict", "textPairs", "text_pairs"),
        ("/v1/predict", "text_pairs", "text_pairs"),
        ("/v1/explain", "texts", "texts"),
    ] {
        let whole = document(field);
        // What follows the text that is too many is not read: it is no JSON.
        let cut = &whole[..whole.len() - 100];
        for answer in [
            http.post(path, whole.clone()).await,
            http.post_with(path, &packed, gzip(whole.as_bytes())).await,
            http.post(path, cut.to_owned()).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.fields()), (400, vec![named.to_owned()]));
            let limit = if path == "/v1/explain" {
                "more than 8 texts"
            } else {
                TOO_MANY
            };
            assert!(answer.text().contains(limit), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn other_protocols_refuse_very_many_texts_too_however_they_are_nested() {
    let http = TestServer::shared().await.http();
    let of = |item: &str| format!("[{}{item}]", format!("{item},").repeat(MANY));
    let kserve = "/v1/models/sentiment-fast:predict";
    let inner = "holds more than 8 values";
    for (path, status, field, list, told) in [
        ("/predict", 422, "inputs", of(r#""""#), TOO_MANY),
        ("/predict", 422, "inputs", of(r#"[""]"#), TOO_MANY),
        ("/", 422, "inputs", of(r#"["",""]"#), TOO_MANY),
        ("/", 422, "inputs", format!("[{}]", of(r#""""#)), inner),
        ("/classify", 400, "input", of(r#""""#), TOO_MANY),
        ("/v1/classify", 400, "inputs", of(r#""""#), TOO_MANY),
        (kserve, 400, "instances", of(r#""""#), TOO_MANY),
        (kserve, 400, "instances", of(r#"{"text":""}"#), TOO_MANY),
        (
            kserve,
            400,
            "instances",
            format!("[{{{}}}]", vec![r#""text":"""#; MANY].join(",")),
            inner,
        ),
    ] {
        let whole = format!(r#"{{"{field}": {list}}}"#);
        let cut = whole[..whole.len() - 100].to_owned();
        for body in [whole, cut] {
            let answer = http.post(path, body).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {told}: {}", answer.text());
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn very_many_empty_texts_are_refused_over_grpc_at_the_first_that_is_too_many() {
    let server = TestServer::shared().await;
    let texts = b"\x0a\x00".repeat(MANY);
    let pairs = [&fast(&["a"]).encode_to_vec()[..], &b"\x12\x00".repeat(MANY)].concat();
    for (message, field) in [(&texts, "texts"), (&pairs, "text_pairs")] {
        let plain = RawCall::predict(message);
        let packed = RawCall {
            body: frame(true, &gzip(message)),
            ..RawCall::predict(b"").header("grpc-encoding", "gzip")
        };
        for call in [plain, packed] {
            refused_for(&Refusal::of(&call.send(server.grpc_addr()).await.status), field);
        }
    }
    // It is no Protobuf behind the text that is too many.
    let broken = [&texts[..], b"\xff"].concat();
    refused_for(
        &Refusal::of(&RawCall::predict(&broken).send(server.grpc_addr()).await.status),
        "texts",
    );
    let pair = RawCall {
        path: "/tei.v1.Predict/PredictPair".into(),
        ..RawCall::predict(&texts)
    };
    let refusal = Refusal::of(&pair.send(server.grpc_addr()).await.status);
    assert_eq!(refusal.fields, ["inputs"]);
    assert!(
        refusal.message.contains("holds 3 texts"),
        "what follows is not built: {refusal:?}"
    );
    let explain = pb::ExplainRequest {
        texts: vec![String::new(); MANY],
        ..pb::ExplainRequest::default()
    };
    let status = server.client().await.explain(explain).await.expect_err("too many");
    assert!(status.message().contains("holds more than 8 texts"), "{status:?}");
}

#[tokio::test]
async fn a_request_of_a_stream_with_very_many_texts_fails_alone() {
    let request = |id: &str, texts: &[&str]| pb::PredictStreamRequest {
        id: id.into(),
        request: Some(by_route(pb::Route::Fast, texts)),
        timeout_duration: None,
    };
    let asked = vec![request("many", &vec![""; MANY]), request("one", &["a"])];
    let mut client = TestServer::shared().await.client().await;
    let mut answers = client
        .predict_stream(tokio_stream::iter(asked))
        .await
        .expect("a stream")
        .into_inner();
    let mut told = Vec::new();
    while let Some(answer) = answers.message().await.expect("it goes on") {
        let outcome = match answer.outcome.expect("an outcome") {
            Outcome::Response(answer) => format!("{} answers", answer.predictions.len()),
            Outcome::Status(status) => status.message,
        };
        told.push((answer.id, outcome));
    }
    told.sort();
    let many = format!("request.texts: {TOO_MANY}, the limit is 128");
    assert!(told[0].0 == "many" && told[0].1.ends_with(&many[8..]), "{told:?}");
    assert_eq!(told[1], ("one".to_owned(), "1 answers".to_owned()));
}

#[tokio::test]
async fn a_message_of_nothing_but_unknown_fields_is_refused() {
    let server = TestServer::shared().await;
    let good = fast(&["a"]).encode_to_vec();
    let with = |unknown: &[u8], count| [&good[..], &unknown.repeat(count)].concat();
    let number_99 = [0x98, 0x06, 0x01];
    let few = RawCall::predict(&with(&number_99, 100)).send(server.grpc_addr()).await;
    assert_eq!(few.status.code(), Code::Ok, "{:?}", few.status);
    let many = RawCall::predict(&with(&number_99, MANY)).send(server.grpc_addr()).await;
    assert_eq!(Refusal::of(&many.status).reason, "MALFORMED_MESSAGE");
    let top_k = RawCall::predict(&with(b"\x30\x01", MANY))
        .send(server.grpc_addr())
        .await;
    assert_eq!(Refusal::of(&top_k.status).reason, "MALFORMED_MESSAGE");
}

#[tokio::test]
async fn what_json_texts_become_is_bounded_as_it_is_over_grpc() {
    let server = TestServer::shared().await;
    let limit = server.max_message_bytes();
    let http = server.http();
    // Within the limit on documents, which leaves room for escapes.
    let long = "a".repeat(limit + 1);
    for (path, document) in [
        ("/predict", format!(r#"{{"text": "{long}"}}"#)),
        ("/predict", format!(r#"{{"text": ["{long}"]}}"#)),
        ("/predict", format!(r#"{{"{long}": 1}}"#)),
        ("/predict", format!(r#"{{"do_fast": "{long}"}}"#)),
        ("/v1/predict", format!(r#"{{"texts": ["{long}"]}}"#)),
        ("/v1/predict", format!(r#"{{"route": "{long}"}}"#)),
        ("/v1/predict", format!(r#"{{"{long}": 1}}"#)),
    ] {
        let answer = http.post(path, document).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (413, "MESSAGE_TOO_LARGE"),
            "{path}"
        );
        assert_eq!(answer.json()["error"]["metadata"]["limit_bytes"], limit.to_string());
    }
}

#[tokio::test]
async fn a_body_counts_as_what_it_becomes() {
    // So many connections that each has next to nothing of its own.
    let server = TestServer::builder()
        .fast_only()
        .max_text_bytes(100)
        .with(|settings| settings.max_connections = 1 << 20)
        .start()
        .await;
    let bodies = server.bodies.clone();
    let room = server.service.settings().room_size();
    let becomes = 100 * size_of::<String>();
    let message = fast(&[""; 100]).encode_to_vec();
    let json = r#"{"texts": ["#.to_owned() + &r#""","#.repeat(99) + r#"""]}"#;
    assert!(message.len() < 300 && json.len() < 400, "less than the texts take");
    // A caller that is not alone holds no more than it leaves free.
    for (left, passes) in [(4 * becomes, true), (becomes / 4, false)] {
        server.until_no_body_is_held().await;
        let held = HeldBody::new(bodies.caller(u64::MAX, None, None, Weight::default()));
        held.add(room.own + room.shared - left).expect("room");
        let answer = RawCall::predict(&message).send(server.grpc_addr()).await;
        assert_eq!(answer.status.code() == Code::Ok, passes, "{:?}", answer.status);
        let answer = server.http().post("/v1/predict", json.clone()).await;
        assert_eq!(answer.status.as_u16() == 200, passes, "{}", answer.text());
        if !passes {
            assert_eq!(answer.reason(), "BODIES_FULL");
        }
    }
}
