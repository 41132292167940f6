//! Several servers as one: they share the file of labels, and what one is told the others do too.

use std::path::Path;
use std::time::Duration;

use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::api::pb::{self, VersionRole};
use tandem::config::HumanDuration;

use crate::support::models::ModelCopy;
use crate::support::server::HANG;
use crate::support::{TestServer, fast};

const NAME: &str = "sentiment-fast";

/// A server that looks at the labels once a second, the most often that it may.
async fn server_of(repository: &Path) -> TestServer {
    server_that_looks_every(Duration::from_secs(1), repository).await
}

async fn server_that_looks_every(interval: Duration, repository: &Path) -> TestServer {
    TestServer::builder()
        .models(repository.to_owned())
        .admin_port()
        .with(move |settings| {
            settings.labels_poll_interval = HumanDuration(interval);
            settings.canary_max_slowdown = 1000.0;
        })
        .start()
        .await
}

async fn versions(server: &TestServer) -> pb::ModelVersions {
    let mut models = ModelServiceClient::new(server.channel().await);
    let request = pb::GetModelRequest { name: NAME.into() };
    let answer = models.get_model(request).await.expect("an answer").into_inner();
    answer.versions.expect("versions")
}

/// Asks a server for its versions until they are so.
async fn until(server: &TestServer, what: &str, so: impl Fn(&pb::ModelVersions) -> bool) {
    let mut models = ModelServiceClient::new(server.channel().await);
    let become_so = async {
        loop {
            let request = pb::GetModelRequest { name: NAME.into() };
            let answer = models.get_model(request).await.expect("an answer").into_inner();
            if so(&answer.versions.expect("versions")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(HANG, become_so)
        .await
        .unwrap_or_else(|_| panic!("never {what}"));
}

fn stable(versions: &pb::ModelVersions) -> &str {
    let of_role = |version: &&pb::ModelVersion| version.role() == VersionRole::Stable;
    versions
        .versions
        .iter()
        .find(of_role)
        .map_or("", |version| &version.version)
}

fn promote(version: &str) -> pb::PromoteModelRequest {
    pb::PromoteModelRequest {
        name: NAME.into(),
        version: version.into(),
    }
}

#[tokio::test]
async fn what_one_server_is_told_all_do() {
    let first = ModelCopy::of(NAME, "1");
    let (one, two) = (server_of(first.repository()).await, server_of(first.repository()).await);
    first.version("2").set_temperature(2.0);
    let mut admin = one.admin().await;
    admin.promote_model(promote("2")).await.expect("promoted");
    until(&two, "stable", |versions| {
        stable(versions) == "2" && versions.pinned_version == "2"
    })
    .await;
    let mut client = two.client().await;
    let answer = client.predict(fast(&["좋다"])).await.expect("an answer").into_inner();
    assert_eq!(answer.models[0].version, "2");

    // A canary, said to the other.
    let request = pb::SetCanaryRequest {
        name: NAME.into(),
        version: "1".into(),
        share: 0.25,
    };
    two.admin().await.set_canary(request).await.expect("a canary");
    let has_canary =
        |versions: &pb::ModelVersions| versions.canary.as_ref().is_some_and(|canary| canary.version == "1");
    until(&one, "with the canary", has_canary).await;
    assert!(
        versions(&one)
            .await
            .canary
            .is_some_and(|canary| (canary.share - 0.25).abs() < 1e-9)
    );

    let request = pb::RollBackModelRequest {
        name: NAME.into(),
        version: "1".into(),
    };
    admin.roll_back_model(request).await.expect("rolled back");
    until(&two, "without the canary", |versions| versions.canary.is_none()).await;
    let last = versions(&two).await.last_rollback.expect("it is told");
    assert_eq!(last.version, "1");

    // A server that comes later serves what was said.
    let three = server_of(first.repository()).await;
    assert_eq!(stable(&versions(&three).await), "2");
}

#[tokio::test]
async fn a_server_that_can_not_follow_serves_what_it_served_and_says_so() {
    let (first, other) = (ModelCopy::of(NAME, "1"), ModelCopy::of(NAME, "1"));
    let labels = tempfile::tempdir().expect("a folder");
    let labels = labels.path().join("labels.toml");
    let with_labels = |repository: &Path| {
        let (labels, repository) = (labels.clone(), repository.to_owned());
        TestServer::builder()
            .models(repository)
            .admin_port()
            .with(move |settings| {
                settings.labels_file = Some(labels);
                settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
            })
    };
    let (one, two) = (
        with_labels(first.repository()).start().await,
        with_labels(other.repository()).start().await,
    );
    two.admin().await.promote_model(promote("1")).await.expect("promoted");
    until(&one, "pinned", |versions| versions.pinned_version == "1").await;
    first.version("2").set_temperature(2.0);
    one.admin().await.promote_model(promote("2")).await.expect("promoted");
    // The second server's volume has no such version.
    until(&two, "refused", |versions| {
        let refused = |version: &&pb::ModelVersion| version.version == "2" && version.role() == VersionRole::Refused;
        versions.versions.iter().any(|version| refused(&version))
    })
    .await;
    assert_eq!(stable(&versions(&two).await), "1");
    // What it is told now is told later than that, though it is so here already: the first follows.
    two.admin().await.promote_model(promote("1")).await.expect("promoted");
    until(&one, "stable", |versions| stable(versions) == "1").await;
    until(&two, "without a refusal", |versions| {
        let is_refused = |version: &pb::ModelVersion| version.role() == VersionRole::Refused;
        !versions.versions.iter().any(is_refused)
    })
    .await;
}

#[tokio::test]
async fn a_canary_that_a_start_could_not_have_is_tried_again() {
    let (first, late) = (ModelCopy::of(NAME, "1"), ModelCopy::of(NAME, "1"));
    let one = server_of(first.repository()).await;
    first.version("2").set_temperature(2.0);
    let request = pb::SetCanaryRequest {
        name: NAME.into(),
        version: "2".into(),
        share: 0.5,
    };
    one.admin().await.set_canary(request).await.expect("a canary");
    // The other server's volume has the labels before the version.
    let labels = first.repository().join("labels.toml");
    std::fs::copy(labels, late.repository().join("labels.toml")).expect("copied");
    // The version is whole before it looks: what it could not have is tried again after a minute only.
    let two = server_that_looks_every(Duration::from_secs(5), late.repository()).await;
    assert_eq!(versions(&two).await.canary, None);
    late.version("2").set_temperature(2.0);
    until(&two, "with the canary", |versions| versions.canary.is_some()).await;
}
