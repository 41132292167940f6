//! The answer cache: what was asked before is answered without the model, what is being asked is asked once.

use tandem::api::{json, pb};
use tandem::service::catalog::ModelState;

use crate::support::{TestServer, deep, fast, reviews};

const HITS: &str = "x-tandem-cache-hits";

async fn hits(client: &mut crate::support::Client, request: pb::PredictRequest) -> (u32, Vec<pb::Prediction>) {
    let response = client.predict(request).await.expect("an answer");
    let hits = response.metadata().get(HITS).expect("there is a cache");
    let hits = hits.to_str().expect("a number").parse().expect("a number");
    (hits, response.into_inner().predictions)
}

async fn caching(bytes: usize) -> TestServer {
    TestServer::builder().cache_bytes(bytes).start().await
}

#[tokio::test]
async fn a_text_seen_before_is_a_hit_and_the_answer_is_the_same_at_both_doors() {
    let server = caching(1 << 20).await;
    let mut client = server.client().await;
    let texts = reviews::texts(6);
    for request in [fast(&texts), deep(&texts)] {
        let (none, first) = hits(&mut client, request.clone()).await;
        let (all, second) = hits(&mut client, request.clone()).await;
        assert_eq!((none, all), (0, 6));
        assert_eq!(first, second);
        let response = server.http().post("/v1/predict", json::encode(&request)).await;
        assert_eq!(response.headers[HITS], "6");
    }
}

#[tokio::test]
async fn what_is_asked_of_the_answer_does_not_matter_and_how_a_text_is_cut_does() {
    let server = caching(1 << 20).await;
    let mut client = server.client().await;
    let request = fast(&["좋은 영화", "나쁜 영화", "좋은 영화"]);
    let (twice, _) = hits(&mut client, request.clone()).await;
    assert_eq!(twice, 1, "the same text twice in one request is worked on once");
    let logits = pb::PredictRequest {
        top_k: 2,
        score_kind: pb::ScoreKind::Logit.into(),
        ..request.clone()
    };
    let (again, predictions) = hits(&mut client, logits).await;
    assert_eq!(again, 3);
    assert_eq!(predictions[0].scores.len(), 2);
    let cut = pb::PredictRequest {
        truncation: pb::Truncation::Start.into(),
        ..request
    };
    assert_eq!(hits(&mut client, cut).await.0, 1);
}

#[tokio::test]
async fn the_same_text_asked_by_many_at_once_is_worked_on_once() {
    let server = caching(1 << 20).await;
    let calls = (0..16).map(|_| async {
        let mut client = server.client().await;
        hits(&mut client, deep(&["모두가 같은 것을 묻는다"])).await.0
    });
    let hits = futures::future::join_all(calls).await;
    assert_eq!(hits.iter().sum::<u32>(), 15, "{hits:?}");
}

#[tokio::test]
async fn the_cache_keeps_to_its_bytes() {
    let bytes = 64 << 10;
    let server = caching(bytes).await;
    let mut client = server.client().await;
    for at in 0..40 {
        let texts: Vec<String> = (0..50).map(|row| format!("{at} 번째 묶음의 {row} 번째 글")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        client.predict(fast(&texts)).await.expect("an answer");
    }
    let cache = server.service.cache().expect("there is a cache");
    assert!(cache.bytes() <= bytes as u64, "{}", cache.bytes());
    assert!(cache.bytes() > bytes as u64 / 4, "{}", cache.bytes());
}

#[tokio::test]
async fn without_a_cache_nothing_is_said_of_one() {
    let server = TestServer::shared().await;
    let response = server.client().await.predict(fast(&["a"])).await.expect("an answer");
    assert!(response.metadata().get(HITS).is_none());
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let server = caching(1 << 20).await;
    let mut client = server.client().await;
    let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
    let ModelState::Serving(serving) = &*version.state() else {
        panic!("it serves");
    };
    serving.scheduler.close();
    client.predict(fast(&["a"])).await.expect_err("the scheduler is closed");
    client
        .predict(fast(&["a"]))
        .await
        .expect_err("and no flight is left behind");
}
