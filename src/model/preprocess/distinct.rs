//! Ids without repeats, in the order in which they come: a small table of the ids that were seen, which costs less than
//! sorting them, and which is used again for the next text.

/// The most places that are kept for the next text: 32 KiB.
const MOST_KEPT: usize = 4096;

/// Collects ids, each once. Used again and again: nothing is cleared in between.
#[derive(Default)]
pub struct DistinctIds {
    ids: Vec<u32>,
    /// An id is at the place that its low bits say, or at one of the next; at least half of the places are free. A place
    /// holds the round in which it was taken and the id: what was taken in another round is free.
    places: Vec<u64>,
    /// So many of the places are used in this round, less one: a power of two. A short text after a long one should not
    /// spread over all of them, which are more than the processor's nearest cache holds.
    mask: usize,
    round: u32,
}

impl DistinctIds {
    /// Begins a new round, with room for as many ids as may come, repeats included.
    pub fn begin(&mut self, most: usize) {
        let wanted = (2 * most).next_power_of_two();
        self.ids = Vec::with_capacity(most);
        if self.places.len() > MOST_KEPT {
            self.places = Vec::new();
        }
        self.round = self.round.wrapping_add(1);
        if self.places.len() < wanted || self.round == 0 {
            self.places = vec![0; wanted];
            self.round = 1;
        }
        self.mask = wanted - 1;
    }

    /// Takes an id in, if it has not come before. Ids are hashes already: their low bits tell the place.
    pub fn insert(&mut self, id: u32) {
        let taken = u64::from(self.round) << 32 | u64::from(id);
        let places = &mut self.places[..=self.mask];
        let mask = self.mask;
        let mut at = id as usize & mask;
        while places[at] != taken {
            if places[at] >> 32 != u64::from(self.round) {
                places[at] = taken;
                self.ids.push(id);
                // More ids than were foretold must not fill the last free place.
                if 2 * self.ids.len() > mask + 1 {
                    self.grow();
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// The ids of this round, in the order in which each came first.
    pub fn take(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.ids)
    }

    #[cold]
    fn grow(&mut self) {
        let mask = 2 * self.mask + 1;
        let mut places = vec![0; mask + 1];
        for &id in &self.ids {
            let mut at = id as usize & mask;
            while places[at] != 0 {
                at = (at + 1) & mask;
            }
            places[at] = u64::from(self.round) << 32 | u64::from(id);
        }
        self.places = places;
        self.mask = mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_id_is_kept_once_in_the_order_of_its_first_coming_whatever_came_before(
            texts in prop::collection::vec((
                prop::collection::vec(prop_oneof![0_u32..40, any::<u32>()], 0..300),
                0_usize..310,
            ), 1..5),
        ) {
            let mut distinct = DistinctIds::default();
            for (ids, most) in texts {
                distinct.begin(most);
                for &id in &ids {
                    distinct.insert(id);
                }
                let mut seen = std::collections::HashSet::new();
                let expected: Vec<u32> = ids.into_iter().filter(|&id| seen.insert(id)).collect();
                prop_assert_eq!(distinct.take(), expected);
            }
        }
    }

    #[test]
    fn rounds_begin_anew_without_what_was_seen_long_ago_and_large_tables_are_not_kept() {
        let mut distinct = DistinctIds::default();
        distinct.begin(4);
        distinct.insert(7);
        distinct.round = u32::MAX;
        distinct.begin(4);
        distinct.insert(7);
        assert_eq!(distinct.take(), [7]);
        distinct.begin(MOST_KEPT);
        assert!(distinct.places.len() > MOST_KEPT);
        distinct.begin(4);
        assert!(distinct.places.len() <= MOST_KEPT);
    }
}
