//! Whether certificates keep their word: texts are drawn, split, fitted and certified many times over, from a population
//! of which the truth is known. Pure.

use super::cascade::{Decided, Options, decide};
use super::certificate::{Certificate, Certified};
use super::curve::Judged;
use super::{ROUNDS, Sample};

/// How the certificates of one kind did over all draws.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kept {
    /// How many draws ended in a certificate.
    pub certified: usize,
    /// How many of these promised more than is so.
    pub broken: usize,
    /// The sum of their thresholds, to tell the mean.
    pub thresholds: f64,
}

/// The kinds of certificates, in the order in which [`simulate`] gives them.
pub const KINDS: [Certified; 3] = [Certified::Agreement, Certified::Accuracy, Certified::Precision];

/// What texts are drawn from.
pub trait Population {
    /// Draws a text.
    fn draw(&self, random: &mut fastrand::Rng) -> Sample;

    /// The true share of texts, or of answers, that a certificate is about.
    fn share(&self, certificate: &Certificate, decided: &Decided) -> f64;
}

/// Draws `texts` texts `draws` times; half of them are fitted to, the others certify. Gives what became of the
/// certificates of agreement, of accuracy and of precision: of these a draw counts once, as broken if any of them is. Calls
/// `done` after each draw.
pub fn simulate(
    population: &impl Population,
    options: &Options<'_>,
    [draws, texts]: [usize; 2],
    mut done: impl FnMut(),
) -> [Kept; 3] {
    let mut kept = [Kept::default(); 3];
    let mut random = fastrand::Rng::with_seed(options.seed);
    for _ in 0..draws {
        let drawn: Vec<Sample> = (0..texts)
            .map(|at| Sample {
                // Each draw is a text of its own, also where the population gives the same one again.
                group: at as u64,
                ..population.draw(&mut random)
            })
            .collect();
        let all: Vec<&Sample> = drawn.iter().collect();
        let (fitting, held_out) = all.split_at(texts / 2);
        if let Ok(decided) = decide(fitting, held_out, options) {
            let of_answers = decided
                .abstention
                .iter()
                .flat_map(|abstention| &abstention.certificates);
            let all: Vec<&Certificate> = decided.certificates.iter().chain(of_answers).collect();
            for (of, kept) in KINDS.into_iter().zip(&mut kept) {
                let mut certificates = all.iter().filter(|certificate| certificate.of == of).peekable();
                let Some(first) = certificates.peek() else { continue };
                kept.certified += 1;
                kept.thresholds += f64::from(first.answers_from.unwrap_or(decided.min_confidence));
                // A tolerance for rounding errors: a share may be exactly the promised one.
                let broken = |one: &&&Certificate| population.share(one, &decided) < one.at_least - 1e-12;
                kept.broken += usize::from(certificates.any(|one| broken(&one)));
            }
        }
        done();
    }
    kept
}

/// Texts made up such that the fast model is as often right as it is sure, between a half and one, all alike often. At a
/// threshold t it then differs from the deep model on (1 − t)² of all texts.
pub struct MadeUp;

impl Population for MadeUp {
    fn draw(&self, random: &mut fastrand::Rng) -> Sample {
        let sure = f64::midpoint(1.0, random.f64());
        let logit = (sure / (1.0 - sure)).ln().min(40.0);
        let yes = random.bool();
        let agrees = random.f64() < sure;
        let deep = if yes { 3.0 } else { -3.0 };
        let fast = if yes == agrees { logit } else { -logit };
        Sample::unlabelled(0, vec![0.0, fast], vec![0.0, deep], [None; ROUNDS])
    }

    fn share(&self, _: &Certificate, decided: &Decided) -> f64 {
        let threshold = f64::from(decided.min_confidence);
        let logit = (threshold / (1.0 - threshold)).ln() * decided.fitted.temperatures[0];
        // Below a half every answer stands.
        let sure = (1.0 / (1.0 + (-logit).exp())).max(0.5);
        1.0 - (1.0 - sure) * (1.0 - sure)
    }
}

/// Real texts with the names of their labels: those of a file are taken for all there are, and drawn with repeats.
pub struct Texts<'a>(pub &'a [Sample], pub &'a [String]);

impl Population for Texts<'_> {
    fn draw(&self, random: &mut fastrand::Rng) -> Sample {
        self.0[random.usize(..self.0.len())].clone()
    }

    fn share(&self, certificate: &Certificate, decided: &Decided) -> f64 {
        let judged = Judged::new(self.0.iter().collect(), &decided.fitted);
        let threshold = decided.min_confidence;
        let errors = match certificate.of {
            Certified::Agreement => judged.differing(threshold),
            Certified::Accuracy => judged.wrong(threshold),
            Certified::Precision => {
                let name = certificate.label.as_ref();
                let label = name.and_then(|name| self.1.iter().position(|other| other == name));
                let from = certificate.answers_from.unwrap_or_default();
                judged.answered(threshold, from, label.map(|label| label as u32))
            }
        };
        1.0 - errors.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::calibration::cascade::Reference;
    use crate::offline::calibration::certificate::Count;
    use crate::offline::calibration::certificate::most_errors;
    use crate::offline::calibration::options::Deferral;
    use crate::offline::calibration::target::Wanted;
    use crate::offline::evaluation::tally::Labels;

    fn options<'a>(wanted: &'a Wanted, labels: &'a [String], reference: Reference) -> Options<'a> {
        Options {
            wanted,
            labels,
            confidence: 0.9,
            certifying: 0.5,
            seed: 1,
            reference,
            deep_temperature: 1.0,
            each: None,
            deferral: Deferral::Confidence,
        }
    }

    #[test]
    fn the_bound_is_broken_no_more_often_than_was_said() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let wanted = Wanted::Targets(vec!["agreement>=0.95".parse().expect("a target")]);
        let [agreement, accuracy, precision] =
            simulate(&MadeUp, &options(&wanted, &labels, Reference::Deep), [200, 400], || {});
        assert_eq!([accuracy, precision], [Kept::default(); 2]);
        assert_eq!(agreement.certified, 200, "{agreement:?}");
        // At most 10% of 200, and some: a bound that is never broken would be a loose one.
        assert!((1..=20).contains(&agreement.broken), "{agreement:?}");
        // The best threshold is 1 − √0.05.
        let mean = agreement.thresholds / 200.0;
        assert!((0.776..0.87).contains(&mean), "{mean}");
    }

    #[test]
    fn a_threshold_that_was_fixed_before_is_vouched_for_too() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let wanted = Wanted::Threshold(0.8);
        let mut random = fastrand::Rng::with_seed(2);
        let world: Vec<Sample> = (0..300)
            .map(|at| {
                let mut sample = MadeUp.draw(&mut random);
                let label = sample.label() as u32;
                sample.truth = Labels::One(if at % 9 == 0 { 1 - label } else { label });
                sample
            })
            .collect();
        let kept = simulate(
            &Texts(&world, &labels),
            &options(&wanted, &labels, Reference::Labels),
            [200, 200],
            || {},
        );
        assert_eq!(kept[2], Kept::default());
        for kept in &kept[..2] {
            assert_eq!(kept.certified, 200);
            // Drawn 200 times at 10%, more than 30 would be a chance of one in a hundred.
            let most = Count {
                errors: kept.broken,
                texts: 200,
            };
            assert!(kept.broken <= 30 && most_errors(most, 0.5) < 0.16, "{kept:?}");
        }
    }

    /// Texts of which the fast model is right as often as it is sure, and the deep model on nine of ten, whatever it is.
    fn labelled_world(texts: usize) -> Vec<Sample> {
        let mut random = fastrand::Rng::with_seed(3);
        let sample = |_| {
            let mut sample = MadeUp.draw(&mut random);
            sample.truth = Labels::One(sample.label() as u32);
            if random.f64() < 0.1 {
                sample.deep.swap(0, 1);
            }
            sample
        };
        (0..texts).map(sample).collect()
    }

    #[test]
    fn risk_and_precision_are_broken_no_more_often_than_was_said() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let world = labelled_world(1500);
        let texts = Texts(&world, &labels);
        for targets in [
            &["risk<=0.13"][..],
            &["cost<=1", "precision>=0.93"],
            &["cost<=1", "precision:yes>=0.88", "precision:no>=0.88"],
        ] {
            let all = targets.iter().map(|target| target.parse().expect("a target"));
            let wanted = Wanted::Targets(all.collect());
            let kept = simulate(&texts, &options(&wanted, &labels, Reference::Labels), [200, 400], || {});
            for (place, kept) in kept.iter().enumerate() {
                // Drawn 200 times at 10%, more than 30 would be a chance of one in a hundred.
                assert!(kept.broken <= 30, "{targets:?}: {place}, {kept:?}");
            }
            let asked = if targets.len() == 1 { 1 } else { 2 };
            assert!(kept[asked].certified > 40, "{targets:?}: {kept:?}");
        }
    }
}
