//! The sessions of a model: they share their weights, and more of them answer as one does.

use tandem::model::loading::wide_trial::Found;
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::{ModelInput, Tier, neighbours, repository};

use crate::support::reviews::texts;
use crate::support::shipped_models;

const ALONE: InstanceSettings = InstanceSettings {
    count: 1,
    intra_threads: 1,
    idle_threads: 1,
    max_cells: 256,
    fast_path: FastPath::Native,
};

/// A shipped model of a tier with these instances.
fn initialized(tier: Tier, settings: InstanceSettings) -> Initialized {
    let models = repository::open(&shipped_models()).expect("the shipped models");
    let verified = models
        .iter()
        .find(|model| model.manifest.tier == tier)
        .expect("one a tier");
    initialize(verified, settings).expect("it passes its checks")
}

/// What every instance answers for some reviews, each alone.
fn answers(loaded: &mut Initialized) -> Vec<Vec<f32>> {
    let texts = texts(8);
    let inputs: Vec<ModelInput> = texts
        .iter()
        .map(|text| loaded.model.preprocess(text, None).expect("it is short").input)
        .collect();
    loaded
        .runners
        .iter_mut()
        .map(|runner| {
            let rows = inputs.iter().map(|input| runner.run(&[input]).expect("it runs"));
            rows.flat_map(|row| row.into_iter().collect::<Vec<_>>()).collect()
        })
        .collect()
}

#[test]
fn sessions_that_share_their_weights_answer_as_one_with_its_own_does() {
    for tier in [Tier::Fast, Tier::Deep] {
        let alone = answers(&mut initialized(tier, ALONE));
        let shared = answers(&mut initialized(tier, InstanceSettings { count: 3, ..ALONE }));
        assert_eq!(shared.len(), 3);
        // The same kernels on the same numbers: the same bits.
        assert!(shared.iter().all(|answers| answers == &alone[0]), "{tier:?}");
    }
}

#[test]
fn what_runs_alone_gets_the_same_answer_from_any_number_of_threads() {
    let settings = InstanceSettings {
        count: 2,
        idle_threads: 2,
        ..ALONE
    };
    let mut loaded = initialized(Tier::Deep, settings);
    let text = "정말 재미있고 감동적인 최고의 영화".repeat(8);
    let input = loaded.model.preprocess(&text, None).expect("it is cut").input;
    let before = loaded.runners[0].run_alone(&[&input]).expect("it runs");
    // The session is there: all instances use it by turns, and the same bits come back as long as it agrees with them.
    loaded.wide.take().expect("more threads are asked for").run(&|| false);
    for _ in 0..8 {
        for runner in &mut loaded.runners {
            let alone = runner.run_alone(&[&input]).expect("it runs");
            assert!(
                alone
                    .iter()
                    .zip(&before)
                    .all(|(a, b)| (a - b).abs() <= neighbours::BOUND)
            );
        }
    }
}

#[test]
fn a_session_that_nobody_needs_any_more_is_not_put_in() {
    let settings = InstanceSettings {
        idle_threads: 2,
        ..ALONE
    };
    let wide = initialized(Tier::Deep, settings)
        .wide
        .expect("more threads are asked for");
    let opened = wide.open(&|| true).expect("it opens");
    assert!(matches!(opened, Found::Over));
}

#[test]
fn warm_up_measures_single_rows_of_both_models() {
    for tier in [Tier::Fast, Tier::Deep] {
        let loaded = initialized(tier, ALONE);
        assert_eq!(loaded.costs[0].rows, 1);
        assert!(loaded.costs.iter().all(|cost| !cost.took.is_zero()));
        assert!(loaded.wide.is_none(), "one thread is all there is");
    }
}
