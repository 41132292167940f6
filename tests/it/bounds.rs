//! Every bound, from both sides: the largest legal request passes, one byte more is refused with the limit.

use prost::Message;
use tandem::api::{json, pb};
use tandem::batching::Scheduler;
use tandem::service::catalog::ModelState;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::frames::RawCall;
use crate::support::stage::{options, sizes};
use crate::support::{Refusal, TestServer, fast};

async fn small_server() -> TestServer {
    TestServer::builder()
        .fast_only()
        .max_texts(2)
        .max_text_bytes(1000)
        .max_queue_texts(2)
        .start()
        .await
}

#[tokio::test]
async fn the_largest_legal_request_passes_both_doors() {
    let server = TestServer::shared().await;
    // Each character is escaped to the longest form that JSON has.
    let text = "\u{1}".repeat(16 * 1024);
    let request = fast(&vec![text.as_str(); 128]);
    let mut client = server.client().await;
    let answer = client.predict(request.clone()).await.expect("an answer").into_inner();
    assert_eq!(answer.predictions.len(), 128);
    let body = json::encode(&request);
    assert!(body.len() > 6 * 128 * 16 * 1024);
    let answer = server.http().post("/v1/predict", body).await;
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_text_at_the_limit_passes_and_one_byte_more_names_the_limit() {
    let server = small_server().await;
    let mut client = server.client().await;
    let text = "a".repeat(1000);
    client.predict(fast(&[&text, &text])).await.expect("an answer");
    let longer = "a".repeat(1001);
    let refusal = Refusal::of(&client.predict(fast(&[&text, &longer])).await.expect_err("refused"));
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["texts[1]".to_owned()])
    );
    assert!(refusal.message.contains("1000"), "{}", refusal.message);
    let refusal = Refusal::of(&client.predict(fast(&["a", "b", "c"])).await.expect_err("refused"));
    assert_eq!(refusal.fields, ["texts"]);
}

#[tokio::test]
async fn a_grpc_message_at_the_limit_is_read_and_one_byte_more_names_the_limit() {
    let server = small_server().await;
    let limit = server.max_message_bytes();
    let message = |size: usize| {
        // The tag and the two bytes of the length come on top of the text.
        let request = fast(&["a"]).encode_to_vec();
        let filler = pb::PredictRequest {
            text_pairs: vec!["p".repeat(size - request.len() - 3)],
            ..pb::PredictRequest::default()
        };
        let message = [request, filler.encode_to_vec()].concat();
        assert_eq!(message.len(), size);
        message
    };
    let answer = RawCall::predict(&message(limit)).send(server.grpc_addr()).await;
    assert_eq!(Refusal::of(&answer.status).fields, ["text_pairs[0]"], "it was read");
    let answer = RawCall::predict(&message(limit + 1)).send(server.grpc_addr()).await;
    let refusal = Refusal::of(&answer.status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
    assert_eq!(refusal.limit_bytes, Some(limit.to_string()));
}

#[tokio::test]
async fn a_json_body_at_the_limit_is_read_and_one_byte_more_names_the_limit() {
    let server = small_server().await;
    let limit = server.max_json_bytes();
    let body = |size: usize| {
        let document = r#"{"text": "좋다", "do_fast": true}"#;
        format!("{document}{}", " ".repeat(size - document.len()))
    };
    let answer = server.http().post("/predict", body(limit)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let answer = server.http().post("/predict", body(limit + 1)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (413, "MESSAGE_TOO_LARGE")
    );
    assert_eq!(answer.json()["error"]["metadata"]["limit_bytes"], limit.to_string());
}

/// The queue and the instances of the fast model, to be filled or closed from the test.
fn fast_scheduler(server: &TestServer) -> Scheduler {
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    match &*version.state() {
        ModelState::Serving(serving) => serving.scheduler.clone(),
        ModelState::Loading | ModelState::Failed(_) => panic!("it serves"),
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_both_doors_and_says_when_to_come_back() {
    let server = small_server().await;
    let room = fast_scheduler(&server).reserve(options(), sizes(1)).expect("room");
    let mut client = server.client().await;
    client.predict(fast(&["a"])).await.expect("there is room for one");
    let status = client.predict(fast(&["a", "b"])).await.expect_err("none for two");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::ResourceExhausted, "QUEUE_FULL")
    );
    let pause = status
        .get_error_details()
        .retry_info()
        .and_then(|info| info.retry_delay)
        .expect("when to come back");
    let pushback = status
        .metadata()
        .get("grpc-retry-pushback-ms")
        .expect("the same, for clients");
    assert_eq!(pushback.to_str().expect("digits"), pause.as_millis().to_string());

    let body = r#"{"text": ["a", "b"], "do_fast": true}"#;
    let answer = server.http().post("/predict", body).await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (429, "QUEUE_FULL"));
    assert!(answer.json()["error"]["retryAfterMs"].as_u64().expect("a pause") > 0);
    assert!(answer.header("retry-after").parse::<u64>().expect("seconds") > 0);

    drop(room);
    client.predict(fast(&["a", "b"])).await.expect("there is room again");
}

#[tokio::test]
async fn a_queue_that_was_closed_for_the_drain_is_unavailable() {
    let server = small_server().await;
    fast_scheduler(&server).close();
    let status = server.client().await.predict(fast(&["a"])).await.expect_err("closed");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Unavailable, "SERVER_DRAINING")
    );
}
