//! A model of `tandem train` runs without ONNX Runtime, where its texts arrive, and gives the answers that ONNX Runtime
//! gives, to the bit; any other model, and this one with `fast_path = "onnx"`, runs in ONNX Runtime.

use std::path::Path;
use std::time::{Duration, Instant};

use tandem::api::pb;
use tandem::batching::{ClientKey, Failure, Priority, SubmitOptions, Weight};
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::repository::{self, VerifiedModel};
use tandem::model::{ModelInput, Tier};

use crate::support::models::ModelCopy;
use crate::support::reviews::texts;
use crate::support::{TestServer, by_route, shipped_models};

fn shipped() -> VerifiedModel {
    let models = repository::open(&shipped_models()).expect("the shipped models");
    let mut models = models.into_iter();
    models
        .find(|model| model.manifest.tier == Tier::Fast)
        .expect("the fast one")
}

fn loaded(verified: &VerifiedModel, fast_path: FastPath) -> Initialized {
    let settings = InstanceSettings {
        count: 1,
        intra_threads: 1,
        idle_threads: 1,
        max_cells: 32_768,
        fast_path,
    };
    initialize(verified, settings).expect("it passes its checks")
}

/// The logits of reviews, and of no n-gram at all, each alone or all in one batch.
fn logits(loaded: &mut Initialized, batched: bool) -> Vec<f32> {
    let encode = |text: &str| loaded.model.preprocess(text, None).expect("it is cut").input;
    let mut rows: Vec<ModelInput> = texts(300).iter().map(|text| encode(text)).collect();
    rows.extend(["", "👍", &"길다 ".repeat(1000)].map(encode));
    rows.push(ModelInput::Features(vec![loaded.model.pad_id()]));
    let batches: Vec<&[ModelInput]> = rows.chunks(if batched { 32 } else { 1 }).collect();
    let run = |batch: &&[ModelInput]| {
        let rows: Vec<&ModelInput> = batch.iter().collect();
        loaded.runners[0]
            .run(&rows)
            .expect("it runs")
            .into_iter()
            .collect::<Vec<f32>>()
    };
    batches.iter().flat_map(run).collect()
}

#[test]
fn a_sum_of_our_own_gives_the_bits_that_onnx_runtime_gives() {
    let verified = shipped();
    let (mut native, mut onnx) = (loaded(&verified, FastPath::Native), loaded(&verified, FastPath::Onnx));
    assert!(native.native.is_some() && onnx.native.is_none());
    let expected = logits(&mut onnx, false);
    for batched in [false, true] {
        assert_eq!(logits(&mut native, batched), expected, "batched: {batched}");
    }
}

#[test]
fn a_graph_that_tandem_did_not_write_runs_in_onnx_runtime() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nan-models");
    let models = repository::open(&folder).expect("a model of hashed n-grams by other hands");
    assert!(loaded(&models[0], FastPath::Native).native.is_none());
    let deep = repository::open(&shipped_models()).expect("the shipped models");
    let deep = deep
        .iter()
        .find(|model| model.manifest.tier == Tier::Deep)
        .expect("the deep one");
    assert!(loaded(deep, FastPath::Native).native.is_none());
}

#[tokio::test]
async fn a_server_answers_the_same_either_way() {
    let copy = ModelCopy::of("sentiment-fast", "1");
    let mut answers = Vec::new();
    for fast_path in [FastPath::Native, FastPath::Onnx] {
        let server = TestServer::builder().models(copy.repository().to_owned());
        let server = server.with(|settings| settings.fast_path = fast_path).start().await;
        let mut request = by_route(pb::Route::Fast, &texts(32));
        request.top_k = 2;
        let response = server
            .client()
            .await
            .predict(request)
            .await
            .expect("an answer")
            .into_inner();
        let timing = response.timing.expect("timing");
        assert!(timing.tiers[0].batch_text_count >= 1);
        answers.push(response.predictions);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn who_runs_on_arrival_gives_room_back_and_keeps_to_deadlines() {
    let copy = ModelCopy::of("sentiment-fast", "1");
    let server = TestServer::builder().models(copy.repository().to_owned()).start().await;
    let loaded = server.service.catalog().stable("sentiment-fast").expect("it serves");
    let loaded = loaded.loaded().expect("it is loaded");
    assert!(loaded.scheduler.runs_on_arrival());
    let options = |patience: Duration| SubmitOptions {
        deadline: Instant::now() + patience,
        priority: Priority::Normal,
        client: ClientKey::default(),
        weight: Weight::default(),
    };
    let row = || vec![loaded.model.preprocess("재미있게 봤어요", None).expect("short").input];
    let room = loaded
        .scheduler
        .reserve(options(Duration::from_secs(5)), [20].into_iter())
        .expect("room");
    assert_eq!(loaded.scheduler.held().rows, 1);
    let answer = room.submit(row()).await.expect("an answer");
    assert_eq!((answer.len(), answer[0].queued_for), (1, Duration::ZERO));
    assert_eq!(loaded.scheduler.held().rows, 0);
    let room = loaded
        .scheduler
        .reserve(options(Duration::from_millis(1)), [20].into_iter())
        .expect("room");
    tokio::time::sleep_until((Instant::now() + Duration::from_millis(2)).into()).await;
    assert_eq!(room.submit(row()).await, Err(Failure::DeadlineExceeded));
    assert_eq!(loaded.scheduler.held().rows, 0);
    // Closed: nothing more runs, neither here nor there.
    let room = loaded
        .scheduler
        .reserve(options(Duration::from_secs(5)), [20].into_iter())
        .expect("room");
    loaded.scheduler.close();
    assert_eq!(room.submit(row()).await, Err(Failure::Closed));
}
