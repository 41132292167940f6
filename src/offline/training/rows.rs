//! The features of many texts: held in memory while they fit, made again from the text each time if they do not.

use std::num::NonZeroUsize;
use std::thread;

use crate::model::manifest::{HashedNgrams, Truncation};
use crate::model::preprocess::ngrams::NgramExtractor;
use crate::offline::dataset::Dataset;

/// The most features that are held, four bytes each.
const MOST_HELD: usize = 100_000_000;
/// How many rows one thread encodes at a time.
const BLOCK: usize = 8_192;

/// The rows of a data set as the ids of their features, for one setting of the features.
pub struct Rows<'a> {
    dataset: &'a Dataset,
    extractor: NgramExtractor,
    held: Option<Held>,
    /// The number of features of all rows.
    features: u64,
    /// The bucket of each id, if ids are not buckets.
    buckets: Option<Vec<u32>>,
}

/// Row `i` is `ids[starts[i]..starts[i + 1]]`.
struct Held {
    ids: Vec<u32>,
    starts: Vec<usize>,
}

impl<'a> Rows<'a> {
    /// Encodes the rows that are wanted, on so many threads; the others have no features.
    pub fn encode(
        dataset: &'a Dataset,
        settings: HashedNgrams,
        wanted: &(dyn Fn(usize) -> bool + Sync),
        threads: NonZeroUsize,
    ) -> Self {
        let extractor = NgramExtractor::new(settings);
        let mut held = Held {
            ids: Vec::new(),
            starts: vec![0],
        };
        let mut features = 0;
        let mut fits = true;
        let blocks: Vec<_> = (0..dataset.len()).step_by(BLOCK).collect();
        for round in blocks.chunks(threads.get()) {
            let encoded: Vec<Held> = thread::scope(|scope| {
                let one = |&start: &usize| {
                    let end = (start + BLOCK).min(dataset.len());
                    let extractor = &extractor;
                    scope.spawn(move || block(dataset, extractor, (start..end).map(|at| (at, wanted(at)))))
                };
                let running: Vec<_> = round.iter().map(one).collect();
                let joined = running
                    .into_iter()
                    .map(|thread| thread.join().expect("encoding does not panic"));
                joined.collect()
            });
            for block in encoded {
                features += block.ids.len() as u64;
                fits = fits && held.ids.len() + block.ids.len() <= MOST_HELD;
                if fits {
                    let base = held.ids.len();
                    held.starts.extend(block.starts[1..].iter().map(|start| base + start));
                    held.ids.extend(block.ids);
                }
            }
        }
        Self {
            dataset,
            extractor,
            held: fits.then_some(held),
            features,
            buckets: None,
        }
    }

    /// The same rows with other ids: the features that occur, the most frequent first. The weights of frequent features then
    /// lie together, which makes training several times as fast. Rows that are not held keep theirs.
    pub fn by_frequency(mut self) -> Self {
        let Some(held) = &mut self.held else { return self };
        let mut counts = vec![0_u32; self.extractor.buckets() as usize];
        held.ids.iter().for_each(|&bucket| counts[bucket as usize] += 1);
        let mut buckets: Vec<u32> = (0..self.extractor.buckets())
            .filter(|&bucket| counts[bucket as usize] > 0)
            .collect();
        buckets.sort_by_key(|&bucket| std::cmp::Reverse(counts[bucket as usize]));
        // From here on the new ids.
        let mut ids = counts;
        for (id, &bucket) in (0..).zip(&buckets) {
            ids[bucket as usize] = id;
        }
        held.ids.iter_mut().for_each(|id| *id = ids[*id as usize]);
        self.buckets = Some(buckets);
        self
    }

    /// The number of ids.
    pub fn ids(&self) -> usize {
        self.buckets
            .as_ref()
            .map_or(self.extractor.buckets() as usize, Vec::len)
    }

    /// The bucket of each id, if ids are not buckets.
    pub fn buckets_of_ids(&self) -> Option<&[u32]> {
        self.buckets.as_deref()
    }

    /// The number of buckets.
    pub fn buckets(&self) -> usize {
        self.extractor.buckets() as usize
    }

    /// The number of features of all rows.
    pub fn features(&self) -> u64 {
        self.features
    }

    /// The ids of a row, without repeats. `room` is where they are put if they are not held.
    pub fn row<'b>(&'b self, at: usize, room: &'b mut Vec<u32>) -> &'b [u32] {
        match &self.held {
            Some(held) => &held.ids[held.starts[at]..held.starts[at + 1]],
            None => {
                *room = encode(&self.extractor, &self.dataset.text(at));
                room
            }
        }
    }
}

fn block(dataset: &Dataset, extractor: &NgramExtractor, rows: impl Iterator<Item = (usize, bool)>) -> Held {
    let (mut ids, mut starts) = (Vec::new(), vec![0]);
    for (at, is_wanted) in rows {
        if is_wanted {
            ids.extend(encode(extractor, &dataset.text(at)));
        }
        starts.push(ids.len());
    }
    Held { ids, starts }
}

/// The ids of a text, cut at the end as the server does unless a request says otherwise.
pub fn encode(extractor: &NgramExtractor, text: &str) -> Vec<u32> {
    let encoding = extractor.encode(text, Truncation::End);
    encoding
        .expect("a text that is cut is not refused")
        .input
        .ids()
        .to_vec()
}
