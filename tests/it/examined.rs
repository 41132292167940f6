//! Callers' texts turn no model NOT_SERVING and roll no canary back: failures have the model examined on texts of the server's own,
//! and only one that fails those is broken.

use std::path::Path;
use std::time::{Duration, Instant};

use tandem::api::pb;
use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::error::{Error, Reason};
use tandem::service::catalog::health::ServingState;
use tandem::service::messages::ClientKey;
use tandem::service::pipeline::run_recorder::RunRecorder;
use tandem::telemetry::call_span::CallSpan;
use tonic::{Code, Request};

use crate::caller_texts::folder;
use crate::health::{break_model, end_runs};
use crate::support::models::copy_folder;
use crate::support::server::HANG;
use crate::support::{Refusal, TestServer, fast};

/// The graph computes no number for it.
const BAD: &str = "film '";
const GOOD: &str = "the film";
const NAME: &str = "reviews";

/// The first version answers everything, the second does not.
fn repository() -> tempfile::TempDir {
    let repository = tempfile::tempdir().expect("a folder");
    for (version, graph) in [("1", "plain"), ("2", "infinite")] {
        let to = repository.path().join(NAME).join(version);
        copy_folder(folder(graph, |_| {}).path(), &to);
    }
    repository
}

fn asking(text: &str) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: vec![text.to_owned()],
        model: NAME.to_owned(),
        ..pb::PredictRequest::default()
    }
}

async fn counted(server: &TestServer, finding: &str) -> usize {
    let metrics = server.http().get("/metrics").await;
    let line = format!("tandem_model_examinations_total{{model=\"{NAME}\",outcome=\"{finding}\"}} ");
    let found = metrics.text().lines().find_map(|told| told.strip_prefix(&line));
    found.map_or(0, |count| count.parse().expect("a number"))
}

/// Asks for the bad text, in ever other words, until the server has examined the model.
async fn ask_until_examined(server: &TestServer, finding: &str) {
    let mut client = server.client().await;
    let ask = async {
        for at in 0.. {
            let text = format!("{BAD} {}", "the ".repeat(at % 9));
            let status = client.predict(asking(&text)).await.expect_err("no number");
            assert_eq!(Refusal::of(&status).reason, "INFERENCE_FAILED");
            if counted(server, finding).await > 0 {
                return;
            }
        }
    };
    tokio::time::timeout(HANG, ask).await.expect("it is examined");
}

/// A server of the second version alone.
async fn server(path: &Path) -> TestServer {
    let path = path.join(NAME);
    std::fs::remove_dir_all(path.join("1")).expect("removed");
    TestServer::builder()
        .with(move |settings| settings.deep = Some(path.join("2")))
        .start()
        .await
}

#[tokio::test]
async fn one_callers_texts_leave_health_as_it_is_and_a_broken_model_is_found() {
    let repository = repository();
    let server = server(repository.path()).await;
    ask_until_examined(&server, "sound").await;
    let mut client = server.client().await;
    for _ in 0..30 {
        client.predict(asking(BAD)).await.expect_err("no number");
        assert_eq!(server.service.state(), ServingState::Serving);
    }
    assert_eq!(server.http().get("/readyz").await.status.as_u16(), 200);
    assert_eq!(counted(&server, "broken").await, 0);
    client.predict(asking(GOOD)).await.expect("others are answered");
}

#[tokio::test]
async fn a_model_that_fails_on_texts_of_our_own_too_is_out() {
    let repository = repository();
    let server = server(repository.path()).await;
    break_model(&server, NAME);
    let mut health = server.service.watch_health();
    let mut client = server.client().await;
    for _ in 0..5 {
        let status = client.predict(asking(GOOD)).await.expect_err("it is broken");
        assert_eq!(Refusal::of(&status).reason, "INFERENCE_FAILED");
    }
    let turned = async {
        while server.service.state() != ServingState::Failed {
            health.changed().await.expect("the service is there");
        }
    };
    tokio::time::timeout(HANG, turned).await.expect("it turns");
    assert_eq!(server.http().get("/readyz").await.status.as_u16(), 503);
    assert_eq!(counted(&server, "broken").await, 1);
}

#[tokio::test]
async fn a_broken_model_is_out_from_the_end_of_its_examination_on() {
    let repository = repository();
    let server = server(repository.path()).await;
    break_model(&server, NAME);
    let mut health = server.service.watch_health();
    // The burst was long ago: so long did the examination wait for an instance.
    let burst = Instant::now();
    let burst = burst.checked_sub(Duration::from_secs(19)).unwrap_or(burst);
    let version = server.service.catalog().stable(NAME).expect("it is there");
    for _ in 0..5 {
        server.service.health().failed(&version, burst);
    }
    let out = async {
        while server.service.next_recovery(Instant::now()).is_none() {
            health.changed().await.expect("the service is there");
        }
    };
    tokio::time::timeout(HANG, out).await.expect("it is out");
}

#[tokio::test]
async fn calls_that_are_late_cancelled_or_refused_say_nothing_of_the_model() {
    let server = TestServer::builder().fast_only().start().await;
    let client = server.client().await;
    for _ in 0..20 {
        let mut late = Request::new(fast(&["좋다"]));
        late.set_timeout(Duration::from_nanos(1));
        let _ = client.clone().predict(late).await;
        let mut going = client.clone();
        let _ = tokio::time::timeout(Duration::ZERO, going.predict(fast(&["좋다"]))).await;
        let refused = client.clone().predict(fast(&[])).await.expect_err("no texts");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    for reason in Reason::ALL
        .into_iter()
        .filter(|reason| *reason != Reason::InferenceFailed)
    {
        let version = server.service.catalog().stable("sentiment-fast").expect("it is there");
        let (health, metrics) = (server.service.health(), server.service.metrics());
        let recorder = RunRecorder::new(health, metrics, ClientKey::default(), CallSpan::default());
        for _ in 0..20 {
            recorder.record::<()>(&version, None, &Err(Error::new(reason, "it failed")));
        }
    }
    assert_eq!(server.service.state(), ServingState::Serving);
    let metrics = server.http().get("/metrics").await;
    assert!(!was_examined(metrics.text()), "{}", metrics.text());
}

/// Keys, so that there are several callers.
const KEYS: [&str; 3] = [
    "0000000000000000000000000000000001",
    "0000000000000000000000000000000002",
    "0000000000000000000000000000000003",
];

const OPERATOR: &str = "0000000000000000000000000000000004";

/// A server that gives everybody the second version.
async fn with_canary(repository: &Path) -> TestServer {
    let second = repository.join(NAME).join("2");
    let aside = repository.join("aside");
    std::fs::rename(&second, &aside).expect("moved");
    let keys = KEYS.iter().enumerate().map(|(at, key)| format!("caller-{at}:{key}"));
    let server = TestServer::builder()
        .models(repository.to_owned())
        .admin_port()
        .tokens(&keys.collect::<Vec<_>>().join(","))
        .admin_tokens(&format!("operator:{OPERATOR}"))
        .with(|settings| {
            settings.canary_min_count = 10;
            settings.canary_max_slowdown = 1000.0;
        })
        .start()
        .await;
    std::fs::rename(&aside, &second).expect("moved");
    let request = pb::SetCanaryRequest {
        name: NAME.into(),
        version: "2".into(),
        share: 1.0,
    };
    let mut request = Request::new(request);
    let value = format!("Bearer {OPERATOR}").parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    server.admin().await.set_canary(request).await.expect("a canary");
    server
}

fn with_key<T>(key: usize, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {}", KEYS[key]).parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    request
}

async fn has_canary(server: &TestServer) -> bool {
    let mut models = ModelServiceClient::new(server.channel().await);
    let request = pb::GetModelRequest { name: NAME.into() };
    let answer = models.get_model(with_key(0, request)).await.expect("an answer");
    answer.into_inner().versions.expect("versions").canary.is_some()
}

fn examinations(server: &TestServer) -> bool {
    was_examined(&server.service.metrics().text())
}

/// Whether any model was examined: the counters are there from the start.
fn was_examined(metrics: &str) -> bool {
    let counters = metrics
        .lines()
        .filter(|line| line.starts_with("tandem_model_examinations_total{"));
    let counted: Vec<bool> = counters.map(|line| !line.ends_with(" 0")).collect();
    assert!(!counted.is_empty(), "{metrics}");
    counted.contains(&true)
}

#[tokio::test]
async fn one_callers_texts_roll_no_canary_back_and_those_of_several_do() {
    let repository = repository();
    let server = with_canary(repository.path()).await;
    let mut client = server.client().await;
    let by_one = async {
        while !examinations(&server) {
            let status = client.predict(with_key(0, asking(BAD))).await.expect_err("no number");
            assert_eq!(Refusal::of(&status).reason, "INFERENCE_FAILED");
        }
        for at in 0..60 {
            let text = [BAD, GOOD][at % 2];
            let answered = client.predict(with_key(0, asking(text))).await.is_ok();
            assert_eq!(answered, text == GOOD);
            assert!(has_canary(&server).await, "after {at}");
        }
    };
    tokio::time::timeout(HANG, by_one).await.expect("it is examined");
    let by_several = async {
        for at in 0.. {
            // Once it is rolled back, the stable version answers.
            let _ = client.predict(with_key(at % 3, asking(BAD))).await;
            if !has_canary(&server).await {
                return;
            }
        }
    };
    tokio::time::timeout(HANG, by_several).await.expect("it is rolled back");
    client
        .predict(with_key(0, asking(BAD)))
        .await
        .expect("the stable version answers");
}

#[tokio::test]
async fn a_canary_that_is_broken_is_rolled_back_whoever_asks() {
    let repository = repository();
    let server = with_canary(repository.path()).await;
    let canary = server.service.catalog().version(NAME, "2").expect("it is there");
    end_runs(&canary.state());
    let mut client = server.client().await;
    let ask = async {
        while has_canary(&server).await {
            let _ = client.predict(with_key(0, asking(GOOD))).await;
        }
    };
    tokio::time::timeout(HANG, ask).await.expect("it is rolled back");
    client
        .predict(with_key(0, asking(GOOD)))
        .await
        .expect("the stable version answers");
}
