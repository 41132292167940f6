//! Ids without repeats, in the order in which they come: a small table of the ids that were seen, which costs less than
//! sorting them.

/// What stands at a free place; no id, since an id is less than the number of buckets, a power of two.
const FREE: u32 = u32::MAX;

/// Ids that came, each once.
pub struct DistinctIds {
    ids: Vec<u32>,
    /// An id is at the place that its bits say, or at one of the next; at least half of the places are free.
    places: Vec<u32>,
}

impl DistinctIds {
    /// Room for as many ids as may come, repeats included.
    pub fn with_capacity(most: usize) -> Self {
        Self {
            ids: Vec::with_capacity(most),
            places: vec![FREE; (2 * most).next_power_of_two()],
        }
    }

    /// Takes an id in, if it has not come before. Ids are hashes already: their low bits tell the place.
    pub fn insert(&mut self, id: u32) {
        let mask = self.places.len() - 1;
        let mut at = id as usize & mask;
        while self.places[at] != id {
            if self.places[at] == FREE {
                self.places[at] = id;
                self.ids.push(id);
                // More ids than were foretold must not fill the last free place.
                if 2 * self.ids.len() > self.places.len() {
                    self.grow();
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// The ids, in the order in which each came first.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }

    #[cold]
    fn grow(&mut self) {
        let mask = 2 * self.places.len() - 1;
        let mut places = vec![FREE; mask + 1];
        for &id in &self.ids {
            let mut at = id as usize & mask;
            while places[at] != FREE {
                at = (at + 1) & mask;
            }
            places[at] = id;
        }
        self.places = places;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_id_is_kept_once_in_the_order_of_its_first_coming(
            ids in prop::collection::vec(prop_oneof![0_u32..40, any::<u32>().prop_map(|id| id >> 1)], 0..300),
            most in 0_usize..310,
        ) {
            let mut distinct = DistinctIds::with_capacity(most);
            for &id in &ids {
                distinct.insert(id);
            }
            let mut seen = std::collections::HashSet::new();
            let expected: Vec<u32> = ids.into_iter().filter(|&id| seen.insert(id)).collect();
            prop_assert_eq!(distinct.into_ids(), expected);
        }
    }
}
