//! Texts that another request is working on: whatever becomes of that request, those who ask the same are answered.

use std::time::Duration;

use tandem::api::pb;
use tandem::service::catalog::ModelState;
use tonic::Request;

use crate::support::server::HANG;
use crate::support::{TestServer, deep};

const TEXT: &str = "모두가 같은 것을 묻는다";

/// A request for [`TEXT`] and for so many others that the deep model has work for a while: for each about what an answer
/// to [`TEXT`] takes when the machine is busy. A request that is called off leaves most of it undone.
fn slow(name: usize) -> pb::PredictRequest {
    let mut texts = vec![TEXT.to_owned()];
    texts.extend((0..100).map(|row| format!("{name} {row} ").repeat(60)));
    pb::PredictRequest {
        texts,
        priority: pb::Priority::Bulk.into(),
        ..deep(&[])
    }
}

async fn caching() -> TestServer {
    let server = TestServer::builder().cache_bytes(1 << 20).max_timeout(2 * HANG);
    server.one_deep_instance().start().await
}

/// Waits until the deep model has accepted something.
async fn at_work(server: &TestServer) {
    let version = server.service.catalog().stable("sentiment-deep").expect("it is there");
    let ModelState::Serving(serving) = &*version.state() else {
        panic!("it serves");
    };
    let wait = async {
        while serving.scheduler.held().rows == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(HANG, wait).await.expect("a request is accepted");
}

#[tokio::test]
async fn who_asks_for_one_text_does_not_wait_for_all_that_another_asked_with_it() {
    let server = caching().await;
    let mut first = server.client().await;
    let first = tokio::spawn(async move { first.predict(slow(0)).await });
    at_work(&server).await;
    let mut other = server.client().await;
    other.predict(deep(&[TEXT])).await.expect("an answer of its own");
    assert!(!first.is_finished(), "the other request is still worked on");
    first.abort();
}

#[tokio::test]
async fn a_request_that_is_called_off_or_runs_out_of_time_leaves_its_texts_to_others() {
    let server = caching().await;
    let mut first = server.client().await;
    let gone = tokio::spawn(async move { first.predict(slow(0)).await });
    at_work(&server).await;
    let mut other = server.client().await;
    let waiting = tokio::spawn(async move { other.predict(deep(&[TEXT])).await });
    gone.abort();
    waiting.await.expect("no panic").expect("an answer");

    let mut short = Request::new(slow(1));
    short.set_timeout(Duration::from_millis(20));
    let mut first = server.client().await;
    first.predict(short).await.expect_err("no time for all that");
    let mut other = server.client().await;
    other.predict(deep(&[TEXT])).await.expect("an answer");
}
