//! Preprocessing as a part of a request: right away on the async thread where that is sure to be short, else by the
//! workers, in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::errors::{encode_error, inference_failed};
use super::shared_runs::SharedRuns;
use super::texts::TextSubset;
use crate::batching::SubmitOptions;
use crate::batching::job::{Owner, Part, Unfinished};
use crate::batching::workers::{PART, Workers};
use crate::error::{Error, Reason};
use crate::model::Encoding;
use crate::model::loaded::Model;
use crate::model::manifest::Preprocess;
use crate::model::moving_average;
use crate::model::text_cost::TextCost;

/// The longest that preprocessing is expected to take on an async thread, by the recent cost of texts. Other calls wait that
/// long; two changes of thread would take about half of it.
const ON_THE_SPOT: Duration = Duration::from_micros(100);
/// The longest that it may take there if the texts turn out to be the hardest ones.
const AT_WORST: Duration = Duration::from_micros(400);
/// How much more it takes to cut a hard text into windows than to encode it.
const WINDOWING: f64 = 4.0;
/// The weight of one request in the moving average of the cost of texts.
const WEIGHT: f64 = 1.0 / 16.0;
/// The bounds of that average, relative to the cost of hard texts when the model was loaded.
const FACTOR_RANGE: (f64, f64) = (0.01, 20.0);

/// A model's preprocessing; cheap to clone.
#[derive(Clone)]
pub struct Preparation {
    workers: Workers,
    owner: Arc<Owner>,
    model: Arc<Model>,
    cost: TextCost,
    /// The recent cost of texts relative to hard ones, as the bits of an `f64`.
    factor: Arc<AtomicU64>,
}

impl Preparation {
    /// The preprocessing of this model, by these workers.
    pub fn new(model: Arc<Model>, workers: Workers) -> Self {
        let cost = model.text_cost();
        Self::at_cost(model, workers, cost)
    }

    /// What cuts this model's texts into windows: it reads them to the end, and each part of them again.
    pub fn of_windows(model: Arc<Model>, workers: Workers) -> Self {
        let cost = model.text_cost();
        let cost = TextCost {
            text_nanos: cost.text_nanos * WINDOWING,
            byte_nanos: cost.byte_nanos * WINDOWING,
            max_bytes: usize::MAX,
            ..cost
        };
        Self::at_cost(model, workers, cost)
    }

    fn at_cost(model: Arc<Model>, workers: Workers, cost: TextCost) -> Self {
        Self {
            workers,
            owner: Owner::new(&model.manifest.name),
            model,
            cost,
            factor: Arc::new(AtomicU64::new(cost.usual.to_bits())),
        }
    }

    /// The time until texts of these sizes, in bytes, would be ready; zero where they are preprocessed right away.
    pub fn expected(&self, sizes: impl Iterator<Item = usize>, options: &SubmitOptions) -> Duration {
        let hardest = self.cost.of(sizes);
        if self.is_a_moment(hardest) {
            return Duration::ZERO;
        }
        self.workers.expected(options, self.usually(hardest))
    }

    /// Turns the texts into model inputs; those that another task of the request had are in `shared`. The returned time is that
    /// of the work, without the wait for a turn.
    pub async fn encode(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        shared: Option<Arc<SharedRuns>>,
    ) -> Result<(Vec<Encoding>, Duration), Error> {
        let encode = move |model: &Model, texts: &TextSubset, at: usize| {
            let encode = || model.preprocess_pair(&texts.texts[at], texts.pair(at), texts.truncation);
            let encoding = match (&shared, &model.manifest.preprocess) {
                (Some(shared), Preprocess::HashedNgrams(settings)) if !texts.are_pairs() => {
                    shared.features(settings, texts, at, encode)
                }
                _ => encode(),
            };
            encoding.map_err(|error| encode_error(at, error))
        };
        self.each(texts, options, encode).await
    }

    /// Makes something of each of the texts, in order, until one fails. The returned time is that of the work, without
    /// the wait for a turn.
    pub async fn each<T: Send + 'static>(
        &self,
        subset: TextSubset,
        options: SubmitOptions,
        make: impl Fn(&Model, &TextSubset, usize) -> Result<T, Error> + Send + 'static,
    ) -> Result<(Vec<T>, Duration), Error> {
        let hardest = self.cost.of(subset.sizes());
        let expected = self.usually(hardest);
        let mut texts = Texts {
            model: Arc::clone(&self.model),
            made: Vec::with_capacity(subset.places.len()),
            subset,
            make,
            worked: Duration::ZERO,
        };
        let (made, worked) = if self.is_a_moment(hardest) {
            texts.go_on(Duration::MAX).map(|_| texts.take())?
        } else {
            let part = move || match texts.go_on(PART) {
                Ok(false) => Part::More(expected.saturating_sub(expected.mul_f64(texts.done()))),
                Ok(true) => Part::Done(Ok(texts.take())),
                Err(error) => Part::Done(Err(error)),
            };
            let finished = self.workers.run(options, expected, &self.owner, part).await;
            finished.map_err(|why| self.to_error(why))??
        };
        self.learn(hardest, worked);
        Ok((made, worked))
    }

    /// Whether texts of this cost are preprocessed right away.
    fn is_a_moment(&self, hardest: Duration) -> bool {
        hardest <= AT_WORST && self.usually(hardest) <= ON_THE_SPOT && self.model.preprocesses_predictably()
    }

    /// The recent cost of texts that would cost `hardest` if they were hard.
    fn usually(&self, hardest: Duration) -> Duration {
        hardest.mul_f64(f64::from_bits(self.factor.load(Ordering::Relaxed)))
    }

    fn learn(&self, hardest: Duration, took: Duration) {
        let seen = took.as_secs_f64() / hardest.as_secs_f64().max(1e-9);
        let factor = f64::from_bits(self.factor.load(Ordering::Relaxed));
        let next = moving_average::after(factor, seen, WEIGHT).clamp(FACTOR_RANGE.0, FACTOR_RANGE.1);
        // Of two updates at the same time one may be lost, which an average of many survives.
        self.factor.store(next.to_bits(), Ordering::Relaxed);
    }

    fn to_error(&self, why: Unfinished) -> Error {
        match why {
            Unfinished::DeadlineExceeded => Error::deadline_exceeded(),
            Unfinished::Closed => Error::new(Reason::ServerDraining, "the server is shutting down"),
            Unfinished::GivenUp => inference_failed(&self.model),
            Unfinished::Panicked => {
                tracing::error!(model = self.model.manifest.name, "preprocessing panicked");
                Error::new(Reason::Internal, "preprocessing failed")
            }
        }
    }
}

/// The texts of a request while they are preprocessed.
struct Texts<T, M> {
    model: Arc<Model>,
    subset: TextSubset,
    make: M,
    made: Vec<T>,
    worked: Duration,
}

impl<T, M: Fn(&Model, &TextSubset, usize) -> Result<T, Error>> Texts<T, M> {
    /// Works on for about this long, on at least one text; returns whether all are done.
    fn go_on(&mut self, about: Duration) -> Result<bool, Error> {
        let started = Instant::now();
        while let Some(&at) = self.subset.places.get(self.made.len()) {
            self.made.push((self.make)(&self.model, &self.subset, at)?);
            if started.elapsed() >= about {
                break;
            }
        }
        self.worked += started.elapsed();
        Ok(self.made.len() == self.subset.places.len())
    }

    /// The share of the texts that is done, from 0 to 1.
    fn done(&self) -> f64 {
        self.made.len() as f64 / self.subset.places.len().max(1) as f64
    }

    fn take(&mut self) -> (Vec<T>, Duration) {
        (std::mem::take(&mut self.made), self.worked)
    }
}
