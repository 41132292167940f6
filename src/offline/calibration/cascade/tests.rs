//! Tests of a calibration as a whole.

use super::*;
use crate::offline::calibration::target::Target;
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
    };
    calibrate(samples, &options)
}

#[test]
fn texts_without_labels_certify_agreement() {
    let found = calibrated(&samples(2000), &["agreement>=0.98"], Reference::Deep).expect("certified");
    assert_eq!(found.fitted.temperatures[1], 1.5);
    assert_eq!(found.fitted.blend, Blend::deep_alone(2));
    assert_eq!(found.certificates.len(), 1, "nothing is known of accuracy");
    let certificate = found.certificates[0];
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
        let [agreement, accuracy] = found.certificates[..] else {
            panic!("both are certified: {:?}", found.certificates)
        };
        assert_eq!((agreement.of, accuracy.of), (Certified::Agreement, Certified::Accuracy));
        // One of seven is wrong.
        assert!((0.8..0.857).contains(&accuracy.at_least), "{accuracy:?}");
        assert!(accuracy.at_least < found.chosen.accuracy.value);
    }
}
