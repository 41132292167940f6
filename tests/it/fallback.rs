//! Fallback: what the deep model can't answer in time, or has no room for, the fast one answers, and says so.

use std::sync::Arc;
use std::time::Duration;

use tandem::api::pb;
use tandem::config::TaskSettings;
use tandem::service::inference::loaded_model::LoadedModel;
use tonic::{Code, Request};

use crate::support::frames::RawCall;
use crate::support::stage::{options, sizes};
use crate::support::{Refusal, TestServer, by_route, reviews};

/// The deep model of a server, to take its room away.
fn deep_model(server: &TestServer) -> Arc<LoadedModel> {
    let version = server
        .service
        .catalog()
        .stable("sentiment-deep")
        .expect("the deep model");
    version.loaded().expect("it serves")
}

fn ask_all(route: pb::Route, texts: &[&str], allow_fallback: Option<bool>) -> pb::PredictRequest {
    pb::PredictRequest {
        allow_fallback,
        min_confidence: (route == pb::Route::Cascade).then_some(1.0),
        ..by_route(route, texts)
    }
}

fn decisions(answer: &pb::PredictResponse) -> Vec<pb::Decision> {
    answer.predictions.iter().map(pb::Prediction::decision).collect()
}

#[tokio::test]
async fn without_room_the_surest_texts_fall_back_first() {
    let server = TestServer::builder().max_texts(12).max_queue_texts(12).start().await;
    let mut client = server.client().await;
    let texts = reviews::texts(12);
    let fast = client
        .predict(by_route(pb::Route::Fast, &texts))
        .await
        .expect("an answer");
    let mut by_confidence: Vec<f32> = fast.get_ref().predictions.iter().map(|text| text.confidence).collect();
    by_confidence.sort_by(f32::total_cmp);

    let taken = deep_model(&server)
        .scheduler
        .reserve(options(), sizes(7))
        .expect("room");
    for (route, answered) in [
        (pb::Route::Cascade, pb::Decision::Escalated),
        (pb::Route::Deep, pb::Decision::Requested),
    ] {
        let answer = client
            .predict(ask_all(route, &texts, Some(true)))
            .await
            .expect("an answer");
        let answer = answer.into_inner();
        for (found, fast) in answer.predictions.iter().zip(&fast.get_ref().predictions) {
            let admitted = fast.confidence < by_confidence[5];
            let expected = if admitted {
                answered
            } else {
                pb::Decision::FallbackOverload
            };
            assert_eq!(found.decision(), expected, "{route:?}");
            assert_eq!(found.tier() == pb::Tier::Deep, admitted);
            if !admitted {
                assert_eq!(found.label, fast.label);
            }
        }
        let status = client.predict(ask_all(route, &texts, None)).await.expect_err("no room");
        let refusal = Refusal::of(&status);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::ResourceExhausted, "QUEUE_FULL")
        );
    }
    drop(taken);
    let answer = client.predict(ask_all(pb::Route::Deep, &texts, Some(true))).await;
    let answer = answer.expect("an answer").into_inner();
    assert_eq!(decisions(&answer), [pb::Decision::Requested; 12]);
}

#[tokio::test]
async fn with_no_room_at_all_every_text_falls_back() {
    let server = TestServer::builder().max_texts(4).max_queue_texts(4).start().await;
    let mut client = server.client().await;
    let taken = deep_model(&server)
        .scheduler
        .reserve(options(), sizes(4))
        .expect("room");
    let texts = reviews::texts(3);
    let answer = client.predict(ask_all(pb::Route::Cascade, &texts, Some(true))).await;
    let answer = answer.expect("an answer").into_inner();
    assert_eq!(decisions(&answer), [pb::Decision::FallbackOverload; 3]);
    assert_eq!(answer.models.len(), 1);
    let metrics = server.http().get("/metrics").await;
    let fallen = "tandem_cascade_texts_total{task=\"sentiment\",route=\"cascade\",decision=\"fallback_overload\"} 3";
    assert!(metrics.text().contains(fallen), "{}", metrics.text());
    drop(taken);
}

#[tokio::test]
async fn behind_a_long_queue_the_fast_answer_comes_before_the_deadline() {
    let server = TestServer::builder().one_deep_instance().start().await;
    let long = "정말 재미있게 봤지만 그래도 조금 길었다 ".repeat(12);
    let bulk = vec![long.as_str(); 128];
    let bulk: Vec<_> = (0..4)
        .map(|_| {
            // Of a higher priority: fair shares would let the others pass it.
            let request = pb::PredictRequest {
                priority: pb::Priority::Interactive.into(),
                ..by_route(pb::Route::Deep, &bulk)
            };
            let service = server.service.clone();
            tokio::spawn(async move {
                let arrived = std::time::Instant::now();
                let times = tandem::service::messages::CallTimes {
                    span: tandem::telemetry::call_span::CallSpan::default(),
                    arrived,
                    deadline: arrived + Duration::from_hours(1),
                    client: tandem::batching::ClientKey::default(),
                    caller: tandem::batching::ClientKey::default(),
                    weight: tandem::batching::Weight::default(),
                };
                let input = tandem::api::convert::predict_input(request).expect("known");
                service.answer(input, times).await.map(drop)
            })
        })
        .collect();
    let deep = deep_model(&server);
    // All of it is preprocessed, and most of it waits.
    while deep.scheduler.queued_rows() < 300 {
        assert!(
            !bulk.iter().all(tokio::task::JoinHandle::is_finished),
            "answered or refused before it queued"
        );
        tokio::task::yield_now().await;
    }
    let texts = reviews::texts(3);
    let mut client = server.client().await;
    for route in [pb::Route::Cascade, pb::Route::Deep] {
        let mut request = Request::new(ask_all(route, &texts, Some(true)));
        request.set_timeout(Duration::from_millis(400));
        let answer = client.predict(request).await.expect("an answer in time");
        let answer = answer.into_inner();
        assert_eq!(decisions(&answer), [pb::Decision::FallbackDeadline; 3], "{route:?}");
        assert!(answer.predictions.iter().all(|text| text.tier() == pb::Tier::Fast));
        // Without a client that keeps time too: the status is the server's.
        let message = prost::Message::encode_to_vec(&ask_all(route, &texts, None));
        let call = RawCall::predict(&message).header("grpc-timeout", "400m");
        let status = call.send(server.grpc_addr()).await.status;
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    for request in bulk {
        request.abort();
    }
}

#[tokio::test]
async fn a_task_may_allow_fallback_by_itself_and_a_request_may_refuse_it() {
    let task = TaskSettings {
        allow_fallback: true,
        ..TaskSettings::default()
    };
    let builder = TestServer::builder().task("sentiment", task).max_texts(4);
    let server = builder.max_queue_texts(4).start().await;
    let mut client = server.client().await;
    let taken = deep_model(&server)
        .scheduler
        .reserve(options(), sizes(4))
        .expect("room");
    let answer = client.predict(ask_all(pb::Route::Unspecified, &["좋다"], None)).await;
    assert_eq!(
        decisions(&answer.expect("an answer").into_inner()),
        [pb::Decision::FallbackOverload]
    );
    let refused = client
        .predict(ask_all(pb::Route::Unspecified, &["좋다"], Some(false)))
        .await;
    assert_eq!(refused.expect_err("no room").code(), Code::ResourceExhausted);
    drop(taken);
}

#[tokio::test]
async fn fallback_needs_a_fast_model_and_is_nothing_for_the_fast_route() {
    let server = TestServer::builder().fast_only().start().await;
    let mut client = server.client().await;
    let answer = client.predict(ask_all(pb::Route::Fast, &["좋다"], Some(true))).await;
    assert_eq!(
        decisions(&answer.expect("an answer").into_inner()),
        [pb::Decision::Requested]
    );
    let status = client.predict(ask_all(pb::Route::Deep, &["좋다"], Some(true))).await;
    assert_eq!(
        Refusal::of(&status.expect_err("one tier")).reason,
        "TIER_NOT_CONFIGURED"
    );
}
