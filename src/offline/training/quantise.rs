//! Eight bits a weight: a whole number from -127 to 127 for each, and a step for each column.
//!
//! Sums of whole numbers are exact whatever their order, so a text's answer does not depend on the batch that it is in.

use super::linear::Linear;
use crate::model::linear::Quantised;

/// The largest code.
const MOST: f32 = 127.0;

/// Rounds the weights of a model.
pub fn quantise(model: &Linear) -> Quantised {
    let columns = model.columns;
    let mut largest = vec![0.0_f32; columns];
    for weights in model.weights.chunks_exact(columns) {
        for (largest, weight) in largest.iter_mut().zip(weights) {
            *largest = largest.max(weight.abs());
        }
    }
    let steps: Vec<f32> = largest
        .iter()
        .map(|&largest| (largest / MOST).max(f32::MIN_POSITIVE))
        .collect();
    let rounded = |(weight, step): (&f32, &f32)| (weight / step).round().clamp(-MOST, MOST) as i8;
    let codes = model
        .weights
        .chunks_exact(columns)
        .flat_map(|weights| weights.iter().zip(&steps).map(rounded));
    Quantised {
        columns,
        codes: codes.collect(),
        steps: steps.clone(),
        bias: model.bias.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_weight_is_within_half_a_step() {
        let mut random = fastrand::Rng::with_seed(3);
        let weights: Vec<f32> = (0..3 * 64).map(|at| (random.f32() - 0.5) * (at % 3) as f32).collect();
        let model = Linear {
            columns: 3,
            weights,
            bias: vec![0.25, 0.0, -1.0],
        };
        let rounded = quantise(&model);
        assert_eq!(rounded.buckets(), 64);
        for (at, (weight, &code)) in model.weights.iter().zip(&rounded.codes).enumerate() {
            let step = rounded.steps[at % 3];
            assert!((f32::from(code) * step - weight).abs() <= step * 0.501, "{at}");
        }
        let (whole, sums) = (model.columns_of(&[1, 5, 9]), rounded.columns_of(&[1, 5, 9]));
        assert!(
            whole.iter().zip(&sums).all(|(a, b)| (a - b).abs() < 0.02),
            "{whole:?} {sums:?}"
        );
    }
}
