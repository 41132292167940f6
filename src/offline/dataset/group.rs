//! Which texts are equal, and on which side of a split a text is. Both by SHA-256, so that they are the same on every
//! machine and in every version.

use sha2::{Digest, Sha256};

/// A number for a text, the same for texts that differ only in case and spaces.
pub fn group_of(text: &str) -> u64 {
    let mut hash = Sha256::new();
    let mut word_of_lower_case = String::new();
    for (at, word) in text.split_whitespace().enumerate() {
        word_of_lower_case.clear();
        if at > 0 {
            word_of_lower_case.push(' ');
        }
        word_of_lower_case.extend(word.chars().flat_map(char::to_lowercase));
        hash.update(&word_of_lower_case);
    }
    number(&hash.finalize())
}

/// In which of `folds` parts a text is, by its group: from 0 to `folds` − 1, and 0 if there is only one. Equal texts are
/// in the same part, so that no text is measured on that was trained on.
pub fn fold_of(group: u64, seed: u64, folds: u32) -> u32 {
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(group.to_le_bytes())
        .finalize();
    // The high half of the product: each part gets the same share of all numbers.
    ((u128::from(number(&digest)) * u128::from(folds)) >> 64) as u32
}

/// The first eight bytes of a digest.
fn number(digest: &[u8]) -> u64 {
    digest
        .iter()
        .take(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_case_and_spaces_are_equal() {
        let same = group_of("Wo ist  meine Karte?");
        for text in [" wo IST meine karte? ", "wo\u{a0}ist\tmeine\nkarte?"] {
            assert_eq!(group_of(text), same, "{text}");
        }
        for text in ["wo ist meine karte", "wo istmeine karte?", ""] {
            assert_ne!(group_of(text), same, "{text}");
        }
        // It must never change: splits of people's data follow from it.
        assert_eq!(group_of("A b"), 0xc868_7a08_aa5d_6ed2);
    }

    #[test]
    fn parts_are_even_and_follow_from_the_seed() {
        for folds in [1, 2, 5, 10] {
            let mut counts = vec![0_usize; folds as usize];
            (0..10_000).for_each(|at| counts[fold_of(group_of(&at.to_string()), 1, folds) as usize] += 1);
            let even = 10_000 / folds as usize;
            assert!(
                counts
                    .iter()
                    .all(|&count| count * 10 > even * 9 && count * 10 < even * 11),
                "{counts:?}"
            );
        }
        let other = |group: &u64| fold_of(*group, 1, 2) != fold_of(*group, 2, 2);
        assert!((0..1000).filter(other).count() > 400);
    }
}
