//! The canary: a share of the clients gets another version, always the same ones, and one that does badly is rolled back.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::api::pb::{self, VersionRole};
use tandem::config::Settings;
use tonic::{Request, Status};

use crate::health::end_runs;
use crate::support::models::ModelCopy;
use crate::support::server::HANG;
use crate::support::{AdminClient, Client, Refusal, TestServer, fast, root};

const NAME: &str = "sentiment-fast";
/// Distinct n-grams enough for the model that can't do them.
const LONG: &str = "정말 재미있게 봤어요";

/// A server that finds no canary slow, whatever else the machine does, unless `change` says otherwise.
async fn server_of(repository: &Path, change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::builder()
        .models(repository.to_owned())
        .admin_port()
        .with(|settings| {
            settings.client_header = Some("x-client".into());
            settings.canary_max_slowdown = 1000.0;
            change(settings);
        })
        .start()
        .await
}

async fn set_canary(admin: &mut AdminClient, version: &str, share: f64) -> Result<pb::ModelVersions, Status> {
    let request = pb::SetCanaryRequest {
        name: NAME.into(),
        version: version.into(),
        share,
    };
    let answer = admin.set_canary(request).await?.into_inner();
    Ok(answer.versions.expect("the state is told"))
}

async fn versions(server: &TestServer) -> pb::ModelVersions {
    let mut models = ModelServiceClient::new(server.channel().await);
    let request = pb::GetModelRequest { name: NAME.into() };
    let answer = models.get_model(request).await.expect("an answer").into_inner();
    answer.versions.expect("versions")
}

fn of(client: usize, request: pb::PredictRequest) -> Request<pb::PredictRequest> {
    let mut request = Request::new(request);
    let name = format!("client-{client}").parse().expect("a value");
    request.metadata_mut().insert("x-client", name);
    request
}

/// The version that each of so many clients gets.
async fn got(server: &TestServer, clients: usize) -> Vec<String> {
    let mut connection = server.client().await;
    let mut versions = Vec::new();
    for client in 0..clients {
        let answer = connection.predict(of(client, fast(&["좋다"]))).await;
        versions.push(answer.expect("an answer").into_inner().models[0].version.clone());
    }
    versions
}

#[tokio::test]
async fn a_share_of_the_clients_gets_it_the_same_ones_on_every_replica_and_after_a_restart() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository(), |_| {}).await;
    first.version("2");
    let mut admin = server.admin().await;
    let told = set_canary(&mut admin, "2", 0.3).await.expect("a canary");
    let canary = told.canary.expect("a canary");
    assert_eq!(
        (canary.version.as_str(), canary.share, told.pinned_version.as_str()),
        ("2", 0.3, "1")
    );
    assert_eq!(told.versions[1].role(), VersionRole::Canary);

    let before = got(&server, 100).await;
    let count = before.iter().filter(|version| *version == "2").count();
    assert!((15..45).contains(&count), "{count} of 100");
    assert_eq!(got(&server, 100).await, before, "sticky");
    // Another server of the same files is another replica, and a restart.
    let replica = server_of(first.repository(), |_| {}).await;
    assert_eq!(got(&replica, 100).await, before);

    // Whoever has it keeps it when more get it.
    set_canary(&mut admin, "2", 0.6).await.expect("more");
    let more = got(&server, 100).await;
    let kept = before
        .iter()
        .zip(&more)
        .all(|(before, after)| before == "1" || after == "2");
    assert!(kept && more.iter().filter(|version| *version == "2").count() > count);

    // A name alone is answered by the client's version, a version by itself.
    let mut connection = server.client().await;
    for (client, expected) in more.iter().enumerate().take(20) {
        for (model, expected) in [
            (NAME, expected.as_str()),
            ("sentiment-fast@1", "1"),
            ("sentiment-fast@2", "2"),
        ] {
            let request = pb::PredictRequest {
                texts: vec!["좋다".into()],
                model: model.into(),
                ..pb::PredictRequest::default()
            };
            let answer = connection
                .predict(of(client, request))
                .await
                .expect("an answer")
                .into_inner();
            assert_eq!(answer.models[0].version, expected);
        }
    }
    let tally = versions(&server)
        .await
        .canary
        .expect("a canary")
        .canary
        .expect("counts");
    assert!(tally.request_count > 0 && tally.failed_request_count == 0);

    // It ends, and stays loaded for those who name it.
    let told = set_canary(&mut admin, "", 0.0).await.expect("ended");
    assert_eq!((told.canary, told.versions[1].role()), (None, VersionRole::Pinned));
    assert!(got(&server, 100).await.iter().all(|version| version == "1"));
}

#[tokio::test]
async fn a_canary_that_is_promoted_gets_everybody() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository(), |_| {}).await;
    first.version("2");
    let mut admin = server.admin().await;
    set_canary(&mut admin, "2", 0.1).await.expect("a canary");
    let request = pb::PromoteModelRequest {
        name: NAME.into(),
        version: "2".into(),
    };
    let answer = admin.promote_model(request).await.expect("promoted").into_inner();
    let told = answer.versions.expect("the state");
    assert_eq!(
        (told.canary, told.versions.len(), told.versions[0].role()),
        (None, 1, VersionRole::Stable)
    );
    assert!(got(&server, 50).await.iter().all(|version| version == "2"));
}

#[tokio::test]
async fn readiness_tells_the_stable_version_by_the_models_name_and_any_other_with_its_version() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository(), |_| {}).await;
    let http = server.http();
    let ready = json!({"state": "serving", "models": {NAME: "serving"}});
    assert_eq!(http.get("/readyz").await.json(), ready);
    first.version("2");
    set_canary(&mut server.admin().await, "2", 0.5).await.expect("a canary");
    let canary = server.service.catalog().version(NAME, "2").expect("it is loaded");
    end_runs(&canary.state());
    let mut health = server.service.watch_health();
    for _ in 0..5 {
        server.service.health().failed(&canary, Instant::now());
    }
    let found_broken = async {
        while canary.breaker.back_at(Instant::now()).is_none() {
            health.changed().await.expect("the service is there");
        }
    };
    tokio::time::timeout(HANG, found_broken).await.expect("it is out");
    let answer = http.get("/readyz").await;
    assert_eq!(answer.status.as_u16(), 200, "the stable version serves");
    let ready = json!({"state": "serving", "models": {NAME: "serving", "sentiment-fast@2": "failed"}});
    assert_eq!(answer.json(), ready);
}

#[tokio::test]
async fn what_can_be_no_canary_is_refused() {
    let first = ModelCopy::of(NAME, "1");
    first.add_small_deep();
    let server = server_of(first.repository(), |_| {}).await;
    first.version("2");
    let mut admin = server.admin().await;
    let refusal = Refusal::of(&set_canary(&mut admin, "1", 0.5).await.expect_err("it is stable"));
    assert_eq!(refusal.reason, "ROLLOUT_CONFLICT");
    for share in [-0.1, 1.1, f64::NAN] {
        let refusal = Refusal::of(&set_canary(&mut admin, "2", share).await.expect_err("no share"));
        assert_eq!(refusal.fields, ["share"]);
    }
    let refusal = Refusal::of(&set_canary(&mut admin, "", 0.5).await.expect_err("no version"));
    assert_eq!(refusal.fields, ["version"]);
    assert!(versions(&server).await.canary.is_none());
}

/// Asks until the canary has ended.
async fn ask_until_rolled_back(server: &TestServer, text: &str) -> pb::ModelVersions {
    let mut connection: Client = server.client().await;
    let ask = async {
        for client in 0.. {
            // Those that get a canary that fails may fail; nobody else.
            let _ = connection.predict(of(client % 50, fast(&[text]))).await;
            let told = versions(server).await;
            if told.canary.is_none() && told.last_rollback.is_some() {
                return told;
            }
        }
        unreachable!("it asks without end")
    };
    tokio::time::timeout(Duration::from_mins(1), ask)
        .await
        .expect("rolled back")
}

#[tokio::test]
async fn one_that_fails_is_rolled_back_and_told_of_and_not_made_canary_again_by_a_restart() {
    let first = ModelCopy::of(NAME, "1");
    let few = |settings: &mut Settings| settings.canary_min_count = 10;
    let server = server_of(first.repository(), few).await;
    // It passes its golden examples, and computes NaN for longer texts.
    first.version_from(&root().join("tests/data/nan-models/sometimes-nan/1"), "2");
    let mut admin = server.admin().await;
    set_canary(&mut admin, "2", 0.5).await.expect("a canary");
    let told = ask_until_rolled_back(&server, LONG).await;
    let back = told.last_rollback.expect("said");
    assert!(back.version == "2" && back.reason.contains("it failed"), "{back:?}");
    assert!(
        told.versions[0].message.contains("version `2` was rolled back"),
        "{:?}",
        told.versions[0]
    );
    // From then on everybody is answered.
    let mut connection = server.client().await;
    for client in 0..50 {
        let answer = connection.predict(of(client, fast(&[LONG]))).await.expect("an answer");
        assert_eq!(answer.into_inner().models[0].version, "1");
    }
    let metrics = server.http().get("/metrics").await;
    let counted = "tandem_canary_rollbacks_total{model=\"sentiment-fast\",fault=\"failures\"} 1\n";
    assert!(metrics.text().contains(counted));
    // The lifecycle's thread writes it down, whenever it comes to that.
    let written = || std::fs::read_to_string(first.repository().join("labels.toml")).unwrap_or_default();
    let is_written = async {
        while !written().contains("rolled_back") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, is_written)
        .await
        .expect("it is written down");
    let restarted = server_of(first.repository(), few).await;
    let told = versions(&restarted).await;
    assert!(told.canary.is_none() && told.last_rollback.is_some() && told.pinned_version == "1");
    // A reload leaves it alone too; whoever asks for it gets it.
    let report = admin
        .reload_models(pb::ReloadModelsRequest {})
        .await
        .expect("done")
        .into_inner();
    assert_eq!(report.outcomes[0].verdict(), pb::ReloadVerdict::Held);
    let told = set_canary(&mut admin, "2", 0.5).await.expect("told to");
    assert!(told.canary.is_some() && told.last_rollback.is_none());
}

#[tokio::test]
async fn a_roll_back_is_written_before_the_server_has_ended() {
    let first = ModelCopy::of(NAME, "1");
    let mut server = server_of(first.repository(), |settings| settings.canary_min_count = 10).await;
    first.version_from(&root().join("tests/data/nan-models/sometimes-nan/1"), "2");
    set_canary(&mut server.admin().await, "2", 1.0).await.expect("a canary");
    let service = server.service.clone();
    let mut changes = service.watch_health();
    let mut connection = server.client().await;
    let ask = async {
        for client in 0.. {
            let _ = connection.predict(of(client, fast(&[LONG]))).await;
        }
    };
    let ended = async {
        while service.catalog().models()[NAME].live_canary().is_some() {
            changes.changed().await.expect("the service is there");
        }
    };
    tokio::select! {
        () = ask => {}
        outcome = tokio::time::timeout(HANG, ended) => outcome.expect("it is rolled back"),
    }
    server.start_shutdown().await;
    server.stopped().await;
    let stopping = tokio::task::spawn_blocking(move || service.stop_models());
    stopping.await.expect("no panic");
    let written = std::fs::read_to_string(first.repository().join("labels.toml")).expect("a file");
    assert!(
        written.contains("rolled_back") && !written.contains("canary]"),
        "{written}"
    );
}

#[tokio::test]
async fn one_that_says_something_else_is_rolled_back() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository(), |settings| settings.canary_min_count = 10).await;
    // The same outputs by other names: sound in itself, and wrong about every text.
    let second = first.version("2");
    second.replace(
        "manifest.toml",
        "[\"negative\", \"positive\"]",
        "[\"positive\", \"negative\"]",
    );
    set_canary(&mut server.admin().await, "2", 1.0).await.expect("a canary");
    let told = ask_until_rolled_back(&server, LONG).await;
    let back = told.last_rollback.expect("said");
    assert!(
        back.reason.contains("another label than the stable version"),
        "{back:?}"
    );
}

#[tokio::test]
async fn one_that_is_slow_is_rolled_back_and_one_that_is_not_stays() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository(), |settings| {
        settings.canary_min_count = 10;
        // The same model twice: as fast as itself, and beyond any bound on that.
        settings.canary_max_slowdown = 0.1;
    })
    .await;
    first.version("2");
    set_canary(&mut server.admin().await, "2", 1.0).await.expect("a canary");
    let told = ask_until_rolled_back(&server, LONG).await;
    assert!(told.last_rollback.expect("said").reason.contains("times as long"));

    let server = server_of(first.repository(), |settings| {
        settings.canary_min_count = 10;
        settings.canary_max_slowdown = 1000.0;
    })
    .await;
    set_canary(&mut server.admin().await, "2", 1.0).await.expect("a canary");
    let mut connection = server.client().await;
    loop {
        connection.predict(of(0, fast(&[LONG]))).await.expect("an answer");
        let canary = versions(&server).await.canary.expect("it stays");
        if canary.compared_text_count >= 20 {
            assert_eq!(canary.differing_text_count, 0);
            break;
        }
    }
}

#[tokio::test]
async fn in_a_cascade_one_model_may_have_a_canary_and_the_requests_of_its_clients_get_it() {
    let first = ModelCopy::of(NAME, "1");
    let deep = first.add_small_deep();
    let server = server_of(first.repository(), |_| {}).await;
    first.version("2");
    deep.version("2");
    let mut admin = server.admin().await;
    set_canary(&mut admin, "2", 0.5).await.expect("a canary");
    let mut connection = server.client().await;
    let mut seen = Vec::new();
    for client in 0..30 {
        let request = pb::PredictRequest {
            texts: vec![LONG.into()],
            route: pb::Route::Cascade.into(),
            min_confidence: Some(1.0),
            ..pb::PredictRequest::default()
        };
        let answer = connection
            .predict(of(client, request))
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(answer.models.len(), 2);
        seen.push(answer.models[0].version.clone());
    }
    assert!(
        seen.contains(&"1".to_owned()) && seen.contains(&"2".to_owned()),
        "{seen:?}"
    );
    // Two in one task could not be told apart.
    let request = pb::SetCanaryRequest {
        name: "tutorial-nb".into(),
        version: "2".into(),
        share: 0.5,
    };
    let refusal = Refusal::of(&admin.set_canary(request).await.expect_err("one at a time"));
    assert_eq!(refusal.reason, "ROLLOUT_CONFLICT");
}
