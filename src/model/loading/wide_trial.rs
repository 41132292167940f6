//! A wide session that is still to be opened: that takes time, and the model serves without it.

use std::time::{Duration, Instant};

use super::cost_probe::{ShapeBounds, ShapeCost};
use crate::model::device_memory::DeviceMemory;
use crate::model::manifest::Manifest;
use crate::model::neighbours::{self, Alone, Neighbours};
use crate::model::onnx::{OnnxBytes, OnnxRunner, Providers, RunLimit, Runtime, SessionSettings, SharedWeights, Source};
use crate::model::runner::{RunError, Runner};
use crate::model::runtime::wide_session::WideSlot;
use crate::model::sample::Sample;
use crate::model::warm_up::warm_up;

/// How many runs of a width are compared.
const TRIES: usize = 5;

/// Everything that a wide session is made of, and what it is held to.
pub struct WideTrial {
    pub(super) slot: WideSlot,
    pub(super) threads: usize,
    pub(super) manifest: Manifest,
    pub(super) bytes: OnnxBytes,
    pub(super) weights: Option<SharedWeights>,
    pub(super) providers: Providers,
    pub(super) pad_id: u32,
    pub(super) limit: RunLimit,
    pub(super) runtime: &'static Runtime,
    pub(super) sample: Sample,
    pub(super) bounds: ShapeBounds,
    pub(super) neighbours: Neighbours,
    /// Rows with the outputs that a narrow session had for them.
    pub(super) alone: Vec<Alone>,
    /// What runs of a narrow session took.
    pub(super) costs: Vec<ShapeCost>,
}

impl WideTrial {
    /// Opens the session and puts it where the instances look for it, or logs why not. Gives up between two steps once
    /// `is_over` says so. Blocks.
    pub fn run(self, is_over: &dyn Fn() -> bool) {
        let started = Instant::now();
        let (slot, model, threads) = (self.slot.clone(), self.manifest.name.clone(), self.threads);
        let opened = self.open(is_over);
        if is_over() {
            // What else there is to say may only mean that its runs were ended.
            return;
        }
        let told = |used: bool| {
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                model,
                threads,
                used,
                took_ms,
                "a session of more threads was tried for quiet moments"
            );
        };
        match opened {
            Ok(Found::Good(runner)) => {
                slot.put(runner);
                told(true);
            }
            Ok(Found::NoFaster) => told(false),
            Ok(Found::Moved(moved)) => tracing::warn!(
                model,
                moved,
                "its answers move with the number of threads, so idle_threads is 1 for it"
            ),
            Ok(Found::Over) => {}
            Err(problem) => tracing::warn!(model, threads, problem, "no session of more threads can be opened"),
        }
    }

    /// Opens the session. The error is a part of a line.
    pub fn open(self, is_over: &dyn Fn() -> bool) -> Result<Found, String> {
        let source = Source {
            bytes: &self.bytes,
            manifest: &self.manifest,
            pad_id: self.pad_id,
            weights: self.weights.as_ref(),
            providers: &self.providers,
            memory: &DeviceMemory::default(),
            limit: &self.limit,
        };
        let mut runner = OnnxRunner::load(self.runtime, source, SessionSettings::wide(self.threads))?;
        if is_over() {
            return Ok(Found::Over);
        }
        warm_up(&mut runner, &self.sample, self.bounds).map_err(|error| error.to_string())?;
        if is_over() {
            return Ok(Found::Over);
        }
        let cells = self.bounds.cells;
        if let Some(moved) = neighbours::moved_elsewhere(&mut [&mut runner], &self.alone, self.neighbours, cells) {
            return Ok(Found::Moved(moved));
        }
        let faster = self.is_faster(&mut runner).map_err(|error| error.to_string())?;
        Ok(if faster {
            Found::Good(Box::new(runner))
        } else {
            Found::NoFaster
        })
    }

    /// Whether a single row of any width takes less time than on a narrow session, by the fastest of a few runs. If not,
    /// the session would only take memory.
    fn is_faster(&self, runner: &mut dyn Runner) -> Result<bool, RunError> {
        for narrow in self.costs.iter().filter(|cost| cost.rows == 1) {
            let row = self.sample.of_width(narrow.width);
            let mut fastest = Duration::MAX;
            for _ in 0..TRIES {
                let started = Instant::now();
                runner.run(&[&row])?;
                fastest = fastest.min(started.elapsed());
            }
            if fastest < narrow.took {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What came of a trial.
pub enum Found {
    /// A session that gives the same answers, sooner.
    Good(Box<dyn Runner>),
    /// Its runs take as long as those of one thread.
    NoFaster,
    /// Its outputs differ from those of one thread, by so much.
    Moved(f32),
    /// Nobody needs it any more.
    Over,
}
