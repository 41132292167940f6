//! Answer cache: the raw outputs of a model for a text, kept for the next request with the same text. Also single
//! flight: a text that one request is working on is not worked on by another at the same time.
//!
//! Off unless the operator gives it room. The key is the model's fingerprint, the text, and how it may be cut;
//! everything else that a request asks for is computed from the raw outputs afterwards. Bounded in bytes. A row that
//! failed is never kept.
//!
//! The tasks of one request have such a cache of their own (`shared_runs.rs`), which holds no copy of a text.
//!
//! The request that works on a text may be slow: it may have many texts, or wait behind much of its client's own work.
//! So the others wait for it about as long as they would have taken without a cache, and then work on the text
//! themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle, GuardResult};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::outputs::{ModelOutputs, TextOutput};
use super::texts::TextSubset;
use crate::batching::{BatchShape, RowOutput};
use crate::error::Error;
use crate::model::manifest::Truncation;

/// The bytes of an entry besides its text: its key, its outputs, and the cache's own bookkeeping, roughly.
const ENTRY_BYTES: usize = 256;
/// The bytes of an entry of a short text, to estimate how many entries there may be.
const TYPICAL_BYTES: usize = 400;

/// How much longer than its own run a request waits for another's, at most: what a busy machine adds to a short run.
const PATIENCE: Duration = Duration::from_millis(250);

/// Raw outputs by model and text.
pub struct AnswerCache {
    rows: Cache<Key, Arc<Cached>, Bytes>,
    /// Whether it is for the tasks of one request alone, which have one deadline and one copy of the texts.
    of_one_request: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    fingerprint: Arc<str>,
    truncation: Option<Truncation>,
    text: KeyText,
    pair: Option<KeyText>,
}

/// The text of a key: its own, or where the texts last as long as the cache, one of them.
#[derive(Clone, Debug)]
enum KeyText {
    Own(Arc<str>),
    Of(Arc<Vec<String>>, usize),
}

impl std::ops::Deref for KeyText {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Of(texts, at) => &texts[*at],
        }
    }
}

impl PartialEq for KeyText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for KeyText {}

impl std::hash::Hash for KeyText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        str::hash(self, state);
    }
}

/// The value of an entry.
#[derive(Debug)]
struct Cached {
    values: Vec<f32>,
    token_count: usize,
    truncated: bool,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Cached>> for Bytes {
    fn weight(&self, key: &Key, row: &Arc<Cached>) -> u64 {
        (ENTRY_BYTES
            + key.text.len()
            + key.pair.as_ref().map_or(0, |pair| pair.len())
            + size_of_val(row.values.as_slice())) as u64
    }
}

impl AnswerCache {
    /// A cache of at most `bytes` bytes; `None` for 0.
    pub fn new(bytes: usize) -> Option<Arc<Self>> {
        let rows = || Cache::with_weighter((bytes / TYPICAL_BYTES).max(1), bytes as u64, Bytes);
        (bytes > 0).then(|| {
            Arc::new(Self {
                rows: rows(),
                of_one_request: false,
            })
        })
    }

    /// A cache for one request, of about so many rows and at most `bytes` bytes.
    pub fn of_request(rows: usize, bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(rows.max(1))
            .weight_capacity(bytes as u64)
            .build()
            .expect("both sizes are given");
        Self {
            rows: Cache::with_options(
                options,
                Bytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            of_one_request: true,
        }
    }

    /// The bytes in use.
    pub fn bytes(&self) -> u64 {
        self.rows.weight()
    }
}

impl AnswerCache {
    /// The outputs of a model, told by its fingerprint, for the texts. Texts in the cache are not run. Texts that
    /// another request is working on are waited for, as long as `expected` says for their sizes in bytes, and a little
    /// longer. The others go to `run` and are kept.
    pub async fn outputs<F: Future<Output = Result<ModelOutputs, Error>>>(
        &self,
        fingerprint: &str,
        texts: TextSubset,
        deadline: Instant,
        run: impl Fn(TextSubset) -> F,
        expected: impl Fn(Vec<usize>) -> Duration,
    ) -> Result<ModelOutputs, Error> {
        let fingerprint: Arc<str> = fingerprint.into();
        let text = |of: &Arc<Vec<String>>, place: usize| {
            if self.of_one_request {
                KeyText::Of(Arc::clone(of), place)
            } else {
                KeyText::Own(of[place].as_str().into())
            }
        };
        let key = |place: usize| Key {
            fingerprint: Arc::clone(&fingerprint),
            truncation: texts.truncation,
            text: text(&texts.texts, place),
            pair: texts.pairs().map(|pairs| text(pairs, place)),
        };
        let keys: Vec<Key> = texts.places.iter().map(|&place| key(place)).collect();
        let mut answer = Gathered::new(keys.len());
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut waits_until = None;
        while !open.is_empty() {
            let waits = waits_until.is_none_or(|until| Instant::now() < until);
            let mut own = Vec::new();
            let mut elsewhere = Vec::new();
            for at in open {
                match self.rows.get_value_or_guard(&keys[at], Some(Duration::ZERO)) {
                    GuardResult::Value(row) => answer.hit(at, &row),
                    GuardResult::Guard(guard) => own.push((at, Some(guard))),
                    GuardResult::Timeout if waits => elsewhere.push(at),
                    GuardResult::Timeout => own.push((at, None)),
                }
            }
            if !own.is_empty() {
                let part = texts.at(own.iter().map(|&(at, _)| texts.places[at]).collect());
                // On a failure the guards are dropped, and whoever waits for these texts takes them over.
                let ran = run(part).await?;
                answer.preprocess += ran.preprocess;
                for ((at, guard), row) in own.into_iter().zip(ran.rows) {
                    let kept = Arc::new(Cached::of(&row));
                    match guard {
                        // An error means that the entry was replaced meanwhile, by equal outputs.
                        Some(guard) => drop(guard.insert(kept)),
                        None => self.rows.insert(keys[at].clone(), kept),
                    }
                    answer.rows[at] = Some(row);
                }
            }
            // Our own work is done before we wait for others, so no two requests wait for each other.
            if let Some(&at) = elsewhere.first() {
                let until = *waits_until.get_or_insert_with(|| {
                    if self.of_one_request {
                        // Whoever works on it has the same deadline.
                        return deadline;
                    }
                    let sizes = elsewhere.iter().map(|&at| texts.bytes_at(texts.places[at]));
                    let now = Instant::now();
                    let own = expected(sizes.collect());
                    now + (own + PATIENCE).min(deadline.saturating_duration_since(now) / 2)
                });
                let wait = self.rows.get_value_or_guard_async(&keys[at]);
                // After that time we work on it ourselves.
                let _ = tokio::time::timeout_at(until.into(), wait).await;
            }
            open = elsewhere;
        }
        Ok(answer.finish())
    }
}

/// The rows of one request, as they become known.
struct Gathered {
    rows: Vec<Option<TextOutput>>,
    hits: usize,
    preprocess: Duration,
}

impl Gathered {
    fn new(rows: usize) -> Self {
        Self {
            rows: std::iter::repeat_with(|| None).take(rows).collect(),
            hits: 0,
            preprocess: Duration::ZERO,
        }
    }

    fn hit(&mut self, at: usize, row: &Cached) {
        self.hits += 1;
        self.rows[at] = Some(row.to_row());
    }

    fn finish(self) -> ModelOutputs {
        ModelOutputs {
            rows: self.rows.into_iter().flatten().collect(),
            preprocess: self.preprocess,
            cache_hits: self.hits,
        }
    }
}

impl Cached {
    fn of(row: &TextOutput) -> Self {
        Self {
            values: row.output.values.clone(),
            token_count: row.token_count,
            truncated: row.truncated,
        }
    }

    fn to_row(&self) -> TextOutput {
        TextOutput {
            output: RowOutput {
                values: self.values.clone(),
                queued_for: Duration::ZERO,
                ran_for: Duration::ZERO,
                worked_for: Duration::ZERO,
                width: 0,
                batch: BatchShape::default(),
            },
            token_count: self.token_count,
            truncated: self.truncated,
        }
    }
}
