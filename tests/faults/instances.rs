//! Instances that panic, and runs that fail: the offender is told, its neighbours are answered, no capacity is lost.

use std::time::Instant;

use futures::StreamExt;
use tandem::batching::Scheduler;
use tandem::model::runtime::faults::{self, FAIL, HOLD, MEET, PANIC, SLOW};
use tandem::service::catalog::ModelState;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Client, TestServer, fast};
use crate::{ALONE, assert_internal, server, streamed};

/// How many panics: a few in CI; the long form sets more.
fn count() -> usize {
    let asked = std::env::var("TANDEM_FAULT_PANICS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(50)
}

fn scheduler(server: &TestServer) -> Scheduler {
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    match &*version.state() {
        ModelState::Serving(serving) => serving.scheduler.clone(),
        ModelState::Loading | ModelState::Failed(_) => panic!("it serves"),
    }
}

fn queued(server: &TestServer) -> usize {
    scheduler(server).queued_rows()
}

/// The rows that are accepted and not answered.
fn held(server: &TestServer) -> usize {
    scheduler(server).held().rows
}

async fn until_queued(server: &TestServer, rows: usize) {
    while queued(server) != rows {
        tokio::task::yield_now().await;
    }
}

/// Every instance has a run of its own at the same time, or nobody is answered.
async fn all_instances_meet(client: &Client, instances: usize) {
    let mut calls = Vec::new();
    for _ in 0..instances {
        let mut client = client.clone();
        calls.push(tokio::spawn(async move { client.predict(fast(&[MEET])).await }));
        // Not two in a batch: each is taken before the next one comes.
        while !calls.iter().all(|call| call.is_finished()) && faults::meeting_runs() < calls.len() {
            tokio::task::yield_now().await;
        }
    }
    for call in calls {
        call.await.expect("no panic").expect("the instances met");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_hang_nobody_and_cost_no_capacity() {
    let _alone = ALONE.lock().await;
    let (instances, count) = (2, count());
    let server = server(instances).await;
    let client = server.client().await;
    let expected = client
        .clone()
        .predict(fast(&["좋다"]))
        .await
        .expect("an answer")
        .into_inner();
    let (panics, reopened) = faults::panics();
    let calls = (0..4 * count).map(|at| {
        let mut client = client.clone();
        let text = if at % 4 == 0 { PANIC } else { "좋다" };
        async move { (text, client.predict(fast(&[text])).await) }
    });
    let started = Instant::now();
    let outcomes: Vec<_> = futures::stream::iter(calls).buffer_unordered(32).collect().await;
    let last = Instant::now();
    all_instances_meet(&client, instances).await;
    println!(
        "faults: {count} offenders among {} calls in {:.2} s, {} panics; full capacity after {:.3} s",
        outcomes.len(),
        (last - started).as_secs_f64(),
        faults::panics().0 - panics,
        last.elapsed().as_secs_f64()
    );
    assert_eq!(outcomes.len(), 4 * count, "everybody is answered");
    for (text, outcome) in outcomes {
        match outcome {
            Err(status) => {
                assert_eq!(text, PANIC, "a neighbour failed: {status:?}");
                assert_internal(&status, "INFERENCE_FAILED");
            }
            Ok(answer) => {
                assert_ne!(text, PANIC, "a panic is no answer");
                assert_eq!(answer.into_inner().predictions[0].label, expected.predictions[0].label);
            }
        }
    }
    let (panics, reopened) = (faults::panics().0 - panics, faults::panics().1 - reopened);
    assert!(panics >= count, "each offender was run: {panics}");
    assert!(panics <= 2 * count, "in company and alone, and never again: {panics}");
    assert_eq!(panics, reopened, "a new instance for each that panicked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_with_an_offender_is_run_once_more_row_by_row() {
    for (fault, expected_panics) in [(PANIC, 2), (FAIL, 0)] {
        let _alone = ALONE.lock().await;
        let server = server(1).await;
        let client = server.client().await;
        let ask = |text: &'static str| {
            let mut client = client.clone();
            tokio::spawn(async move { client.predict(fast(&[text])).await })
        };
        // The only instance is busy, so the others wait together.
        let busy = ask(HOLD);
        while faults::held_runs() == 0 {
            tokio::task::yield_now().await;
        }
        let before = faults::panics();
        let offender = ask(fault);
        let neighbours = [ask("좋다"), ask("별로"), ask("재미")];
        until_queued(&server, 4).await;
        faults::let_go();
        busy.await.expect("no panic").expect("it was only held");
        assert_internal(
            &offender.await.expect("no panic").expect_err("it failed"),
            "INFERENCE_FAILED",
        );
        for neighbour in neighbours {
            neighbour.await.expect("no panic").expect("a neighbour is answered");
        }
        assert_eq!(
            faults::panics().0 - before.0,
            expected_panics,
            "once together, once alone"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_tells_of_a_panic_and_goes_on() {
    let _alone = ALONE.lock().await;
    let server = server(1).await;
    let http = server.http();
    for (path, body) in [
        ("/predict", format!(r#"{{"text": "{PANIC}", "do_fast": true}}"#)),
        ("/v1/predict", format!(r#"{{"texts": ["{PANIC}"]}}"#)),
    ] {
        let answer = http.post(path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (500, "INFERENCE_FAILED")
        );
        assert_eq!(answer.json()["error"]["requestId"], answer.header("x-request-id"));
    }
    let mut client = server.client().await;
    let asked = [streamed("bad", PANIC), streamed("good", "좋다")];
    let stream = client
        .predict_stream(tokio_stream::iter(asked))
        .await
        .expect("a stream");
    let mut answers = stream.into_inner();
    let mut seen = 0;
    while let Some(answer) = answers.message().await.expect("the stream goes on") {
        let failed = matches!(
            answer.outcome,
            Some(tandem::api::pb::predict_stream_response::Outcome::Status(_))
        );
        assert_eq!(failed, answer.id == "bad");
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_in_a_drain_gets_its_last_answer_and_is_cut_at_the_grace_limit_without() {
    let _alone = ALONE.lock().await;
    for (text, grace, answered) in [(SLOW, 3600, true), (HOLD, 0, false)] {
        let mut server = TestServer::builder()
            .fast_only()
            .drain_grace(std::time::Duration::from_secs(grace))
            .start()
            .await;
        let mut client = server.client().await;
        let (requests, receiver) = tokio::sync::mpsc::channel(1);
        let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
        requests.send(streamed("last", text)).await.expect("open");
        let stream = client.predict_stream(receiver).await.expect("a stream");
        let mut answers = stream.into_inner();
        while held(&server) == 0 {
            tokio::task::yield_now().await;
        }
        server.start_shutdown().await;
        match answers.message().await {
            Ok(answer) => assert!(answered && answer.is_some_and(|answer| answer.id == "last")),
            Err(status) => assert!(!answered, "{status:?}"),
        }
        if answered {
            assert!(answers.message().await.expect("a good end").is_none());
        }
        faults::let_go();
        server.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_fail_or_panic_have_the_model_examined_and_it_serves_on() {
    for fault in [FAIL, PANIC] {
        let _alone = ALONE.lock().await;
        let server = server(2).await;
        let mut client = server.client().await;
        let mut health = HealthClient::new(server.channel().await);
        let about = HealthCheckRequest {
            service: "sentiment-fast".into(),
        };
        let examined = "tandem_model_examinations_total{model=\"sentiment-fast\",outcome=\"sound\"} 1\n";
        // Explanations count like predictions.
        let mut asked = 0;
        while !server.http().get("/metrics").await.text().contains(examined) {
            let request = tandem::api::pb::ExplainRequest {
                texts: vec![fault.into()],
                ..tandem::api::pb::ExplainRequest::default()
            };
            assert_internal(
                &client.explain(request).await.expect_err("it fails"),
                "INFERENCE_FAILED",
            );
            let status = client.predict(fast(&[fault])).await.expect_err("it fails");
            assert_internal(&status, "INFERENCE_FAILED");
            let answer = health.check(about.clone()).await.expect("an answer").into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "after {asked}");
            asked += 2;
        }
        assert!(asked > 4, "one burst at least");
    }
}
