//! What is said of figures that were made for it.

use super::*;
use crate::offline::evaluation::answer::{Answer, Known};
use crate::offline::evaluation::contest::{Contest, Measured, hold};
use crate::offline::evaluation::tally::Labels;

const TEXTS: usize = 400;

fn labels() -> Vec<String> {
    ["no", "yes", "other"].map(str::to_owned).to_vec()
}

/// Texts of `no` and `yes` in turn, and three of `other`.
fn texts() -> Vec<Known> {
    let label = |at: usize| if at < 3 { 2 } else { (at % 2) as u32 };
    let known = |at| Known {
        truth: Labels::One(label(at)),
        weight: 1.0,
    };
    (0..TEXTS).map(known).collect()
}

/// A contender that is wrong on one of so many texts, and on `other`, which it never says.
fn answers(wrong_every: usize, confidence: f64) -> Vec<Answer> {
    let answer = |(at, known): (usize, &Known)| {
        let right = at % 2;
        let given = if at.is_multiple_of(wrong_every) {
            1 - right
        } else {
            right
        };
        let mut probabilities = [1.0 - confidence, 1.0 - confidence, 0.0];
        probabilities[given] = confidence;
        Answer::new(Labels::One(given as u32), &probabilities, &known.truth, &[])
    };
    texts().iter().enumerate().map(answer).collect()
}

fn held(contenders: &[&[Answer]]) -> Contest {
    let measured = Measured {
        labels: 3,
        precisions: &[],
        seed: 1,
    };
    hold(&texts(), contenders, &measured)
}

fn standing<'a>(name: &'a str, kind: Kind, evaluation: &'a Evaluation) -> Standing<'a> {
    Standing { name, kind, evaluation }
}

#[test]
fn a_fast_model_that_beats_the_deep_one_is_said() {
    let contest = held(&[&answers(3, 0.7), &answers(10, 0.9)]);
    let [worse, better] = &contest.evaluations[..] else {
        panic!("two")
    };
    let difference = contest.difference.expect("two");
    let (deep, fast) = (
        standing("deep", Kind::Deep, worse),
        standing("fast", Kind::Fast, better),
    );
    let told = of_two(&deep, &fast, &difference, TEXTS);
    assert!(told.starts_with("your fast model beats the deep one (+"), "{told}");
    let told = of_two(
        &standing("a", Kind::Deep, worse),
        &standing("b", Kind::Deep, better),
        &difference,
        TEXTS,
    );
    assert!(told.starts_with("b is better than a (+"), "{told}");
    let same = held(&[&answers(10, 0.9), &answers(10, 0.9)]).difference.expect("two");
    assert_eq!(of_two(&deep, &fast, &same, TEXTS), "deep and fast give the same labels");
    let near = held(&[&answers(10, 0.9), &answers(11, 0.9)]).difference.expect("two");
    let told = of_two(&deep, &fast, &near, TEXTS);
    assert!(
        told.starts_with("no difference in accuracy is shown between deep and fast (+"),
        "{told}"
    );
}

#[test]
fn a_label_that_one_finds_less_often_is_said() {
    // It says `no` wherever the other says `yes` rightly on every other text of it.
    let mut blind = answers(1000, 0.9);
    for (at, answer) in blind.iter_mut().enumerate() {
        if at % 4 == 1 {
            answer.given = Labels::One(0);
        }
    }
    let contest = held(&[&answers(1000, 0.9), &blind]);
    let [seeing, blind] = &contest.evaluations[..] else {
        panic!("two")
    };
    let (seeing, blind) = (
        standing("deep", Kind::Deep, seeing),
        standing("cascade", Kind::Cascade, blind),
    );
    let told = of_labels(&seeing, &blind, &labels()).expect("a label");
    assert_eq!(
        told,
        "cascade finds `yes` less often than deep: recall 0.503 against 1.000"
    );
    assert_eq!(of_labels(&seeing, &seeing, &labels()), None);
}

#[test]
fn a_label_that_is_never_given_and_classes_of_few_texts_are_said() {
    let contest = held(&[&answers(10, 0.9)]);
    let evaluation = &contest.evaluations[0];
    let told = of_one(&standing("deep", Kind::Deep, evaluation), &labels());
    assert_eq!(told, ["deep never says `other` (3 have it) on 400 texts"]);
    assert_eq!(
        of_classes(evaluation, &labels()).expect("a class of three texts"),
        "fewer than 10 texts, so the figures are not reliable: `other` (3)"
    );
    let told = never_given("deep", &labels(), &[60_000, 40_000, 0], 100_000, None);
    assert_eq!(told.as_deref(), Some("deep never says `other` on 100,000 texts"));
    assert_eq!(never_given("deep", &labels(), &[30, 20, 0], 50, None), None);
}

#[test]
fn answers_that_are_too_sure_or_no_better_than_one_label_are_said() {
    let told = |wrong_every, confidence| {
        let contest = held(&[&answers(wrong_every, confidence)]);
        of_one(&standing("fast", Kind::Fast, &contest.evaluations[0]), &labels())
    };
    assert!(
        told(4, 0.99)
            .iter()
            .any(|told| told.starts_with("fast is too sure: its confidence is 99.0% on average"))
    );
    assert!(
        told(20, 0.6)
            .iter()
            .any(|told| told.starts_with("fast is surer than it says"))
    );
    // All right, at 80%.
    assert!(told(1000, 0.8)[1].starts_with("fast is surer than it says: its confidence is 80.0% on average, and 99."));
    // It is wrong on every text.
    assert!(
        told(1, 0.6)
            .iter()
            .any(|told| told.starts_with("fast is no better than always saying `"))
    );
}

#[test]
fn a_cascade_that_is_not_worth_it_is_said() {
    let told = of_cascade(0.61, 0.93).expect("not worth it");
    assert!(
        told.starts_with("n-grams can't learn this: agreement 61.0%, the cascade costs 0.93"),
        "{told}"
    );
    assert!(
        of_cascade(0.95, 0.93)
            .expect("not worth it")
            .contains("both agree on 95.0%")
    );
    assert_eq!(of_cascade(0.95, 0.3), None);
    assert_eq!(of_cascade(0.61, 0.3), None);
    // No threshold keeps what was asked for.
    assert_eq!(not_learnt(0.95, 100), None);
    assert_eq!(
        not_learnt(0.61, 2_000).as_deref(),
        Some("n-grams can't learn this: agreement 61.0%; serve the deep model alone")
    );
    assert_eq!(
        not_learnt(0.61, 1_999).as_deref(),
        Some("the student agrees on 61.0% only, after 1,999 texts to learn from: more may teach it more")
    );
    assert_eq!(thousands(1_234_567), "1,234,567");
    assert_eq!(thousands(100), "100");
}
