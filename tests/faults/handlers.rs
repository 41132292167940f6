//! Handlers that panic: on the spot and on a thread of their own, at each door.

use tandem::api::pb;
use tandem::model::runtime::faults::PREPROCESS;

use crate::support::{HttpClient, fast};
use crate::{ALONE, assert_internal, server, streamed};

/// A text whose preprocessing panics on the spot, and one long enough for a thread of its own.
fn texts() -> [String; 2] {
    [PREPROCESS.to_owned(), PREPROCESS.repeat(400)]
}

#[tokio::test]
async fn over_grpc_a_panic_is_internal_with_the_requests_id() {
    let _alone = ALONE.lock().await;
    let server = server(1).await;
    let mut client = server.client().await;
    for text in texts() {
        let status = client.predict(fast(&[&text])).await.expect_err("it panics");
        assert_internal(&status, "INTERNAL");
    }
    let asked = [streamed("bad", PREPROCESS), streamed("good", "좋다")];
    let stream = client
        .predict_stream(tokio_stream::iter(asked))
        .await
        .expect("a stream");
    let mut answers = stream.into_inner();
    while let Some(answer) = answers.message().await.expect("the stream goes on") {
        match (answer.id.as_str(), answer.outcome.expect("an outcome")) {
            ("bad", pb::predict_stream_response::Outcome::Status(status)) => assert_eq!(status.code, 13),
            ("good", pb::predict_stream_response::Outcome::Response(_)) => {}
            (id, outcome) => panic!("{id}: {outcome:?}"),
        }
    }
    client.predict(fast(&["좋다"])).await.expect("the server goes on");
    let metrics = server.http().get("/metrics").await;
    let counted = r#"tandem_requests_total{door="grpc",method="Predict",code="INTERNAL",reason="INTERNAL"} 2"#;
    assert!(metrics.text().contains(counted), "{}", metrics.text());
}

#[tokio::test]
async fn over_http_a_panic_is_500_with_the_requests_id() {
    let _alone = ALONE.lock().await;
    let server = server(1).await;
    let http: HttpClient = server.http();
    for text in texts() {
        for (path, body) in [
            ("/predict", format!(r#"{{"text": "{text}", "do_fast": true}}"#)),
            ("/v1/predict", format!(r#"{{"texts": ["{text}"]}}"#)),
        ] {
            let headers = [("x-request-id", "mine-1")];
            let answer = http.post_with(path, &headers, body).await;
            assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (500, "INTERNAL"));
            assert_eq!(answer.json()["error"]["requestId"], "mine-1");
            assert_eq!(answer.header("x-request-id"), "mine-1");
        }
    }
    let answer = http.post("/predict", r#"{"text": "좋다", "do_fast": true}"#).await;
    assert_eq!(answer.status.as_u16(), 200, "the server goes on");
}
