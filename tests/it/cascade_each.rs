//! The cascade of models that give each label by itself: a text is as sure as its least sure label, and an escalated one gets
//! the deep model's own answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tandem::api::pb;
use tandem::model::discover::{self, Hints};
use tandem::model::manifest::Tier;
use tandem::model::repository::{self, VerifiedModel};
use tandem::offline::calibration::each::{DEEP, Each, FAST};
use tandem::offline::evaluation::tally::Labels;
use tandem::service::catalog::cascade_calibration::{
    BlendWeights, CalibratedModel, Calibration, DataFacts, EscalationRange, SCHEMA_VERSION,
};
use tempfile::TempDir;
use tonic::Code;

use crate::support::models::copy_folder;
use crate::support::stage::{options, sizes};
use crate::support::{Client, Refusal, TestServer, by_route, reviews, root};

/// The thresholds of the fast model's labels, which it has in another order than the deep one.
const THRESHOLDS: [(&str, f32); 4] = [("threat", 0.5), ("spam", 0.7), ("toxic", 0.2), ("insult", 0.5)];

/// A repository of one graph in both tiers. What the deep model calls toxic the fast one calls a threat, and so on: they
/// often differ. The fast one is less sure, and has thresholds of its own where `plain` does not say otherwise.
fn both_tiers(plain: bool) -> TempDir {
    let repository = tempfile::tempdir().expect("a temporary folder");
    let exported = root().join("tests/data/hugging_face/distilbert");
    for (name, tier) in [("toxic-fast", Tier::Fast), ("toxic-deep", Tier::Deep)] {
        let folder = repository.path().join(name).join("1");
        copy_folder(&exported, &folder);
        let hints = Hints {
            name: name.to_owned(),
            version: "1".to_owned(),
            task: Some("toxic".to_owned()),
            tier: Some(tier),
            max_tokens: None,
            root: None,
        };
        let mut manifest = discover::discover(&folder, &hints).expect("a model").manifest;
        if tier == Tier::Fast && !plain {
            manifest.labels = THRESHOLDS.map(|(label, _)| label.to_owned()).to_vec();
            manifest.calibration.temperature = 1.5;
            manifest.calibration.thresholds = THRESHOLDS.map(|(_, threshold)| threshold).to_vec();
        }
        let text = toml::to_string(&manifest).expect("a manifest");
        fs::write(folder.join("manifest.toml"), text).expect("written");
    }
    repository
}

async fn serving(repository: &Path) -> TestServer {
    TestServer::builder().models(repository.to_owned()).start().await
}

fn all_labels(route: pb::Route, texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        top_k: 100,
        ..by_route(route, texts)
    }
}

fn cascade(texts: &[&str], min_confidence: f32) -> pb::PredictRequest {
    pb::PredictRequest {
        min_confidence: Some(min_confidence),
        ..all_labels(pb::Route::Cascade, texts)
    }
}

async fn ask(client: &mut Client, request: pb::PredictRequest) -> Vec<pb::Prediction> {
    client
        .predict(request)
        .await
        .expect("an answer")
        .into_inner()
        .predictions
}

/// The labels that an answer gives.
fn given(answer: &pb::Prediction) -> BTreeSet<&str> {
    let scores = answer.scores.iter().filter(|score| score.selected);
    scores.map(|score| score.label.as_str()).collect()
}

/// How sure an answer is of its least sure label, by the odds of each relative to those of its threshold.
fn sureness(answer: &pb::Prediction, thresholds: &BTreeMap<&str, f32>) -> f64 {
    let of_label = |score: &pb::LabelScore| {
        let threshold = f64::from(thresholds.get(score.label.as_str()).copied().unwrap_or(0.5));
        let probability = f64::from(score.score);
        let odds = probability / (1.0 - probability) / (threshold / (1.0 - threshold));
        odds.max(1.0 / odds) / (1.0 + odds.max(1.0 / odds))
    };
    answer.scores.iter().map(of_label).fold(1.0, f64::min)
}

/// Whether two answers are the same but for the last digits, which a batch of another size may change.
fn assert_same(found: &pb::Prediction, expected: &pb::Prediction) {
    assert_eq!((&found.label, given(found)), (&expected.label, given(expected)));
    assert!((found.confidence - expected.confidence).abs() < 1e-4);
    assert_eq!((found.tier, found.token_count), (expected.tier, expected.token_count));
    for score in &found.scores {
        let other = expected.scores.iter().find(|other| other.label == score.label);
        assert!(
            (score.score - other.expect("each label").score).abs() < 1e-4,
            "{score:?}"
        );
    }
}

#[tokio::test]
async fn what_is_less_sure_than_the_threshold_gets_the_deep_models_own_answer() {
    let repository = both_tiers(false);
    let server = serving(repository.path()).await;
    let mut client = server.client().await;
    let texts = reviews::texts(60);
    let fast = ask(&mut client, all_labels(pb::Route::Fast, &texts)).await;
    let deep = ask(&mut client, all_labels(pb::Route::Deep, &texts)).await;
    let thresholds = BTreeMap::from(THRESHOLDS);
    for answer in &fast {
        for score in &answer.scores {
            assert_eq!(score.selected, score.score >= thresholds[score.label.as_str()]);
        }
    }
    let sure: Vec<f64> = fast.iter().map(|answer| sureness(answer, &thresholds)).collect();
    let mut sorted = sure.clone();
    sorted.sort_by(f64::total_cmp);
    let above = sorted[20..].iter().find(|next| **next > sorted[19] + 1e-3);
    let threshold = f64::midpoint(sorted[19], *above.expect("they differ")) as f32;
    let answers = ask(&mut client, cascade(&texts, threshold)).await;
    for (at, found) in answers.iter().enumerate() {
        if sure[at] >= f64::from(threshold) {
            assert_eq!(found.decision(), pb::Decision::Confident);
            assert_same(found, &fast[at]);
        } else {
            assert_eq!(found.decision(), pb::Decision::Escalated);
            assert_same(found, &deep[at]);
        }
    }
    let differ = (0..texts.len())
        .filter(|&at| sure[at] < f64::from(threshold) && given(&fast[at]) != given(&deep[at]))
        .count();
    let escalated = sure.iter().filter(|sure| **sure < f64::from(threshold)).count();
    assert!((20..60).contains(&escalated) && differ > 0, "{escalated}, {differ}");
    let metrics = server.http().get("/metrics").await;
    let metrics = metrics.text();
    let agreement = |agree: &str, count: usize| {
        let line = format!("tandem_cascade_agreement_total{{task=\"toxic\",agree=\"{agree}\"}} {count}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    };
    agreement("no", differ);
    agreement("yes", escalated - differ);
}

#[tokio::test]
async fn an_answer_that_is_exactly_sure_enough_stands() {
    let repository = both_tiers(true);
    let server = serving(repository.path()).await;
    let mut client = server.client().await;
    for text in reviews::texts(8) {
        // Alone in its batch, a text gets the same digits each time.
        let fast = &ask(&mut client, all_labels(pb::Route::Fast, &[text])).await[0];
        let of_label = |score: &pb::LabelScore| f64::from(score.score).max(1.0 - f64::from(score.score)) as f32;
        let sure = fast.scores.iter().map(of_label).fold(1.0, f32::min);
        for (threshold, expected) in [
            (sure.next_down(), pb::Decision::Confident),
            (sure, pb::Decision::Confident),
            (sure.next_up(), pb::Decision::Escalated),
        ] {
            let found = &ask(&mut client, cascade(&[text], threshold)).await[0];
            assert_eq!(found.decision(), expected, "{threshold} and {sure}");
        }
    }
}

#[tokio::test]
async fn without_room_those_with_the_surest_least_sure_label_fall_back() {
    let repository = both_tiers(false);
    let builder = TestServer::builder().models(repository.path().to_owned());
    let server = builder.max_texts(12).max_queue_texts(12).start().await;
    let mut client = server.client().await;
    let texts = reviews::texts(12);
    let fast = ask(&mut client, all_labels(pb::Route::Fast, &texts)).await;
    let thresholds = BTreeMap::from(THRESHOLDS);
    let mut sorted: Vec<f64> = fast.iter().map(|answer| sureness(answer, &thresholds)).collect();
    sorted.sort_by(f64::total_cmp);
    let deep = server
        .service
        .catalog()
        .stable("toxic-deep")
        .expect("the deep model")
        .loaded()
        .expect("it serves");
    let taken = deep.scheduler.reserve(options(), sizes(7)).expect("room");
    let request = pb::PredictRequest {
        allow_fallback: Some(true),
        ..cascade(&texts, 1.0)
    };
    let answers = ask(&mut client, request).await;
    for (found, fast) in answers.iter().zip(&fast) {
        if sureness(fast, &thresholds) < sorted[5] - 1e-6 {
            assert_eq!(found.decision(), pb::Decision::Escalated);
        } else {
            assert_eq!(found.decision(), pb::Decision::FallbackOverload);
            assert_same(found, fast);
        }
    }
    drop(taken);
}

fn measured(model: &VerifiedModel) -> CalibratedModel {
    CalibratedModel {
        model: model.manifest.name.clone(),
        version: model.manifest.version.clone(),
        fingerprint: model.fingerprint.clone(),
        temperature: model.manifest.calibration.temperature,
    }
}

fn calibration(repository: &Path) -> Calibration {
    let models = repository::open(repository).expect("both");
    let of = |tier: Tier| {
        models
            .iter()
            .find(|model| model.manifest.tier == tier)
            .expect("one each")
    };
    Calibration {
        schema_version: SCHEMA_VERSION,
        task: "toxic".into(),
        min_confidence: 1.0,
        each_label: true,
        escalation: EscalationRange::around(1.0),
        fast: measured(of(Tier::Fast)),
        deep: measured(of(Tier::Deep)),
        blend: BlendWeights {
            fast: 0.0,
            deep: 1.0,
            bias: BTreeMap::new(),
        },
        certificates: Vec::new(),
        data: DataFacts {
            file: "none".into(),
            fitted_on: 1,
            measured_on: 1,
            seed: 0,
            against_deep: true,
            measured_at: None,
        },
        gain: None,
        abstain: None,
        answered: Vec::new(),
        curve: Vec::new(),
    }
}

#[test]
fn thresholds_go_with_their_labels_whatever_the_order() {
    let repository = both_tiers(false);
    let models = repository::open(repository.path()).expect("both");
    let manifest = |tier: Tier| {
        let of_tier = models.iter().find(|model| model.manifest.tier == tier);
        &of_tier.expect("one each").manifest
    };
    let each = Each::of(manifest(Tier::Fast), manifest(Tier::Deep)).expect("each label by itself");
    // A probability of 0.3 for every label: over the threshold of one, which is the first of the deep model's.
    let logit = |temperature: f64| vec![(0.3_f64 / 0.7).ln() * temperature; 4];
    assert_eq!(each.given(FAST, &logit(1.5)), Labels::Many(vec![0]));
    assert_eq!(each.given(DEEP, &logit(1.0)), Labels::Many(Vec::new()));
    assert_eq!(each.temperatures(), [1.5, 1.0]);
}

#[test]
fn the_file_of_models_that_give_one_label_of_all_is_as_before() {
    let repository = both_tiers(false);
    let mut one = calibration(repository.path());
    one.each_label = false;
    let text = one.to_toml();
    assert!(!text.contains("each_label") && !text.contains("by itself"), "{text}");
    let file = repository.path().join("one.cascade.toml");
    fs::write(&file, text).expect("written");
    assert_eq!(Calibration::read(&file).expect("readable"), one);
    let shipped = Calibration::read(&root().join("models/sentiment.cascade.toml")).expect("the shipped one");
    assert!(!shipped.each_label);
}

#[tokio::test]
async fn its_calibration_is_used_unless_it_asks_for_what_can_not_be() {
    let repository = both_tiers(false);
    let sound = calibration(repository.path());
    let file = repository.path().join("toxic.cascade.toml");
    let text = sound.to_toml();
    assert!(
        text.contains("\neach_label = true\n") && text.contains("nothing is blended"),
        "{text}"
    );
    fs::write(&file, &text).expect("written");
    assert_eq!(Calibration::read(&file).expect("readable"), sound);
    let server = serving(repository.path()).await;
    let request = by_route(pb::Route::Cascade, &["a"]);
    let found = &ask(&mut server.client().await, request.clone()).await[0];
    assert_eq!(found.decision(), pb::Decision::Escalated);

    let odd = |change: fn(&mut Calibration)| {
        let mut calibration = sound.clone();
        change(&mut calibration);
        calibration
    };
    for wrong in [
        odd(|file| file.each_label = false),
        odd(|file| file.blend.fast = 0.5),
        odd(|file| file.blend.bias = BTreeMap::from([("spam".into(), 0.1)])),
        odd(|file| file.fast.temperature = 1.0),
    ] {
        fs::write(&file, wrong.to_toml()).expect("written");
        let server = serving(repository.path()).await;
        let refused = server.client().await.predict(request.clone()).await;
        let refusal = Refusal::of(&refused.expect_err("not used"));
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::FailedPrecondition, "CASCADE_NOT_CALIBRATED")
        );
    }
}
