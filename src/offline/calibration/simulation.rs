//! Whether certificates keep their word: texts are drawn, split, fitted and certified many times over, from a population
//! of which the truth is known. Pure.

use super::cascade::{Decided, Options, decide};
use super::certificate::Certified;
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

/// What texts are drawn from.
pub trait Population {
    /// Draws a text.
    fn draw(&self, random: &mut fastrand::Rng) -> Sample;

    /// The true share of texts on which a cascade does well.
    fn share(&self, of: Certified, decided: &Decided) -> f64;
}

/// Draws `texts` texts `draws` times; half of them are fitted to, the others certify. Gives what became of the
/// certificates of agreement and of accuracy. Calls `done` after each draw.
pub fn simulate(
    population: &impl Population,
    options: &Options<'_>,
    [draws, texts]: [usize; 2],
    mut done: impl FnMut(),
) -> [Kept; 2] {
    let mut kept = [Kept::default(); 2];
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
            for certificate in &decided.certificates {
                let kept = &mut kept[usize::from(certificate.of == Certified::Accuracy)];
                kept.certified += 1;
                kept.thresholds += f64::from(decided.min_confidence);
                // A tolerance for rounding errors: a share may be exactly the promised one.
                kept.broken += usize::from(population.share(certificate.of, &decided) < certificate.at_least - 1e-12);
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

    fn share(&self, _: Certified, decided: &Decided) -> f64 {
        let threshold = f64::from(decided.min_confidence);
        let logit = (threshold / (1.0 - threshold)).ln() * decided.fitted.temperatures[0];
        // Below a half every answer stands.
        let sure = (1.0 / (1.0 + (-logit).exp())).max(0.5);
        1.0 - (1.0 - sure) * (1.0 - sure)
    }
}

/// Real texts: those of a file are taken for all there are, and drawn with repeats.
pub struct Texts<'a>(pub &'a [Sample]);

impl Population for Texts<'_> {
    fn draw(&self, random: &mut fastrand::Rng) -> Sample {
        self.0[random.usize(..self.0.len())].clone()
    }

    fn share(&self, of: Certified, decided: &Decided) -> f64 {
        let judged = Judged::new(self.0.iter().collect(), &decided.fitted);
        let errors = match of {
            Certified::Agreement => judged.differing(decided.min_confidence),
            Certified::Accuracy => judged.wrong(decided.min_confidence),
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
        }
    }

    #[test]
    fn the_bound_is_broken_no_more_often_than_was_said() {
        let labels = ["no".to_owned(), "yes".to_owned()];
        let wanted = Wanted::Targets(vec!["agreement>=0.95".parse().expect("a target")]);
        let [agreement, accuracy] = simulate(&MadeUp, &options(&wanted, &labels, Reference::Deep), [200, 400], || {});
        assert_eq!(accuracy, Kept::default());
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
            &Texts(&world),
            &options(&wanted, &labels, Reference::Labels),
            [200, 200],
            || {},
        );
        for kept in kept {
            assert_eq!(kept.certified, 200);
            // Drawn 200 times at 10%, more than 30 would be a chance of one in a hundred.
            let most = Count {
                errors: kept.broken,
                texts: 200,
            };
            assert!(kept.broken <= 30 && most_errors(most, 0.5) < 0.16, "{kept:?}");
        }
    }
}
