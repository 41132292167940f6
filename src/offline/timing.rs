//! What answers of a model cost, measured on a few texts: in batches with all cores, and one text alone; and a guess of it
//! before a model is loaded.
//!
//! Bounded, so that it may follow any work: [`MOST_TEXTS`] texts and [`MOST_TIME`] a model. Nothing here looks at a clock of
//! its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::dataset::Dataset;
use super::local_model::LocalModel;
use crate::cores;
use crate::model::loading::FastPath;
use crate::model::manifest::Tier;
use crate::model::repository::VerifiedModel;

/// The most texts that are measured with.
pub const MOST_TEXTS: usize = 500;
/// The most time that a model is measured for: its batches, and then its texts one by one.
pub const MOST_TIME: Duration = Duration::from_secs(1);
/// The part of it that is for batches.
const FOR_BATCHES: Duration = Duration::from_millis(300);
/// The part of it that is for texts one by one.
const FOR_ONE_BY_ONE: Duration = Duration::from_millis(700);
/// With fewer texts, the slowest hundredth of them is no text.
const LEAST_FOR_P99: usize = 100;
/// How many texts a thread takes at a time.
const CHUNK: usize = 16;

/// What a text takes, for a guess: in a fast model; in a deep one on one core, a byte of its file and a token.
const FAST_SECONDS: f64 = 50e-6;
const DEEP_SECONDS: f64 = 8e-12;
/// About how many tokens a character is, between English and Korean.
const TOKENS_A_CHARACTER: f64 = 0.4;

/// The time since some moment.
pub type Clock<'a> = &'a (dyn Fn() -> Duration + Sync);

/// What was measured of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// The time of one core that a text takes in a batch, in seconds.
    pub core_seconds: f64,
    /// Texts a second, in batches, with all cores.
    pub texts_a_second: f64,
    /// The times of single texts.
    pub one_by_one: OneByOne,
}

/// The times of texts that were asked about one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneByOne {
    times: Vec<Duration>,
    all: Duration,
}

impl OneByOne {
    /// Whether another text may be asked about.
    pub fn goes_on(&self) -> bool {
        self.times.len() < MOST_TEXTS && self.all < FOR_ONE_BY_ONE
    }

    /// Adds the time of a text.
    pub fn add(&mut self, time: Duration) {
        self.times.push(time);
        self.all += time;
    }

    /// The time that this share of the texts take at most, in seconds. `None` with fewer than a hundred texts.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.times.len() < LEAST_FOR_P99 {
            return None;
        }
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (share * times.len() as f64).ceil() as usize;
        Some(times[rank.clamp(1, times.len()) - 1].as_secs_f64())
    }

    /// The time that 99% of the texts take at most, in seconds.
    pub fn p99(&self) -> Option<f64> {
        self.quantile(0.99)
    }
}

/// Some of so many texts, evenly spread: their places.
pub fn sample(texts: usize) -> impl Iterator<Item = usize> {
    (0..texts).step_by(texts.div_ceil(MOST_TEXTS).max(1))
}

/// Measures a model with so many threads. `None` if it answers none of the texts. The error is one line.
pub fn of_model(
    model: &VerifiedModel,
    texts: &[&str],
    threads: usize,
    fast_path: FastPath,
    clock: Clock<'_>,
) -> Result<Option<Timing>, String> {
    let mut sessions = LocalModel::load_many(model, threads.max(1), 1, fast_path)?;
    let texts = &texts[..texts.len().min(MOST_TEXTS)];
    let Some((core_seconds, texts_a_second)) = in_batches(&mut sessions, texts, clock) else {
        return Ok(None);
    };
    let mut one_by_one = OneByOne::default();
    if let Some(session) = sessions.first_mut() {
        for text in texts {
            if !one_by_one.goes_on() {
                break;
            }
            let before = clock();
            let said = session.run(&[text], |_| {});
            if said.iter().all(Option::is_some) {
                one_by_one.add(clock().saturating_sub(before));
            }
        }
    }
    Ok(Some(Timing {
        core_seconds,
        texts_a_second,
        one_by_one,
    }))
}

/// All sessions side by side, over the texts again and again, for [`FOR_BATCHES`]. Returns the core's seconds of a text and
/// the texts a second.
fn in_batches(sessions: &mut [LocalModel], texts: &[&str], clock: Clock<'_>) -> Option<(f64, f64)> {
    if texts.is_empty() {
        return None;
    }
    let began = clock();
    let chunks: Vec<&[&str]> = texts.chunks(CHUNK).collect();
    let next = AtomicUsize::new(0);
    let one = |session: &mut LocalModel| {
        let (mut answered, mut cost) = (0_usize, 0.0);
        while answered == 0 || clock().saturating_sub(began) < FOR_BATCHES {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let said = session.run(chunks[at % chunks.len()], |_| {});
            let costs: Vec<f64> = said.into_iter().flatten().map(|output| output.cost).collect();
            if costs.is_empty() && at >= chunks.len() {
                break;
            }
            answered += costs.len();
            cost += costs.iter().sum::<f64>();
        }
        (answered, cost)
    };
    let done: Vec<(usize, f64)> = thread::scope(|scope| {
        let running: Vec<_> = sessions
            .iter_mut()
            .map(|session| scope.spawn(|| one(session)))
            .collect();
        let done = running.into_iter().map(|thread| thread.join());
        done.map(|done| done.expect("a session does not panic")).collect()
    });
    let seconds = clock().saturating_sub(began).as_secs_f64();
    let answered: usize = done.iter().map(|(answered, _)| answered).sum();
    let cost: f64 = done.iter().map(|(_, cost)| cost).sum();
    let known = answered > 0 && cost > 0.0 && seconds > 0.0;
    known.then(|| (cost / answered as f64, answered as f64 / seconds))
}

/// What a cascade of two models costs, if this share of the texts goes to the deep one too.
pub fn of_cascade(fast: &Timing, deep: &Timing, escalated: f64) -> CascadeTiming {
    let seconds = 1.0 / fast.texts_a_second + escalated / deep.texts_a_second;
    // A text is slow if it is escalated and slow among those.
    let slow_of_escalated = 1.0 - (1.0 - 0.99) / escalated;
    let p99 = if slow_of_escalated > 0.0 {
        let both = fast
            .one_by_one
            .quantile(0.5)
            .zip(deep.one_by_one.quantile(slow_of_escalated));
        both.map(|(fast, deep)| fast + deep)
    } else {
        fast.one_by_one.p99()
    };
    CascadeTiming {
        core_seconds: fast.core_seconds + escalated * deep.core_seconds,
        texts_a_second: 1.0 / seconds,
        p99,
    }
}

/// What a cascade costs, computed from its tiers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CascadeTiming {
    pub core_seconds: f64,
    pub texts_a_second: f64,
    pub p99: Option<f64>,
}

/// About how long a model takes for all texts, on all cores, by the size of its file: a guess, before anything is loaded.
pub fn guess(model: &VerifiedModel, dataset: &Dataset) -> Duration {
    let seconds = match model.manifest.tier {
        Tier::Fast => FAST_SECONDS,
        Tier::Deep => {
            let file = model.folder.join(&model.manifest.onnx.file);
            let bytes = std::fs::metadata(file).map_or(0, |about| about.len());
            let tokens = f64::from(dataset.facts.lengths.median) * TOKENS_A_CHARACTER;
            let tokens = tokens.min(model.manifest.max_token_count() as f64);
            bytes as f64 * tokens * DEEP_SECONDS / cores::usable() as f64
        }
    };
    Duration::try_from_secs_f64(seconds * dataset.len() as f64).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(millis: impl Iterator<Item = u64>) -> OneByOne {
        let mut times = OneByOne::default();
        millis.for_each(|millis| times.add(Duration::from_millis(millis)));
        times
    }

    #[test]
    fn the_99th_percentile_needs_a_hundred_texts() {
        assert_eq!(times(1..=99).p99(), None);
        assert_eq!(times((1..=100).rev()).p99(), Some(0.099));
        assert_eq!(times(1..=500).p99(), Some(0.495));
        assert_eq!(times(1..=100).quantile(0.0), Some(0.001));
        assert_eq!(times(1..=100).quantile(1.0), Some(0.1));
    }

    #[test]
    fn measuring_ends_by_the_time_or_by_the_texts() {
        assert!(OneByOne::default().goes_on());
        assert!(times(std::iter::repeat_n(1, MOST_TEXTS - 1)).goes_on());
        assert!(!times(std::iter::repeat_n(1, MOST_TEXTS)).goes_on());
        assert!(!times(std::iter::once(700)).goes_on());
        assert_eq!(FOR_BATCHES + FOR_ONE_BY_ONE, MOST_TIME);
        for texts in [0, 1, 499, 500, 501, 12_345] {
            let places: Vec<usize> = sample(texts).collect();
            assert!(
                places.len() <= MOST_TEXTS && places.len() >= texts.min(MOST_TEXTS / 2),
                "{texts}"
            );
            assert!(places.iter().all(|place| *place < texts), "{texts}");
        }
    }

    #[test]
    fn a_cascade_costs_what_its_tiers_do_by_the_share_that_is_escalated() {
        let timing = |core_seconds: f64, one_by_one: OneByOne| Timing {
            core_seconds,
            texts_a_second: 2.0 / core_seconds,
            one_by_one,
        };
        let fast = timing(0.001, times(std::iter::repeat_n(1, 100)));
        let deep = timing(0.1, times(1..=100));
        let of = |escalated: f64| of_cascade(&fast, &deep, escalated);
        assert!((of(0.2).core_seconds - 0.021).abs() < 1e-12);
        assert!((of(0.2).texts_a_second - 2.0 / 0.021).abs() < 1e-9);
        // Of 20% that are escalated, the slowest hundredth of all texts are the slowest twentieth.
        assert_eq!(of(0.2).p99, Some(0.096));
        assert_eq!(of(1.0).p99, Some(0.1));
        // Fewer than one in a hundred is escalated.
        assert_eq!(of(0.005).p99, Some(0.001));
        assert_eq!(of(0.0).core_seconds, 0.001);
    }
}
