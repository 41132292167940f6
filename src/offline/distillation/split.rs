//! Which texts the student is trained on. Equal texts are on one side.

use crate::offline::dataset::fold_of;

/// The number of parts, and on how many of them the student is trained.
const PARTS: u32 = 20;
const TRAINED: u32 = 13;
/// The share of the texts on which is certified: half of the others.
pub const CERTIFYING: f64 = (PARTS - TRAINED) as f64 / PARTS as f64 / 2.0;
/// What is added to the seed: cross-validation within the student's part must be another split.
const OTHER: u64 = 0x7461_6e64_656d;

/// Whether the student is trained on a text, by its group. On the others the cascade is fitted and certified.
pub fn is_trained_on(group: u64, seed: u64) -> bool {
    fold_of(group, seed ^ OTHER, PARTS) < TRAINED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_train() {
        let count = (0..20_000_u64).filter(|&group| is_trained_on(group, 1)).count();
        assert!((12_600..13_400).contains(&count), "{count}");
        let other = |group: &u64| is_trained_on(*group, 1) != is_trained_on(*group, 2);
        assert!((0..1000).filter(other).count() > 300);
    }
}
