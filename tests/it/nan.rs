//! A model that computes NaN, from a real ONNX file: no caller gets an answer made of it, and its neighbours get theirs.

use std::path::PathBuf;

use futures::future::join_all;
use tandem::api::pb;
use tandem::model::ModelInput;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::models::ModelCopy;
use crate::support::{Refusal, TestServer, fast, root};

/// Sixteen distinct n-grams or fewer.
const SHORT: &str = "좋다";
/// More, of which the model takes the root of a negative number.
const LONG: &str = "정말 재미있게 봤어요";

fn repository() -> PathBuf {
    root().join("tests/data/nan-models")
}

async fn server() -> TestServer {
    TestServer::builder()
        .models(repository())
        .with(|settings| settings.fast_instances = 1)
        .start()
        .await
}

#[test]
fn the_file_computes_a_nan_beside_a_good_row_of_the_same_batch() {
    let copy = ModelCopy::from(&repository().join("sometimes-nan/1"), "sometimes-nan", "1");
    let mut loaded = copy.load().expect("its golden examples are short");
    let input = |text| loaded.model.preprocess(text, None).expect("a text").input;
    let (short, long): (ModelInput, ModelInput) = (input(SHORT), input(LONG));
    let rows = loaded.runners[0].run(&[&long, &short, &long]).expect("it runs");
    assert!(rows[[0, 0]].is_nan() && rows[[2, 0]].is_nan());
    assert!((rows[[1, 0]] - 3.24037).abs() < 1e-4, "{rows}");
    let refused = loaded.model.postprocess(&rows.row(0).to_vec(), None);
    refused.expect_err("not an answer");
}

#[tokio::test]
async fn over_grpc_a_nan_is_internal_and_the_texts_beside_it_are_answered() {
    let server = server().await;
    let client = server.client().await;
    let alone = client
        .clone()
        .predict(fast(&[SHORT]))
        .await
        .expect("an answer")
        .into_inner();
    // They wait for the one instance together, so that most run in a batch with others.
    let calls = (0..60).map(|at| {
        let mut client = client.clone();
        let text = if at % 3 == 0 { LONG } else { SHORT };
        async move { (text, client.predict(fast(&[text])).await) }
    });
    for (text, outcome) in join_all(calls).await {
        if text == SHORT {
            let answer = outcome.expect("a neighbour is answered").into_inner();
            assert_eq!(answer.predictions[0].label, alone.predictions[0].label);
            assert!((answer.predictions[0].confidence - alone.predictions[0].confidence).abs() < 1e-4);
        } else {
            let status = outcome.expect_err("never an answer");
            let refusal = Refusal::of(&status);
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::Internal, "INFERENCE_FAILED")
            );
            assert!(status.get_details_request_info().is_some(), "the request's id");
        }
    }
    let mixed = client.clone().predict(fast(&[SHORT, LONG])).await;
    assert_eq!(mixed.expect_err("whole or not at all").code(), Code::Internal);
}

#[tokio::test]
async fn over_http_and_on_a_stream_a_nan_is_the_same_failure() {
    let server = server().await;
    let http = server.http();
    for (path, body) in [
        ("/predict", format!(r#"{{"text": "{LONG}", "do_fast": true}}"#)),
        (
            "/v1/predict",
            format!(r#"{{"texts": ["{LONG}"], "route": "ROUTE_FAST"}}"#),
        ),
    ] {
        let answer = http.post(path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (500, "INFERENCE_FAILED"),
            "{path}"
        );
        let told = answer.json()["error"]["requestId"].as_str().map(str::to_owned);
        assert_eq!(told.as_deref(), Some(answer.header("x-request-id")));
    }
    let good = http
        .post("/predict", format!(r#"{{"text": "{SHORT}", "do_fast": true}}"#))
        .await;
    assert_eq!(good.status.as_u16(), 200);

    let asked = [("bad", LONG), ("good", SHORT)].map(|(id, text)| pb::PredictStreamRequest {
        id: id.into(),
        request: Some(fast(&[text])),
        timeout_duration: None,
    });
    let mut client = server.client().await;
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
}
