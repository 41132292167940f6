//! The recall of each label: the share of its texts that get it. Accuracy alone hides a rare label that is never found.
//! Pure.

use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Labels;

/// The recall of each label, from pairs of the right labels and those that were given, with Wilson's 95% intervals.
/// `None` for a label that no text has.
pub fn recalls<'a>(labels: usize, pairs: impl Iterator<Item = (&'a Labels, &'a Labels)>) -> Vec<Option<Interval>> {
    let mut counts = vec![(0_usize, 0_usize); labels];
    for (truth, found) in pairs {
        for &label in truth.places() {
            let count = &mut counts[label as usize];
            count.0 += 1;
            count.1 += usize::from(found.has(label));
        }
    }
    let share = |(texts, right): (usize, usize)| Interval::of_share(right as f64, texts as f64, texts as f64);
    counts.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::calibration::curve::{Point, loser};

    #[test]
    fn a_rare_label_that_is_never_found_is_seen() {
        let (zero, one) = (Labels::One(0), Labels::One(1));
        let pairs = (0..100).map(|at| if at < 90 { (&zero, &zero) } else { (&one, &zero) });
        let [common, rare, absent] = &recalls(3, pairs)[..] else {
            panic!("one of each label")
        };
        assert_eq!(common.expect("it has texts").value, 1.0);
        let rare = rare.expect("it has texts");
        // Wilson's interval of 0 of 10, by the formula: from 0 to z² / (n + z²).
        assert_eq!((rare.value, rare.low), (0.0, 0.0));
        assert!((rare.high - 3.8416 / 13.8416).abs() < 1e-9, "{rare:?}");
        assert_eq!(*absent, None);
    }

    #[test]
    fn each_of_several_labels_is_found_by_itself() {
        let (both, first, none) = (
            Labels::Many(vec![0, 1]),
            Labels::Many(vec![0]),
            Labels::Many(Vec::new()),
        );
        let found = recalls(2, [(&both, &first), (&first, &both), (&none, &both)].into_iter());
        let values: Vec<f64> = found.iter().flatten().map(|recall| recall.value).collect();
        assert_eq!(values, [1.0, 0.0]);
    }

    fn point(recall: Vec<Option<Interval>>) -> Point {
        let zero = Interval::exact(0.0);
        Point {
            min_confidence: None,
            escalated: 0.0,
            cost: zero,
            accuracy: zero,
            macro_f1: zero,
            ece: zero,
            above_deep: zero,
            recall,
        }
    }

    #[test]
    fn the_label_that_loses_most_is_named_if_it_has_texts_enough() {
        let recalls = |all: [f64; 3]| point(all.map(|value| Some(Interval::exact(value))).to_vec());
        let (chosen, deep) = (recalls([0.95, 0.15, 0.0]), recalls([0.96, 0.61, 1.0]));
        assert_eq!(loser(&chosen, &deep, &[500, 40, 9]), Some((1, 0.15, 0.61)));
        assert_eq!(loser(&deep, &deep, &[500, 40, 9]), None);
    }
}
