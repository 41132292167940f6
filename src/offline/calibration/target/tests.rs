//! Tests of what an operator wants, and of the threshold that gives it.

use super::*;
use crate::offline::evaluation::tally::Labels;

/// A thousand texts of two labels, of which so many are right; all errors are `hate` that gets `none`, so that its
/// recall is the share of its 200 texts that is left.
fn tally(accuracy: f64) -> Tally {
    let mut tally = Tally::new(2);
    let wrong = ((1.0 - accuracy) * 1000.0).round() as usize;
    for at in 0..1000 {
        let truth = u32::from(at < 200);
        let given = if at < wrong { 0 } else { truth };
        tally.add(&Labels::One(truth), &Labels::One(given), 1.0);
    }
    tally
}

fn chosen(targets: &[&str]) -> Result<f32, String> {
    let point = |(min_confidence, escalated, accuracy)| Plain {
        min_confidence,
        escalated,
        cost: escalated + 0.01,
        tally: tally(accuracy),
    };
    let curve = [(0.0, 0.0, 0.88), (0.7, 0.2, 0.89), (0.8, 0.3, 0.895), (1.0, 1.0, 0.896)].map(point);
    let labels = ["none".to_owned(), "hate".to_owned()];
    let choice = Choice {
        curve: &curve,
        deep: &tally(0.896),
        labels: &labels,
    };
    let targets: Result<Vec<Target>, String> = targets.iter().map(|target| target.parse()).collect();
    suitable(&targets?, &choice).map(|thresholds| thresholds[0])
}

#[test]
fn the_cheapest_point_that_is_good_enough_is_taken() {
    for (target, threshold) in [
        ("accuracy>=deep", 1.0),
        ("accuracy>=deep-0.2pt", 0.8),
        ("accuracy>=deep-1pt", 0.7),
        ("accuracy>=89%", 0.7),
        ("accuracy>=0.5", 0.0),
        // 105 of 1,000 are wrong: 95 of the 200 are found.
        ("recall:hate>=0.475", 0.8),
        ("recall:hate>=deep-20pt", 0.0),
        ("precision:hate>=deep", 0.0),
        // (2 × 800 / (800 + 905) + 2 × 95 / (95 + 200)) / 2
        ("macro-f1>=0.79", 0.8),
    ] {
        assert_eq!(chosen(&[target]), Ok(threshold), "{target}");
    }
    let problem = chosen(&["accuracy>=deep+0.1pt"]).expect_err("too good");
    assert!(
        problem.contains("no point reaches accuracy 0.8970") && problem.contains("the best has 0.8960"),
        "{problem}"
    );
}

#[test]
fn the_dearest_point_that_can_be_paid_is_taken() {
    assert_eq!(chosen(&["cost<=0.31"]), Ok(0.8));
    assert_eq!(chosen(&["cost<=0.3"]), Ok(0.7));
    assert!(
        chosen(&["cost<=0.001"])
            .expect_err("too cheap")
            .contains("fast model alone costs 0.0100")
    );
}

#[test]
fn all_targets_hold_at_once() {
    assert_eq!(chosen(&["accuracy>=0.88", "recall:hate>=0.45"]), Ok(0.7));
    assert_eq!(chosen(&["accuracy>=0.88", "cost<=0.5"]), Ok(0.0));
    let problem = chosen(&["accuracy>=0.895", "cost<=0.25"]).expect_err("too much");
    assert!(
        problem.contains("at a cost of at most 0.25") && problem.contains("the best has 0.8900"),
        "{problem}"
    );
}

#[test]
fn what_is_no_target_is_refused() {
    for text in [
        "",
        "accuracy",
        "accuracy>0.9",
        "accuracy>=",
        "accuracy>=deep-0.2",
        "accuracy>=deep0.2%",
        "accuracy>=deep0.2pt",
        "accuracy>=1.2",
        "accuracy>=-0.1",
        "accuracy>=NaN",
        "accuracy>=deep-NaNpt",
        "agreement>=1",
        "agreement>=0",
        "agreement>=deep",
        "risk<=0",
        "risk<=deep",
        "risk>=0.1",
        "precision>=1",
        "precision:hate>=1",
        "precision>=deep",
        "cost<=0",
        "cost<=inf",
        "cost>=0.3",
        "f1>=0.3",
        "recall>=0.3",
    ] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}

#[test]
fn a_target_is_written_as_it_is_read() {
    for text in [
        "accuracy>=deep-0.2pt",
        "macro-f1>=deep",
        "recall:hate>=0.4",
        "agreement>=0.99",
        "risk<=0.02",
        "precision>=0.98",
        "precision:hate>=0.95",
        "precision:hate>=deep-1pt",
        "cost<=0.3",
    ] {
        assert_eq!(text.parse::<Target>().expect(text).to_string(), text);
    }
}
