//! Gain: how much likelier the deep model is right than the fast one, as a fast answer foretells it. Where a calibration
//! has found that this tells better than confidence which texts to give the deep model, a cascade goes by it (W. Jitkrittum
//! et al., "When does confidence-based cascade deferral suffice?", 2023). Pure: the same function, serving and measuring.
//!
//! The forecast is a weighted sum of a few facts of the answer and its text. What a threshold is compared with is its
//! score, from 0 to 1, which falls as the gain grows: so an answer with a high score stands, as one of high confidence does.

/// How many facts there are.
pub const COUNT: usize = 5;

/// The names of the facts, in their order.
pub const NAMES: [&str; COUNT] = ["log_odds", "margin", "entropy", "text_length", "feature_count"];

/// A probability counts as at least so far from 0 and 1.
const LEAST: f64 = 1e-6;

/// How large a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSize {
    /// Bytes of UTF-8.
    pub bytes: usize,
    /// The tokens or features that the fast model saw.
    pub features: usize,
}

/// What is known of an answer of one label: the log-odds of the likeliest label, how far its probability is above the second,
/// the entropy as a share of the greatest, and the logarithms of the text's bytes and of its features.
pub fn facts(probabilities: &[f32], size: TextSize) -> [f64; COUNT] {
    let (mut first, mut second) = (0.0, 0.0);
    let mut entropy = 0.0;
    for &probability in probabilities {
        let probability = f64::from(probability);
        if probability > first {
            (first, second) = (probability, first);
        } else if probability > second {
            second = probability;
        }
        if probability > 0.0 {
            entropy -= probability * probability.ln();
        }
    }
    let greatest = (probabilities.len().max(2) as f64).ln();
    let kept = first.clamp(LEAST, 1.0 - LEAST);
    let log = |count: usize| (count as f64).ln_1p();
    [
        (kept / (1.0 - kept)).ln(),
        first - second,
        entropy / greatest,
        log(size.bytes),
        log(size.features),
    ]
}

/// The part of one fact in the forecast: `weight × (fact − mean) / scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Term {
    pub weight: f64,
    pub mean: f64,
    /// Above 0.
    pub scale: f64,
}

/// A forecast of the gain.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    pub intercept: f64,
    /// By fact.
    pub terms: [Term; COUNT],
}

impl Gain {
    /// The forecast: how much likelier the deep model is right, from −1 to 1.
    pub fn forecast(&self, facts: &[f64; COUNT]) -> f64 {
        let parts = self.terms.iter().zip(facts);
        let sum: f64 = parts
            .map(|(term, fact)| term.weight * (fact - term.mean) / term.scale)
            .sum();
        (self.intercept + sum).clamp(-1.0, 1.0)
    }

    /// The score of an answer of one label, from 0 to 1, by its probabilities: the less is to gain, the higher.
    pub fn score(&self, probabilities: &[f32], size: TextSize) -> f32 {
        (f64::midpoint(1.0, -self.forecast(&facts(probabilities, size)))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn facts_are_those_of_the_answer_and_of_its_text() {
        let size = TextSize { bytes: 99, features: 0 };
        let [odds, margin, entropy, bytes, features] = facts(&[0.25, 0.75], size);
        assert!((odds - 3.0_f64.ln()).abs() < 1e-9 && (margin - 0.5).abs() < 1e-9);
        assert!((entropy - 0.811_278).abs() < 1e-5, "{entropy}");
        assert_eq!((bytes, features), (100.0_f64.ln(), 0.0));
        // One that is certain, in finite numbers.
        assert!(facts(&[1.0, 0.0], size).iter().all(|fact| fact.is_finite()));
        assert!((facts(&[0.25; 4], size)[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_more_is_to_gain_the_lower_the_score() {
        let mut gain = Gain {
            intercept: 0.1,
            terms: [Term {
                weight: 0.0,
                mean: 0.0,
                scale: 1.0,
            }; COUNT],
        };
        let size = TextSize::default();
        assert!((gain.score(&[0.5, 0.5], size) - 0.45).abs() < 1e-6);
        gain.terms[1].weight = -0.5;
        assert!(gain.score(&[0.9, 0.1], size) > gain.score(&[0.6, 0.4], size));
    }

    proptest! {
        #[test]
        fn a_score_is_a_share_whatever_the_weights(
            weight in -1e6_f64..1e6,
            probability in 0.0_f32..=1.0,
            bytes in 0_usize..1_000_000,
        ) {
            let gain = Gain { intercept: weight, terms: [Term { weight, mean: 0.3, scale: 0.1 }; COUNT] };
            let score = gain.score(&[probability, 1.0 - probability], TextSize { bytes, features: bytes });
            prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
