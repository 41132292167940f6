//! A linear model over hashed n-grams, in whole numbers, and how its columns answer.

use crate::model::manifest::ProblemType;

/// How the outputs of a model answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Two classes: one column, the log odds of the second.
    LogOdds,
    /// One class of several is right: softmax.
    Softmax,
    /// Each class is right or not: a sigmoid a column.
    Sigmoids,
}

impl Link {
    /// The link of a problem with so many classes.
    pub fn of(problem: ProblemType, classes: usize) -> Self {
        match problem {
            ProblemType::MultiLabel => Self::Sigmoids,
            _ if classes == 2 => Self::LogOdds,
            _ => Self::Softmax,
        }
    }

    /// The number of columns of the table of weights.
    pub fn columns(self, classes: usize) -> usize {
        if self == Self::LogOdds { 1 } else { classes }
    }

    /// Columns as one logit for each class.
    pub fn logits(self, columns: &[f32]) -> Vec<f32> {
        match self {
            Self::LogOdds => vec![-columns[0] / 2.0, columns[0] / 2.0],
            Self::Softmax | Self::Sigmoids => columns.to_vec(),
        }
    }
}

/// A linear model of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    pub columns: usize,
    /// Row by row: those of bucket `b` are `codes[b * columns..][..columns]`.
    pub codes: Vec<i8>,
    /// What a code of each column counts.
    pub steps: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Quantised {
    /// The columns of a row of features, by other arithmetic than the graph's, to compare with.
    pub fn columns_of(&self, ids: &[u32]) -> Vec<f32> {
        let mut sums = vec![0_i64; self.columns];
        for &id in ids {
            let codes = &self.codes[id as usize * self.columns..][..self.columns];
            sums.iter_mut()
                .zip(codes)
                .for_each(|(sum, &code)| *sum += i64::from(code));
        }
        let scale = 1.0 / (ids.len().max(1) as f64).sqrt();
        let column = |((sum, &step), &bias): ((&i64, &f32), &f32)| {
            (*sum as f64 * f64::from(step) * scale + f64::from(bias)) as f32
        };
        sums.iter().zip(&self.steps).zip(&self.bias).map(column).collect()
    }

    /// The number of buckets.
    pub fn buckets(&self) -> usize {
        self.codes.len() / self.columns
    }

    /// Which buckets have a weight, a bit each.
    pub fn known_buckets(&self) -> Vec<u64> {
        let mut known = vec![0; self.buckets().div_ceil(64)];
        for (bucket, codes) in self.codes.chunks_exact(self.columns).enumerate() {
            known[bucket / 64] |= u64::from(codes.iter().any(|&code| code != 0)) << (bucket % 64);
        }
        known
    }

    /// The logits of a row of features, in the graph's own arithmetic: whole numbers are added up, the rest is 32-bit, step by
    /// step in its order. An id that is no bucket, such as the one that pads rows, counts nothing. `sums` is room to add up
    /// in.
    pub fn logits(&self, link: Link, ids: &[u32], sums: &mut Vec<i32>) -> Vec<f32> {
        sums.clear();
        sums.resize(self.columns, 0);
        match sums.as_mut_slice() {
            [sum] => {
                let code = |&id: &u32| self.codes.get(id as usize).map_or(0, |&code| i32::from(code));
                *sum = ids.iter().map(code).sum();
            }
            sums => {
                let codes = |&id: &u32| self.codes.get(id as usize * self.columns..)?.get(..self.columns);
                for codes in ids.iter().filter_map(codes) {
                    sums.iter_mut()
                        .zip(codes)
                        .for_each(|(sum, &code)| *sum += i32::from(code));
                }
            }
        }
        let scale = scale(ids.len());
        let column = |((&sum, &step), &bias): ((&i32, &f32), &f32)| sum as f32 * step * scale + bias;
        let columns = sums.iter().zip(&self.steps).zip(&self.bias).map(column);
        match link {
            Link::LogOdds => columns.flat_map(|odds| [odds * -0.5, odds * 0.5]).collect(),
            Link::Softmax | Link::Sigmoids => columns.collect(),
        }
    }
}

/// What the sum of so many weights is multiplied by: long texts count as much as short ones.
pub fn scale(features: usize) -> f32 {
    1.0 / (features.max(1) as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_with_any_weight_is_known() {
        let mut codes = vec![0; 2 * 128];
        codes[2 * 3 + 1] = -1;
        codes[2 * 64] = 5;
        codes[2 * 127 + 1] = 1;
        let model = Quantised {
            columns: 2,
            codes,
            steps: vec![1.0; 2],
            bias: vec![0.0; 2],
        };
        assert_eq!(model.known_buckets(), [1 << 3, 1 | 1 << 63]);
    }
}
