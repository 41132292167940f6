//! Rows of equal texts (case and spaces folded): which there are, and which of them have different labels.

use super::example::{Example, Target};
use super::places::Places;

/// How many conflicts are named.
const NAMED: usize = 5;
/// How many rows of one conflict are named.
const ROWS_NAMED: usize = 4;

/// Rows of equal texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duplicates {
    /// The rows whose text was there before.
    pub further: Places,
    /// How many texts have rows with different labels.
    pub conflicts: u64,
    /// The first conflicts, by their lines: rows of one text each, by their places in the dataset.
    pub first_conflicts: Vec<Vec<usize>>,
}

/// Finds rows of equal texts.
pub fn find(examples: &[Example]) -> Duplicates {
    let mut order: Vec<u32> = (0..examples.len() as u32).collect();
    let group = |at: &u32| examples[*at as usize].group;
    // By line within a group, since the sort is stable.
    order.sort_by_key(group);
    let mut found = Duplicates::default();
    let mut further = Vec::new();
    for equal in order.chunk_by(|one, other| group(one) == group(other)) {
        let Some((&first, others)) = equal.split_first() else {
            continue;
        };
        further.extend(others.iter().map(|&at| examples[at as usize].line));
        let differs = |at: &&u32| differ(&examples[first as usize].target, &examples[**at as usize].target);
        if let Some(odd) = others.iter().find(differs) {
            found.conflicts += 1;
            let rows = [first, *odd].into_iter();
            let rest = others.iter().copied().filter(|at| at != odd);
            found
                .first_conflicts
                .push(rows.chain(rest).take(ROWS_NAMED).map(|at| at as usize).collect());
            if found.first_conflicts.len() > 2 * NAMED {
                keep_first(&mut found.first_conflicts);
            }
        }
    }
    keep_first(&mut found.first_conflicts);
    further.sort_unstable();
    for line in further {
        found.further.add(line);
    }
    found
}

/// Keeps the conflicts that come first in the file.
fn keep_first(conflicts: &mut Vec<Vec<usize>>) {
    conflicts.sort_unstable();
    conflicts.truncate(NAMED);
}

/// Whether two rows say different things of one text. Probabilities may differ; that is what they are for.
fn differ(one: &Target, other: &Target) -> bool {
    match (one, other) {
        (Target::One(one), Target::One(other)) => one != other,
        (Target::Many(one), Target::Many(other)) => one != other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(line: u64, group: u64, target: Target) -> Example {
        Example {
            line,
            target,
            weight: 1.0,
            group,
        }
    }

    #[test]
    fn equal_texts_and_their_conflicts_are_found_in_the_order_of_the_file() {
        let one = Target::One;
        let rows = [
            (9, one(0)),
            (3, one(1)),
            (9, one(0)),
            (3, one(1)),
            (3, one(0)),
            (7, one(0)),
            (7, Target::Unknown),
        ];
        let examples: Vec<Example> = (2..)
            .zip(rows)
            .map(|(line, (group, target))| example(line, group, target))
            .collect();
        let found = find(&examples);
        assert_eq!(found.further.to_string(), "4 rows (lines 4, 5, 6, 8)");
        assert_eq!((found.conflicts, found.first_conflicts), (1, vec![vec![1, 4, 3]]));
        assert_eq!(find(&[]), Duplicates::default());
    }

    #[test]
    fn probabilities_are_no_conflict_and_many_conflicts_are_counted() {
        let soft = |p| Target::Soft(vec![p, 1.0 - p]);
        assert_eq!(find(&[example(1, 1, soft(0.1)), example(2, 1, soft(0.9))]).conflicts, 0);
        let many: Vec<Example> = (0..100)
            .map(|at| {
                example(
                    at,
                    (at / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    Target::Many(vec![at as u32]),
                )
            })
            .collect();
        let found = find(&many);
        assert_eq!(found.conflicts, 50);
        assert_eq!(
            found.first_conflicts,
            (0..5).map(|at| vec![2 * at, 2 * at + 1]).collect::<Vec<_>>()
        );
    }
}
