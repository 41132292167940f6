//! Tests of a calibration as a whole.

use super::*;
use crate::offline::calibration::certificate::Certified;
use crate::offline::calibration::options::Deferral;
use crate::offline::calibration::target::{Target, Wanted};
use crate::offline::evaluation::tally::Labels;

const LABELS: [&str; 2] = ["no", "yes"];

/// Texts on which the deep model says yes and no in turn, and the fast model says something else in one of ten: those
/// of which it is least sure.
fn samples(texts: usize) -> Vec<Sample> {
    let sample = |at: usize| {
        let sure = (at % 10) as f64;
        let side = if at.is_multiple_of(2) { 1.0 } else { -1.0 };
        let logit = if at.is_multiple_of(10) { -0.1 } else { sure / 2.0 } * side;
        Sample::unlabelled(
            at as u64,
            vec![0.0, logit],
            vec![0.0, 3.0 * side],
            [Some([1.0, 100.0]); 5],
        )
    };
    (0..texts).map(sample).collect()
}

fn calibrated(samples: &[Sample], targets: &[&str], reference: Reference) -> Result<Calibrated, String> {
    let targets: Vec<Target> = (targets.iter())
        .map(|target| target.parse().expect("a target"))
        .collect();
    let options = Options {
        wanted: &Wanted::Targets(targets),
        labels: &LABELS.map(str::to_owned),
        confidence: 0.95,
        certifying: 0.5,
        seed: 1,
        reference,
        deep_temperature: 1.5,
        each: None,
        deferral: Deferral::Confidence,
    };
    calibrate(samples, &options)
}

#[test]
fn texts_without_labels_certify_agreement() {
    let found = calibrated(&samples(2000), &["agreement>=0.98"], Reference::Deep).expect("certified");
    assert_eq!(found.fitted.temperatures[1], 1.5);
    assert_eq!(found.fitted.blend, Blend::deep_alone(2));
    assert_eq!(found.certificates.len(), 1, "nothing is known of accuracy");
    let certificate = &found.certificates[0];
    assert_eq!(
        (certificate.of, certificate.at_least, certificate.seen.errors),
        (Certified::Agreement, 0.98, 0)
    );
    assert_eq!(Some(certificate.min_confidence), found.chosen.min_confidence);
    assert_eq!(certificate.seen.texts, found.measured_on);
    // Those that differ are escalated, and few others.
    assert!((0.09..0.25).contains(&found.chosen.escalated), "{:?}", found.chosen);
    let said = found.certified();
    assert!(
        said[0].contains("agrees with the deep model on at least 98% of texts"),
        "{said:?}"
    );
    assert!(said[1].ends_with("too many for any number of texts"), "{said:?}");
}

#[test]
fn a_text_vouches_for_itself_once() {
    let mut copies = samples(2000);
    for (at, sample) in copies.iter_mut().enumerate() {
        sample.group = (at % 500) as u64;
    }
    let problem = calibrated(&copies, &["agreement>=0.99"], Reference::Deep).expect_err("too few");
    assert!(
        problem.contains("at the strictest 0 of 2") && problem.contains("about 300 different texts"),
        "{problem}"
    );
}

#[test]
fn what_else_is_wanted_bounds_what_is_certified() {
    let samples = samples(2000);
    let problem = calibrated(&samples, &["agreement>=0.98", "cost<=0.05"], Reference::Deep).expect_err("too cheap");
    assert!(problem.ends_with("more texts would not help"), "{problem}");
    let found = calibrated(&samples, &["agreement>=0.98", "cost<=0.5"], Reference::Deep).expect("certified");
    assert!(found.chosen.cost.value < 0.5);
}

#[test]
fn with_labels_accuracy_is_certified_too() {
    let mut labelled = samples(2000);
    for sample in labelled.iter_mut().step_by(7) {
        sample.truth = Labels::One(1 - sample.label() as u32);
    }
    for targets in [["agreement>=0.98"], ["cost<=0.3"]] {
        let found = calibrated(&labelled, &targets, Reference::Labels).expect("certified");
        let [agreement, accuracy] = &found.certificates[..] else {
            panic!("both are certified: {:?}", found.certificates)
        };
        assert_eq!((agreement.of, accuracy.of), (Certified::Agreement, Certified::Accuracy));
        // One of seven is wrong.
        assert!((0.8..0.857).contains(&accuracy.at_least), "{accuracy:?}");
        assert!(accuracy.at_least < found.chosen.accuracy.value);
    }
}

/// Texts on which both models agree and are wrong on those of which they are least sure.
fn wrong_where_unsure(texts: usize) -> Vec<Sample> {
    let mut labelled = samples(texts);
    for (at, sample) in labelled.iter_mut().enumerate() {
        let unsure = at % 10;
        sample.fast = sample
            .deep
            .iter()
            .map(|logit| logit * (1.0 + unsure as f64) / 3.0)
            .collect();
        if unsure < 2 && at % 3 > 0 {
            sample.truth = Labels::One(1 - sample.label() as u32);
        }
    }
    labelled
}

#[test]
fn a_precision_is_certified_by_withholding_what_is_not_sure_enough() {
    let samples = wrong_where_unsure(4000);
    let targets = ["accuracy>=deep-0.2pt", "precision>=0.97"];
    let found = calibrated(&samples, &targets, Reference::Labels).expect("certified");
    let abstention = found.abstention.as_ref().expect("asked for");
    // Two of ten are mostly wrong; the others are right.
    assert!((0.79..0.83).contains(&abstention.coverage), "{abstention:?}");
    let [certificate] = &abstention.certificates[..] else {
        panic!("one is asked for: {abstention:?}")
    };
    assert_eq!((certificate.of, certificate.at_least), (Certified::Precision, 0.97));
    assert_eq!(certificate.answers_from, Some(abstention.min_confidence));
    assert!(certificate.seen.texts < found.measured_on && certificate.seen.errors * 33 < certificate.seen.texts);
    let said = found.certified().join("\n");
    for part in [
        "at least 97% of the answers are right if only those",
        "not certified: the next confidence",
        "answered: 8",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // The curve begins with all texts answered, and holds the point in force.
    let (first, at) = (found.answered[0], abstention.min_confidence);
    assert_eq!((first.min_confidence, first.coverage), (0.0, 1.0));
    let in_force = found
        .answered
        .iter()
        .find(|point| point.min_confidence == at)
        .expect("it is there");
    assert!(
        in_force.precision_low >= 0.97 && first.precision < 0.9,
        "{:?}",
        found.answered
    );
    assert!(
        found
            .answered
            .iter()
            .all(|point| point.precision_low <= point.precision)
    );
    assert!(found.answered.is_sorted_by(|a, b| a.coverage >= b.coverage));
}

#[test]
fn precisions_of_labels_share_the_chance_and_one_threshold() {
    let samples = wrong_where_unsure(4000);
    let targets = ["cost<=1", "precision:no>=0.97", "precision:yes>=0.9"];
    let found = calibrated(&samples, &targets, Reference::Labels).expect("certified");
    let abstention = found.abstention.as_ref().expect("asked for");
    let of: Vec<(Option<&str>, f64)> = (abstention.certificates.iter())
        .map(|one| (one.label.as_deref(), one.at_least))
        .collect();
    assert_eq!(of, [(Some("no"), 0.97), (Some("yes"), 0.9)]);
    assert!(
        found
            .certified()
            .iter()
            .any(|line| line.contains("of all of them at once"))
    );
}

#[test]
fn what_can_not_be_certified_says_how_many_labels_would_do() {
    let few = wrong_where_unsure(200);
    for (targets, tells) in [
        (vec!["precision>=0.99"], "about 350 different texts to test on would do"),
        (vec!["precision:no>=0.99"], "of the answers `no` are right"),
        (vec!["risk<=0.01"], "more texts would not help"),
    ] {
        let problem = calibrated(&few, &targets, Reference::Labels).expect_err("too few");
        assert!(problem.contains(tells), "{targets:?}: {problem}");
    }
    let problem = calibrated(&few, &["risk<=0.2"], Reference::Deep).expect_err("no labels");
    assert!(problem.starts_with("risk<=0.2: labels are needed"), "{problem}");
}

#[test]
fn a_risk_is_certified_of_all_texts() {
    let found = calibrated(&wrong_where_unsure(4000), &["risk<=0.16"], Reference::Labels).expect("certified");
    let accuracy = found
        .certificates
        .iter()
        .find(|one| one.of == Certified::Accuracy)
        .expect("certified");
    assert_eq!(accuracy.at_least, 0.84);
    assert_eq!(found.certificates[0].of, Certified::Agreement);
}
