//! The most informative n-grams of each class: those that move its logit most in the texts that they are in.

use std::collections::HashMap;

use crate::model::linear::{Link, Quantised};
use crate::model::manifest::Truncation;
use crate::model::preprocess::ngrams::NgramExtractor;
use crate::offline::dataset::Dataset;

/// The most rows that are looked at.
const MOST_ROWS: usize = 20_000;
/// How many buckets of a class are looked at for each n-gram that is told.
const LOOKED_AT: usize = 6;
/// An n-gram in fewer texts is chance.
const LEAST_ROWS: u32 = 3;

/// An n-gram, and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Informative {
    /// As it stands in a text, folded.
    pub ngram: String,
    /// What it adds to the class's logit, in a text of 100 features: above the mean of the classes, if one of them is right.
    pub weight: f32,
    /// The number of texts that were looked at and have it.
    pub rows: u32,
}

/// The `most` n-grams that speak for each class, the strongest first.
pub fn informative(
    model: &Quantised,
    link: Link,
    extractor: &NgramExtractor,
    dataset: &Dataset,
    most: usize,
) -> Vec<Vec<Informative>> {
    let rows = dataset.len().min(MOST_ROWS);
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for at in 0..rows {
        for id in super::rows::encode(extractor, &dataset.text(at)) {
            *counts.entry(id).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count >= LEAST_ROWS);
    let weights = |bucket: u32| -> Vec<f32> {
        let codes = &model.codes[bucket as usize * model.columns..][..model.columns];
        let columns: Vec<f32> = codes
            .iter()
            .zip(&model.steps)
            .map(|(&code, step)| f32::from(code) * step / 10.0)
            .collect();
        let logits = link.logits(&columns);
        // A label that is given by itself stands against no other.
        let mean = match link {
            Link::Sigmoids => 0.0,
            Link::LogOdds | Link::Softmax => logits.iter().sum::<f32>() / logits.len() as f32,
        };
        logits.into_iter().map(|logit| logit - mean).collect()
    };
    let classes = dataset.labels.len();
    let mut strongest: Vec<Vec<(f32, u32)>> = vec![Vec::new(); classes];
    let mut buckets: Vec<u32> = counts.keys().copied().collect();
    buckets.sort_unstable();
    for &bucket in &buckets {
        let count = (counts[&bucket] as f32).sqrt();
        for (of_class, weight) in strongest.iter_mut().zip(weights(bucket)) {
            of_class.push((weight * count, bucket));
            if of_class.len() > 2 * most * LOOKED_AT {
                keep(of_class, most * LOOKED_AT);
            }
        }
    }
    for of_class in &mut strongest {
        keep(of_class, most * LOOKED_AT);
    }
    let names = names(
        extractor,
        dataset,
        rows,
        strongest.iter().flatten().map(|(_, bucket)| *bucket),
    );
    strongest
        .iter()
        .enumerate()
        .map(|(class, of_class)| {
            let mut told: Vec<Informative> = Vec::new();
            for (score, bucket) in of_class {
                let Some(ngram) = names.get(bucket).filter(|_| *score > 0.0 && told.len() < most) else {
                    continue;
                };
                // `arrive` says what `arriv` says.
                let bare = ngram.trim();
                if bare.is_empty()
                    || told
                        .iter()
                        .any(|other| other.ngram.contains(bare) || bare.contains(other.ngram.trim()))
                {
                    continue;
                }
                told.push(Informative {
                    ngram: ngram.clone(),
                    weight: weights(*bucket)[class],
                    rows: counts[bucket],
                });
            }
            told
        })
        .collect()
}

fn keep(of_class: &mut Vec<(f32, u32)>, most: usize) {
    of_class.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    of_class.truncate(most);
}

/// The commonest n-gram of each bucket, by the texts.
fn names(
    extractor: &NgramExtractor,
    dataset: &Dataset,
    rows: usize,
    buckets: impl Iterator<Item = u32>,
) -> HashMap<u32, String> {
    let mut seen: HashMap<u32, HashMap<String, u32>> = buckets.map(|bucket| (bucket, HashMap::new())).collect();
    for at in 0..rows {
        let text = dataset.text(at);
        let Ok((spans, _)) = extractor.spans(&text, Truncation::End) else {
            continue;
        };
        for span in spans {
            if let Some(ngrams) = seen.get_mut(&span.bucket) {
                *ngrams.entry(text[span.bytes].to_lowercase()).or_default() += 1;
            }
        }
    }
    let commonest = |ngrams: HashMap<String, u32>| {
        let most = ngrams
            .into_iter()
            .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        most.map(|(ngram, _)| ngram)
    };
    seen.into_iter()
        .filter_map(|(bucket, ngrams)| Some((bucket, commonest(ngrams)?)))
        .collect()
}
