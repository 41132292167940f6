//! What the search chooses: the features of a model, and how it is trained.

use serde::{Deserialize, Serialize, Serializer};

use crate::model::manifest::HashedNgrams;

/// The features, and how the weights are found. Written into the manifest, so that a model can be made again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The shortest n-gram, in code points.
    pub min_n: usize,
    /// The longest n-gram, in code points.
    pub max_n: usize,
    /// The longest n-gram of words, in words; 0 for none.
    pub max_words: usize,
    /// The most code points that are read of a text.
    pub max_code_points: usize,
    /// The base-2 logarithm of the number of buckets.
    pub bucket_bits: u32,
    /// How often each row is looked at.
    pub epochs: u32,
    /// The step of AdaGrad at the start; it falls to 0 in a straight line.
    #[serde(serialize_with = "short")]
    pub learning_rate: f32,
    /// How strongly a weight is pulled to 0 at each step that touches it.
    #[serde(serialize_with = "short")]
    pub l2: f32,
    /// The share of a row's features that are left out at random.
    #[serde(serialize_with = "short")]
    pub dropout: f32,
}

impl Recipe {
    /// Where the search begins, for so many rows: good for short texts of any script.
    pub fn start(rows: usize, max_code_points: usize, bucket_bits: u32) -> Self {
        Self {
            min_n: 1,
            max_n: 4,
            max_words: 2,
            max_code_points,
            bucket_bits,
            epochs: u32::try_from(STEPS / rows.max(1))
                .unwrap_or(MOST_EPOCHS)
                .clamp(LEAST_EPOCHS, MOST_EPOCHS),
            learning_rate: 0.7,
            l2: 0.0002,
            dropout: 0.3,
        }
    }

    /// The settings of the preprocessing.
    pub fn features(&self) -> HashedNgrams {
        HashedNgrams {
            max_code_points: self.max_code_points,
            min_n: self.min_n,
            max_n: self.max_n,
            max_words: self.max_words,
            buckets: 1 << self.bucket_bits,
        }
    }

    /// The neighbours of this recipe, in the order in which they are worth trying: in each group one thing changes. No
    /// model may have more than `most_bits`.
    pub fn neighbours(&self, most_bits: u32) -> Vec<Vec<Self>> {
        let rate = [0.5, 2.0].map(|factor| Self {
            learning_rate: self.learning_rate * factor,
            ..*self
        });
        let features = [
            (1, 3, 2),
            (1, 4, 2),
            (1, 5, 2),
            (1, 6, 2),
            (2, 5, 1),
            (1, 4, 0),
            (1, 2, 2),
        ];
        let features = features.map(|(min_n, max_n, max_words)| Self {
            min_n,
            max_n,
            max_words,
            ..*self
        });
        let dropout = [0.0, 0.3, 0.6].map(|dropout| Self { dropout, ..*self });
        let l2 = [0.0, 0.0002, 0.001, 0.004].map(|l2| Self { l2, ..*self });
        let epochs = [self.epochs.div_ceil(2), self.epochs * 2].map(|epochs| Self { epochs, ..*self });
        let bits = [self.bucket_bits - 2, self.bucket_bits + 2].map(|bucket_bits| Self { bucket_bits, ..*self });
        let groups = [
            rate.to_vec(),
            features.to_vec(),
            dropout.to_vec(),
            epochs.to_vec(),
            l2.to_vec(),
            bits.to_vec(),
        ];
        let other = |recipe: &Self| {
            recipe != self
                && (LEAST_BITS..=most_bits).contains(&recipe.bucket_bits)
                && (0.01..=8.0).contains(&recipe.learning_rate)
                && (2..=2 * MOST_EPOCHS).contains(&recipe.epochs)
        };
        groups
            .into_iter()
            .map(|group| group.into_iter().filter(other).collect::<Vec<_>>())
            .filter(|group| !group.is_empty())
            .collect()
    }

    /// How much work one training is, in weights that are touched: what a clock would say is another machine's.
    pub fn work(&self, features: u64, columns: usize) -> u64 {
        features * u64::from(self.epochs) * (columns as u64 + OVERHEAD)
    }

    /// Whether it is within the bounds of a search. The error is one line.
    pub fn check(&self) -> Result<(), String> {
        let fine = (1..=self.max_n).contains(&self.min_n)
            && self.max_n <= 8
            && self.max_words <= 4
            && (1..=65_536).contains(&self.max_code_points)
            && (LEAST_BITS..=MOST_BITS).contains(&self.bucket_bits)
            && (1..=1000).contains(&self.epochs)
            && (0.0..=100.0).contains(&self.learning_rate)
            && (0.0..=1.0).contains(&self.l2)
            && (0.0..=0.9).contains(&self.dropout);
        if fine {
            Ok(())
        } else {
            Err(format!("its recipe is out of bounds: {}", self.words()))
        }
    }

    /// In words, for a line of a table.
    pub fn words(&self) -> String {
        let words = match self.max_words {
            0 => String::new(),
            1 => ", words".to_owned(),
            most => format!(", 1–{most} words"),
        };
        format!(
            "{}–{} characters{words}, 2^{} buckets, {} epochs, rate {}, L2 {}, dropout {}",
            self.min_n, self.max_n, self.bucket_bits, self.epochs, self.learning_rate, self.l2, self.dropout
        )
    }
}

/// A number in as few digits as tell it apart: a file that holds 64 bits a number would say 0.30000001192092896 for 0.3.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn short<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let digits = value.to_string();
    serializer.serialize_f64(digits.parse().unwrap_or_else(|_| f64::from(*value)))
}

/// How many steps the first recipe makes in all, within its epochs.
const STEPS: usize = 400_000;
const LEAST_EPOCHS: u32 = 4;
const MOST_EPOCHS: u32 = 20;
/// The fewest buckets of a model, as a base-2 logarithm.
const LEAST_BITS: u32 = 12;
/// The most buckets of a model of two classes.
const MOST_BITS: u32 = 21;
/// The most bytes of a table of weights, if each class then has [`LEAST_FOR_A_CLASS`] buckets.
const MOST_BYTES: usize = 12 << 20;
/// The base-2 logarithm of the fewest buckets that many classes are left with.
const LEAST_FOR_A_CLASS: u32 = 16;
/// What one feature of a row costs beside its columns, in columns.
const OVERHEAD: u64 = 40;

/// The largest table for a model of so many columns, as the base-2 logarithm of its buckets: at most 2 MiB for two classes,
/// 12 MiB up to 190, and 65,536 buckets for more.
pub fn most_bits(columns: usize) -> u32 {
    let fitting = (MOST_BYTES / columns.max(1)).max(1).ilog2();
    fitting.clamp(LEAST_FOR_A_CLASS, MOST_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stays_within_its_bytes() {
        assert_eq!(most_bits(1), 21);
        assert_eq!(most_bits(77), 17);
        assert_eq!(most_bits(1000), 16);
    }

    #[test]
    fn numbers_are_written_short_and_read_back_the_same() {
        for (l2, digits) in [
            (0.0004, "0.0004"),
            (0.0, "0.0"),
            (0.1 + 0.2, "0.3"),
            (0.000_123_456_79, "0.00012345679"),
        ] {
            let recipe = Recipe {
                l2,
                ..Recipe::start(10_000, 256, 16)
            };
            let written = toml::to_string(&recipe).expect("a table");
            assert!(
                written.lines().any(|line| line == format!("l2 = {digits}")),
                "{written}"
            );
            assert_eq!(toml::from_str::<Recipe>(&written).expect("the table"), recipe);
        }
        let older = toml::to_string(&Recipe::start(10_000, 256, 16)).expect("a table");
        let older = older.replace("dropout = 0.3", "dropout = 0.30000001192092896");
        assert_eq!(
            toml::from_str::<Recipe>(&older).expect("the table"),
            Recipe::start(10_000, 256, 16)
        );
    }

    #[test]
    fn neighbours_change_one_thing_within_the_bounds() {
        let start = Recipe::start(10_000, 256, 16);
        for group in start.neighbours(16) {
            for recipe in group {
                assert_ne!(recipe, start);
                assert!(recipe.bucket_bits <= 16 && recipe.learning_rate > 0.0);
            }
        }
    }
}
