//! New versions take the place of old ones while calls are under way: each answer is one version's, and right.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem::api::pb;
use tandem::config::duration::HumanDuration;
use tandem::config::settings::RouteSetting;
use tandem::service::lifecycle::report::{ReloadReport, Verdict};

use crate::support::models::ModelCopy;
use crate::support::server::HANG;
use crate::support::{Client, TestServer, by_route, deep, fast};

const NAME: &str = "sentiment-fast";
const TEXTS: [&str; 3] = ["정말 재미있게 봤어요", "지루했다", "그냥 그래요"];

/// A server of one fast model, whose repository can be changed.
pub async fn server_of(copy: &ModelCopy) -> TestServer {
    TestServer::builder().models(copy.repository().to_owned()).start().await
}

fn exchanged(from: &str) -> Verdict {
    Verdict::Exchanged {
        from: Some(from.to_owned()),
    }
}

/// What became of the fast model: the version that was looked at, and the verdict.
pub fn of_fast(report: &ReloadReport) -> (&str, &Verdict) {
    assert_eq!(report.problem, None);
    let of_fast = report.outcomes.iter().find(|outcome| outcome.model == NAME);
    let outcome = of_fast.expect("every model is told of");
    (&outcome.version, &outcome.verdict)
}

/// The version that answers, and how sure it is of each text.
pub async fn ask(client: &mut Client) -> (String, Vec<f32>) {
    let answer = client.predict(fast(&TEXTS)).await.expect("an answer").into_inner();
    let [model] = &answer.models[..] else {
        panic!("one model answers: {:?}", answer.models);
    };
    let sure = answer.predictions.iter().map(|text| text.confidence).collect();
    (model.version.clone(), sure)
}

#[tokio::test]
async fn a_new_version_takes_over_and_its_removal_brings_the_old_one_back() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(&first).await;
    let mut client = server.client().await;
    let before = ask(&mut client).await;
    assert_eq!(before.0, "1");
    assert_eq!(
        of_fast(server.service.reload().await.as_ref()),
        ("1", &Verdict::Unchanged)
    );

    let second = first.version("2");
    second.set_temperature(2.0);
    assert_eq!(of_fast(server.service.reload().await.as_ref()), ("2", &exchanged("1")));
    let after = ask(&mut client).await;
    assert_eq!(after.0, "2");
    assert_ne!(after.1, before.1);
    let metrics = server.http().get("/metrics").await;
    assert!(
        metrics
            .text()
            .contains("tandem_model_reloads_total{model=\"sentiment-fast\",outcome=\"exchanged\"} 1\n")
    );
    let states = |version: &str| {
        metrics
            .text()
            .matches(&format!("tandem_model_state{{model=\"{NAME}\",version=\"{version}\""))
            .count()
    };
    assert_eq!(
        (states("1"), states("2")),
        (0, 4),
        "the old version's states are forgotten"
    );

    second.remove_version();
    assert_eq!(of_fast(server.service.reload().await.as_ref()), ("1", &exchanged("2")));
    assert_eq!(ask(&mut client).await, before);
}

#[tokio::test]
async fn calls_under_way_while_versions_change_get_the_right_answer_of_the_version_that_they_name() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(&first).await;
    let mut client = server.client().await;
    let mut right = vec![ask(&mut client).await];
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, stop) = (client.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(ask(&mut client).await);
                }
                answers
            })
        })
        .collect();
    let mut newest = first;
    for version in 2..=6_u32 {
        newest = newest.version(&version.to_string());
        newest.set_temperature(0.5 + f64::from(version));
        let report = server.service.reload().await;
        assert_eq!(of_fast(&report).1, &exchanged(&(version - 1).to_string()));
        right.push(ask(&mut client).await);
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    for caller in callers {
        for answer in caller.await.expect("no call failed") {
            let expected = right.iter().find(|(version, _)| *version == answer.0);
            assert_eq!(expected, Some(&answer));
            seen.insert(answer.0);
        }
    }
    assert!(seen.len() > 2, "calls met several versions: {seen:?}");
}

/// Writes what `tandem calibrate` would, with the shipped figures, for the newest versions in a repository.
pub fn calibrate(repository: &Path) {
    let shipped = crate::support::shipped_models().join("sentiment.cascade.toml");
    let text = fs::read_to_string(shipped).expect("the shipped calibration");
    let mut calibration: toml::Table = text.parse().expect("TOML");
    for model in tandem::model::repository::open(repository).expect("the newest versions") {
        let entry = calibration[model.manifest.tier.name()].as_table_mut().expect("a table");
        entry.insert("model".into(), model.manifest.name.into());
        entry.insert("version".into(), model.manifest.version.into());
        entry.insert("fingerprint".into(), model.fingerprint.into());
    }
    fs::write(repository.join("sentiment.cascade.toml"), calibration.to_string()).expect("written");
}

#[tokio::test]
async fn both_models_of_a_cascade_and_their_calibration_change_in_one_step() {
    let fast_one = ModelCopy::of(NAME, "1");
    let deep_one = fast_one.add_small_deep();
    calibrate(fast_one.repository());
    let server = TestServer::builder()
        .models(fast_one.repository().to_owned())
        .with(|settings| settings.default_route = RouteSetting::Cascade)
        .start()
        .await;
    let mut client = server.client().await;
    let cascade = by_route(pb::Route::Cascade, &TEXTS);
    client.predict(cascade.clone()).await.expect("it is calibrated");
    let (_fast_two, _deep_two) = (fast_one.version("2"), deep_one.version("2"));
    let report = server.service.reload().await;
    assert_eq!(report.outcomes.len(), 2);
    for outcome in &report.outcomes {
        let Verdict::Refused(refusal) = &outcome.verdict else {
            panic!("nobody measured the new versions: {outcome:?}");
        };
        assert_eq!(refusal.stage.name(), "uncalibrated", "{refusal}");
        assert!(refusal.problem.contains("sentiment.cascade.toml"), "{refusal}");
    }
    client.predict(cascade.clone()).await.expect("the cascade goes on");

    calibrate(fast_one.repository());
    let report = server.service.reload().await;
    let verdicts: Vec<_> = report.outcomes.iter().map(|outcome| &outcome.verdict).collect();
    assert_eq!(verdicts, [&exchanged("1"), &exchanged("1")], "{report:?}");
    let answer = client.predict(cascade).await.expect("an answer").into_inner();
    assert!(answer.models.iter().all(|model| model.version == "2"), "{answer:?}");
}

#[tokio::test]
async fn a_new_calibration_alone_is_taken_into_use_and_a_lost_one_is_kept() {
    let fast_one = ModelCopy::of(NAME, "1");
    let _deep = fast_one.add_small_deep();
    calibrate(fast_one.repository());
    let server = TestServer::builder()
        .models(fast_one.repository().to_owned())
        .start()
        .await;
    let threshold = || {
        let catalog = server.service.catalog();
        let setup = catalog.task("sentiment").expect("the task").cascade.clone();
        setup.expect("two tiers").min_confidence
    };
    assert_eq!(threshold(), Some(0.8381));
    let file = fast_one.repository().join("sentiment.cascade.toml");
    let text = fs::read_to_string(&file).expect("the calibration");
    fs::write(&file, text.replace("0.8381", "0.7")).expect("written");
    let report = server.service.reload().await;
    assert_eq!(report.recalibrated, ["sentiment"]);
    assert_eq!(threshold(), Some(0.7));
    fs::write(&file, "nonsense").expect("written");
    let report = server.service.reload().await;
    let problem = report.problem.as_deref().expect("it can't be read");
    assert!(problem.starts_with("sentiment.cascade.toml: "), "{problem}");
    assert_eq!(threshold(), Some(0.7));
    fs::remove_file(&file).expect("it was there");
    let report = server.service.reload().await;
    assert!(report.recalibrated.is_empty());
    assert_eq!(threshold(), Some(0.7));
}

#[tokio::test]
async fn an_old_version_finishes_what_it_accepted_and_then_its_threads_end() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(&first).await;
    let old = server.service.catalog().stable(NAME).expect("it serves");
    let scheduler = match &*old.state() {
        tandem::service::catalog::ModelState::Serving(serving) => serving.scheduler.clone(),
        _ => panic!("it serves"),
    };
    drop(old);
    let room = scheduler.reserve(crate::support::stage::options(), crate::support::stage::sizes(1));
    let room = room.expect("room");
    drop(scheduler);
    first.version("2");
    let mut changes = server.service.watch_health();
    let reload = tokio::spawn({
        let service = server.service.clone();
        async move { service.reload().await }
    });
    while server.service.catalog().stable(NAME).expect("it serves").version() != "2" {
        changes.changed().await.expect("the service is there");
    }
    let answer = room.submit(vec![tandem::model::ModelInput::Features(vec![1, 2])]).await;
    assert_eq!(answer.expect("it was accepted").len(), 1);
    assert_eq!(of_fast(&reload.await.expect("no panic")).1, &exchanged("1"));
    // This waits for the threads of versions that were replaced.
    let service = server.service.clone();
    let stopped = tokio::task::spawn_blocking(move || service.stop_models());
    tokio::time::timeout(HANG, stopped)
        .await
        .expect("they end")
        .expect("no panic");
}

#[tokio::test]
async fn callers_who_ask_at_once_share_a_reload() {
    let first = ModelCopy::of(NAME, "1");
    let server = server_of(&first).await;
    first.version("2").set_temperature(2.0);
    let reports = futures::future::join_all((0..8).map(|_| server.service.reload())).await;
    let exchanges = reports
        .iter()
        .filter(|report| of_fast(report).1 == &exchanged("1"))
        .count();
    assert!(exchanges >= 1, "{reports:?}");
    let versions = server.http().get("/metrics").await;
    assert!(
        versions.text().contains("outcome=\"exchanged\"} 1\n"),
        "it was exchanged once"
    );
}

#[tokio::test]
async fn a_look_by_time_takes_files_that_have_been_quiet() {
    let first = ModelCopy::of(NAME, "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .with(|settings| settings.models_poll_interval = HumanDuration(Duration::from_secs(1)))
        .start()
        .await;
    let mut changes = server.service.watch_health();
    first.version("2");
    let version = || {
        server
            .service
            .catalog()
            .stable(NAME)
            .expect("it serves")
            .version()
            .to_owned()
    };
    while version() != "2" {
        changes.changed().await.expect("the service is there");
    }
}

#[tokio::test]
async fn links_that_point_elsewhere_are_seen() {
    // As a mounted volume of Kubernetes: the version's folder is a link through `..data`.
    let one = ModelCopy::of(NAME, "1");
    let two = ModelCopy::of(NAME, "1");
    two.set_temperature(3.0);
    let mounted = tempfile::tempdir().expect("a folder");
    for (copy, folder) in [(&one, "..one"), (&two, "..two")] {
        let folder = mounted.path().join(folder);
        fs::create_dir(&folder).expect("a folder");
        fs::rename(copy.repository().join(NAME), folder.join(NAME)).expect("moved");
    }
    let link = |target: &str| {
        let new = mounted.path().join("..new");
        std::os::unix::fs::symlink(target, &new).expect("a link");
        fs::rename(new, mounted.path().join("..data")).expect("renamed");
    };
    link("..one");
    std::os::unix::fs::symlink(format!("..data/{NAME}"), mounted.path().join(NAME)).expect("a link");
    let server = TestServer::builder().models(mounted.path().to_owned()).start().await;
    let mut client = server.client().await;
    let before = ask(&mut client).await;
    link("..two");
    let report = server.service.reload().await;
    assert_eq!(
        of_fast(&report),
        ("1", &exchanged("1")),
        "the same version, other files"
    );
    assert_ne!(ask(&mut client).await, before);
}

#[tokio::test]
async fn a_new_model_joins_and_one_that_is_gone_from_the_repository_serves_on() {
    let deep_one = ModelCopy::of(NAME, "1").add_small_deep();
    let joining = deep_one.add(NAME, "1");
    let folder = joining.folder().to_owned();
    let elsewhere = deep_one.repository().join(".away");
    fs::rename(&folder, &elsewhere).expect("moved");
    let server = server_of(&deep_one).await;
    let mut client = server.client().await;
    client.predict(fast(&TEXTS)).await.expect_err("there is no fast model");
    fs::rename(&elsewhere, &folder).expect("moved");
    let report = server.service.reload().await;
    assert_eq!(of_fast(&report), ("1", &Verdict::Exchanged { from: None }));
    client.predict(fast(&TEXTS)).await.expect("there is one now");
    joining.remove_version();
    assert_eq!(of_fast(server.service.reload().await.as_ref()), ("1", &Verdict::Gone));
    client.predict(fast(&TEXTS)).await.expect("it serves on");
    client.predict(deep(&TEXTS)).await.expect("so does the other");
}

#[tokio::test]
async fn a_server_that_stops_leaves_a_reload_off() {
    let first = ModelCopy::of(NAME, "1");
    let mut server = server_of(&first).await;
    first.version("2");
    let reload = tokio::spawn({
        let service = server.service.clone();
        async move { service.reload().await }
    });
    server.start_shutdown().await;
    let service = server.service.clone();
    server.stopped().await;
    reload.await.expect("it ends");
    let stopping = service.clone();
    tokio::task::spawn_blocking(move || stopping.stop_models())
        .await
        .expect("it ends");
    let report = service.reload().await;
    assert_eq!(report.problem.as_deref(), Some("the server is stopping"));
}
