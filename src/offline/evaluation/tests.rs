//! The figures against those of scikit-learn 1.9.1, on rows that both make by the same formulas. The numbers come from
//! `accuracy_score`, `f1_score`, `log_loss`, `precision_recall_fscore_support` (with `sample_weight` where weights are
//! named) and `confusion_matrix`; the calibration error, which scikit-learn does not have, from NumPy by its definition.

use super::answer::{Answer, Known};
use super::classes::Confused;
use super::contest::{self, Contest, Measured};
use super::tally::Labels;
use crate::offline::dataset::example::above;

const ROWS: usize = 120;

/// Texts of three labels, 60, 40 and 20 of them, and the answers of a contender that is often right.
fn single(weighted: bool) -> (Vec<Known>, Vec<Answer>) {
    let row = |at: usize| {
        let truth = [0, 0, 0, 1, 1, 2][at % 6];
        let raw =
            |label: usize| (1 + (at * (label + 3) * 7 + label * 5) % 11 + if truth == label { 6 } else { 0 }) as f64;
        let sum: f64 = (0..3).map(raw).sum();
        let probabilities: Vec<f64> = (0..3).map(|label| raw(label) / sum).collect();
        let given = (1..3).fold(0, |best, label| if raw(label) > raw(best) { label } else { best });
        let truth = Labels::One(truth as u32);
        let answer = Answer::new(Labels::One(given as u32), &probabilities, &truth, &[]);
        let weight = if weighted { 1.0 + (at % 4) as f64 / 2.0 } else { 1.0 };
        (Known { truth, weight }, answer)
    };
    (0..ROWS).map(row).unzip()
}

/// Texts of which each may have four labels.
fn multi() -> (Vec<Known>, Vec<Answer>) {
    let row = |at: usize| {
        let has = |label: usize| at.is_multiple_of(label + 2);
        let points = |label: usize| (at * (2 * label + 3) * 5 + label * 7) % 13 + if has(label) { 7 } else { 0 };
        let labels =
            |of: &dyn Fn(usize) -> bool| Labels::Many((0..4_u32).filter(|label| of(*label as usize)).collect());
        let truth = labels(&has);
        let probabilities: Vec<f64> = (0..4).map(|label| points(label) as f64 / 20.0).collect();
        let answer = Answer::new(labels(&|label| points(label) >= 10), &probabilities, &truth, &[]);
        (Known { truth, weight: 1.0 }, answer)
    };
    (0..ROWS).map(row).unzip()
}

fn held(texts: &[Known], contenders: &[&[Answer]], labels: usize) -> Contest {
    let measured = Measured {
        labels,
        precisions: &[0.8, 0.9, 0.95],
        seed: 1,
    };
    contest::hold(texts, contenders, &measured)
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
}

#[test]
fn single_label_figures_are_those_of_scikit_learn() {
    let (texts, answers) = single(false);
    let found = held(&texts, &[&answers], 3).evaluations.remove(0);
    near(found.accuracy.value, 0.775);
    near(found.macro_f1.value, 0.746_922_322_142_084_1);
    near(found.micro_f1.value, 0.775);
    near(found.log_loss.value, 0.719_016_136_308_196_5);
    near(found.calibration_error.value, 0.335_355_835_455_473_15);
    let expected = [
        (60, 0.819_672_13, 0.833_333_33, 0.826_446_28),
        (40, 0.805_555_56, 0.725, 0.763_157_89),
        (20, 0.608_695_65, 0.7, 0.651_162_79),
    ];
    for (class, (texts, precision, recall, f1)) in found.classes.iter().zip(expected) {
        assert_eq!(class.texts, texts);
        near(class.precision.expect("some were given it").value, precision);
        near(class.recall.expect("some have it").value, recall);
        near(class.f1.expect("some have it"), f1);
    }
    let pair = |truth, given, texts| Confused { truth, given, texts };
    assert_eq!(
        found.confusions,
        [
            pair(1, 0, 7),
            pair(0, 1, 5),
            pair(0, 2, 5),
            pair(1, 2, 4),
            pair(2, 0, 4),
            pair(2, 1, 2)
        ]
    );
    // By the answers that are at least as sure as each threshold: their share, and the share of right ones.
    let expected = [
        (0.391_304_347_826_087, 0.95, 0.815_789_473_684_210_5),
        (
            0.466_666_666_666_666_7,
            0.708_333_333_333_333_4,
            0.929_411_764_705_882_4,
        ),
        (0.555_555_555_555_555_6, 0.358_333_333_333_333_34, 1.0),
    ];
    for (coverage, (threshold, covered, precision)) in found.coverages.iter().zip(expected) {
        near(coverage.min_confidence.expect("it is reached"), threshold);
        near(coverage.covered, covered);
        near(coverage.precision.expect("it is reached").value, precision);
    }
}

#[test]
fn weighted_figures_are_those_of_scikit_learn() {
    let (texts, answers) = single(true);
    let found = held(&texts, &[&answers], 3).evaluations.remove(0);
    near(found.accuracy.value, 0.764_285_714_285_714_2);
    near(found.macro_f1.value, 0.744_449_730_897_887_1);
    near(found.log_loss.value, 0.723_133_542_356_951_7);
    near(found.calibration_error.value, 0.331_485_349_881_312_7);
    let expected = [(0.797_101_45, 0.825), (0.793_650_79, 0.714_285_71), (0.643_678_16, 0.7)];
    for (class, (precision, recall)) in found.classes.iter().zip(expected) {
        near(class.precision.expect("some were given it").value, precision);
        near(class.recall.expect("some have it").value, recall);
    }
}

#[test]
fn multi_label_figures_are_those_of_scikit_learn() {
    let (texts, answers) = multi();
    let found = held(&texts, &[&answers], 4).evaluations.remove(0);
    near(found.accuracy.value, 0.383_333_333_333_333_36);
    near(found.micro_f1.value, 0.687_861_271_676_300_6);
    near(found.macro_f1.value, 0.671_277_519_700_561_7);
    near(found.log_loss.value, 0.415_287_805_482_188_5);
    near(found.calibration_error.value, 0.143_645_833_333_333_36);
    let expected = [
        (60, 0.779_661_02, 0.766_666_67),
        (40, 0.632_653_06, 0.775),
        (30, 0.522_727_27, 0.766_666_67),
        (24, 0.475, 0.791_666_67),
    ];
    for (class, (texts, precision, recall)) in found.classes.iter().zip(expected) {
        assert_eq!(class.texts, texts);
        near(class.precision.expect("some were given it").value, precision);
        near(class.recall.expect("some have it").value, recall);
    }
    assert!(found.confusions.is_empty());
}

#[test]
fn an_answer_of_several_labels_is_as_sure_as_a_cascade_holds_it_to_be() {
    let sure = |probabilities: &[f64], thresholds: &[f32]| {
        let given = above(
            &probabilities.iter().map(|&value| value as f32).collect::<Vec<_>>(),
            thresholds,
        );
        Answer::new(
            Labels::Many(given),
            probabilities,
            &Labels::Many(Vec::new()),
            thresholds,
        )
        .confidence
    };
    // Its odds are 0.136, those of its threshold 0.111; without a threshold it is on the other side, and surer.
    assert!((sure(&[0.12], &[0.1]) - 0.5510).abs() < 1e-4);
    assert!((sure(&[0.12], &[]) - 0.88).abs() < 1e-6);
    assert!((sure(&[0.99, 0.12, 0.3], &[0.5, 0.1, 0.3]) - 0.5).abs() < 1e-6);
    assert!((sure(&[0.99, 0.12, 0.3], &[]) - 0.7).abs() < 1e-6);
}

#[test]
fn two_contenders_are_compared_on_the_same_draws() {
    let (texts, answers) = single(false);
    let same = held(&texts, &[&answers, &answers], 3)
        .difference
        .expect("two contenders");
    assert_eq!((same.differing, same.accuracy.low, same.accuracy.high), (0, 0.0, 0.0));
    let perfect: Vec<Answer> = texts
        .iter()
        .map(|known| Answer::new(known.truth.clone(), &[0.9; 3], &known.truth, &[]))
        .collect();
    let contest = held(&texts, &[&answers, &perfect], 3);
    let better = contest.difference.expect("two contenders");
    near(better.accuracy.value, 0.225);
    // A share of 0.225 of 120: a standard error of 0.038.
    assert!(
        (0.14..0.18).contains(&better.accuracy.low) && (0.27..0.31).contains(&better.accuracy.high),
        "{better:?}"
    );
    assert_eq!((better.differing, better.first_right, better.second_right), (27, 0, 27));
    assert_eq!(contest::differing(&answers, &perfect, 5).len(), 5);
    let doubted = contest::doubted(&texts, &answers, 50);
    assert_eq!(doubted.len(), 27);
    assert!(
        doubted
            .windows(2)
            .all(|two| answers[two[0]].loss >= answers[two[1]].loss)
    );
    assert!(contest::doubted(&texts, &perfect, 50).is_empty());
}

#[test]
fn a_class_that_no_text_has_is_no_error_and_few_texts_are_said() {
    let (mut texts, mut answers) = single(false);
    texts.truncate(12);
    answers.truncate(12);
    // A fourth label, which no text has and none is given.
    let found = held(&texts, &[&answers], 4).evaluations.remove(0);
    assert_eq!((found.classes[3].texts, found.classes[3].f1), (0, None));
    assert!(found.classes.iter().take(3).all(|class| class.is_unreliable()));
    assert!(!found.classes[3].is_unreliable());
    // It does not pull the mean down.
    let of_three = found.classes.iter().filter_map(|class| class.f1).sum::<f64>() / 3.0;
    near(found.macro_f1.value, of_three);
    let empty = held(&[], &[&[]], 3).evaluations.remove(0);
    assert_eq!(
        (empty.accuracy.value, empty.macro_f1.value, empty.log_loss.value),
        (0.0, 0.0, 0.0)
    );
}
