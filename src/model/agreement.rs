//! What two answers are compared by, wherever a cascade is served or measured: how sure a model is of a whole answer, and
//! whether two models say the same.
//!
//! Where one label is right, an answer is as sure as the label that wins. Where each label is right or not by itself, an
//! answer is right only if every one of its labels is on the right side of its threshold: it is as sure as the label of
//! which the model is least sure, and two answers are the same if they select the same labels.

use super::postprocess::{Classification, DEFAULT_THRESHOLD, Selection};

/// How sure a model is of the whole answer, from 0 to 1, by the thresholds of its labels, which are 0.5 if none are given.
/// 0 for a number.
pub fn sureness(answer: &Classification, thresholds: &[f32]) -> f32 {
    match &answer.selection {
        Selection::Winner => answer.confidence(),
        Selection::Value(_) => 0.0,
        Selection::Each(_) => sureness_of_each(&answer.probabilities, thresholds),
    }
}

/// How sure a model is of all labels, where each is right or not by itself.
pub fn sureness_of_each(probabilities: &[f32], thresholds: &[f32]) -> f32 {
    let of_label = |(label, &probability): (usize, &f32)| {
        sureness_of_label(probability, thresholds.get(label).copied().unwrap_or(DEFAULT_THRESHOLD))
    };
    probabilities.iter().enumerate().map(of_label).fold(1.0, f32::min)
}

/// How sure a model is that a label is on its side of the threshold: a half at the threshold, 1 where it can't be on the
/// other side. With a threshold of a half it is the probability of that side; with another one, the odds are taken
/// relative to the threshold's, so that a rare label with a low threshold is not sure to be absent at a half of it.
fn sureness_of_label(probability: f32, threshold: f32) -> f32 {
    if threshold <= 0.0 {
        // It is always selected.
        return 1.0;
    }
    let (probability, threshold) = (f64::from(probability), f64::from(threshold));
    let (is, is_not) = (probability * (1.0 - threshold), (1.0 - probability) * threshold);
    if is + is_not <= 0.0 {
        return 0.5;
    }
    (is.max(is_not) / (is + is_not)) as f32
}

/// A label's probability by one model as another one with another threshold would have to say it for the same answer: as far
/// on the same side of that threshold, by the odds.
pub fn by_threshold(probability: f32, own: f32, other: f32) -> f32 {
    let (probability, own, other) = (f64::from(probability), f64::from(own), f64::from(other));
    if own <= 0.0 {
        // It is always selected.
        return 1.0;
    }
    let (is, is_not) = (
        probability * (1.0 - own) * other,
        (1.0 - probability) * own * (1.0 - other),
    );
    if is + is_not <= 0.0 {
        return probability as f32;
    }
    (is / (is + is_not)) as f32
}

/// Whether two answers are the same. `other_of_own` has, for each label of the first answer, its place among those of the
/// second.
pub fn is_same(own: &Classification, other: &Classification, other_of_own: &[usize]) -> bool {
    let mut labels = other_of_own.iter().enumerate();
    labels.all(|(label, &of_other)| own.selects(label) == other.selects(of_other)) && own.value() == other.value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::{OutputKind, ProblemType};
    use crate::model::postprocess::Postprocessor;

    fn says(problem_type: ProblemType, thresholds: &[f32], probabilities: &[f32]) -> Classification {
        let post = Postprocessor {
            output_kind: OutputKind::Probabilities,
            temperature: 1.0,
            problem_type,
            thresholds: thresholds.to_vec(),
            names_winner: false,
            columns: None,
            heads: Vec::new(),
        };
        post.classify(probabilities).expect("finite")
    }

    fn sure(thresholds: &[f32], probabilities: &[f32]) -> f32 {
        sureness(&says(ProblemType::MultiLabel, thresholds, probabilities), thresholds)
    }

    #[test]
    fn by_another_models_threshold_a_label_stays_on_its_side_and_as_far() {
        for (probability, own, other) in [(0.45, 0.2, 0.6), (0.1, 0.2, 0.6), (0.9, 0.5, 0.1), (0.3, 0.7, 0.2)] {
            let told = by_threshold(probability, own, other);
            assert_eq!(probability >= own, told >= other, "{probability} {own} {other}: {told}");
            let sure = sureness_of_label(probability, own) - sureness_of_label(told, other);
            assert!(sure.abs() < 1e-6, "{probability} {own} {other}: {told}");
            assert!((by_threshold(told, other, own) - probability).abs() < 1e-6);
            assert!((by_threshold(probability, own, own) - probability).abs() < 1e-6);
        }
        assert!((by_threshold(0.2, 0.2, 0.6) - 0.6).abs() < 1e-6, "at the threshold");
        assert_eq!((by_threshold(0.0, 0.2, 0.6), by_threshold(1.0, 0.2, 0.6)), (0.0, 1.0));
        assert_eq!(by_threshold(0.0, 0.0, 0.6), 1.0, "always selected");
    }

    #[test]
    fn an_answer_is_as_sure_as_its_least_sure_label() {
        for (probabilities, expected) in [
            (&[0.9, 0.2, 0.999][..], 0.8),
            (&[0.5, 0.001], 0.5),
            (&[0.01], 0.99),
            (&[0.75], 0.75),
        ] {
            let found = sure(&[], probabilities);
            assert!((found - expected).abs() < 1e-6, "{probabilities:?}: {found}");
        }
        let one = says(ProblemType::SingleLabel, &[], &[0.25, 0.75]);
        assert!((sureness(&one, &[]) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn a_label_is_unsure_at_its_threshold_wherever_that_is() {
        for threshold in [0.01_f32, 0.2, 0.5, 0.9, 0.99] {
            let at = |probability: f32| sure(&[threshold], &[probability]);
            assert!((at(threshold) - 0.5).abs() < 1e-5, "{threshold}");
            let (above, below) = (f32::midpoint(threshold, 1.0), threshold / 2.0);
            assert!(at(above) > 0.6 && at(below) > 0.6, "{threshold}");
            assert!(at(f32::midpoint(above, 1.0)) > at(above) && at(below / 2.0) > at(below));
        }
        // One that is always there, or only where it is certain.
        assert_eq!((sure(&[0.0], &[0.0]), sure(&[0.0], &[0.3])), (1.0, 1.0));
        assert_eq!(sure(&[1.0], &[0.3]), 1.0);
        assert!(sure(&[1.0], &[1.0]) <= 1.0);
    }

    #[test]
    fn answers_are_the_same_if_they_select_the_same_labels() {
        let each = |probabilities: &[f32]| says(ProblemType::MultiLabel, &[], probabilities);
        let own = each(&[0.9, 0.1, 0.6]);
        assert!(is_same(&own, &each(&[0.2, 0.7, 0.8]), &[1, 0, 2]));
        assert!(!is_same(&own, &each(&[0.2, 0.7, 0.8]), &[0, 1, 2]));
        // The likeliest label is the same, another one is not.
        assert!(!is_same(&own, &each(&[0.9, 0.1, 0.4]), &[0, 1, 2]));
        assert!(is_same(&each(&[0.1]), &each(&[0.4]), &[0]), "none is an answer too");
        let one = |probabilities: &[f32]| says(ProblemType::SingleLabel, &[], probabilities);
        assert!(is_same(&one(&[0.9, 0.1]), &one(&[0.4, 0.6]), &[1, 0]));
        assert!(!is_same(&one(&[0.9, 0.1]), &one(&[0.4, 0.6]), &[0, 1]));
    }
}
