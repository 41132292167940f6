//! What is added to the biases after training: for rare classes that matter as much as common ones, or for texts to come
//! whose classes have other shares than those that were trained on.

use super::held_out::{HeldOut, top};
use crate::model::linear::Link;
use crate::offline::dataset::{Dataset, Target};

/// The strengths that are tried, from none to that of equal shares.
const STRENGTHS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// The steps of the fit to other shares; each brings the shares much nearer.
const STEPS: usize = 60;

/// What to add to each class's logit so that the mean of the classes' F1 is highest on held-out rows: a part of −ln of the
/// class's share (Menon and others, 2021, "logit adjustment").
pub fn for_macro_f1(out: &HeldOut, dataset: &Dataset) -> Vec<f32> {
    let mut shares = vec![0.5_f32; out.classes];
    for (at, _) in out.iter() {
        let example = &dataset.examples[at];
        if let Some(label) = example.target.top() {
            shares[label] += example.weight;
        }
    }
    let total: f32 = shares.iter().sum();
    let shift = |strength: f32| -> Vec<f32> { shares.iter().map(|share| -strength * (share / total).ln()).collect() };
    let figure = |strength: f32| macro_f1(out, dataset, &shift(strength));
    // Of equals, the weakest.
    let mut best = (STRENGTHS[0], figure(STRENGTHS[0]));
    for strength in &STRENGTHS[1..] {
        let figure = figure(*strength);
        if figure > best.1 {
            best = (*strength, figure);
        }
    }
    shift(best.0)
}

/// The mean of the classes' F1 with these shifts; classes that no row has count as 0.
fn macro_f1(out: &HeldOut, dataset: &Dataset, shift: &[f32]) -> f64 {
    // By class: right, given, true.
    let mut counts = vec![[0.0_f64; 3]; out.classes];
    for (at, logits) in out.iter() {
        let example = &dataset.examples[at];
        let Some(truth) = example.target.top() else { continue };
        let moved: Vec<f32> = logits.iter().zip(shift).map(|(logit, shift)| logit + shift).collect();
        let (found, weight) = (top(&moved), f64::from(example.weight));
        counts[truth][0] += if found == truth { weight } else { 0.0 };
        counts[found][1] += weight;
        counts[truth][2] += weight;
    }
    let f1 = |[right, given, truth]: &[f64; 3]| {
        if given + truth > 0.0 {
            2.0 * right / (given + truth)
        } else {
            0.0
        }
    };
    counts.iter().map(f1).sum::<f64>() / out.classes.max(1) as f64
}

/// What to add to each class's logit so that the classes have the shares of these rows: the log loss is then the least that
/// biases can make it.
pub fn for_shares(out: &HeldOut, dataset: &Dataset, temperature: f64) -> Vec<f32> {
    let mut wanted = vec![0.5_f64; out.classes];
    for (at, _) in out.iter() {
        let example = &dataset.examples[at];
        let weight = f64::from(example.weight);
        match &example.target {
            Target::One(label) => wanted[*label as usize] += weight,
            Target::Soft(shares) => wanted
                .iter_mut()
                .zip(shares)
                .for_each(|(wanted, share)| *wanted += weight * f64::from(*share)),
            Target::Many(_) | Target::Unknown => {}
        }
    }
    let mut shift = vec![0.0_f64; out.classes];
    for _ in 0..STEPS {
        let mut given = vec![0.5_f64; out.classes];
        for (at, logits) in out.iter() {
            let weight = f64::from(dataset.examples[at].weight);
            let moved: Vec<f64> = logits
                .iter()
                .zip(&shift)
                .map(|(logit, shift)| (f64::from(*logit) + shift) / temperature)
                .collect();
            let top = moved.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = moved.iter().map(|value| (value - top).exp()).sum();
            given
                .iter_mut()
                .zip(moved)
                .for_each(|(given, value)| *given += weight * (value - top).exp() / sum);
        }
        for ((shift, wanted), given) in shift.iter_mut().zip(&wanted).zip(&given) {
            *shift += temperature * (wanted / given).ln();
        }
    }
    shift.into_iter().map(|shift| shift as f32).collect()
}

/// Adds to the logits of each class.
pub fn apply(out: &mut HeldOut, shift: &[f32]) {
    for logits in out.logits.chunks_exact_mut(out.classes.max(1)) {
        logits.iter_mut().zip(shift).for_each(|(logit, shift)| *logit += shift);
    }
}

/// The same for the biases of a model's columns.
pub fn for_columns(shift: &[f32], link: Link) -> Vec<f32> {
    if link == Link::LogOdds {
        vec![shift[1] - shift[0]]
    } else {
        shift.to_vec()
    }
}

/// For several labels a text: the probability from which on each is given, so that its F1 is highest on held-out rows.
/// 0.5 for a label of fewer than `least` rows.
pub fn thresholds(out: &HeldOut, dataset: &Dataset, temperature: f64, least: usize) -> Vec<f32> {
    (0..out.classes)
        .map(|label| {
            let has = |at: usize| {
                let labels = dataset.examples[at].target.over(&[]);
                labels.is_some_and(|labels| labels.contains(&(label as u32)))
            };
            let mut rows: Vec<(f32, bool)> = out.iter().map(|(at, logits)| (logits[label], has(at))).collect();
            let all = rows.iter().filter(|(_, has)| *has).count();
            if all < least {
                return 0.5;
            }
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            let (mut right, mut best) = (0, (0.0, 0.0_f32));
            for (given, (logit, has)) in rows.iter().enumerate() {
                right += usize::from(*has);
                let next = rows.get(given + 1).map_or(logit - 1.0, |next| next.0);
                let f1 = 2.0 * right as f64 / (given + 1 + all) as f64;
                if next < *logit && f1 > best.0 {
                    best = (f1, f32::midpoint(*logit, next));
                }
            }
            let probability = 1.0 / (1.0 + (-f64::from(best.1) / temperature).exp());
            (probability as f32).clamp(0.01, 0.99)
        })
        .collect()
}
