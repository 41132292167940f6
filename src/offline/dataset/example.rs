//! One row of a dataset: where it stands, what its label is, and how much it counts.

use crate::model::postprocess::DEFAULT_THRESHOLD;

/// Where a row's label is known, in which form.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// No label.
    Unknown,
    /// One label is right: its index in the labels of the dataset.
    One(u32),
    /// Multi-label: the indices of the right labels, ascending; may be empty.
    Many(Vec<u32>),
    /// A probability for each label, in the order of the labels of the dataset; if one label is right, their sum is 1.
    Soft(Vec<f32>),
}

impl Target {
    /// The right label, or the likeliest one (the first of equals); `None` for a row without a label and for several
    /// labels.
    pub fn top(&self) -> Option<usize> {
        match self {
            Self::One(label) => Some(*label as usize),
            Self::Soft(probabilities) => {
                let pairs = probabilities.iter().enumerate();
                let best = pairs.reduce(|best, other| if other.1 > best.1 { other } else { best });
                best.map(|(label, _)| label)
            }
            Self::Unknown | Self::Many(_) => None,
        }
    }

    /// Where each label is right or not by itself: the places of the right ones, ascending; those whose probability is at
    /// their threshold or above. `None` for a row without a label.
    pub fn over(&self, thresholds: &[f32]) -> Option<Vec<u32>> {
        match self {
            Self::Unknown => None,
            Self::One(label) => Some(vec![*label]),
            Self::Many(labels) => Some(labels.clone()),
            Self::Soft(probabilities) => Some(above(probabilities, thresholds)),
        }
    }
}

/// The places of the labels whose probability is at their threshold or above, which is 0.5 for those that have none.
pub fn above(probabilities: &[f32], thresholds: &[f32]) -> Vec<u32> {
    let threshold = |label: usize| thresholds.get(label).copied().unwrap_or(DEFAULT_THRESHOLD);
    let labels = probabilities.iter().enumerate();
    let given = labels.filter(|(label, probability)| **probability >= threshold(*label));
    given.map(|(label, _)| label as u32).collect()
}

/// One row. Its text is asked of the dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The number of the line on which it begins, from 1; in a Parquet file the number of the row.
    pub line: u64,
    pub target: Target,
    /// How much it counts: 1 where the file has no weights; from 0 to [`super::target::MOST_WEIGHT`].
    pub weight: f32,
    /// The same number for equal texts (case and spaces folded), by a hash that stays the same everywhere.
    pub group: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_label_is_the_first_of_the_best() {
        assert_eq!(Target::One(3).top(), Some(3));
        assert_eq!(Target::Soft(vec![0.2, 0.4, 0.4]).top(), Some(1));
        assert_eq!(Target::Unknown.top(), None);
        assert_eq!(Target::Many(vec![1]).top(), None);
    }

    #[test]
    fn labels_are_right_by_themselves_from_their_thresholds_on() {
        let soft = Target::Soft(vec![0.5, 0.3, 0.49]);
        assert_eq!(soft.over(&[]), Some(vec![0]));
        assert_eq!(soft.over(&[0.6, 0.3]), Some(vec![1]));
        assert_eq!(Target::Many(Vec::new()).over(&[]), Some(Vec::new()));
        assert_eq!(Target::One(2).over(&[]), Some(vec![2]));
        assert_eq!(Target::Unknown.over(&[]), None);
    }
}
