//! Escalation: which texts go to the deep model, and which of them when it can't take all. Pure: knows no queues and no
//! clocks; time is passed in.

use std::time::{Duration, Instant};

/// The positions of the texts whose fast answer is not final, ascending. One with exactly `min_confidence` is final.
pub fn uncertain(confidences: &[f32], min_confidence: f32) -> Vec<usize> {
    (0..confidences.len())
        .filter(|&place| confidences[place] < min_confidence)
        .collect()
}

/// Splits `places` into at most `room` that the deep model gets, and the others. Those with the surest fast answers are
/// given up first. Both lists are ascending.
pub fn admit(confidences: &[f32], places: Vec<usize>, room: usize) -> (Vec<usize>, Vec<usize>) {
    if places.len() <= room {
        return (places, Vec::new());
    }
    let mut admitted = places;
    admitted.sort_by(|&a, &b| confidences[a].total_cmp(&confidences[b]).then(a.cmp(&b)));
    let mut given_up = admitted.split_off(room);
    admitted.sort_unstable();
    given_up.sort_unstable();
    (admitted, given_up)
}

/// The deadline of an escalation, early enough that a fallback is still in time for `deadline`: earlier by a tenth of
/// the time that is left, but at least 5 and at most 100 ms.
pub fn escalation_deadline(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    let margin = (left / 10).clamp(Duration::from_millis(5), Duration::from_millis(100));
    now + left.saturating_sub(margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_exactly_at_the_threshold_stands() {
        assert_eq!(uncertain(&[0.8, 0.799, 0.801, 0.5], 0.8), [1, 3]);
        assert!(uncertain(&[0.0, 1.0], 0.0).is_empty());
        assert_eq!(uncertain(&[0.999, 1.0], 1.0), [0]);
    }

    #[test]
    fn the_least_uncertain_are_given_up_first() {
        let confidences = [0.9, 0.5, 0.7, 0.6, 0.7];
        let (admitted, given_up) = admit(&confidences, vec![0, 1, 2, 3, 4], 3);
        assert_eq!((admitted, given_up), (vec![1, 2, 3], vec![0, 4]));
    }

    #[test]
    fn a_margin_is_left_before_the_deadline() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(escalation_deadline(now, after(10_000)), after(9_900));
        assert_eq!(escalation_deadline(now, after(500)), after(450));
        assert_eq!(escalation_deadline(now, after(20)), after(15));
        assert_eq!(escalation_deadline(now, after(3)), now);
        assert_eq!(escalation_deadline(after(1), now), after(1));
    }

    proptest! {
        #[test]
        fn every_uncertain_text_is_admitted_or_given_up_and_no_given_up_one_is_less_sure(
            confidences in prop::collection::vec(0.0_f32..=1.0, 0..60),
            threshold in 0.0_f32..=1.0,
            room in 0_usize..70,
        ) {
            let places = uncertain(&confidences, threshold);
            let (admitted, given_up) = admit(&confidences, places.clone(), room);
            prop_assert_eq!(admitted.len(), places.len().min(room));
            let mut both = [admitted.clone(), given_up.clone()].concat();
            both.sort_unstable();
            prop_assert_eq!(both, places);
            for &kept in &admitted {
                prop_assert!(given_up.iter().all(|&lost| confidences[kept] <= confidences[lost]));
            }
        }

        #[test]
        fn a_higher_threshold_escalates_no_fewer(
            confidences in prop::collection::vec(0.0_f32..=1.0, 0..60),
            a in 0.0_f32..=1.0,
            b in 0.0_f32..=1.0,
        ) {
            let (low, high) = (a.min(b), a.max(b));
            let more = uncertain(&confidences, high);
            prop_assert!(uncertain(&confidences, low).iter().all(|place| more.contains(place)));
        }

    }
}
