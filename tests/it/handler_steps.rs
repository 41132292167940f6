//! The handler's steps, one by one, for both models: preprocess, inference, postprocess; and `handle`, which is all.

use std::time::{Duration, Instant};

use tandem::model::Tier;
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::manifest::Truncation;
use tandem::model::postprocess::NotFinite;
use tandem::model::repository;
use tandem::service::messages::{CallTimes, ClientKey, PredictInput, Route, Weight};

use crate::support::{TestServer, reviews, shipped_models};

const GOOD: &str = "정말 재미있고 감동적인 최고의 영화";
const BAD: &str = "지루하고 재미없는 최악의 영화, 시간 아깝다";

/// The shipped model of a tier, loaded and checked.
fn initialized(tier: Tier) -> Initialized {
    let models = repository::open(&shipped_models()).expect("the shipped models");
    let verified = models
        .iter()
        .find(|model| model.manifest.tier == tier)
        .expect("one a tier");
    let instances = InstanceSettings {
        count: 1,
        intra_threads: 1,
        idle_threads: 1,
        max_cells: 256,
        fast_path: FastPath::Native,
    };
    initialize(verified, instances).expect("it passes its checks")
}

#[test]
fn initialize_checks_every_golden_example_of_both_models() {
    for tier in [Tier::Fast, Tier::Deep] {
        let loaded = initialized(tier);
        assert!(loaded.golden.examples > 60, "{tier:?}");
        assert_eq!(loaded.runners.len(), 1);
        assert!(
            loaded.golden.largest_difference
                <= loaded
                    .model
                    .manifest
                    .golden
                    .as_ref()
                    .expect("golden examples")
                    .logit_tolerance
        );
    }
}

#[test]
fn preprocess_inference_and_postprocess_tell_good_from_bad_for_both_models() {
    for tier in [Tier::Fast, Tier::Deep] {
        let Initialized { model, mut runners, .. } = initialized(tier);
        let encodings = [GOOD, BAD].map(|text| model.preprocess(text, None).expect("short"));
        assert!(
            encodings
                .iter()
                .all(|encoding| encoding.token_count > 2 && !encoding.truncated)
        );
        let rows = runners[0]
            .run(&[&encodings[0].input, &encodings[1].input])
            .expect("the model runs");
        assert_eq!(rows.dim(), (2, model.manifest.labels.len()));
        let winners = [0, 1].map(|row| {
            let answer = model.postprocess(&rows.row(row).to_vec(), None).expect("finite");
            assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            model.manifest.labels[answer.winner].as_str()
        });
        assert_eq!(winners, ["positive", "negative"], "{tier:?}");
    }
}

#[test]
fn preprocess_cuts_the_end_or_the_start_or_refuses() {
    for tier in [Tier::Fast, Tier::Deep] {
        let model = initialized(tier).model;
        let long = format!("{GOOD} {}", "그리고 ".repeat(400));
        let end = model.preprocess(&long, Some(Truncation::End)).expect("cut");
        let start = model.preprocess(&long, Some(Truncation::Start)).expect("cut");
        assert!(end.truncated && start.truncated, "{tier:?}");
        assert_ne!(end.input, start.input, "{tier:?}");
        assert!(end.token_count <= model.manifest.max_token_count());
        assert!(model.preprocess(&long, Some(Truncation::Reject)).is_err(), "{tier:?}");
        assert!(model.preprocess(GOOD, Some(Truncation::Reject)).is_ok(), "{tier:?}");
    }
}

#[test]
fn postprocess_refuses_what_is_not_a_number() {
    let model = initialized(Tier::Fast).model;
    assert_eq!(model.postprocess(&[f32::NAN, 0.0], None), Err(NotFinite));
}

#[tokio::test]
async fn handle_runs_all_steps_for_both_models() {
    let server = TestServer::shared().await;
    for (route, tier) in [(Route::Fast, Tier::Fast), (Route::Deep, Tier::Deep)] {
        let input = PredictInput {
            texts: vec![GOOD.into(), BAD.into()],
            route,
            ..PredictInput::default()
        };
        let arrived = Instant::now();
        let times = CallTimes {
            span: tandem::telemetry::call_span::CallSpan::default(),
            arrived,
            deadline: arrived + Duration::from_mins(1),
            client: ClientKey::default(),
            caller: ClientKey::default(),
            weight: Weight::default(),
        };
        let output = server.service.answer(input, times).await.expect("an answer");
        let labels: Vec<&str> = output.predictions.iter().map(|answer| answer.label.as_str()).collect();
        assert_eq!(labels, ["positive", "negative"]);
        assert!(output.predictions.iter().all(|answer| answer.tier == tier));
        assert_eq!(output.models.len(), 1);
        assert!(output.timing.total >= output.timing.preprocess);
    }
}

#[tokio::test]
async fn the_fast_model_is_right_on_more_than_four_fifths_of_the_reviews() {
    let server = TestServer::shared().await;
    let mut right = 0;
    for chunk in reviews::reviews(400).chunks(100) {
        let input = PredictInput {
            texts: chunk.iter().map(|review| review.text.clone()).collect(),
            route: Route::Fast,
            ..PredictInput::default()
        };
        let arrived = Instant::now();
        let times = CallTimes {
            span: tandem::telemetry::call_span::CallSpan::default(),
            arrived,
            deadline: arrived + Duration::from_mins(1),
            client: ClientKey::default(),
            caller: ClientKey::default(),
            weight: Weight::default(),
        };
        let output = server.service.answer(input, times).await.expect("an answer");
        let answers = output.predictions.iter().zip(chunk);
        right += answers.filter(|(answer, review)| answer.label == review.label).count();
    }
    assert!(right > 320, "{right} of 400");
}
