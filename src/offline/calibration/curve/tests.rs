//! Tests of the figures of a cascade.

use super::*;
use crate::model::gain::TextSize;

/// Texts of which the fast model is sure and right, and others that the deep model alone gets right.
fn samples() -> Vec<Sample> {
    let sample = |at: usize| {
        let truth = at % 2;
        let side = |size: f64| {
            if truth == 1 {
                vec![-size, size]
            } else {
                vec![size, -size]
            }
        };
        let hard = at.is_multiple_of(5);
        Sample {
            truth: Labels::One(truth as u32),
            group: at as u64,
            fast: if hard { side(-0.1) } else { side(2.0) },
            deep: side(1.0),
            // The machine was ten times as slow in one of the rounds for the fast model.
            costs: [1.0, 1.0, 10.0, 1.0, 1.0].map(|fast| Some([fast, 100.0])),
            size: TextSize::default(),
        }
    };
    (0..500).map(sample).collect()
}

fn judged(samples: &[Sample]) -> Judged<'_> {
    let fitted = Fitted {
        temperatures: [1.0, 1.0],
        blend: Blend::deep_alone(2),
        each: None,
        gain: None,
    };
    Judged::new(samples.iter().collect(), &fitted)
}

#[test]
fn the_ends_of_the_curve_are_fast_alone_and_everything_escalated() {
    let samples = samples();
    let judged = judged(&samples);
    let fast = judged.plain(0.0);
    assert_eq!((fast.escalated, fast.cost, fast.tally.accuracy()), (0.0, 0.01, 0.8));
    let some = judged.plain(0.9);
    assert_eq!((some.escalated, some.tally.accuracy()), (0.2, 1.0));
    assert!((some.cost - 0.21).abs() < 1e-12);
    let all = judged.plain(1.0);
    assert_eq!((all.escalated, all.tally.accuracy()), (1.0, 1.0));
    let cost = judged.cost(0.0);
    assert_eq!((cost.value, cost.low, cost.high), (0.01, 0.01, 0.1));
}

#[test]
fn intervals_hold_their_figure_and_differences_are_paired() {
    let samples = samples();
    let judged = judged(&samples);
    let points = judged.points(&[0.0, 0.9], 1);
    assert_eq!(points.len(), 3);
    assert_eq!(points[2].min_confidence, None);
    for point in &points {
        assert!(point.accuracy.low <= point.accuracy.value && point.accuracy.value <= point.accuracy.high);
    }
    // A share of 0.8 of 500: a standard error of 0.018.
    let width = points[0].accuracy.high - points[0].accuracy.low;
    assert!((0.05..0.09).contains(&width), "{width}");
    assert_eq!(
        points[1].above_deep,
        Interval {
            value: 0.0,
            low: 0.0,
            high: 0.0
        }
    );
    assert!(points[0].above_deep.high < -0.1);
    assert!((points[2].ece.value - (1.0 - 1.0 / (1.0 + (-2.0_f64).exp()))).abs() < 1e-9);
}

#[test]
fn thresholds_split_where_they_are_asked_to() {
    let samples = samples();
    let thresholds = judged(&samples).thresholds([0, 10, 20, 100].into_iter());
    assert_eq!(thresholds.first(), Some(&0.0));
    assert_eq!(thresholds.last(), Some(&1.0));
}
