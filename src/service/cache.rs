//! The answer cache: what a model made of a text, for the next request with the same text; and single flight: a text that
//! is being worked on is not worked on twice.
//!
//! Off unless the operator gives it room. Keyed on the model's fingerprint, the text and how it may be cut; everything else
//! that a request asks is made of the raw outputs afterwards. Bounded in bytes. A row that failed is never kept.
//!
//! Who works on a text may be slow: a request of many texts, or one behind much of its client's own. So the others wait for it
//! about as long as they would have without a cache, and then work on it themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::{Cache, GuardResult};

use super::catalog::Serving;
use super::tier::{Chosen, TierRow, TierRows};
use super::types::Terms;
use crate::batching::{BatchShape, RowOutput};
use crate::error::Error;
use crate::model::manifest::Truncation;

/// What an entry takes beside its text: its key, its outputs, and the cache's own books, roughly.
const ENTRY_BYTES: usize = 256;
/// The size of an entry of a short text, to reckon how many there may be.
const TYPICAL_BYTES: usize = 400;

/// How much longer than for its own run a request waits for another's, at most: what a busy machine adds to a short run.
const PATIENCE: Duration = Duration::from_millis(250);

/// Raw outputs by text.
pub struct AnswerCache {
    rows: Cache<Key, Arc<Cached>, Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    fingerprint: Arc<str>,
    truncation: Option<Truncation>,
    text: Arc<str>,
    pair: Option<Arc<str>>,
}

/// What is kept of a row.
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
    /// A cache of so many bytes; none for nought.
    pub fn new(bytes: usize) -> Option<Arc<Self>> {
        let rows = || Cache::with_weighter((bytes / TYPICAL_BYTES).max(1), bytes as u64, Bytes);
        (bytes > 0).then(|| Arc::new(Self { rows: rows() }))
    }

    /// How many bytes are in use.
    pub fn bytes(&self) -> u64 {
        self.rows.weight()
    }
}

impl Serving {
    /// Runs the texts that the cache does not know, waits a while for those that another request is working on, and keeps
    /// what came out.
    pub(super) async fn infer_cached(
        &self,
        cache: &AnswerCache,
        chosen: Chosen,
        terms: Terms,
    ) -> Result<TierRows, Error> {
        let fingerprint: Arc<str> = self.model.fingerprint.as_str().into();
        let key = |place: usize| Key {
            fingerprint: Arc::clone(&fingerprint),
            truncation: chosen.truncation,
            text: chosen.texts[place].as_str().into(),
            pair: chosen.pair(place).map(Into::into),
        };
        let keys: Vec<Key> = chosen.places.iter().map(|&place| key(place)).collect();
        let mut answer = Gathered::new(keys.len());
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut waits_until = None;
        while !open.is_empty() {
            let waits = waits_until.is_none_or(|until| Instant::now() < until);
            let mut own = Vec::new();
            let mut elsewhere = Vec::new();
            for at in open {
                match cache.rows.get_value_or_guard(&keys[at], Some(Duration::ZERO)) {
                    GuardResult::Value(row) => answer.hit(at, &row),
                    GuardResult::Guard(guard) => own.push((at, Some(guard))),
                    GuardResult::Timeout if waits => elsewhere.push(at),
                    GuardResult::Timeout => own.push((at, None)),
                }
            }
            if !own.is_empty() {
                let part = Chosen {
                    texts: Arc::clone(&chosen.texts),
                    pairs: Arc::clone(&chosen.pairs),
                    places: own.iter().map(|&(at, _)| chosen.places[at]).collect(),
                    truncation: chosen.truncation,
                };
                // On a failure the guards go, and whoever waits for these texts takes them over.
                let ran = self.run(part, terms).await?;
                answer.preprocess += ran.preprocess;
                for ((at, guard), row) in own.into_iter().zip(ran.rows) {
                    let kept = Arc::new(Cached::of(&row));
                    match guard {
                        // An error means that the entry was replaced meanwhile: by the same.
                        Some(guard) => drop(guard.insert(kept)),
                        None => cache.rows.insert(keys[at].clone(), kept),
                    }
                    answer.rows[at] = Some(row);
                }
            }
            // Our own work is done before we wait for others', so no two requests wait for each other.
            if let Some(&at) = elsewhere.first() {
                let until = *waits_until.get_or_insert_with(|| {
                    let sizes = elsewhere.iter().map(|&at| chosen.bytes_at(chosen.places[at]));
                    let now = Instant::now();
                    let own = self.scheduler.expected(terms, sizes);
                    now + (own + PATIENCE).min(terms.deadline.saturating_duration_since(now) / 2)
                });
                let wait = cache.rows.get_value_or_guard_async(&keys[at]);
                // Past that time it is our own work.
                let _ = tokio::time::timeout_at(until.into(), wait).await;
            }
            open = elsewhere;
        }
        self.metrics.cached(answer.hits, keys.len() - answer.hits);
        Ok(answer.finish())
    }
}

/// The rows of one request, as they come.
struct Gathered {
    rows: Vec<Option<TierRow>>,
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

    fn finish(self) -> TierRows {
        TierRows {
            rows: self.rows.into_iter().flatten().collect(),
            preprocess: self.preprocess,
            cache_hits: self.hits,
        }
    }
}

impl Cached {
    fn of(row: &TierRow) -> Self {
        Self {
            values: row.output.values.clone(),
            token_count: row.token_count,
            truncated: row.truncated,
        }
    }

    fn to_row(&self) -> TierRow {
        TierRow {
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
