//! AdminService: versions are loaded, promoted, rolled back and unloaded, on a port of its own, and a restart knows of it.

use std::path::Path;

use tandem::api::pb::{self, ReloadVerdict, VersionRole};
use tandem::config::Settings;
use tandem::config::profile::Profile;
use tandem::server::security::{Security, Tokens};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::reload::calibrate;
use crate::support::models::ModelCopy;
use crate::support::{AdminClient, Client, Refusal, TestServer, fast};

const NAME: &str = "sentiment-fast";

/// A server of the fast model in two versions, of which it serves the first, and the second is newer by its temperature.
async fn server_with_two() -> (ModelCopy, TestServer) {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(first.repository()).await;
    first.version("2").set_temperature(2.0);
    (first, server)
}

async fn server_of(repository: &Path) -> TestServer {
    let builder = TestServer::builder().models(repository.to_owned());
    builder.admin_port().start().await
}

async fn promote(admin: &mut AdminClient, version: &str) -> Result<pb::PromoteModelResponse, Status> {
    let request = pb::PromoteModelRequest {
        name: NAME.into(),
        version: version.into(),
    };
    admin.promote_model(request).await.map(tonic::Response::into_inner)
}

async fn roll_back(admin: &mut AdminClient, version: &str) -> Result<pb::RollBackModelResponse, Status> {
    let request = pb::RollBackModelRequest {
        name: NAME.into(),
        version: version.into(),
    };
    admin.roll_back_model(request).await.map(tonic::Response::into_inner)
}

async fn load(admin: &mut AdminClient, version: &str) -> Result<pb::LoadModelResponse, Status> {
    let request = pb::LoadModelRequest {
        name: NAME.into(),
        version: version.into(),
    };
    admin.load_model(request).await.map(tonic::Response::into_inner)
}

async fn unload(admin: &mut AdminClient, version: &str) -> Result<pb::UnloadModelResponse, Status> {
    let request = pb::UnloadModelRequest {
        name: NAME.into(),
        version: version.into(),
    };
    admin.unload_model(request).await.map(tonic::Response::into_inner)
}

/// The versions with their roles.
fn roles(versions: Option<pb::ModelVersions>) -> Vec<(String, VersionRole)> {
    let versions = versions.expect("the state is told").versions;
    versions
        .iter()
        .map(|version| (version.version.clone(), version.role()))
        .collect()
}

fn role(version: &str, role: VersionRole) -> (String, VersionRole) {
    (version.to_owned(), role)
}

async fn who_answers(client: &mut Client) -> String {
    let answer = client.predict(fast(&["좋다"])).await.expect("an answer").into_inner();
    answer.models[0].version.clone()
}

async fn pinned(client: &mut Client, version: &str) -> Result<String, Status> {
    let request = pb::PredictRequest {
        texts: vec!["좋다".into()],
        model: format!("{NAME}@{version}"),
        ..pb::PredictRequest::default()
    };
    let answer = client.predict(request).await?.into_inner();
    Ok(answer.models[0].version.clone())
}

#[tokio::test]
async fn the_public_port_has_no_admin_methods_and_the_admin_port_no_predictions() {
    let server = TestServer::builder().fast_only().admin_port().start().await;
    let mut wrong = AdminClient::new(server.channel().await);
    let status = promote(&mut wrong, "1").await.expect_err("not here");
    assert_eq!(Refusal::of(&status).code, Code::Unimplemented);
    let mut wrong = Client::new(server.admin_channel().await);
    let status = wrong.predict(fast(&["좋다"])).await.expect_err("not here");
    assert_eq!(status.code(), Code::Unimplemented);
    // Health tells of the service where it is.
    let about = || HealthCheckRequest {
        service: "tandem.v1.AdminService".into(),
    };
    let mut health = HealthClient::new(server.admin_channel().await);
    let answer = health.check(about()).await.expect("known here").into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut health = HealthClient::new(server.channel().await);
    assert_eq!(health.check(about()).await.expect_err("unknown").code(), Code::NotFound);
}

#[tokio::test]
async fn operators_have_keys_of_their_own() {
    let server = TestServer::builder()
        .fast_only()
        .admin_port()
        .tokens("caller:0123456789abcdef")
        .admin_tokens("operator:fedcba9876543210")
        .start()
        .await;
    let mut admin = server.admin().await;
    let with = |token: &str| {
        let mut request = Request::new(pb::ReloadModelsRequest {});
        let value = format!("Bearer {token}").parse().expect("a value");
        request.metadata_mut().insert("authorization", value);
        request
    };
    admin
        .reload_models(with("fedcba9876543210"))
        .await
        .expect("an operator");
    let caller = admin
        .reload_models(with("0123456789abcdef"))
        .await
        .expect_err("a caller");
    let nobody = admin
        .reload_models(pb::ReloadModelsRequest {})
        .await
        .expect_err("nobody");
    assert_eq!(
        (caller.code(), nobody.code()),
        (Code::Unauthenticated, Code::Unauthenticated)
    );
    let mut predictions = server.client().await;
    let mut request = Request::new(fast(&["좋다"]));
    let value = "Bearer fedcba9876543210".parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    let operator = predictions.predict(request).await.expect_err("no caller");
    assert_eq!(operator.code(), Code::Unauthenticated);
}

#[test]
fn an_admin_port_that_others_reach_wants_keys() {
    let problem = |settings: Settings, callers: Option<&str>| {
        let tokens = Tokens {
            callers: callers.map(str::to_owned),
            operators: None,
        };
        Security::load(&settings, tokens).err()
    };
    let at = |address: &str| Settings {
        admin_addr: Some(address.parse().expect("an address")),
        allow_plaintext: true,
        ..Settings::default()
    };
    assert_eq!(problem(at("127.0.0.1:1"), None), None);
    let hardened = Settings {
        profile: Profile::Hardened,
        tls_client_ca: None,
        ..at("127.0.0.1:1")
    };
    for problem in [
        problem(at("0.0.0.0:1"), None),
        problem(at("127.0.0.1:1"), Some("caller:0123456789abcdef")),
        problem(hardened, Some("caller:0123456789abcdef")),
    ] {
        let problem = problem.expect("refused");
        assert!(
            problem.contains("set admin_tokens_file or TANDEM_ADMIN_TOKENS"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_version_beside_the_stable_one_is_got_by_name_until_it_is_unloaded() {
    let (_first, server) = server_with_two().await;
    let (mut admin, mut client) = (server.admin().await, server.client().await);
    assert_eq!(
        pinned(&mut client, "2").await.expect_err("not loaded").code(),
        Code::NotFound
    );
    // Each is done once and may be said twice.
    for _ in 0..2 {
        let answer = load(&mut admin, "2").await.expect("loaded");
        let expected = vec![role("1", VersionRole::Stable), role("2", VersionRole::Pinned)];
        assert_eq!((roles(answer.versions), answer.warning.as_str()), (expected, ""));
    }
    assert_eq!(pinned(&mut client, "2").await.expect("loaded"), "2");
    assert_eq!(who_answers(&mut client).await, "1");
    for _ in 0..2 {
        let answer = unload(&mut admin, "2").await.expect("unloaded");
        assert_eq!(roles(answer.versions), [role("1", VersionRole::Stable)]);
    }
    assert_eq!(pinned(&mut client, "2").await.expect_err("gone").code(), Code::NotFound);
    let refusal = Refusal::of(&unload(&mut admin, "1").await.expect_err("stable"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "ROLLOUT_CONFLICT")
    );
    let refusal = Refusal::of(&load(&mut admin, "9").await.expect_err("no such version"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::NotFound, "MODEL_NOT_FOUND")
    );
    let refusal = Refusal::of(&load(&mut admin, "../1").await.expect_err("no name"));
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["version".to_owned()])
    );
}

#[tokio::test]
async fn a_promoted_version_stays_over_reloads_and_restarts_until_it_is_rolled_back() {
    let (first, server) = server_with_two().await;
    let (mut admin, mut client) = (server.admin().await, server.client().await);
    let answer = promote(&mut admin, "2").await.expect("promoted");
    assert_eq!(answer.warning, "");
    let versions = answer.versions.clone().expect("the state");
    assert_eq!(
        (versions.pinned_version.as_str(), versions.previous_version.as_str()),
        ("2", "1")
    );
    assert_eq!(roles(answer.versions), [role("2", VersionRole::Stable)]);
    assert_eq!(who_answers(&mut client).await, "2");

    // A newer one is left alone, and said to be.
    first.version("3");
    let report = admin
        .reload_models(pb::ReloadModelsRequest {})
        .await
        .expect("done")
        .into_inner();
    assert_eq!(
        (report.outcomes[0].verdict(), report.outcomes[0].version.as_str()),
        (ReloadVerdict::Held, "2")
    );
    assert!(report.outcomes[0].message.contains("version `3`"), "{report:?}");
    let restarted = server_of(first.repository()).await;
    assert_eq!(who_answers(&mut restarted.client().await).await, "2");

    // Said twice with the version, done once.
    for _ in 0..2 {
        let answer = roll_back(&mut admin, "2").await.expect("rolled back");
        let versions = answer.versions.expect("the state");
        let back = versions.last_rollback.expect("said");
        assert_eq!((back.version.as_str(), versions.pinned_version.as_str()), ("2", "1"));
    }
    assert_eq!(who_answers(&mut client).await, "1");
    let restarted = server_of(first.repository()).await;
    assert_eq!(who_answers(&mut restarted.client().await).await, "1");
    // There is none before the first.
    let refusal = Refusal::of(&roll_back(&mut admin, "1").await.expect_err("none before"));
    assert_eq!(refusal.reason, "ROLLOUT_CONFLICT");

    // Without a version, the newest, from now on.
    let answer = promote(&mut admin, "").await.expect("promoted");
    let versions = answer.versions.clone().expect("the state");
    assert_eq!((versions.pinned_version.as_str(), versions.last_rollback), ("", None));
    assert_eq!(roles(answer.versions), [role("3", VersionRole::Stable)]);
    first.version("4");
    let report = admin
        .reload_models(pb::ReloadModelsRequest {})
        .await
        .expect("done")
        .into_inner();
    assert_eq!(report.outcomes[0].verdict(), ReloadVerdict::Exchanged);
    assert_eq!(report.outcomes[0].replaced_version, "3");
}

#[tokio::test]
async fn a_version_that_fails_its_checks_is_refused_and_nothing_changes() {
    let (first, server) = server_with_two().await;
    first.version("3").flip_bit("model.onnx");
    let other = first.version("4");
    other.replace("manifest.toml", "[\"negative\", \"positive\"]", "[\"bad\", \"good\"]");
    let mut admin = server.admin().await;
    for (version, stage) in [("3", "not_ready"), ("4", "mismatch")] {
        for status in [
            promote(&mut admin, version).await.expect_err("refused"),
            load(&mut admin, version).await.expect_err("refused"),
        ] {
            let refusal = Refusal::of(&status);
            assert_eq!(
                (refusal.code, refusal.reason.as_str()),
                (Code::FailedPrecondition, "VERSION_REFUSED")
            );
            let info = status.get_error_details().error_info().cloned().expect("facts");
            assert_eq!(info.metadata["stage"], stage);
            let path = first.repository().to_string_lossy().into_owned();
            assert!(!refusal.message.contains(&path), "{}", refusal.message);
        }
    }
    assert_eq!(who_answers(&mut server.client().await).await, "1");
    assert!(!first.repository().join("labels.toml").exists(), "nothing was said");
}

#[tokio::test]
async fn a_repository_that_can_not_be_written_is_a_warning_in_the_answer() {
    let first = ModelCopy::of(NAME, "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .admin_port()
        .with(|settings| settings.labels_file = Some("/no-such-folder/labels.toml".into()))
        .start()
        .await;
    first.version("2");
    let answer = promote(&mut server.admin().await, "2")
        .await
        .expect("promoted all the same");
    assert!(answer.warning.contains("a restart will not know"), "{}", answer.warning);
    assert!(
        !answer.warning.contains("no-such-folder"),
        "no paths: {}",
        answer.warning
    );
    assert_eq!(who_answers(&mut server.client().await).await, "2");
}

#[tokio::test]
async fn calls_under_way_lose_nothing_while_versions_come_and_go() {
    let (_first, server) = server_with_two().await;
    let mut admin = server.admin().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut client, stopped) = (server.client().await, stopped.clone());
        callers.push(tokio::spawn(async move {
            let mut answered = 0;
            while !*stopped.borrow() {
                who_answers(&mut client).await;
                answered += 1;
            }
            answered
        }));
    }
    for _ in 0..3 {
        promote(&mut admin, "2").await.expect("promoted");
        roll_back(&mut admin, "2").await.expect("rolled back");
    }
    stop.send(true).expect("callers run");
    for caller in callers {
        let answered = caller.await.expect("no panic");
        assert!(answered > 0, "every call was answered");
    }
}

#[tokio::test]
async fn who_takes_a_cascade_its_calibration_is_told_so() {
    let first = ModelCopy::of(NAME, "1");
    let _deep = first.add_small_deep();
    calibrate(first.repository());
    let server = server_of(first.repository()).await;
    first.version("2").set_temperature(2.0);
    let mut admin = server.admin().await;
    let loaded = load(&mut admin, "2").await.expect("loaded");
    assert_eq!(loaded.warning, "", "it stands beside the one that serves");
    let promoted = promote(&mut admin, "2").await.expect("promoted");
    assert!(
        promoted
            .warning
            .starts_with("the cascade of `sentiment` is not calibrated"),
        "{}",
        promoted.warning
    );
    // Said once: what was lost is not lost again.
    assert_eq!(promote(&mut admin, "2").await.expect("promoted").warning, "");
    let back = roll_back(&mut admin, "").await.expect("rolled back");
    assert_eq!(back.warning, "");
    let canary = pb::SetCanaryRequest {
        name: NAME.into(),
        version: "2".into(),
        share: 0.5,
    };
    let canary = admin.set_canary(canary).await.expect("a canary").into_inner();
    assert!(canary.warning.contains("not calibrated"), "{}", canary.warning);
}
