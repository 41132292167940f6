//! How well logits tell what is right: the log loss at the temperature that suits them best (Guo and others, 2017), so
//! that a model that is only too sure of itself is not taken for a bad one.

use crate::model::manifest::ProblemType;
use crate::offline::dataset::Target;

/// The range of temperatures, as natural logarithms.
const RANGE: (f64, f64) = (-4.0, 4.0);
/// Steps of the golden-section search, each of which leaves 62% of the range.
const STEPS: usize = 30;

/// The best temperature, and the mean loss at it in nats a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibrated {
    pub temperature: f64,
    pub loss: f64,
}

/// One row of logits, what is right, and how much it counts.
pub type Judged<'a> = (&'a [f32], &'a Target, f32);

/// Finds the temperature; 1 without rows. Rows without a label count for nothing.
pub fn calibrate<'a>(rows: impl Iterator<Item = Judged<'a>> + Clone, problem: ProblemType) -> Calibrated {
    let counts = |(_, target, weight): Judged<'_>| weight > 0.0 && !matches!(target, Target::Unknown);
    if !rows.clone().any(counts) {
        return Calibrated {
            temperature: 1.0,
            loss: 0.0,
        };
    }
    let at = |log_temperature: f64| mean_loss(rows.clone(), problem, log_temperature.exp());
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = RANGE;
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (at(left), at(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = at(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = at(right);
        }
    }
    Calibrated {
        temperature: f64::midpoint(low, high).exp(),
        loss: at_left.min(at_right),
    }
}

fn mean_loss<'a>(rows: impl Iterator<Item = Judged<'a>>, problem: ProblemType, temperature: f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (logits, target, weight) in rows {
        let Some(loss) = loss(logits, target, problem, temperature) else {
            continue;
        };
        sum += loss * f64::from(weight);
        weights += f64::from(weight);
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

fn loss(logits: &[f32], target: &Target, problem: ProblemType, temperature: f64) -> Option<f64> {
    let scaled = |logit: f32| f64::from(logit) / temperature;
    if problem == ProblemType::MultiLabel {
        let share = |label: usize| match target {
            Target::Many(labels) => f64::from(u8::from(labels.binary_search(&(label as u32)).is_ok())),
            Target::Soft(shares) => f64::from(shares[label]),
            Target::One(right) => f64::from(u8::from(*right as usize == label)),
            Target::Unknown => 0.0,
        };
        let of_label = |(label, &logit): (usize, &f32)| {
            let value = scaled(logit);
            // ln(1 + e^v) without overflow.
            value.max(0.0) + (-value.abs()).exp().ln_1p() - share(label) * value
        };
        let known = !matches!(target, Target::Unknown);
        return known.then(|| logits.iter().enumerate().map(of_label).sum());
    }
    let top = logits.iter().copied().map(scaled).fold(f64::MIN, f64::max);
    let total = logits
        .iter()
        .map(|&logit| (scaled(logit) - top).exp())
        .sum::<f64>()
        .ln()
        + top;
    match target {
        Target::One(label) => Some(total - scaled(logits[*label as usize])),
        Target::Soft(shares) => {
            let of_label = |(&share, &logit): (&f32, &f32)| f64::from(share) * (total - scaled(logit));
            Some(shares.iter().zip(logits).map(of_label).sum())
        }
        Target::Many(_) | Target::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_that_drew_the_labels_is_found() {
        let mut random = fastrand::Rng::with_seed(5);
        let rows: Vec<(Vec<f32>, Target)> = (0..20_000)
            .map(|_| {
                let odds = (random.f32() - 0.5) * 6.0;
                let is_second = random.f32() < 1.0 / (1.0 + (-odds).exp());
                (vec![-odds * 1.5, odds * 1.5], Target::One(u32::from(is_second)))
            })
            .collect();
        let judged = rows.iter().map(|(logits, target)| (logits.as_slice(), target, 1.0));
        let found = calibrate(judged, ProblemType::SingleLabel);
        assert!((found.temperature - 3.0).abs() < 0.2, "{found:?}");
    }

    #[test]
    fn soft_targets_and_several_labels_have_the_loss_of_their_shares() {
        let half = Target::Soft(vec![0.5, 0.5]);
        let loss = loss(&[0.0, 0.0], &half, ProblemType::SingleLabel, 1.0).expect("known");
        assert!((loss - 2.0_f64.ln()).abs() < 1e-9);
        let many = super::loss(&[0.0, 0.0], &Target::Many(vec![1]), ProblemType::MultiLabel, 1.0).expect("known");
        assert!((many - 2.0 * 2.0_f64.ln()).abs() < 1e-9);
        assert!(super::loss(&[0.0, 0.0], &Target::Unknown, ProblemType::SingleLabel, 1.0).is_none());
    }
}
