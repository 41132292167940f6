//! Gears: under load a cascade's threshold goes down to a floor, and afterwards up again.

use std::time::Duration;

use tandem::api::pb;
use tandem::config::settings::{CascadeSettings, GearSettings};
use tandem::config::{HumanDuration, Settings, TaskSettings};
use tandem::service::catalog::cascade_calibration::Calibration;
use tandem::service::lifecycle::start::open_catalog;

use crate::support::{Client, TestServer, by_route, reviews, shipped_models};

const FLOOR: f32 = 0.7;

fn task(floor: f32) -> TaskSettings {
    let gears = GearSettings {
        floor,
        queue_time: HumanDuration(Duration::from_millis(2)),
    };
    TaskSettings {
        cascade: CascadeSettings {
            gears: Some(gears),
            ..CascadeSettings::default()
        },
        ..TaskSettings::default()
    }
}

async fn ask(client: &mut Client, request: pb::PredictRequest) -> pb::PredictResponse {
    client.predict(request).await.expect("an answer").into_inner()
}

#[tokio::test]
async fn the_threshold_follows_the_load_between_its_own_and_the_floor() {
    let path = shipped_models().join("sentiment.cascade.toml");
    let own = Calibration::read(&path)
        .expect("the shipped calibration")
        .min_confidence;
    let server = TestServer::builder().task("sentiment", task(FLOOR)).start().await;
    let one = || by_route(pb::Route::Cascade, &reviews::texts(1));
    assert_eq!(ask(&mut server.client().await, one()).await.min_confidence, Some(own));
    // Others keep the deep model's queue long until the floor is reached.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut client, stopped) = (server.client().await, stopped.clone());
        load.spawn(async move {
            while !*stopped.borrow() {
                ask(&mut client, by_route(pb::Route::Deep, &reviews::texts(32))).await;
            }
        });
    }
    let mut client = server.client().await;
    let mut seen = vec![own];
    while seen.last() != Some(&FLOOR) {
        let found = ask(&mut client, one()).await.min_confidence.expect("a cascade");
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    // A request's own threshold stays, and so does one model alone.
    let asked = pb::PredictRequest {
        min_confidence: Some(0.9),
        ..one()
    };
    assert_eq!(ask(&mut client, asked).await.min_confidence, Some(0.9));
    let fast = by_route(pb::Route::Fast, &reviews::texts(1));
    assert_eq!(ask(&mut client, fast).await.min_confidence, None);
    stop.send(true).expect("callers");
    load.join_all().await;
    // Step by step it comes back, each after a second of short waits.
    while seen.last() != Some(&own) {
        let found = ask(&mut client, one()).await.min_confidence.expect("a cascade");
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    assert!(
        seen.iter().all(|threshold| (FLOOR..=own).contains(threshold)),
        "{seen:?}"
    );
    let metrics = server.http().get("/metrics").await;
    let told = metrics.text();
    assert!(
        told.contains("tandem_cascade_min_confidence{task=\"sentiment\"} 0.838"),
        "{told}"
    );
}

#[test]
fn a_floor_that_is_no_floor_is_refused_at_the_start() {
    let mut settings = Settings {
        models: shipped_models(),
        ..Settings::default()
    };
    settings.tasks.insert("sentiment".into(), task(0.9));
    let refused = open_catalog(&settings)
        .err()
        .expect("above its own threshold")
        .to_string();
    let problem = "tasks.sentiment.cascade.gears: floor is 0.9, it must be below the threshold of the cascade, 0.8381";
    assert!(refused.contains(problem), "{refused}");
    settings.tasks.insert("sentiment".into(), task(1.5));
    let refused = settings.check().expect_err("more than all");
    assert!(
        refused.contains("tasks.sentiment.cascade.gears.floor is 1.5, it must be from 0 to 1"),
        "{refused}"
    );
}
