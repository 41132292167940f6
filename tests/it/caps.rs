//! The caps on connections and on calls of a connection: who is over one waits for a place, and is served then.

use std::pin::pin;

use futures::poll;
use tandem::api::pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{Client, TestServer, fast};

/// Calls that are served: whatever had a place beside them would have been served in their time too.
async fn ask_often(client: &mut Client) {
    for _ in 0..20 {
        client.predict(fast(&["좋다"])).await.expect("an answer");
    }
}

#[tokio::test]
async fn a_connection_over_the_cap_is_served_when_another_ends() {
    let server = TestServer::builder().fast_only().max_connections(1).start().await;
    let mut first = server.client().await;
    // An open call keeps its connection's place.
    let (requests, receiver) = mpsc::channel::<pb::PredictStreamRequest>(1);
    let call = first.predict_stream(ReceiverStream::new(receiver)).await;
    let _answers = call.expect("a stream").into_inner();
    ask_often(&mut first).await;
    let mut second = server.client().await;
    let mut waiting = pin!(second.predict(fast(&["좋다"])));
    assert!(poll!(&mut waiting).is_pending());
    ask_often(&mut first).await;
    assert!(poll!(&mut waiting).is_pending(), "the cap holds");
    drop((first, requests));
    waiting.await.expect("served once there is a place");
}

#[tokio::test]
async fn a_call_over_the_cap_is_served_when_another_ends() {
    let server = TestServer::builder().fast_only().max_streams(1).start().await;
    let mut client = server.client().await;
    let mut second = client.clone();
    let mut elsewhere = server.client().await;
    let (requests, receiver) = mpsc::channel(1);
    let call = client.predict_stream(ReceiverStream::new(receiver)).await;
    let mut answers = call.expect("a stream").into_inner();
    let request = pb::PredictStreamRequest {
        id: "a".into(),
        request: Some(fast(&["좋다"])),
        timeout_duration: None,
    };
    requests.send(request).await.expect("open");
    answers.message().await.expect("open").expect("an answer");
    let mut waiting = pin!(second.predict(fast(&["좋다"])));
    assert!(poll!(&mut waiting).is_pending());
    ask_often(&mut elsewhere).await;
    assert!(poll!(&mut waiting).is_pending(), "the cap holds");
    drop(requests);
    assert!(answers.message().await.expect("ended in peace").is_none());
    waiting.await.expect("served once there is a place");
}
