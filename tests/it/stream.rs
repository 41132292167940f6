//! PredictStream: many requests on one call, each answered on its own.

use std::collections::BTreeMap;

use prost_types::Duration;
use tandem::api::pb;
use tandem::api::pb::predict_stream_response::Outcome;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::support::{TestServer, deep, fast, reviews};

/// An open stream.
struct Open {
    requests: mpsc::Sender<pb::PredictStreamRequest>,
    answers: Streaming<pb::PredictStreamResponse>,
}

async fn open() -> Open {
    let mut client = TestServer::shared().await.client().await;
    let (requests, receiver) = mpsc::channel(4);
    let answers = client
        .predict_stream(ReceiverStream::new(receiver))
        .await
        .expect("a stream")
        .into_inner();
    Open { requests, answers }
}

fn asked(id: &str, request: pb::PredictRequest) -> pb::PredictStreamRequest {
    pb::PredictStreamRequest {
        id: id.into(),
        request: Some(request),
        timeout_duration: None,
    }
}

impl Open {
    async fn ask(&self, id: &str, request: pb::PredictRequest) {
        self.requests
            .send(asked(id, request))
            .await
            .expect("the stream is open");
    }

    async fn next(&mut self) -> Option<(String, Outcome)> {
        let answer = self.answers.message().await.expect("no failure of the stream")?;
        Some((answer.id, answer.outcome.expect("an outcome")))
    }

    /// Closes this side and reads what is left.
    async fn finish(self) -> BTreeMap<String, Outcome> {
        let Self { requests, answers } = self;
        drop(requests);
        let mut rest = Open {
            requests: mpsc::channel(1).0,
            answers,
        };
        let mut outcomes = BTreeMap::new();
        while let Some((id, outcome)) = rest.next().await {
            assert!(
                outcomes.insert(id.clone(), outcome).is_none(),
                "{id} was answered twice"
            );
        }
        outcomes
    }
}

fn response(outcome: &Outcome) -> &pb::PredictResponse {
    match outcome {
        Outcome::Response(response) => response,
        Outcome::Status(status) => panic!("{}", status.message),
    }
}

/// The code and the fields of a failure.
fn refusal(outcome: &Outcome) -> (Code, Vec<String>) {
    use tonic_types::StatusExt;
    let Outcome::Status(status) = outcome else {
        panic!("it was answered");
    };
    let bytes = prost::Message::encode_to_vec(status);
    let status = tonic::Status::with_details(Code::from_i32(status.code), status.message.clone(), bytes.into());
    let fields = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations.into_iter().map(|field| field.field).collect());
    (status.code(), fields.unwrap_or_default())
}

#[tokio::test]
async fn many_requests_are_answered_each_by_its_id() {
    let mut client = TestServer::shared().await.client().await;
    let texts = reviews::texts(100);
    let requests: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let request = if at % 4 == 0 { deep(&[text]) } else { fast(&[text]) };
            asked(&at.to_string(), request)
        })
        .collect();
    let mut answers = client
        .predict_stream(tokio_stream::iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    let mut found = BTreeMap::new();
    while let Some(answer) = answers.message().await.expect("no failure") {
        found.insert(answer.id, answer.outcome.expect("an outcome"));
    }
    assert_eq!(found.len(), texts.len());
    let alone = client.predict(fast(&[texts[1]])).await.expect("an answer").into_inner();
    assert_eq!(response(&found["1"]).predictions[0].label, alone.predictions[0].label);
    assert_eq!(response(&found["0"]).predictions[0].tier(), pb::Tier::Deep);
}

#[tokio::test]
async fn a_failing_request_does_not_end_the_stream() {
    let mut stream = open().await;
    stream.ask("bad", fast(&[])).await;
    let (id, outcome) = stream.next().await.expect("an answer");
    assert_eq!(id, "bad");
    assert_eq!(
        refusal(&outcome),
        (Code::InvalidArgument, vec!["request.texts".to_owned()])
    );
    stream.ask("good", fast(&["좋다"])).await;
    let (id, outcome) = stream.next().await.expect("an answer");
    assert_eq!(id, "good");
    assert_eq!(response(&outcome).predictions.len(), 1);
    assert!(stream.finish().await.is_empty());
}

#[tokio::test]
async fn ids_that_are_empty_too_long_or_still_open_are_refused() {
    let mut stream = open().await;
    for id in ["", &"i".repeat(129)] {
        stream.ask(id, fast(&["a"])).await;
        let (told, outcome) = stream.next().await.expect("an answer");
        assert_eq!(refusal(&outcome), (Code::InvalidArgument, vec!["id".to_owned()]));
        assert_eq!(told, id[..id.len().min(128)]);
    }
    stream.ask("again", fast(&["a"])).await;
    stream.next().await.expect("an answer");
    stream.ask("again", fast(&["a"])).await;
    let (_, outcome) = stream.next().await.expect("an answer");
    assert_eq!(
        response(&outcome).predictions.len(),
        1,
        "an id that was answered is free again"
    );
}

#[tokio::test]
async fn an_id_that_is_still_open_is_refused_and_the_first_is_answered() {
    let mut client = TestServer::shared().await.client().await;
    let long = reviews::texts(100);
    // Both are on the way before the deep model can have answered a hundred texts.
    let requests = vec![asked("twice", deep(&long)), asked("twice", fast(&["a"]))];
    let mut answers = client
        .predict_stream(tokio_stream::iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.expect("no failure") {
        outcomes.push(answer.outcome.expect("an outcome"));
    }
    assert_eq!(outcomes.len(), 2);
    assert_eq!(refusal(&outcomes[0]), (Code::InvalidArgument, vec!["id".to_owned()]));
    assert_eq!(response(&outcomes[1]).predictions.len(), 100);
}

#[tokio::test]
async fn a_request_without_time_or_content_is_refused_alone() {
    let mut stream = open().await;
    let timed = |seconds: i64, request: Option<pb::PredictRequest>| pb::PredictStreamRequest {
        id: "it".into(),
        request,
        timeout_duration: Some(Duration { seconds, nanos: 0 }),
    };
    for (request, expected) in [
        (timed(0, Some(fast(&["a"]))), (Code::DeadlineExceeded, vec![])),
        (
            timed(-1, Some(fast(&["a"]))),
            (Code::InvalidArgument, vec!["timeout_duration".to_owned()]),
        ),
        (timed(9, None), (Code::InvalidArgument, vec!["request".to_owned()])),
    ] {
        stream.requests.send(request).await.expect("the stream is open");
        let (_, outcome) = stream.next().await.expect("an answer");
        assert_eq!(refusal(&outcome), expected);
    }
    stream
        .requests
        .send(timed(30, Some(fast(&["a"]))))
        .await
        .expect("the stream is open");
    let (_, outcome) = stream.next().await.expect("an answer");
    assert_eq!(response(&outcome).predictions.len(), 1);
}

#[tokio::test]
async fn what_is_open_is_finished_after_a_half_close() {
    let stream = open().await;
    for id in ["1", "2", "3"] {
        stream.ask(id, deep(&reviews::texts(8))).await;
    }
    let outcomes = stream.finish().await;
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes.values() {
        assert_eq!(response(outcome).predictions.len(), 8);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_server_serving() {
    let stream = open().await;
    for id in ["1", "2", "3"] {
        stream.ask(id, deep(&reviews::texts(64))).await;
    }
    drop(stream);
    let mut stream = open().await;
    stream.ask("after", fast(&["a"])).await;
    let (id, _) = stream.next().await.expect("an answer");
    assert_eq!(id, "after");
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_its_stream_and_nobody_else() {
    let server = TestServer::builder().fast_only().start().await;
    let mut client = server.client().await;
    let (requests, receiver) = mpsc::channel::<pb::PredictStreamRequest>(1);
    let stream = client
        .predict_stream(ReceiverStream::new(receiver))
        .await
        .expect("a stream");
    // Some twenty kilobytes an answer: the stream's window is full after a few.
    let texts = vec!["긴 대답"; 128];
    let request = || pb::PredictRequest {
        top_k: 2,
        ..fast(&texts)
    };
    let mut sent = 0_usize;
    loop {
        let ask = requests.send(asked(&sent.to_string(), request()));
        // The server reads no further once its bounds are reached; a stream that it read to the end would never block.
        match tokio::time::timeout(std::time::Duration::from_secs(2), ask).await {
            Ok(outcome) => outcome.expect("the stream is open"),
            Err(_) => break,
        }
        sent += 1;
        assert!(sent < 5000, "the server reads on and on");
    }
    let mut other = server.client().await;
    other.predict(fast(&["a"])).await.expect("another client is answered");
    drop(requests);
    let mut answers = stream.into_inner();
    let mut seen = 0;
    while let Some(answer) = answers.message().await.expect("no failure") {
        // A request whose time ran out while the reader slept is told so.
        assert!(answer.outcome.is_some());
        seen += 1;
    }
    assert!(
        seen >= sent,
        "{seen} of {sent}: whatever was sent is answered once the reader reads"
    );
}

#[tokio::test]
async fn the_deadline_of_the_call_covers_the_whole_stream() {
    let mut client = TestServer::shared().await.client().await;
    let (requests, receiver) = mpsc::channel(4);
    let mut call = tonic::Request::new(ReceiverStream::new(receiver));
    call.set_timeout(std::time::Duration::from_millis(300));
    let mut answers = client.predict_stream(call).await.expect("a stream").into_inner();
    requests
        .send(asked("1", fast(&["a"])))
        .await
        .expect("the stream is open");
    let first = answers.message().await.expect("in time").expect("an answer");
    assert_eq!(first.id, "1");
    let end = answers.message().await.expect_err("the stream is over");
    assert_eq!(end.code(), Code::DeadlineExceeded);
}
